/** CMS with RSA, whose keys take long to make; and what a body of any size costs while it is signed or encrypted. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { envelope, type EnvelopeRecipient, algorithmsFor } from "../../src/transform/smime/enveloped-data.ts";
import { readSigner } from "../../src/transform/smime/keys.ts";
import { signDetached, signOpaque } from "../../src/transform/smime/signed-data.ts";
import { element, TAG } from "../../src/mail/der.ts";
import { candidateOf, issue, signerOf } from "../unit/transform/smime-cms-people.ts";
import { readEnvelope, readSignature } from "../unit/transform/smime-cms-reader.ts";
import { chunked, collect } from "../unit/transform/smime-mime-chunks.ts";

const NOW = Date.UTC(2026, 10, 25);
const CONTENT = Buffer.from("Content-Type: text/plain\r\n\r\nGrüße\r\n");
const RSA = issue({ commonName: "Rosa", keyType: "rsa", more: [identifier(3)] });
const RSA_4096 = issue({ key: generateKeyPairSync("rsa", { modulusLength: 4096 }).privateKey });
const EC = issue({ commonName: "Ed" });

function identifier(octet: number) {
  return { id: "2.5.29.14", value: element(TAG.octetString, Buffer.alloc(20, octet)) };
}

function to(held: typeof RSA, over: Partial<EnvelopeRecipient> = {}): EnvelopeRecipient {
  return { certificate: candidateOf(held), ...over };
}

describe("with RSA", () => {
  it.each([
    ["2048", RSA],
    ["4096", RSA_4096],
  ])("of %s bits, signatures beside and around the content verify [RFC 3370 §3.2]", async (_, held) => {
    const signer = signerOf(held);
    expect(signer.micalg).toBe("sha-256");
    const digest = createHash("sha256").update(CONTENT).digest();
    expect(readSignature(await signDetached(digest, signer, { now: NOW }), CONTENT).verified).toBe(true);
    const opaque = await collect(signOpaque(chunked(CONTENT, 7)(), signer, { now: NOW }));
    expect(readSignature(opaque)).toMatchObject({ verified: true, content: CONTENT });
  });

  it.each([
    ["PKCS#1 v1.5 for one who has announced nothing", {}, "rsa-pkcs1", "cbc", 0],
    ["OAEP where it was announced", { capabilities: { gcm: false, oaep: true } }, "rsa-oaep-sha256", "cbc", 0],
    ["GCM where it was announced", { capabilities: { gcm: true, oaep: false } }, "rsa-pkcs1", "gcm", 0],
    ["both where both were", { capabilities: { gcm: true, oaep: true } }, "rsa-oaep-sha256", "gcm", 0],
    ["a key identifier on demand", { namedBy: "key-identifier" }, "rsa-pkcs1", "cbc", 2],
  ] as const)("keys are sent by %s", async (_, over, how, content, version) => {
    const read = readEnvelope(await collect(envelope(chunked(CONTENT, 7)(), [to(RSA, over)], randomBytes)));
    const [recipient] = read.recipients;
    if (recipient === undefined) throw new Error("no recipient");
    expect(recipient).toMatchObject({ how, version });
    expect(read.content).toBe(content);
    expect(read.version).toBe(content === "gcm" ? 0 : version); // RFC 5083 §2.1, RFC 5652 §6.1
    expect(read.decrypt(recipient, RSA.key)).toEqual(CONTENT);
  });

  it("and EC together, each reads by his own way", async () => {
    const all = { gcm: true, oaep: true };
    const recipients = [to(RSA), to(RSA_4096, { capabilities: all }), to(EC, { capabilities: all })];
    expect(algorithmsFor(recipients)).toEqual({
      content: "aes-256-cbc",
      keys: ["rsa-pkcs1", "rsa-oaep-sha256", "ecdh"],
    });
    const read = readEnvelope(await collect(envelope(chunked(CONTENT, 7)(), recipients, randomBytes)));
    const keys: Record<string, KeyObject> = { "rsa-pkcs1": RSA.key, "rsa-oaep-sha256": RSA_4096.key, ecdh: EC.key };
    expect(read.version).toBe(2);
    for (const one of read.recipients) expect(read.decrypt(one, keys[one.how] ?? RSA.key)).toEqual(CONTENT);
    expect(read.recipients).toHaveLength(3);
  });

  it.each(["pkcs8", "pkcs1"] as const)("a signer is read from PEM with a %s key under a password", (type) => {
    const key = RSA.key.export({ type, format: "pem", cipher: "aes-256-cbc", passphrase: "x" }) as string;
    const file = Buffer.from(RSA.pem + key);
    expect(readSigner(file, "x")).toMatchObject({ certificate: RSA.pem, chain: [], key: RSA.keyPem });
    expect(readSigner(file, "y")).toMatchObject({ problem: "does not open with its password, or is damaged" });
    expect(readSigner(file, undefined)).toMatchObject({ problem: "needs a password" });
  });
});

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Octets alive, dead buffers swept. */
async function alive(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await nextTurn();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const MiB = 1024 * 1024;
const BIG = 200 * MiB;

async function* big(): AsyncGenerator<Buffer> {
  const chunk = randomBytes(64 * 1024);
  for (let sent = 0; sent < BIG; sent += chunk.length) {
    yield chunk;
    await nextTurn();
  }
}

describe("200 MiB", () => {
  const gcm = [to(RSA, { capabilities: { gcm: true, oaep: true } })];
  it.each([
    ["signed", () => signOpaque(big(), signerOf(RSA), { now: NOW })],
    ["encrypted with CBC", () => envelope(big(), [to(RSA), to(EC)], randomBytes)],
    ["encrypted with GCM", () => envelope(big(), gcm, randomBytes)],
  ])("are %s within 2 MiB of memory", async (_, start) => {
    const before = await alive();
    let [made, next, peak] = [0, 20 * MiB, 0];
    for await (const chunk of start()) {
      made += chunk.length;
      if (made < next) continue;
      next += 20 * MiB;
      peak = Math.max(peak, (await alive()) - before);
    }
    expect(made).toBeGreaterThan(BIG);
    expect(made).toBeLessThan(BIG * 1.001);
    expect(peak).toBeLessThan(2 * MiB);
  });
});

it("leaves others their turn while it encrypts for hundreds of recipients", async () => {
  const many = Array.from({ length: 400 }, (_, at) => to(issue({ commonName: `${at}`, key: RSA.key })));
  let isMade = false;
  const first = envelope(chunked(CONTENT, 7)(), many, randomBytes)
    .next()
    .then(() => (isMade = true));
  let turns = 0;
  for (; !isMade; turns += 1) await nextTurn();
  await first;
  expect(turns).toBeGreaterThanOrEqual(40);
});
