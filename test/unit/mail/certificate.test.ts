import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { isInTime, nameText, partsOf, readCertificate, validityOf } from "../../../src/mail/certificate.ts";
import { createAuthority, selfSigned, type Subject } from "../../peers/certificates.ts";

const root = createAuthority("Acme root");
const raw = (subject: Subject) => new X509Certificate(root.intermediate("Acme", subject).certificate).raw;
const octets = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");
const element = (tag: string, ...parts: Buffer[]) => {
  const content = Buffer.concat(parts);
  return Buffer.concat([octets(tag), Buffer.of(0x82, content.length >> 8, content.length & 255), content]);
};
/** A certificate whose extensions are these; the rest of it is empty. */
const withExtensions = (...extensions: Buffer[]) => withField(element("30", ...extensions));
const withField = (field: Buffer) => {
  const fields = [octets("a003020102"), octets("020101"), ...Array.from({ length: 4 }, () => octets("3000"))];
  const spki = octets("30023000");
  return element("30", element("30", ...fields, spki, element("a3", field)));
};
const constraints = (value: string) => element("30", octets("0603551d13"), element("04", octets(value)));

describe("what a certificate says of itself", () => {
  it("is its public key, octet for octet", () => {
    const certificate = new X509Certificate(root.certificate);
    expect(partsOf(certificate.raw)?.spki).toEqual(certificate.publicKey.export({ type: "spki", format: "der" }));
  });
  it.each<[string, Subject, number]>([
    ["no limit", {}, Number.POSITIVE_INFINITY],
    ["none below", { pathLength: 0 }, 0],
    ["three below", { pathLength: 3 }, 3],
  ])("is how many issuers may stand below it: %s", (_, subject, pathLength) =>
    expect(partsOf(raw(subject))).toMatchObject({ pathLength, understood: true }),
  );
  it.each<[string, string, boolean, boolean]>([
    ["name constraints", "2.5.29.30", false, false],
    ["critical name constraints", "2.5.29.30", true, false],
    ["policies, critical", "2.5.29.32", true, true],
    ["unknown, critical", "1.3.6.1.4.1.99999.1", true, false],
    ["unknown, not critical", "1.3.6.1.4.1.99999.1", false, true],
  ])("is understood or not: %s", (_, id, critical, understood) =>
    expect(partsOf(raw({ extra: { id, critical, value: Buffer.of(0x30, 0) } }))?.understood).toBe(understood),
  );
});

it("a certificate with an empty subject is read like any other [RFC 5280 §4.1.2.6]", () => {
  const bare = new X509Certificate(selfSigned({ commonName: "", names: ["mx.acme.test"] }).certificate);
  expect(readCertificate(bare)).toMatchObject({ subject: "", issuer: "", names: ["mx.acme.test"] });
  expect(nameText(bare.subject)).toBe("");
  expect(nameText("C=DE\nCN=Anna")).toBe("CN=Anna, C=DE");
});

describe("the time of a certificate", () => {
  const dates = { validFrom: "Nov  1 00:00:00 2026 GMT", validTo: "Nov 30 23:59:59 2026 GMT" };
  it.each([
    ["before it begins", Date.UTC(2026, 9, 31), false],
    ["in its first instant", Date.UTC(2026, 10, 1), true],
    ["in its last second", Date.UTC(2026, 10, 30, 23, 59, 59), true],
    ["after it has ended", Date.UTC(2026, 11, 1), false],
  ])("%s", (_, now, expected) => expect(isInTime(dates, now)).toBe(expected));
  it("that cannot be read is over: Node made a date thousands of years ahead of whatever lay in its memory", () => {
    const { certificate } = selfSigned({ names: ["mx.acme.test"], notAfter: new Date("2051-02-28T00:00:00Z") });
    const { raw } = new X509Certificate(certificate);
    const bent = Buffer.from(raw);
    bent.write("20519999000000Z", bent.indexOf("20510228000000Z"), "latin1");
    const read = new X509Certificate(bent);
    expect(validityOf(read)).toBeUndefined();
    expect(isInTime(read, Date.now())).toBe(false);
    expect(readCertificate(read)).toMatchObject({ notBefore: 0, notAfter: 0 });
  });
});

describe("octets that a peer bent", () => {
  it.each([
    ["none", ""],
    ["a tag alone", "30"],
    ["a length cut short", "3082"],
    ["a length without end [X.690 §8.1.3.6]", "30800000"],
    ["a length of five octets", "3085000000000100"],
    ["content cut short", "3003020101ff02"],
    ["two elements", "30003000"],
    ["nothing inside", "3000"],
    ["no key where it belongs", "30143012020101300030003000300002010130003000"],
  ])("are no certificate: %s", (_, hex) => expect(partsOf(octets(hex))).toBeUndefined());
  it.each<[string, Buffer, boolean]>([
    ["no extension", withExtensions(), true],
    ["basic constraints of an authority", withExtensions(constraints("30030101ff")), true],
    ["basic constraints that are no sequence", withExtensions(constraints("30")), false],
    ["a path length without octets", withExtensions(constraints("30020200")), false],
    ["a path length too long for a number", withExtensions(constraints("300702050100000000")), false],
    ["extensions cut short", withField(octets("3005")), false],
    ["the same extension twice", withExtensions(constraints("3000"), constraints("3000")), false],
    ["an extension without identifier", withExtensions(octets("3000")), false],
    ["an extension without value", withExtensions(octets("30050603551d13")), false],
    ["an extension cut short", withExtensions(octets("3003060355")), false],
  ])("say nothing that may be built on: %s", (_, der, understood) => expect(partsOf(der)?.understood).toBe(understood));
  it("without the field are understood: a certificate of version 1", () => {
    const fields = [octets("020101"), ...Array.from({ length: 4 }, () => octets("3000")), octets("30023000")];
    expect(partsOf(element("30", element("30", ...fields)))?.understood).toBe(true);
  });
});
