/** What is signed or encrypted already: a claim is told by the header, the truth by the whole body. */
import { describe, expect, it } from "vitest";
import { element } from "../../../src/mail/der.ts";
import { recognise } from "../../../src/transform/smime/recognise.ts";
import { recogniseMessage } from "../../../src/transform/smime/wrap.ts";
import { base64, multipart, part } from "../../corpus/build.ts";
import { authEnvelopedData, contentInfo, envelopedData, signedData } from "../../corpus/cms.ts";
import { chunked } from "./smime-mime-chunks.ts";

const header = (...lines: string[]) =>
  Buffer.from(`From: a@b.example\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`, "latin1");
const type = (value: string) =>
  header("MIME-Version: 1.0", `Content-Type: ${value}`, "Content-Transfer-Encoding: base64");

describe("the header claims", () => {
  it.each([
    ["nothing", header(), "plain"],
    ["plain text", type("text/plain"), "plain"],
    ["an S/MIME signature", type('multipart/signed; protocol="application/pkcs7-signature"; boundary=b'), "signed"],
    ["one of the old type", type("multipart/signed; protocol=application/x-pkcs7-signature; boundary=b"), "signed"],
    ["one in odd case", type('MULTIPART/Signed; PROTOCOL="Application/PKCS7-Signature"; boundary=b'), "signed"],
    ["one with a comment", type('multipart/signed (clear); protocol="application/pkcs7-signature"'), "signed"],
    [
      "one with a continued protocol",
      type("multipart/signed; protocol*0=application/; protocol*1=pkcs7-signature"),
      "signed",
    ],
    ["a PGP signature", type('multipart/signed; protocol="application/pgp-signature"; boundary=b'), "signed"],
    ["a signature of unknown kind", type("multipart/signed; protocol=application/x-mine; boundary=b"), "plain"],
    ["a signature without protocol", type("multipart/signed; boundary=b"), "plain"],
    [
      "two protocols",
      type("multipart/signed; protocol=application/pgp-signature; protocol=application/pkcs7-signature"),
      "plain",
    ],
    ["PGP encryption", type('multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b'), "encrypted"],
    ["encryption by another protocol", type("multipart/encrypted; protocol=application/x-mine; boundary=b"), "plain"],
    ["encryption of unknown kind", type("multipart/encrypted; boundary=b"), "plain"],
    ["enveloped-data", type('application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"'), "encrypted"],
    ["enveloped-data, old type, odd case", type("application/X-PKCS7-MIME; SMIME-Type=Enveloped-Data"), "encrypted"],
    ["authEnveloped-data", type("application/pkcs7-mime; smime-type=authEnveloped-data"), "encrypted"],
    ["signed-data", type("application/pkcs7-mime; smime-type=signed-data"), "signed"],
    ["no smime-type, so the weaker", type("application/pkcs7-mime; name=smime.p7m"), "signed"],
    ["smime.p7m as octet-stream [RFC 8551 §3.2.1]", type("application/octet-stream; name=SMIME.P7M"), "signed"],
    ["another file as octet-stream", type("application/octet-stream; name=a.bin"), "plain"],
    ["certificates only", type("application/pkcs7-mime; smime-type=certs-only; name=smime.p7c"), "plain"],
    ["certificates only, by name", type("application/pkcs7-mime; name=smime.p7c"), "plain"],
    ["compression", type("application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z"), "plain"],
    ["old PGP, signed", type("application/pgp; x-action=signclear"), "signed"],
    ["old PGP, encrypted", type("application/pgp; format=text; x-action=encryptsign"), "encrypted"],
    [
      "two things",
      header("Content-Type: application/pkcs7-mime; smime-type=enveloped-data", "Content-Type: text/plain"),
      "plain",
    ],
    [
      "it inside of another field",
      header("Subject: x\r\n Content-Type: application/pkcs7-mime; smime-type=enveloped-data"),
      "plain",
    ],
  ])("%s", (_, header, kind) => expect(recognise(header).kind).toBe(kind));
});

async function found(head: Buffer, body: string | Buffer): Promise<string> {
  const octets = typeof body === "string" ? Buffer.from(body, "latin1") : body;
  const kinds = new Set<string>();
  for (const size of [1, 7, 1000, 65_536])
    kinds.add((await recogniseMessage({ header: head, body: chunked(octets, size) })).kind);
  return [...kinds].join();
}

/** With lengths left open, as streams are written (ITU-T X.690 §8.1.3.6). */
const open = (der: Buffer, headOctets: number) =>
  Buffer.concat([der.subarray(0, 1), Buffer.of(0x80), der.subarray(headOctets), Buffer.alloc(2)]);
const CLEAR = "Dear Bert,\r\n\r\nthe figures are bad.\r\n";
const ENVELOPED = envelopedData();
const enveloped = type("application/pkcs7-mime; smime-type=enveloped-data");
const binary = header("Content-Type: application/pkcs7-mime; smime-type=enveloped-data", "MIME-Version: 1.0");

describe("the body of CMS shows", () => {
  it.each([
    ["enveloped-data", enveloped, base64(ENVELOPED), "encrypted"],
    ["it on one line", enveloped, base64(ENVELOPED, 9000), "encrypted"],
    ["authEnveloped-data", enveloped, base64(authEnvelopedData()), "encrypted"],
    ["encryption where the header is silent", type("application/pkcs7-mime"), base64(ENVELOPED), "encrypted"],
    ["it in an octet-stream", type("application/octet-stream; name=smime.p7m"), base64(ENVELOPED), "encrypted"],
    ["encryption in binary", binary, ENVELOPED, "encrypted"],
    ["encryption of open length", enveloped, base64(open(ENVELOPED, 4)), "encrypted"],
    ["a signature under the name of encryption", enveloped, base64(signedData(1, Buffer.from("x"))), "signed"],
    ["a signature without signer", type("application/pkcs7-mime"), base64(signedData(0)), "plain"],
    ["encryption for nobody", enveloped, base64(envelopedData(Buffer.from("x"), 0)), "plain"],
    ["compression", enveloped, base64(contentInfo("1.2.840.113549.1.9.16.1.9", element(0x30))), "plain"],
    ["clear text", enveloped, CLEAR, "plain"],
    ["clear text behind a first line", enveloped, `MIAGCSqGSIb3DQEHA6CA\r\n${CLEAR}`, "plain"],
    ["clear text before it", enveloped, `${CLEAR}${base64(ENVELOPED)}`, "plain"],
    ["clear text behind it", enveloped, `${base64(ENVELOPED)}\r\n${CLEAR}`, "plain"],
    ["clear text amidst it", enveloped, base64(ENVELOPED).replace("\r\n", `\r\n${CLEAR}`), "plain"],
    ["other octets behind it", enveloped, base64(Buffer.concat([ENVELOPED, Buffer.from(CLEAR)])), "plain"],
    ["clear text behind it in binary", binary, Buffer.concat([ENVELOPED, Buffer.from(CLEAR)]), "plain"],
    ["a length that is too long", enveloped, base64(ENVELOPED.subarray(0, -1)), "plain"],
    ["an open length without end", enveloped, base64(open(ENVELOPED, 4).subarray(0, -2)), "plain"],
    ["frames without end", enveloped, base64(Buffer.alloc(100_000, "3080", "hex")), "plain"],
    ["nothing", enveloped, "", "plain"],
    ["only zeros", enveloped, base64(Buffer.alloc(100)), "plain"],
  ])("%s", async (_, head, body, kind) => expect(await found(head, body)).toBe(kind));
});

const TEXT = part(["Content-Type: text/plain"], CLEAR);
const p7s = (content: string, as = "application/pkcs7-signature; name=smime.p7s") =>
  part([`Content-Type: ${as}`, "Content-Transfer-Encoding: base64"], content);
const byMime = header('Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=x');
const byPgp = header('Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary=x');
const inPgp = header('Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=x');

function armoured(what: string, data: string, ...headers: string[]): string {
  return [`-----BEGIN PGP ${what}-----`, ...headers, "", data, "=abcd", `-----END PGP ${what}-----`, ""].join("\r\n");
}

const MESSAGE = armoured("MESSAGE", "hQEMA1234567890=", "Version: GnuPG v2");
const PGP_SIGNATURE = armoured("SIGNATURE", "iQEzBAEBCAAdFiEE");
const asc = (content: string) => part(['Content-Type: application/pgp-signature; name="s.asc"'], content);
const VERSION = part(["Content-Type: application/pgp-encrypted"], "Version: 1\r\n");
const sealed = (content: string) => part(['Content-Type: application/octet-stream; name="e.asc"'], content);

describe("the parts of multipart/signed show", () => {
  const good = multipart("x", [TEXT, p7s(base64(signedData()))]);
  const nested = part(["Content-Type: multipart/mixed; boundary=y"], multipart("y", [TEXT, TEXT]));
  it.each([
    ["a signature", byMime, good, "signed"],
    ["one of the old type", byMime, good.replace("pkcs7-s", "x-pkcs7-s"), "signed"],
    ["one over parts", byMime, multipart("x", [nested, p7s(base64(signedData()))]), "signed"],
    ["one below a notice", byMime, `This is an S/MIME signed message\r\n\r\n${good}`, "signed"],
    ["one below a long line", byMime, good.replace("Dear", "x".repeat(5000)), "signed"],
    ["one part", byMime, multipart("x", [TEXT]), "plain"],
    ["no part", byMime, CLEAR, "plain"],
    ["three parts", byMime, multipart("x", [TEXT, TEXT, p7s(base64(signedData()))]), "plain"],
    ["no end", byMime, good.replace("--x--", ""), "plain"],
    ["a second part of another type", byMime, good.replace("pkcs7-signature; name", "pdf; name"), "plain"],
    ["certificates without signer", byMime, multipart("x", [TEXT, p7s(base64(signedData(0)))]), "plain"],
    ["encryption in its place", byMime, multipart("x", [TEXT, p7s(base64(ENVELOPED))]), "plain"],
    ["text in its place", byMime, multipart("x", [TEXT, p7s(CLEAR)]), "plain"],
    ["nothing in its place", byMime, multipart("x", [TEXT, p7s("")]), "plain"],
    ["a signature by PGP", byPgp, multipart("x", [TEXT, asc(PGP_SIGNATURE)]), "signed"],
    ["a signature by PGP under the name of S/MIME", byMime, multipart("x", [TEXT, asc(PGP_SIGNATURE)]), "plain"],
    ["text for a signature by PGP", byPgp, multipart("x", [TEXT, asc(CLEAR)]), "plain"],
    ["a PGP message for a signature", byPgp, multipart("x", [TEXT, asc(MESSAGE)]), "plain"],
  ])("%s", async (_, head, body, kind) => expect(await found(head, body)).toBe(kind));

  it("no boundary", async () => {
    expect(await found(header("Content-Type: multipart/signed; protocol=application/pgp-signature"), good)).toBe(
      "plain",
    );
  });
});

describe("the parts of multipart/encrypted show", () => {
  const good = multipart("x", [VERSION, sealed(MESSAGE)]);
  const notice = "This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n";
  it.each([
    ["a PGP message", good, "encrypted"],
    ["one below a notice", notice + good, "encrypted"],
    ["one with blank lines around it", multipart("x", [VERSION, sealed(`\r\n${MESSAGE}\r\n\r\n`)]), "encrypted"],
    ["clear text", CLEAR, "plain"],
    ["clear text above", `${CLEAR}\r\n${good}`, "plain"],
    ["two notices above", notice + notice + good, "plain"],
    ["clear text below", good + CLEAR, "plain"],
    ["armour above parts of clear text", `-----BEGIN PGP MESSAGE-----\r\n${multipart("x", [TEXT])}`, "plain"],
    ["clear text in the armour's place", multipart("x", [VERSION, sealed(CLEAR)]), "plain"],
    ["clear text above the armour", multipart("x", [VERSION, sealed(CLEAR + MESSAGE)]), "plain"],
    ["clear text below the armour", multipart("x", [VERSION, sealed(MESSAGE + CLEAR)]), "plain"],
    ["clear text in the armour", multipart("x", [VERSION, sealed(armoured("MESSAGE", CLEAR))]), "plain"],
    ["what is only signed", multipart("x", [VERSION, sealed(armoured("MESSAGE", "owEBYQ=="))]), "plain"],
    ["armour without end", multipart("x", [VERSION, sealed(MESSAGE.replace(/-----END.*/, ""))]), "plain"],
    ["armour without data", multipart("x", [VERSION, sealed(armoured("MESSAGE", ""))]), "plain"],
    ["long comments", multipart("x", [VERSION, sealed(MESSAGE.replace("GnuPG", "Dear ".repeat(40)))]), "plain"],
    ["clear text in the first part", multipart("x", [`${VERSION}${CLEAR}`, sealed(MESSAGE)]), "plain"],
    ["fields of its own", multipart("x", [VERSION, `X-Text: Dear Bert\r\n${sealed(MESSAGE)}`]), "plain"],
    ["a third part", multipart("x", [VERSION, sealed(MESSAGE), TEXT]), "plain"],
    ["only one part", multipart("x", [sealed(MESSAGE)]), "plain"],
  ])("%s", async (_, body, kind) => expect(await found(inPgp, body)).toBe(kind));
});

describe("the body of an old PGP message shows", () => {
  const signed = `-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n${CLEAR}${PGP_SIGNATURE}`;
  it.each([
    ["encryption", MESSAGE, "encrypted"],
    ["a signature below text", signed, "signed"],
    ["text above that", CLEAR + signed, "plain"],
    ["text below that", signed + CLEAR, "plain"],
    ["text alone", CLEAR, "plain"],
  ])("%s", async (_, body, kind) => expect(await found(header("Content-Type: application/pgp"), body)).toBe(kind));
});
