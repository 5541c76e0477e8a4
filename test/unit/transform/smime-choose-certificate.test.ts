import { describe, expect, it } from "vitest";
import { element, TAG } from "../../../src/mail/der.ts";
import { type Mailbox, parseMailbox } from "../../../src/mail/mailbox.ts";
import { readCandidate } from "../../../src/transform/smime/candidate.ts";
import { type Offered, rankCertificates } from "../../../src/transform/smime/choose-certificate.ts";
import {
  createMailAuthority,
  days,
  EMAIL_PROTECTION,
  type Held,
  oid,
  type Person,
  selfSignedPerson,
  seq,
  USAGE,
} from "../../peers/mail-authority.ts";

const issuer = createMailAuthority("Acme CA");
const ANNA = { commonName: "Anna", emails: ["anna@acme.test"] };
const box = (text: string): Mailbox => parseMailbox(text) as Mailbox;
const candidate = (held: Held) => {
  const read = readCandidate(held.der);
  if (read === undefined) throw new Error("not read");
  return read;
};
const offer = (person: Person, over: Partial<Offered> = {}): Offered => ({
  certificate: candidate(issuer.issue(person)),
  addresses: [],
  domains: [],
  source: "the directory",
  pinned: false,
  ...over,
});
const rank = (offered: readonly Offered[], address = "anna@acme.test") =>
  rankCertificates(offered, box(address), Date.now());

describe("a certificate is for a mailbox", () => {
  it.each([
    ["named in it", ANNA, "anna@acme.test", "address"],
    ["whatever the case [RFC 5280 §7.5]", { emails: ["Anna@ACME.test"] }, "aNNa@acme.TEST", "address"],
    ["named second", { emails: ["a.b@acme.test", "anna@acme.test"] }, "anna@acme.test", "address"],
    ["in its subject [RFC 8550 §3]", { subjectEmail: "anna@acme.test" }, "anna@acme.test", "address"],
    [
      "of the whole domain by its own word alone",
      { emails: ["domain-confidentiality-authority@acme.test"] },
      "anna@acme.test",
      "none",
    ],
    ["of somebody else", { emails: ["hanna@acme.test"] }, "anna@acme.test", "none"],
    ["of a name that only looks like it", { commonName: "anna@acme.test" }, "anna@acme.test", "none"],
    ["of a host", { names: ["acme.test"] }, "anna@acme.test", "none"],
  ] as const)("%s", (_, person, address, expected) => {
    const { address: exact, domain, rejected } = rank([offer(person)], address);
    expect([exact.length, domain.length, rejected.length]).toEqual(
      { address: [1, 0, 0], domain: [0, 1, 0], none: [0, 0, 0] }[expected],
    );
  });

  it.each([
    ["anna@acme.test", "of the whole domain [RFC 3183 §4.1]", 1],
    ["anna@sub.acme.test", "but not of a domain below", 0],
    ["anna@[192.0.2.1]", "nor of an address literal", 0],
  ])("%s: %s, where it was placed by hand for that name", (address, _, count) => {
    const emails = ["domain-confidentiality-authority@acme.test"];
    expect(rank([offer({ emails }, { addresses: emails, pinned: true })], address).domain.length).toBe(count);
    expect(rank([offer({ emails }, { addresses: ["x@other.test"], pinned: true })], address).domain).toEqual([]);
  });
  it("placed by hand for another one, as any that was not", () => {
    const emails = ["anna@acme.test", "ceo@victim.test"];
    const placed = offer({ emails }, { addresses: ["anna@acme.test"], pinned: true });
    expect(rank([placed]).address).toEqual([[placed]]);
    expect(rank([placed], "ceo@victim.test").address).toEqual([[{ ...placed, pinned: false }]]);
    const copy = { ...placed, addresses: ["ceo@victim.test"], source: "a copy" };
    expect(rank([placed, copy], "ceo@victim.test").address).toEqual([[copy]]);
  });
  it("by the word of who placed it", () => {
    const placed = offer({}, { addresses: ["anna@acme.test"] });
    const gateway = offer({ commonName: "Gateway" }, { domains: ["acme.test"] });
    expect(rank([placed, gateway])).toEqual({ address: [[placed]], domain: [[gateway]], rejected: [] });
  });
});

describe("a certificate is not used that", () => {
  const rsa = { ...ANNA, keyType: "rsa" } as const;
  it.each([
    ["has ended", { ...ANNA, notBefore: days(-9), notAfter: new Date("2026-01-31T12:00:00Z") }, "ended on 2026-01-31"],
    [
      "is not valid yet",
      { ...ANNA, notBefore: new Date("2099-01-01T00:00:00Z"), notAfter: new Date("2099-02-01T00:00:00Z") },
      "is not valid before 2099-01-01",
    ],
    [
      "signs only, RSA [RFC 8550 §4.4.2]",
      { ...rsa, usage: [USAGE.digitalSignature] },
      "may be used for signatures only",
    ],
    [
      "signs only, EC",
      { ...ANNA, usage: [USAGE.digitalSignature, USAGE.keyEncipherment] },
      "may be used for signatures only",
    ],
    ["has a key for signatures", { ...ANNA, keyType: "ed25519" }, "nothing can be encrypted for"],
    ["is for servers [RFC 8550 §4.4.4]", { ...ANNA, purposes: ["1.3.6.1.5.5.7.3.1"] }, "is not for e-mail"],
    ["is a CA's", { ...ANNA, ca: true }, "is that of a CA"],
    [
      "says something critical that nobody knows",
      { ...ANNA, more: [{ id: "1.2.3.4", value: Buffer.of(5, 0), critical: true }] },
      "not understood",
    ],
  ] as const)("%s", (_, person, words) => {
    const { address, rejected } = rank([offer(person)]);
    expect(address).toEqual([]);
    expect(rejected).toEqual([{ source: "the directory", why: expect.stringContaining(words) }]);
  });

  it.each([
    ["RSA with key encipherment", { ...rsa, usage: [USAGE.keyEncipherment] }],
    ["EC with key agreement", { ...ANNA, usage: [USAGE.digitalSignature, USAGE.keyAgreement] }],
    ["for e-mail among others", { ...ANNA, purposes: ["1.3.6.1.5.5.7.3.2", EMAIL_PROTECTION] }],
    ["for anything", { ...ANNA, purposes: ["2.5.29.37.0"] }],
    ["without any word on its use", ANNA],
  ] as const)("but this is: %s", (_, person) => {
    expect(rank([offer(person)])).toMatchObject({ address: [[{}]], rejected: [] });
  });

  it("but placed by hand it may be self-signed, and say CA", () => {
    const certificate = candidate(selfSignedPerson({ ...ANNA, ca: true }));
    expect(rank([offer({}, { certificate, addresses: ANNA.emails, pinned: true })]).address.length).toBe(1);
  });
});

describe("of several", () => {
  it("with empty subjects those that name the same addresses are one person's [RFC 5280 §4.1.2.6]", () => {
    const bare = { emails: ["anna@acme.test"], commonName: "" };
    const [before, after] = [offer({ ...bare, notBefore: days(-9) }), offer(bare)];
    const desk = offer({ ...bare, emails: ["desk@acme.test", "anna@acme.test"], notBefore: days(-4) });
    expect(rank([before, desk, after]).address).toEqual([[after, before], [desk]]);
    expect(desk.certificate.subject).toBe("desk@acme.test, anna@acme.test");
  });
  const old = offer({ ...ANNA, notBefore: days(-20) });
  const fresh = offer({ ...ANNA, notBefore: days(-2) });
  const other = offer({ ...ANNA, commonName: "Anna A. (Acme)", notBefore: days(-10) });

  it("with one subject the newest comes first, and one only is used", () => {
    expect(rank([old, fresh]).address).toEqual([[fresh, old]]);
  });
  it("with different subjects each is used, the newest first", () => {
    expect(rank([old, other, fresh]).address).toEqual([[fresh, old], [other]]);
  });
  it("those of the address and those of the domain are told apart", () => {
    const gateway = offer({ commonName: "Gateway", notBefore: days(-1) }, { domains: ["acme.test"] });
    expect(rank([gateway, old])).toMatchObject({ address: [[old]], domain: [[gateway]] });
  });
  it("the same one from two sources counts once, as the first", () => {
    const again = { ...old, source: "another" };
    expect(rank([old, again]).address).toEqual([[old]]);
  });
  it("a flood is bounded", () => {
    const many = Array.from({ length: 30 }, (_, at) => offer({ ...ANNA, commonName: `Anna ${at % 10}` }));
    const { address } = rank(many);
    expect(address.length).toBe(4);
    expect(Math.max(...address.map(({ length }) => length))).toBeLessThanOrEqual(4);
  });
});

describe("what a certificate says", () => {
  it("is read", () => {
    const held = issuer.issue({
      ...ANNA,
      ocsp: ["http://ocsp.test/"],
      crl: ["http://crl.test/a", "ldap://crl.test/a"],
      usage: [USAGE.keyAgreement],
      purposes: [EMAIL_PROTECTION],
    });
    const read = candidate(held);
    expect(read).toMatchObject({
      subject: "CN=Anna",
      emails: ["anna@acme.test"],
      purposes: [EMAIL_PROTECTION],
      authority: false,
      understood: true,
      ocsp: ["http://ocsp.test/"],
      crl: ["http://crl.test/a"],
    });
    expect(read.usage).toEqual(new Set([USAGE.keyAgreement]));
  });
  it("twice is not understood", () => {
    const twice = { id: "2.5.29.15", value: element(TAG.bitString, Buffer.of(0, 0xff)) };
    expect(candidate(issuer.issue({ ...ANNA, more: [twice, twice] })).understood).toBe(false);
  });
  it("in broken extensions is not taken for a permission", () => {
    const broken = { id: "2.5.29.15", value: Buffer.of(0x03, 0x7f) };
    expect(candidate(issuer.issue({ ...ANNA, more: [broken] })).usage).toEqual(new Set());
    const lists = { id: "2.5.29.31", value: seq(oid("1.2.3")) };
    expect(candidate(issuer.issue({ ...ANNA, more: [lists] })).crl).toEqual([]);
  });
  it("is nothing where its end cannot be read", () => {
    const { der } = issuer.issue({ ...ANNA, notAfter: new Date("2051-02-28T00:00:00Z") });
    const bent = Buffer.from(der);
    bent.write("20519999000000Z", bent.indexOf("20510228000000Z"), "latin1");
    expect(readCandidate(bent)).toBeUndefined();
  });
  it("is nothing in what is no certificate", () => {
    expect(readCandidate(Buffer.from("certificate"))).toBeUndefined();
  });
});
