import { describe, expect, it } from "vitest";
import { sha256 } from "../../../src/mail/certificate.ts";
import { element, TAG } from "../../../src/mail/der.ts";
import { readCandidate } from "../../../src/transform/smime/candidate.ts";
import { readSmimeCertificate } from "../../../src/transform/smime/certificate.ts";
import { oid, seq } from "../../peers/mail-authority.ts";
import { ecKey, issue, ISSUER, SHORT_RSA } from "./smime-cms-people.ts";

const ANNA = issue({ emails: ["anna@acme.test"], names: ["acme.test"] });

describe("a certificate", () => {
  it.each([
    ["DER", ANNA.der],
    ["PEM", Buffer.from(ANNA.pem)],
    ["PEM with others behind it", Buffer.from(ANNA.pem + ISSUER.pem)],
  ])("is read from %s", (_, file) => {
    expect(readSmimeCertificate(file)).toMatchObject({
      sha256: sha256(ANNA.der),
      serial: element(TAG.integer, ANNA.serial),
      issuer: seq(element(0x31, seq(oid("2.5.4.3"), element(0x0c, Buffer.from("Mail CA"))))),
      emails: ["anna@acme.test"],
      names: ["acme.test"],
      keyType: { kind: "ec", curve: "prime256v1" },
    });
  });

  it.each([
    ["of an EC key on P-384", issue({ key: ecKey("secp384r1") }), { kind: "ec", curve: "secp384r1" }],
    ["of Ed25519", issue({ keyType: "ed25519" }), { kind: "other", name: "ed25519" }],
    ["of RSA", issue({ key: SHORT_RSA }), { kind: "rsa", bits: 1024 }],
  ])("%s says so", (_, { der }, keyType) => {
    expect(readSmimeCertificate(der)?.keyType).toEqual(keyType);
  });

  it.each([
    ["nothing", Buffer.alloc(0)],
    ["DER of something else", seq(oid("2.5.4.3"))],
    ["text", Buffer.from("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")],
  ])("is not read from %s", (_, file) => {
    expect(readSmimeCertificate(file)).toBeUndefined();
  });

  it("says how it is identified where it does [RFC 5280 §4.2.1.2]", () => {
    const identifier = Buffer.alloc(20, 7);
    const held = issue({ more: [{ id: "2.5.29.14", value: element(TAG.octetString, identifier) }] });
    expect(readSmimeCertificate(held.der)?.subjectKeyIdentifier).toEqual(identifier);
    expect(readSmimeCertificate(ANNA.der)).not.toHaveProperty("subjectKeyIdentifier");
  });

  it("says what its holder reads where it does [RFC 4262]", () => {
    const value = seq(seq(oid("2.16.840.1.101.3.4.1.46")));
    const held = issue({ more: [{ id: "1.2.840.113549.1.9.15", value }] });
    expect(readSmimeCertificate(held.der)?.capabilities).toEqual({ gcm: true, oaep: false });
    expect(readSmimeCertificate(ANNA.der)).not.toHaveProperty("capabilities");
  });

  it("names addresses beyond ASCII [RFC 9598 §3]", () => {
    const text = (content: string): Buffer => element(0xa0, element(0x0c, Buffer.from(content)));
    const other = (type: string, value: Buffer): Buffer => element(0xa0, oid(type), value);
    const names = [
      other("1.3.6.1.5.5.7.8.9", text("jürgen@acme.test")),
      other("1.3.6.1.4.1.311.20.2.3", text("login@acme.test")), // a user principal name is no mail address
      other("1.3.6.1.5.5.7.8.9", element(0xa0, element(0x16, Buffer.from("wrong@acme.test")))),
    ];
    const held = issue({ emails: [], more: [{ id: "2.5.29.17", value: seq(...names) }] });
    expect(readCandidate(held.der)?.emails).toEqual(["jürgen@acme.test"]);
  });
});
