/** Mail that its user or another server has signed or encrypted already. The signatures are of the right shape only. */
import { signedData } from "./cms.ts";
import { base64, type CorpusMessage, head, lines, message, mime, multipart, noise, part } from "./build.ts";

const SIGNED = part(["Content-Type: text/plain; charset=utf-8"], "Signed text, ends in a blank \r\n");
const CMS = base64(Buffer.concat([Buffer.from("3082", "hex"), noise(1500)]));
const SMIME_SIGNATURE = part(
  [
    'Content-Type: application/pkcs7-signature; name="smime.p7s"',
    "Content-Transfer-Encoding: base64",
    'Content-Disposition: attachment; filename="smime.p7s"',
  ],
  base64(signedData()),
);
const PGP_SIGNATURE = part(
  ['Content-Type: application/pgp-signature; name="signature.asc"'],
  lines("-----BEGIN PGP SIGNATURE-----", "", "iQEzBAEBCAAdFiEE", "=abcd", "-----END PGP SIGNATURE-----"),
);
const SIGNED_TYPE = 'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="s1"';
const ENCRYPTED = lines("-----BEGIN PGP MESSAGE-----", "", "hQEMA1234567890", "=abcd", "-----END PGP MESSAGE-----");

/** Base64 of CMS as the whole body. */
const opaque: readonly (readonly [string, string])[] = [
  ["S/MIME enveloped", 'application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"'],
  ["S/MIME enveloped, old type", 'application/x-pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"'],
  ["S/MIME enveloped, no smime-type", 'application/pkcs7-mime; name="smime.p7m"'],
  ["S/MIME authenticated-enveloped", "application/pkcs7-mime; smime-type=authEnveloped-data; name=smime.p7m"],
  ["S/MIME opaque signed", 'application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"'],
  ["S/MIME compressed", 'application/pkcs7-mime; smime-type=compressed-data; name="smime.p7z"'],
  ["S/MIME certificates only", 'application/pkcs7-mime; smime-type=certs-only; name="smime.p7c"'],
  ["S/MIME in odd case", 'Application/PKCS7-MIME; SMIME-Type="Enveloped-Data"; Name="SMIME.P7M"'],
  ["S/MIME as octet-stream by Exchange", 'application/octet-stream; name="smime.p7m"'],
];

const wrapped = [
  message("S/MIME detached", mime("detached", SIGNED_TYPE), multipart("s1", [SIGNED, SMIME_SIGNATURE])),
  message(
    "S/MIME detached with preamble",
    mime("detached preamble", SIGNED_TYPE),
    `This is an S/MIME signed message\r\n\r\n${multipart("s1", [SIGNED, SMIME_SIGNATURE])}`,
  ),
  message(
    "S/MIME detached, old type",
    mime("x-detached", 'multipart/signed; protocol="application/x-pkcs7-signature"; micalg=sha1; boundary="s1"'),
    multipart("s1", [SIGNED, SMIME_SIGNATURE]),
  ),
  message(
    "S/MIME detached over a multipart",
    mime("detached mixed", SIGNED_TYPE),
    multipart("s1", [
      part(['Content-Type: multipart/mixed; boundary="m"'], multipart("m", [SIGNED, SIGNED])),
      SMIME_SIGNATURE,
    ]),
  ),
  message(
    "S/MIME detached, 8-bit inside",
    mime("detached 8bit", SIGNED_TYPE),
    multipart("s1", [
      part(["Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit"], "Gr\xfc\xdfe\r\n"),
      SMIME_SIGNATURE,
    ]),
  ),
  message(
    "S/MIME detached, without micalg",
    mime("detached plain", 'multipart/signed; protocol="application/pkcs7-signature"; boundary=s1'),
    multipart("s1", [SIGNED, SMIME_SIGNATURE]),
  ),
  message(
    "S/MIME detached, folded parameters",
    [
      ...head("detached folded"),
      "MIME-Version: 1.0",
      "Content-Type: multipart/signed;",
      "\tmicalg=SHA-256;",
      '\tboundary="s1";',
      '\tprotocol="application/pkcs7-signature"',
    ],
    multipart("s1", [SIGNED, SMIME_SIGNATURE]),
  ),
  message(
    "S/MIME triple wrap",
    mime("triple", SIGNED_TYPE),
    multipart("s1", [
      part(
        ["Content-Type: application/pkcs7-mime; smime-type=enveloped-data", "Content-Transfer-Encoding: base64"],
        CMS,
      ),
      SMIME_SIGNATURE,
    ]),
  ),
  message(
    "S/MIME signed mail forwarded",
    mime("forwarded signed", 'multipart/mixed; boundary="m"'),
    multipart("m", [
      SIGNED,
      part(
        ["Content-Type: message/rfc822"],
        `${lines("Subject: inner", "MIME-Version: 1.0", `Content-Type: ${SIGNED_TYPE}`)}\r\n${multipart("s1", [SIGNED, SMIME_SIGNATURE])}`,
      ),
    ]),
  ),
  message(
    "S/MIME signed mail with a list's footer",
    mime("footer", 'multipart/mixed; boundary="m"'),
    multipart("m", [
      part([`Content-Type: ${SIGNED_TYPE}`], multipart("s1", [SIGNED, SMIME_SIGNATURE])),
      part(["Content-Type: text/plain"], "-- \r\nA mailing list\r\n"),
    ]),
  ),
  message(
    "S/MIME enveloped, binary",
    mime("binary", "application/pkcs7-mime; smime-type=enveloped-data", "Content-Transfer-Encoding: binary"),
    `0\x82\x04\x00${"\x06\x09*\x86H\x86\xf7".repeat(100)}`,
  ),
  message(
    "S/MIME enveloped, base64 on one line",
    mime("one line", "application/pkcs7-mime; smime-type=enveloped-data", "Content-Transfer-Encoding: base64"),
    base64(noise(600), 9000),
  ),
  message(
    "PGP/MIME signed",
    mime("pgp signed", 'multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"; boundary="s1"'),
    multipart("s1", [SIGNED, PGP_SIGNATURE]),
  ),
  message(
    "PGP/MIME encrypted",
    mime("pgp encrypted", 'multipart/encrypted; protocol="application/pgp-encrypted"; boundary="s1"'),
    multipart("s1", [
      part(["Content-Type: application/pgp-encrypted"], "Version: 1\r\n"),
      part(["Content-Type: application/octet-stream"], ENCRYPTED),
    ]),
  ),
  message(
    "PGP/MIME mangled by Exchange",
    mime("pgp mangled", 'multipart/mixed; boundary="s1"'),
    multipart("s1", [
      part(["Content-Type: text/plain"], "\r\n"),
      part(["Content-Type: application/pgp-encrypted"], "Version: 1\r\n"),
      part(["Content-Type: application/octet-stream"], ENCRYPTED),
    ]),
  ),
  message("inline PGP encrypted", head("pgp inline"), ENCRYPTED),
  message(
    "PGP keys",
    mime("pgp keys", 'multipart/mixed; boundary="s1"', "Autocrypt: addr=anna@example.org; keydata=", " mQENBFabcdef"),
    multipart("s1", [SIGNED, part(["Content-Type: application/pgp-keys"], ENCRYPTED)]),
  ),
];

const DKIM = (domain: string, ...extra: readonly string[]): string[] => [
  `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=${domain}; s=s1;`,
  "\th=from:to:subject:date:message-id; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;",
  ...extra,
  "\tb=dGhpcyBpcyBubyBzaWduYXR1cmU=",
];

const signedByServers = [
  message("DKIM of another", [...DKIM("third.example"), ...head("dkim other")], "x\r\n"),
  message("DKIM of ours", [...DKIM("example.org"), ...head("dkim ours")], "x\r\n"),
  message(
    "DKIM of ours and another",
    [...DKIM("example.org"), ...DKIM("third.example", "\tx=1800000000;"), ...head("dkim both")],
    "x\r\n",
  ),
  message(
    "DKIM of ours in odd case, folded anywhere",
    ["dkim-signature:v=1;a=rsa-sha256;d=", "\tExample.ORG;s=s1;h=From:To;bh=x;b=a", " b", " c", ...head("dkim odd")],
    "x\r\n",
  ),
  message(
    "DomainKeys",
    ["DomainKey-Signature: a=rsa-sha1; q=dns; c=nofws; s=s; d=third.example; b=abc", ...head("domainkeys")],
    "x\r\n",
  ),
  message(
    "ARC set",
    [
      "ARC-Seal: i=1; a=rsa-sha256; t=1764000000; cv=none; d=third.example; s=arc; b=abc",
      "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=third.example; s=arc; h=from; bh=x; b=abc",
      "ARC-Authentication-Results: i=1; mx.third.example; spf=pass",
      ...head("arc"),
    ],
    "x\r\n",
  ),
  message(
    "Authentication-Results of another",
    [
      "Authentication-Results: mx.third.example; dkim=pass header.d=third.example;",
      "\tspf=pass smtp.mailfrom=third.example",
      "Received-SPF: Pass (mx.third.example: 192.0.2.9 is authorized)",
      ...head("results"),
    ],
    "x\r\n",
  ),
];

export const sealedMessages: readonly CorpusMessage[] = [
  ...opaque.map(([name, type]) =>
    message(
      name,
      mime(name, type, "Content-Transfer-Encoding: base64", 'Content-Disposition: attachment; filename="smime.p7m"'),
      CMS,
    ),
  ),
  ...wrapped,
  ...signedByServers,
];
