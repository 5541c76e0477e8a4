import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { element, elementsOf, inside } from "../../../src/mail/der.ts";
import { toDer } from "../../../src/transform/smime/ber.ts";
import { implicitSetOf, octetString, segments, setOf, time } from "../../../src/transform/smime/der.ts";
import { chunked, collect } from "./smime-mime-chunks.ts";
import { inBer } from "./smime-pkcs12-maker.ts";

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

/** DER of any depth up to five. */
const { der } = fc.letrec<{ der: Buffer }>((tie) => ({
  der: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc
      .record({ tag: fc.constantFrom(0x02, 0x04, 0x0c, 0x80), content: fc.uint8Array({ maxLength: 200 }) })
      .map(({ tag, content }) => element(tag, Buffer.from(content))),
    fc
      .record({ tag: fc.constantFrom(0x30, 0x31, 0xa0, 0xa3), parts: fc.array(tie("der"), { maxLength: 4 }) })
      .map(({ tag, parts }) => element(tag, ...parts)),
  ),
}));

describe("BER", () => {
  it("becomes the DER that it stands for", () => {
    fc.assert(fc.property(der, (one) => toDer(inBer(one))?.equals(one) === true));
  });

  it("that is DER already stays as it is", () => {
    fc.assert(fc.property(der, (one) => toDer(one)?.equals(one) === true));
  });

  it.each([
    ["an open length, ended", "30 80 02 01 07 00 00", "30 03 02 01 07"],
    ["nothing within", "30 80 00 00", "30 00"],
    ["a length longer than needed", "30 82 00 03 02 01 07", "30 03 02 01 07"],
    ["octets in pieces within pieces", "24 80 04 01 61 24 03 04 01 62 00 00", "04 02 61 62"],
    ["something behind it", "02 01 07 ff ff", "02 01 07"],
  ])("with %s is read", (_, ber, expected) => {
    expect(toDer(bytes(ber))?.toString("hex")).toBe(bytes(expected).toString("hex"));
  });

  it.each([
    ["nothing", ""],
    ["a tag alone", "30"],
    ["less than its length", "30 05 02 01 07"],
    ["no end", "30 80 02 01 07"],
    ["half an end", "30 80 02 01 07 00"],
    ["an open length without parts", "04 80 61 00 00"],
    ["a part that is longer than the whole", "30 03 02 05 07 00 00 00 00"],
    ["a tag of several octets", "bf 81 01 00"],
    ["a length of five octets", "30 85 00 00 00 00 00"],
    ["octets in pieces of another kind", "24 80 02 01 07 00 00"],
  ])("with %s is none", (_, ber) => {
    expect(toDer(bytes(ber))).toBeUndefined();
  });

  it("is read 32 levels deep, and no deeper", () => {
    const nested = (levels: number): Buffer =>
      Buffer.concat([Buffer.alloc(2 * levels, "3080", "hex"), Buffer.alloc(2 * levels)]);
    expect(toDer(nested(33))).toBeDefined();
    expect(toDer(nested(34))).toBeUndefined();
    expect(toDer(Buffer.alloc(1_000_000, "3080", "hex"))).toBeUndefined();
  });

  it("of any octets is DER or none, without an exception", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 60 }), (octets) => {
      const read = toDer(Buffer.from(octets));
      expect(read === undefined || elementsOf(read)?.length === 1).toBe(true);
    });
    fc.assert(property, { numRuns: 500 });
  });
});

it("writes sets in the order of their octets [ITU-T X.690 §11.6]", () => {
  const parts = [octetString(bytes("02")), octetString(bytes("01 01")), octetString(bytes("01"))];
  expect(setOf(...parts).toString("hex")).toBe(bytes("31 0a 04 01 01 04 01 02 04 02 01 01").toString("hex"));
  expect(implicitSetOf(0, parts).subarray(1)).toEqual(setOf(...parts).subarray(1));
});

it.each([
  [Date.UTC(2026, 10, 25, 9, 5, 7, 999), "170d3236313132353039303530375a"],
  [Date.UTC(2050, 0, 1), "180f32303530303130313030303030305a"],
])("writes the time %i without its fractions [RFC 5652 §11.3]", (at, expected) => {
  expect(time(at).toString("hex")).toBe(expected);
});

describe("segments", () => {
  it.each([0, 1, 127, 128, 16_383, 16_384, 16_385, 50_000])(
    "hold %i octets in order, all but the last full",
    async (length) => {
      const content = Buffer.from(Array.from({ length }, (_, at) => at % 251));
      const made = await collect(segments(chunked(content, 777)()));
      const parts = inside(element(0x24, made), 0x24) ?? [];
      expect(Buffer.concat(parts.map((part) => part.content)).equals(content)).toBe(true);
      expect(parts.slice(0, -1).every((part) => part.content.length === 16_384)).toBe(true);
      expect(parts).toHaveLength(Math.ceil(length / 16_384));
    },
  );

  it("stay as they are when the next one is made", async () => {
    const kept: Buffer[] = [];
    for await (const segment of segments(chunked(Buffer.alloc(40_000, "ab"), 1_000)())) kept.push(segment);
    const copy = await collect(segments(chunked(Buffer.alloc(40_000, "ab"), 40_000)()));
    expect(Buffer.concat(kept).equals(copy)).toBe(true);
  });
});
