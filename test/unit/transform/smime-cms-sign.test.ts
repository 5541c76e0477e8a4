import { createHash, generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { element, inside, oidOctets, TAG, timeOf } from "../../../src/mail/der.ts";
import {
  signDetached,
  signingHash,
  signOpaque,
  SmimeSignerError,
  toSigner,
} from "../../../src/transform/smime/signed-data.ts";
import { chunked, CHUNK_SIZES, collect } from "./smime-mime-chunks.ts";
import { ecKey, issue, ISSUER, SHORT_RSA, signerOf } from "./smime-cms-people.ts";
import { readSignature } from "./smime-cms-reader.ts";

const NOW = Date.UTC(2026, 10, 25, 9, 0, 0);
const CONTENT = Buffer.from("Content-Type: text/plain\r\n\r\nGrüße\r\n");
const ANNA = issue({});
const SIGNER = signerOf(ANNA);

function detached(content: Buffer, signer = SIGNER, now = NOW): Promise<Buffer> {
  return signDetached(createHash(signer.hash).update(content).digest(), signer, { now });
}

function opaque(content: Buffer, size: number): Promise<Buffer> {
  return collect(signOpaque(chunked(content, size)(), SIGNER, { now: NOW }));
}

describe("a signature beside the content", () => {
  it.each([
    ["prime256v1", "sha256", "sha-256"],
    ["secp384r1", "sha384", "sha-384"],
    ["secp521r1", "sha512", "sha-512"],
    ["brainpoolP256r1", "sha256", "sha-256"],
    ["brainpoolP384r1", "sha384", "sha-384"],
    ["brainpoolP512r1", "sha512", "sha-512"],
  ])("is by %s with %s, and says micalg=%s [RFC 5754 §3.3]", async (curve, hash, micalg) => {
    const signer = signerOf(issue({ key: ecKey(curve) }));
    const read = readSignature(await detached(CONTENT, signer), CONTENT);
    expect(read).toMatchObject({ verified: true, hash, content: undefined });
    expect(signer).toMatchObject({ hash, micalg });
  });

  it("carries its certificate and the chain, which came without the root [RFC 8551 §2.3]", async () => {
    const { certificates, signer } = readSignature(await detached(CONTENT), CONTENT);
    expect(signer.raw).toEqual(ANNA.der);
    expect(certificates.map(({ raw }) => raw)).toEqual([ANNA.der, ISSUER.der].toSorted((a, b) => Buffer.compare(a, b)));
  });

  it("signs what it is of, when, by which certificate, and what can be read [RFC 8551 §2.5]", async () => {
    const { attribute, attributeTypes } = readSignature(await detached(CONTENT), CONTENT);
    expect(attributeTypes).toHaveLength(5);
    expect(attribute("1.2.840.113549.1.9.3")).toEqual(element(TAG.oid, oidOctets("1.2.840.113549.1.7.1")));
    expect(timeOf(inside(element(TAG.sequence, attribute("1.2.840.113549.1.9.5") ?? Buffer.of()))?.[0])).toBe(NOW);
    const announced = inside(attribute("1.2.840.113549.1.9.15"))?.map(({ whole }) => inside(whole)?.[0]?.content);
    expect(announced).toEqual([42, 2].map((last) => oidOctets(`2.16.840.1.101.3.4.1.${last}`)));
  });

  it("names the hash of the certificate, its issuer and number [RFC 5035 §3]", async () => {
    const value = readSignature(await detached(CONTENT), CONTENT).attribute("1.2.840.113549.1.9.16.2.47");
    const [hash, issuerSerial] = inside(inside(inside(value)?.[0]?.whole)?.[0]?.whole) ?? [];
    expect(hash?.content).toEqual(createHash("sha256").update(ANNA.der).digest());
    const [names, serial] = inside(issuerSerial?.whole) ?? [];
    expect(serial?.content).toEqual(ANNA.serial);
    expect(inside(inside(names?.whole)?.[0]?.whole, 0xa4)?.[0]?.whole).toEqual(SIGNER.certificate.issuer);
  });

  it.each([
    [Date.UTC(2049, 11, 31, 23, 59, 59), TAG.utcTime],
    [Date.UTC(2050, 0, 1), TAG.generalizedTime],
  ])("at %i writes the time as the form of its year [RFC 5652 §11.3]", async (now, tag) => {
    const value = readSignature(await detached(CONTENT, SIGNER, now), CONTENT).attribute("1.2.840.113549.1.9.5");
    expect(value?.[0]).toBe(tag);
  });
});

describe("a signature around the content", () => {
  it.each(CHUNK_SIZES)("is the same whether it comes in pieces of %i octets or at once", async (size) => {
    const content = Buffer.alloc(17_000, "0123456789\r\n");
    const [whole, pieces] = [await opaque(content, content.length), await opaque(content, size)];
    expect(pieces.subarray(0, content.length).equals(whole.subarray(0, content.length))).toBe(true);
    const read = readSignature(pieces);
    expect([read.verified, read.content?.equals(content)]).toEqual([true, true]);
  });

  it.each([0, 1, 16_383, 16_384, 16_385, 32_768])("holds %i octets", async (length) => {
    const content = Buffer.alloc(length, 7);
    const read = readSignature(await opaque(content, 5_000));
    expect([read.verified, read.content?.equals(content)]).toEqual([true, true]);
  });
});

it("signs any content, cut anywhere", async () => {
  const property = fc.asyncProperty(
    fc.uint8Array({ maxLength: 300 }),
    fc.integer({ min: 1, max: 50 }),
    async (octets, size) => {
      const content = Buffer.from(octets);
      expect(readSignature(await opaque(content, size))).toMatchObject({ verified: true, content });
      expect(readSignature(await detached(content), content).verified).toBe(true);
    },
  );
  await fc.assert(property, { numRuns: 25 });
});

it("no longer verifies when one octet of the content is another", async () => {
  const signature = await detached(CONTENT);
  const property = fc.property(fc.nat(CONTENT.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const changed = Buffer.from(CONTENT);
    changed[at] = (changed[at] ?? 0) ^ change;
    expect(readSignature(signature, changed).verified).toBe(false);
  });
  fc.assert(property, { numRuns: 25 });
});

describe("does not sign", () => {
  it.each([
    ["with Ed25519, which hardly anyone verifies", generateKeyPairSync("ed25519").privateKey, "ed25519"],
    ["on a curve of no S/MIME profile", ecKey("secp256k1"), "secp256k1"],
    ["with a short RSA key [RFC 8551 §4.1]", SHORT_RSA, "1024 bits"],
  ])("%s", (_, key, word) => {
    expect(signingHash(key)).toEqual({ unfit: expect.stringContaining(word) });
  });

  it.each([
    ["with the key of another certificate", { certificate: ANNA.pem, key: issue({}).keyPem }],
    ["with what is no key", { certificate: ANNA.pem, key: "junk" }],
    ["with what is no certificate", { certificate: "junk", key: ANNA.keyPem }],
    ["with Ed25519", pemsOf(issue({ keyType: "ed25519" }))],
  ])("%s", (_, settings) => {
    expect(() => toSigner({ ...settings, chain: [] })).toThrow(SmimeSignerError);
  });
});

function pemsOf({ pem, keyPem }: { pem: string; keyPem: string }) {
  return { certificate: pem, key: keyPem };
}
