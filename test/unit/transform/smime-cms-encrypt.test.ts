import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { element, oidOctets, TAG } from "../../../src/mail/der.ts";
import { RSA_OAEP, readCapabilities } from "../../../src/transform/smime/algorithms.ts";
import {
  algorithmsFor,
  envelope,
  type EnvelopeRecipient,
  envelopeType,
  SmimeRecipientError,
  whyNotFor,
} from "../../../src/transform/smime/enveloped-data.ts";
import type { Held } from "../../peers/mail-authority.ts";
import { oid, seq } from "../../peers/mail-authority.ts";
import { candidateOf, ecKey, issue, SHORT_RSA } from "./smime-cms-people.ts";
import { readEnvelope } from "./smime-cms-reader.ts";
import { chunked, CHUNK_SIZES, collect } from "./smime-mime-chunks.ts";

const ALL = { gcm: true, oaep: true };
const NOTHING = { gcm: false, oaep: false };
const ANNA = issue({});
const BERT = issue({ commonName: "Bert" });
const to = (held: Held, over: Partial<EnvelopeRecipient> = {}): EnvelopeRecipient => ({
  certificate: candidateOf(held),
  ...over,
});

function seal(content: Buffer, recipients: readonly EnvelopeRecipient[], size = 1_000): Promise<Buffer> {
  return collect(envelope(chunked(content, size)(), recipients, randomBytes));
}

/** As the recipient at this place in the list reads it. */
function open(cms: Buffer, { key }: Held, at = 0): Buffer {
  const read = readEnvelope(cms);
  const recipient = read.recipients[at];
  if (recipient === undefined) throw new Error("no such recipient");
  return read.decrypt(recipient, key);
}

describe("what all can read is chosen", () => {
  const gcmExtension = { id: "1.2.840.113549.1.9.15", value: seq(seq(oid("2.16.840.1.101.3.4.1.46"))) };
  const announcing = issue({ more: [gcmExtension] });
  it.each([
    ["CBC for one who has announced nothing", [to(ANNA)], "aes-256-cbc", "enveloped-data"],
    ["GCM for one who has announced it", [to(ANNA, { capabilities: ALL })], "aes-256-gcm", "authEnveloped-data"],
    ["GCM where the certificate announces it [RFC 4262]", [to(announcing)], "aes-256-gcm", "authEnveloped-data"],
    [
      "CBC where a later word takes it back",
      [to(announcing, { capabilities: NOTHING })],
      "aes-256-cbc",
      "enveloped-data",
    ],
    [
      "CBC where one of two has not announced GCM",
      [to(ANNA, { capabilities: ALL }), to(BERT)],
      "aes-256-cbc",
      "enveloped-data",
    ],
  ] as const)("%s", async (_, recipients, content, type) => {
    expect(algorithmsFor(recipients)).toEqual({ content, keys: recipients.map(() => "ecdh") });
    expect(envelopeType(recipients)).toBe(type);
    const cms = await seal(Buffer.from("x"), recipients);
    expect(readEnvelope(cms).content).toBe(content.slice(-3));
  });
});

describe("is read again", () => {
  it.each(["prime256v1", "secp384r1", "secp521r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"])(
    "with a key on %s [RFC 5753 §3.1]",
    async (curve) => {
      const held = issue({ key: ecKey(curve) });
      const cms = await seal(Buffer.from("Grüße"), [to(held)]);
      expect(open(cms, held).toString()).toBe("Grüße");
      expect(readEnvelope(cms).recipients).toMatchObject([{ how: "ecdh", version: 3, named: "issuer-and-serial" }]);
      expect(readEnvelope(cms).version).toBe(2); // RFC 5652 §6.1
    },
  );

  const lengths = [0, 1, 15, 16, 17, 16_383, 16_384, 16_385];
  it.each(
    lengths.flatMap((length) =>
      [NOTHING, ALL].map((capabilities) => ({ length, gcm: capabilities.gcm, capabilities })),
    ),
  )("at $length octets (GCM: $gcm)", async ({ length, capabilities }) => {
    const content = Buffer.alloc(length, "abc");
    expect(open(await seal(content, [to(ANNA, { capabilities })]), ANNA)).toEqual(content);
  });

  it.each(CHUNK_SIZES)("in pieces of %i octets", async (size) => {
    const content = Buffer.alloc(17_000, "0123456789\r\n");
    expect(open(await seal(content, [to(ANNA, { capabilities: ALL })], size), ANNA).equals(content)).toBe(true);
  });

  it("whatever it is, cut anywhere", async () => {
    const property = fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 1, max: 50 }),
      fc.boolean(),
      async (octets, size, gcm) => {
        const content = Buffer.from(octets);
        const cms = await seal(content, [to(ANNA, { capabilities: { gcm, oaep: false } })], size);
        expect(open(cms, ANNA)).toEqual(content);
      },
    );
    await fc.assert(property, { numRuns: 25 });
  });

  it("by each of several, and by nobody else", async () => {
    const recipients = [ANNA, BERT];
    const cms = await seal(
      Buffer.from("x"),
      recipients.map((held) => to(held)),
    );
    const readers = [0, 1].map((at) => recipients.filter((held) => opens(cms, held, at)));
    expect(readers.map((those) => those.length)).toEqual([1, 1]);
    expect(new Set(readers.flat()).size).toBe(2);
    expect([0, 1].some((at) => opens(cms, issue({}), at))).toBe(false);
  });

  function opens(cms: Buffer, held: Held, at: number): boolean {
    try {
      return open(cms, held, at).toString() === "x";
    } catch {
      return false;
    }
  }
});

describe("a recipient", () => {
  const identified = issue({ more: [{ id: "2.5.29.14", value: element(TAG.octetString, Buffer.alloc(20, 9)) }] });

  it("is named by key identifier on demand [RFC 5652 §6.2.2]", async () => {
    const cms = await seal(Buffer.from("x"), [to(identified, { namedBy: "key-identifier" })]);
    const [recipient] = readEnvelope(cms).recipients;
    expect(recipient).toMatchObject({ named: "key-identifier", name: Buffer.alloc(20, 9) });
    expect(open(cms, identified).toString()).toBe("x");
  });

  it("without a key identifier is named by issuer and number all the same", async () => {
    const cms = await seal(Buffer.from("x"), [to(ANNA, { namedBy: "key-identifier" })]);
    expect(readEnvelope(cms).recipients[0]?.named).toBe("issuer-and-serial");
  });

  it("who is there twice gets one key", async () => {
    expect(readEnvelope(await seal(Buffer.from("x"), [to(ANNA), to(ANNA)])).recipients).toHaveLength(1);
  });

  it.each([
    ["whose key is for signatures alone", issue({ keyType: "ed25519" }), "ed25519"],
    ["on a curve of no S/MIME profile", issue({ key: ecKey("secp256k1") }), "secp256k1"],
    ["with a short RSA key", issue({ key: SHORT_RSA }), "1024 bits"],
  ])("%s gets nothing, and nobody else does", async (_, held, word) => {
    expect(whyNotFor(candidateOf(held))).toContain(word);
    expect(() => algorithmsFor([to(ANNA), to(held)])).toThrow(SmimeRecipientError);
    await expect(seal(Buffer.from("x"), [to(ANNA), to(held)])).rejects.toThrow(word);
  });

  it("must be there", async () => {
    await expect(seal(Buffer.from("x"), [])).rejects.toThrow(SmimeRecipientError);
    expect(whyNotFor(candidateOf(ANNA))).toBeUndefined();
  });
});

it("is made with keys of its own each time [RFC 5084 §3.2]", async () => {
  const recipients = [to(ANNA, { capabilities: ALL }), to(BERT, { capabilities: ALL })];
  const made = [await seal(Buffer.from("x"), recipients), await seal(Buffer.from("x"), recipients)].map(readEnvelope);
  const ephemeral = made.flatMap((one) => one.recipients.map((recipient) => recipient.ephemeral?.toString("hex")));
  expect(new Set(ephemeral).size).toBe(4);
});

it("asks for a fresh key and nonce, and for nothing else", async () => {
  const asked: number[] = [];
  const random = (length: number): Buffer => (asked.push(length), randomBytes(length));
  await collect(envelope(chunked(Buffer.from("x"), 1)(), [to(ANNA, { capabilities: ALL })], random));
  await collect(envelope(chunked(Buffer.from("x"), 1)(), [to(ANNA)], random));
  expect(asked).toEqual([32, 12, 32, 16]);
});

it("with GCM is not read when one octet is another [RFC 5083 §2.2]", async () => {
  const cms = await seal(Buffer.alloc(100, "secret"), [to(ANNA, { capabilities: ALL })]);
  const at = cms.length - 40; // within the content, before tag and ends
  const changed = Buffer.from(cms);
  changed[at] = (changed[at] ?? 0) ^ 1;
  expect(() => open(changed, ANNA)).toThrow();
});

describe("capabilities", () => {
  const hash = (dotted: string) => seq(oid(dotted), element(TAG.null));
  const [sha1, sha256] = [hash("1.3.14.3.2.26"), hash("2.16.840.1.101.3.4.2.1")];
  const mask = (of: Buffer) => element(0xa1, seq(oid("1.2.840.113549.1.1.8"), of));
  const oaep = (...parameters: Buffer[]) => seq(seq(oid("1.2.840.113549.1.1.7"), ...parameters));
  it.each([
    ["AES-256-GCM", seq(seq(oid("2.16.840.1.101.3.4.1.46"))), { gcm: true, oaep: false }],
    ["AES-128-GCM alone: we do not write it", seq(seq(oid("2.16.840.1.101.3.4.1.6"))), NOTHING],
    ["OAEP with SHA-256 [RFC 4055 §4.1]", seq(RSA_OAEP), { gcm: false, oaep: true }],
    [
      "OAEP with SHA-256 and no NULL",
      oaep(seq(element(0xa0, seq(oid("2.16.840.1.101.3.4.2.1"))), mask(seq(oid("2.16.840.1.101.3.4.2.1"))))),
      { gcm: false, oaep: true },
    ],
    ["OAEP with its defaults, which are SHA-1", oaep(seq()), NOTHING],
    ["OAEP without parameters", oaep(), NOTHING],
    ["OAEP with SHA-256 for one of two", oaep(seq(element(0xa0, sha256))), NOTHING],
    ["OAEP with a mask by SHA-1", oaep(seq(element(0xa0, sha256), mask(sha1))), NOTHING],
    ["nothing", seq(), NOTHING],
    ["no DER", Buffer.from("3080ff", "hex"), NOTHING],
    [
      "an identifier that only begins alike",
      seq(seq(element(TAG.oid, oidOctets("2.16.840.1.101.3.4.1.46.1")))),
      NOTHING,
    ],
  ])("read as announced: %s", (_, der, expected) => {
    expect(readCapabilities(der)).toEqual(expected);
  });
});
