import { createPrivateKey, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSigner } from "../../../src/transform/smime/keys.ts";
import { decryptRc2 } from "../../../src/transform/smime/rc2.ts";
import { createMailAuthority, days, type Held, selfSignedPerson, USAGE } from "../../peers/mail-authority.ts";
import { SHORT_RSA } from "./smime-cms-people.ts";
import { EMPTY, LEGACY, MODERN, NOMAC, RC2128, RC4, TRIPLEDES } from "./smime-keys-files.ts";
import { inBer, pkcs12 } from "./smime-pkcs12-maker.ts";

const PASSWORD = "geheim-ä";
const root = createMailAuthority("Root");
const upper = root.below("Upper CA");
const lower = upper.below("Lower CA");
const ANNA = lower.issue({ commonName: "Anna", emails: ["anna@acme.test"] });
const BERT = lower.issue({ commonName: "Bert" });
const pem = (...parts: (Held | string)[]): Buffer =>
  Buffer.from(parts.map((one) => (typeof one === "string" ? one : one.pem)).join(""));

function signerIn(file: Buffer, password?: string) {
  const read = readSigner(file, password);
  if ("problem" in read) throw new Error(read.problem);
  const certificate = new X509Certificate(read.certificate);
  expect(certificate.checkPrivateKey(createPrivateKey(read.key))).toBe(true);
  expect(read.key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  return { certificate, chain: read.chain.map((one) => new X509Certificate(one).subject) };
}

function problemOf(file: Buffer, password?: string) {
  const read = readSigner(file, password);
  return "problem" in read ? read : undefined;
}

describe("a PKCS#12 file of OpenSSL", () => {
  const files = [
    ["with AES-256 and PBKDF2", MODERN],
    ["as -legacy writes it, with RC2 of 40 bits", LEGACY],
    ["with triple DES, of two keys and of three", TRIPLEDES],
    ["with RC2 of 128 bits", RC2128],
    ["without a MAC", NOMAC],
  ] as const;
  it.each(files)("%s opens with its password", (_, file) => {
    const { certificate, chain } = signerIn(file, PASSWORD);
    expect(certificate.subject).toBe("CN=anna");
    expect(chain).toEqual(["CN=inter"]);
  });

  it.each(files)("%s does not open with another one", (_, file) => {
    expect(problemOf(file, "geheim-a")?.problem).toBe("does not open with its password, or is damaged");
  });

  it.each(files)("%s asks for a password where there is none", (_, file) => {
    expect(problemOf(file)).toEqual({ problem: "needs a password", remedy: expect.stringContaining("password_file") });
  });

  it.each([undefined, ""])("without a password opens with %j", (password) => {
    expect(signerIn(EMPTY, password).certificate.subject).toBe("CN=anna");
  });

  it("with RC4 is told from one with a wrong password", () => {
    expect(problemOf(RC4, PASSWORD)?.problem).toBe("is encrypted in a way that is not understood");
  });
});

describe("any other PKCS#12 file", () => {
  const parts = { keys: [ANNA], certificates: [ANNA, lower] };
  it.each([
    ["without encryption and MAC", pkcs12(parts), undefined],
    ["with PBMAC1 [RFC 9579 §4]", pkcs12({ ...parts, password: "x" }), "x"],
    ["with safes within safes", pkcs12({ ...parts, nested: 3 }), undefined],
    ["with lengths left open", inBer(pkcs12(parts)), undefined],
    ["with octets behind it", Buffer.concat([pkcs12(parts), Buffer.from("\r\n")]), undefined],
  ])("%s is read", (_, file, password) => {
    expect(signerIn(file, password).certificate.raw).toEqual(ANNA.der);
  });

  it.each([
    [
      "with PBMAC1 and another password",
      pkcs12({ ...parts, password: "x" }),
      "does not open with its password, or is damaged",
    ],
    [
      "with more rounds than anyone asks for",
      pkcs12({ ...parts, password: "x", rounds: 2 ** 31 - 1 }),
      "is encrypted in a way that is not understood",
    ],
    ["with safes without end", pkcs12({ ...parts, nested: 30 }), "is no PKCS#12 file, or is damaged"],
    ["with nothing in it", pkcs12({}), "holds no private key"],
    ["with certificates alone", pkcs12({ certificates: [ANNA] }), "holds no private key"],
    ["with a key alone", pkcs12({ keys: [ANNA] }), "holds no certificate"],
    ["with several keys", pkcs12({ keys: [ANNA, BERT], certificates: [ANNA, BERT] }), "holds several private keys"],
    [
      "with a key and the certificate of another",
      pkcs12({ keys: [ANNA], certificates: [BERT] }),
      "holds no certificate of its private key",
    ],
    ["cut short", pkcs12(parts).subarray(0, 500), "is no PKCS#12 file, or is damaged"],
    ["that is a certificate", ANNA.der, "holds a certificate, but no private key"],
  ])("%s is a problem", (_, file, problem) => {
    expect(problemOf(file, "y")).toEqual({ problem, remedy: expect.stringMatching(/^[a-z]/) });
  });

  it("is a problem or a signer, whatever was damaged", () => {
    const file = inBer(pkcs12(parts));
    const property = fc.property(fc.nat(file.length - 1), fc.nat(255), (at, octet) => {
      const damaged = Buffer.from(file);
      damaged[at] = octet;
      const read = readSigner(damaged, undefined);
      expect("problem" in read || read.certificate !== "").toBe(true);
    });
    fc.assert(property, { numRuns: 100 });
  });
});

describe("a PEM file", () => {
  const encrypted = ANNA.key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" }) as string;
  const sec1 = ANNA.key.export({ type: "sec1", format: "pem" }) as string;
  it.each([
    ["certificate first", pem(ANNA, ANNA.keyPem), undefined],
    ["key first", pem(ANNA.keyPem, ANNA), undefined],
    ["with remarks between", pem("Bag Attributes\n", ANNA, "\nKey:\n", ANNA.keyPem), undefined],
    ["with CRLF", Buffer.from(pem(ANNA, ANNA.keyPem).toString().replaceAll("\n", "\r\n")), undefined],
    ["with a key in the older form", pem(ANNA, sec1), undefined],
    ["with an encrypted key", pem(ANNA, encrypted), "x"],
    ["with a password that is not needed", pem(ANNA, ANNA.keyPem), "x"],
    ["with the same key twice", pem(ANNA, ANNA.keyPem, sec1), undefined],
  ])("%s is read", (_, file, password) => {
    expect(signerIn(file, password).certificate.raw).toEqual(ANNA.der);
  });

  const ed25519 = lower.issue({ keyType: "ed25519" });
  const short = lower.issue({ key: SHORT_RSA });
  const secretive = lower.issue({ usage: [USAGE.keyAgreement] });
  it.each([
    ["that is empty", Buffer.alloc(0), "is neither PKCS#12 nor PEM"],
    ["that is something else", Buffer.from("hello"), "is neither PKCS#12 nor PEM"],
    ["without an end", Buffer.from("-----BEGIN PRIVATE KEY-----\nabc"), "is neither PKCS#12 nor PEM"],
    ["with an encrypted key and no password", pem(ANNA, encrypted), "needs a password"],
    ["with certificates alone", pem(ANNA, lower), "holds no private key"],
    ["with a key alone", pem(ANNA.keyPem), "holds no certificate"],
    ["with two keys", pem(ANNA, ANNA.keyPem, BERT, BERT.keyPem), "holds several private keys"],
    ["with the key of another", pem(ANNA, BERT.keyPem), "holds no certificate of its private key"],
    [
      "with a damaged key",
      pem(ANNA, ANNA.keyPem.replace(/\nM\w{20}/, "\nM")),
      "holds a private key that cannot be read",
    ],
    [
      "with a damaged certificate",
      pem(ANNA.pem.replace(/\nM\w{20}/, "\nM"), ANNA.keyPem),
      "holds a certificate that cannot be read",
    ],
    ["with Ed25519", pem(ed25519, ed25519.keyPem), /^cannot be signed with: .*ed25519/],
    ["with a short key", pem(short, short.keyPem), /^cannot be signed with: .*1024 bits/],
    ["with a certificate to encrypt for [RFC 8550 §4.4.2]", pem(secretive, secretive.keyPem), /encryption only/],
  ])("%s is a problem", (_, file, problem) => {
    const found = problemOf(file);
    if (typeof problem === "string") expect(found?.problem).toBe(problem);
    else expect(found?.problem).toMatch(problem);
    expect(found?.remedy).toMatch(/^[a-z]/);
    expect(JSON.stringify(found)).not.toContain(ANNA.keyPem.slice(40, 60));
  });

  it("with another password than its key's is a problem", () => {
    expect(problemOf(pem(ANNA, encrypted), "y")?.problem).toBe("does not open with its password, or is damaged");
  });
});

describe("of several certificates", () => {
  it("that of the key is found, and its chain put in order without the root and strangers", () => {
    const stranger = createMailAuthority("Stranger");
    const { certificate, chain } = signerIn(pem(root, stranger, upper, BERT, lower, ANNA, ANNA.keyPem));
    expect(certificate.raw).toEqual(ANNA.der);
    expect(chain).toEqual(["CN=Lower CA", "CN=Upper CA"]);
  });

  it("the one that lasts longest signs, of those that may", () => {
    const { key } = ANNA;
    const [older, newer] = [10, 20].map((count) => lower.issue({ commonName: `${count}`, key, notAfter: days(count) }));
    const secretive = lower.issue({ commonName: "none", key, notAfter: days(30), usage: [USAGE.keyAgreement] });
    if (older === undefined || newer === undefined) throw new Error("not issued");
    expect(signerIn(pem(older, newer, secretive, ANNA.keyPem)).certificate.subject).toBe("CN=20");
  });

  it("a gap ends the chain", () => {
    expect(signerIn(pem(ANNA, upper, ANNA.keyPem)).chain).toEqual([]);
  });

  it("a name without the signature is no issuer", () => {
    const namesake = createMailAuthority("Root").below("Lower CA");
    expect(signerIn(pem(ANNA, namesake, ANNA.keyPem)).chain).toEqual([]);
  });

  it("a circle of issuers ends", () => {
    const one = createMailAuthority("One");
    const two = one.below("Two");
    const back = two.issue({ commonName: "One", ca: true, key: one.key });
    const held = two.issue({ commonName: "Anna" });
    expect(signerIn(pem(held, two, back, held.keyPem)).chain).toEqual(["CN=Two", "CN=One"]);
  });

  it("one of its own issuing has no chain", () => {
    const own = selfSignedPerson({ commonName: "Anna" });
    expect(signerIn(pem(own, own.keyPem)).chain).toEqual([]);
  });
});

describe("RC2", () => {
  /** One block without chaining: an initialisation vector that makes of the text a block of padding. */
  const isDecrypted = (key: string, effectiveBits: number, text: string, encrypted: string): boolean => {
    const iv = Buffer.from(Buffer.from(text, "hex").map((octet) => octet ^ 8));
    const by = { key: Buffer.from(key, "hex"), effectiveBits, iv };
    return decryptRc2(by, Buffer.from(encrypted, "hex"))?.length === 0;
  };
  it.each([
    ["0000000000000000", 63, "0000000000000000", "ebb773f993278eff"],
    ["ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"],
    ["3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"],
    ["88", 64, "0000000000000000", "61a8a244adacccf0"],
    ["88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"],
    ["88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"],
    ["88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"],
    ["88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"],
  ])("with key %s of %i bits gives the text of RFC 2268 §5", (key, bits, text, encrypted) => {
    expect(isDecrypted(key, bits, text, encrypted)).toBe(true);
    expect(
      isDecrypted(
        key,
        bits,
        text,
        encrypted.replace(/^./, (digit) => (digit === "0" ? "1" : "0")),
      ),
    ).toBe(false);
  });

  it.each(["", "00", "000000000000000000"])("refuses %j, which is not whole blocks", (encrypted) => {
    const by = { key: Buffer.alloc(5), effectiveBits: 40, iv: Buffer.alloc(8) };
    expect(decryptRc2(by, Buffer.from(encrypted, "hex"))).toBeUndefined();
  });
});
