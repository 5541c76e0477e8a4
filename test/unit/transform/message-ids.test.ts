import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createMessageIds } from "../../../src/transform/message-ids.ts";

const ids = createMessageIds(Buffer.alloc(32, 1), "example.org");
const others = createMessageIds(Buffer.alloc(32, 2), "example.org");
const INNER = "<20261124.4711@pc-anna.corp.example.org>";

const octets = fc.uint8Array({ minLength: 1, maxLength: 400 }).map(
  (all) =>
    `<${Buffer.from(all)
      .toString("latin1")
      .replace(/[<>\r\n]/g, "x")}>`,
);

describe("a Message-ID for outside", () => {
  it("tells nothing of the inner one and is a msg-id [RFC 5322 §3.6.4]", () => {
    expect(ids.outward(INNER)).toMatch(/^<sp1\.[a-z2-7]+@example\.org>$/);
  });
  it("is always the same, so that threads hold together, and another with another key", () => {
    expect(ids.outward(INNER)).toBe(createMessageIds(Buffer.alloc(32, 1), "example.org").outward(INNER));
    expect(others.outward(INNER)).not.toBe(ids.outward(INNER));
  });
  it("differs from the first octet on for ids that differ in one", () => {
    expect(ids.outward("<a1@pc>").slice(0, 20)).not.toBe(ids.outward("<a2@pc>").slice(0, 20));
  });
  it("leads back, for any octets", () => {
    fc.assert(
      fc.property(octets, (id) => {
        expect(ids.inward(ids.outward(id))).toBe(id);
      }),
      { numRuns: 100 },
    );
  });
  it("fits a line of 998, for any octets [RFC 5322 §2.1.1]", () => {
    const far = createMessageIds(Buffer.alloc(32, 1), `${"a".repeat(60)}.`.repeat(4).concat("example"));
    for (const length of [1, 399, 400, 401, 2000])
      expect(`Resent-Message-ID: ${far.outward(`<${"m".repeat(length)}>`)}`.length).toBeLessThanOrEqual(998);
  });
  it("leads back in upper case and under another domain, too", () => {
    const outward = ids.outward(INNER);
    expect(ids.inward(outward.toUpperCase())).toBe(INNER);
    expect(createMessageIds(Buffer.alloc(32, 1), "example.com").inward(outward)).toBe(INNER);
  });
  it("is not wrapped again when it comes back in References", () => {
    const outward = ids.outward(INNER);
    expect(ids.outward(outward)).toBe(outward);
    const long = ids.outward(`<${"m".repeat(500)}@pc>`);
    expect(long).toMatch(/^<sp0\.[a-z2-7]{52}@example\.org>$/);
    expect(ids.outward(long)).toBe(long);
  });
  it("is one way for more than 400 octets", () => {
    const long = `<${"m".repeat(401)}>`;
    expect(ids.inward(ids.outward(long))).toBeUndefined();
    expect(ids.outward(long)).not.toBe(ids.outward(long.replace("m", "n")));
  });
  it.each([
    ["another key's", others.outward(INNER)],
    ["changed in one letter", ids.outward(INNER).replace(/.(?=@)/, (last) => (last === "a" ? "b" : "a"))],
    ["changed in the first letter", ids.outward(INNER).replace(/(?<=sp1\.)./, (first) => (first === "a" ? "b" : "a"))],
    ["cut short", ids.outward(INNER).replace(/.{8}(?=@)/, "")],
    ["an inner one", INNER],
    ["a foreign one", "<abc@third.example>"],
    ["the mark alone", "<sp1.@example.org>"],
    ["too short to be one", "<sp1.abcdefgh@example.org>"],
    ["no base32", "<sp1.0189@example.org>"],
    ["empty", "<>"],
  ])("is not taken for ours when it is %s", (_, id) => expect(ids.inward(id)).toBeUndefined());
  it("has one form: bits that stand for nothing are not ignored", () => {
    for (const id of ["<a@pc>", "<ab@pc>", "<abc@pc>", "<abcd@pc>"]) {
      const outward = ids.outward(id);
      const forms = "abcdefghijklmnopqrstuvwxyz234567".split("").map((last) => outward.replace(/.(?=@)/, last));
      expect(forms.filter((form) => ids.inward(form) !== undefined)).toEqual([outward]);
    }
  });
  it("that was made up by others is wrapped like any", () => {
    expect(ids.outward(others.outward(INNER))).not.toBe(others.outward(INNER));
    expect(ids.outward(`<sp0.${"a".repeat(52)}@example.org>`)).toMatch(/^<sp1\./);
  });
});
