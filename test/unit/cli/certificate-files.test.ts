/** Files in which partners send their certificates, as programs write them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { certificatesIn } from "../../../src/cli/certificate-files.ts";
import { element, oidOctets, TAG } from "../../../src/mail/der.ts";
import { createMailAuthority, EMAIL_PROTECTION } from "../../peers/mail-authority.ts";

const ca = createMailAuthority("Mail CA");
const bea = ca.issue({ emails: ["bea@acme.example"], purposes: [EMAIL_PROTECTION] });
const cem = ca.issue({ emails: ["cem@acme.example"], purposes: [EMAIL_PROTECTION] });

const seq = (...parts: Buffer[]) => element(TAG.sequence, ...parts);
const id = (dotted: string) => element(TAG.oid, oidOctets(dotted));
const DATA = seq(id("1.2.840.113549.1.7.1"));

/** Signed data without signers [RFC 5652 §5.1]. */
function signedData(certificates: readonly Buffer[], content = DATA): Buffer {
  const fields = [
    element(TAG.integer, Buffer.of(1)),
    element(0x31),
    content,
    ...(certificates.length > 0 ? [element(0xa0, ...certificates)] : []),
    element(0x31),
  ];
  return seq(id("1.2.840.113549.1.7.2"), element(0xa0, seq(...fields)));
}

/** The same with lengths that are not known before, as programs that stream write it. */
function streamed(certificates: readonly Buffer[]): Buffer {
  const open = (tag: number, ...parts: Buffer[]) => Buffer.concat([Buffer.of(tag, 0x80), ...parts, Buffer.of(0, 0)]);
  const content = open(0x30, id("1.2.840.113549.1.7.1"), open(0xa0, open(0x24, element(0x04, Buffer.from("text")))));
  const fields = [
    element(TAG.integer, Buffer.of(1)),
    element(0x31),
    content,
    element(0xa0, ...certificates),
    element(0x31),
  ];
  return open(0x30, id("1.2.840.113549.1.7.2"), open(0xa0, open(0x30, ...fields)));
}

const base64 = (der: Buffer, eol = "\n") => (der.toString("base64").match(/.{1,64}/g) ?? []).join(eol);
const pem = (label: string, der: Buffer) => `-----BEGIN ${label}-----\n${base64(der)}\n-----END ${label}-----\n`;

function mail(type: string, der: Buffer, eol = "\r\n"): Buffer {
  const lines = [
    "From: bea@acme.example",
    'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b',
    "",
    "--b",
    "Content-Type: text/plain",
    "",
    "TUlJ",
    "--b",
    type,
    "Content-Transfer-Encoding: base64",
    "",
    base64(der, eol),
    "--b--",
    "",
  ];
  return Buffer.from(lines.join(eol));
}

const SIGNATURE = "Content-Type: application/pkcs7-signature; name=smime.p7s";
const both = signedData([bea.der, cem.der]);

function found(content: string | Buffer): string[] {
  const read = certificatesIn(Buffer.from(content));
  if (!read.ok) throw new Error(read.message);
  return read.certificates.map(({ subjectAltName = "" }) => subjectAltName.replace("email:", ""));
}

const BEA = "bea@acme.example";
const CEM = "cem@acme.example";

describe("the certificates in", () => {
  it.each([
    ["PEM", bea.pem, [BEA]],
    ["PEM with a text before, and two of them", `Subject: CN=bea\r\n${bea.pem}\r\n${cem.pem}`, [BEA, CEM]],
    ["PEM that has one twice", bea.pem + bea.pem, [BEA]],
    ["DER", bea.der, [BEA]],
    ["base64 of DER, bare", base64(bea.der), [BEA]],
    ["PKCS#7 in DER [RFC 5652 §5]", both, [BEA, CEM]],
    ["PKCS#7 in BER", streamed([bea.der, cem.der]), [BEA, CEM]],
    ["PKCS#7 as PEM", pem("PKCS7", both), [BEA, CEM]],
    ["CMS as PEM", pem("CMS", both), [BEA, CEM]],
    ["a signed message [RFC 8551 §3.5.3]", mail(SIGNATURE, both), [BEA, CEM]],
    ["one with LF alone", mail(SIGNATURE, both, "\n"), [BEA, CEM]],
    ["one of an older program", mail("content-type:\r\n application/x-pkcs7-signature", both), [BEA, CEM]],
    [
      "an opaque one [RFC 8551 §3.5.2]",
      mail("Content-Type: application/pkcs7-mime; smime-type=signed-data", both),
      [BEA, CEM],
    ],
  ])("%s", (_, content, expected) => expect(found(content)).toEqual(expected));

  it("a PEM file never bring the private key along that stands there, too", () => {
    expect(found(bea.keyPem + bea.pem)).toEqual([BEA]);
  });
});

describe("refused, with a word on what it is,", () => {
  it.each([
    ["text without any", "hello", /no certificate and no S\/MIME signature/],
    ["an empty file", "", /no certificate/],
    ["a private key alone", bea.keyPem, /no certificate/],
    ["some other DER", seq(element(TAG.integer, Buffer.of(3))), /neither a certificate nor signed data/],
    ["signed data without certificates", signedData([]), /without a certificate/],
    ["a certificate that is cut short", bea.der.subarray(0, 200), /neither/],
    ["a signed message that is cut short", mail(SIGNATURE, both.subarray(0, 300)), /neither/],
    ["a message that is not signed", "From: bea@acme.example\r\n\r\nhello\r\n", /no certificate/],
    ["an encrypted message", mail("Content-Type: application/pkcs7-mime", seq(id("1.2.840.113549.1.7.3"))), /neither/],
  ])("is %s", (_, content, message) => {
    const read = certificatesIn(Buffer.from(content));
    expect(read.ok ? "" : read.message).toMatch(message);
    expect(read.ok ? "" : read.remedy).not.toBe("");
  });
});

it("never throws, whatever stands in the file", () => {
  const damaged = fc
    .tuple(fc.constantFrom(both, streamed([bea.der])), fc.nat(), fc.integer({ min: 0, max: 255 }))
    .map(([der, at, octet]) => {
      const copy = Buffer.from(der);
      copy[at % copy.length] = octet;
      return copy;
    });
  fc.assert(
    fc.property(
      fc.oneof(
        damaged,
        fc.uint8Array().map((octets) => Buffer.from(octets)),
      ),
      (content) => {
        const read = certificatesIn(content);
        expect(read.ok ? read.certificates.length : 1).toBeGreaterThan(0);
      },
    ),
  );
});

it("takes time in proportion to what it reads, however deep it is", () => {
  const deep = Buffer.alloc(2_000_000, Buffer.of(0x30, 0x80));
  expect(certificatesIn(deep).ok).toBe(false);
  const folded = Buffer.from(`Content-Type: application/pkcs7-mime\n${"\n \t".repeat(500_000)}`);
  expect(certificatesIn(folded).ok).toBe(false);
});
