/** Every message of the corpus, signed and encrypted: nobody loses an octet of what is shown and saved. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { splitFields } from "../../src/transform/smime/mime-fields.ts";
import { recognise } from "../../src/transform/smime/recognise.ts";
import { wrap, type WrapPlan, type Wrapped } from "../../src/transform/smime/wrap.ts";
import { type CorpusMessage, messages } from "../corpus/messages.ts";
import { chunked, CHUNK_SIZES, collect } from "../unit/transform/smime-mime-chunks.ts";
import { ENVELOPED_DATA, type FakeSigner, fakeDeps } from "../unit/transform/smime-mime-cms.ts";
import { bodyText, leavesOf, signedOctets } from "../unit/transform/smime-mime-reader.ts";

type Plan = WrapPlan<FakeSigner, string>;
const SIGN: Plan = { sign: { signer: { name: "anna" }, format: "detached" }, tripleWrap: false };
const ENCRYPT: Plan = { encryptTo: ["bert"], tripleWrap: false };

async function wrapped(
  { header, body }: CorpusMessage,
  plan: Plan,
  size: number,
): Promise<Wrapped & { whole: Buffer }> {
  const result = await wrap({ header, body: chunked(body, size) }, plan, fakeDeps);
  if ("problem" in result) throw new Error(result.problem);
  return { ...result, whole: Buffer.concat([result.header, await collect(result.body)]) };
}

const isContent = ({ name }: { name: string }) => name.startsWith("content-");
const isVersion = ({ name }: { name: string }) => name === "mime-version";
const joined = (fields: readonly { raw: Buffer }[]) => Buffer.concat(fields.map(({ raw }) => raw));

/** The entity as it came in: its Content-* fields and its body. */
function entityOf({ header, body }: CorpusMessage): Buffer {
  return Buffer.concat([joined(splitFields(header).filter(isContent)), Buffer.from("\r\n"), body]);
}

const isSevenBit = (octets: Buffer) =>
  !/[^\x01-\x7f]/.test(octets.toString("latin1")) &&
  octets
    .toString("latin1")
    .split("\r\n")
    .every(({ length }) => length <= 998);

const plain = messages
  .filter(({ header }) => recognise(header).kind === "plain")
  .map((message) => [message.name, message] as const);
const sealed = messages
  .filter(({ header }) => recognise(header).kind !== "plain")
  .map((message) => [message.name, message] as const);

it("has 200 messages and more, some of them signed or encrypted already", () => {
  expect(plain.length).toBeGreaterThan(200);
  expect(sealed.length).toBeGreaterThan(10);
});

describe("signed in the clear", () => {
  it.each(plain)("%s", async (_, message) => {
    const { whole, header, notes } = await wrapped(message, SIGN, 64 * 1024);
    const inside = signedOctets(whole);
    const entity = entityOf(message);

    // What is shown and saved is the same, part by part.
    expect(leavesOf(inside).map(({ content }) => content.toString("latin1"))).toEqual(
      leavesOf(entity).map(({ content }) => content.toString("latin1")),
    );
    // What needed no change has none: only a type is told where there was none.
    if (isSevenBit(entity)) expect(inside.subarray(-entity.length).equals(entity)).toBe(true);
    if (notes.length === 0) expect(isSevenBit(inside)).toBe(true);
    else expect(isSevenBit(entity)).toBe(false);

    // The signature is over exactly what a reader takes for the part.
    const signature = leavesOf(whole).at(-1)?.content ?? Buffer.alloc(0);
    expect(signature.subarray(-32)).toEqual(createHash("sha256").update(inside).digest());

    // Outside, every other field is as it was.
    const before = splitFields(message.header).filter((field) => !isContent(field) && !isVersion(field));
    const after = splitFields(header).filter((field) => !isContent(field) && !isVersion(field));
    expect(joined(after).equals(joined(before))).toBe(true);
    expect(splitFields(header).filter(isVersion)).toHaveLength(1);
    expect(splitFields(header).filter(({ name }) => name === "content-type")).toHaveLength(1);

    for (const size of CHUNK_SIZES) expect((await wrapped(message, SIGN, size)).whole.equals(whole)).toBe(true);
  });
});

describe("only encrypted", () => {
  it.each(plain)("%s", async (_, message) => {
    const { whole } = await wrapped(message, ENCRYPT, 7);
    const content = Buffer.from(bodyText(whole), "base64").subarray(ENVELOPED_DATA.length + "for bert:".length);
    const entity = entityOf(message);
    const hasType = splitFields(message.header).some(({ name }) => name === "content-type");
    if (hasType) expect(content.equals(entity)).toBe(true);
    else expect(content.subarray(-entity.length).equals(entity)).toBe(true);
    expect(isSevenBit(Buffer.from(bodyText(whole), "latin1"))).toBe(true);
  });
});

describe("signed or encrypted already, stays as it is when it is to be signed", () => {
  const claims = sealed.filter(
    ([, { header }]) => recognise(header).kind === "signed" && /multipart\/signed/i.test(header.toString("latin1")),
  );
  it.each(claims)("%s", async (_, message) => {
    for (const size of CHUNK_SIZES) {
      const { whole, notes } = await wrapped(message, SIGN, size);
      expect(whole.equals(Buffer.concat([message.header, message.body]))).toBe(true);
      expect(notes).toEqual(["already-signed"]);
    }
  });
});
