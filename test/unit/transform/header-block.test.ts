import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fieldOf, fieldText, formatHeader, parseHeader } from "../../../src/transform/header-block.ts";
import { messages } from "../../corpus/messages.ts";

const block = (...lines: string[]): Buffer => Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
const names = (header: Buffer): string[] => parseHeader(header).map(({ name }) => name);

describe("a header block [RFC 5322 §2.2]", () => {
  it.each([
    ["no fields", block().subarray(2), []],
    ["one field", block("From: a"), ["From"]],
    ["folded lines belong to their field", block("A: 1", " 2", "\t3", "B: 4"), ["A", "B"]],
    ["names keep their case", block("fRoM: a", "SUBJECT:b"), ["fRoM", "SUBJECT"]],
    ["blanks may stand before the colon (§4.5)", block("From : a", "To \t : b"), ["From", "To"]],
    ["duplicates stay apart", block("A: 1", "A: 1"), ["A", "A"]],
    ["a line without colon has no name", block("A: 1", "no colon", "B: 2"), ["A", "", "B"]],
    ["neither has a line that begins with a colon", block(": x"), [""]],
    ["nor one with 8-bit octets before the colon", block("Gr\xfcn: x"), [""]],
    ["folded lines before the first field have none, too", block(" 1", " 2", "A: 3"), ["", "A"]],
    ["nothing behind the empty line is a field", Buffer.from("A: 1\r\n\r\nB: 2\r\n"), ["A"]],
    ["the empty line may be missing", Buffer.from("A: 1\r\nB: 2"), ["A", "B"]],
  ])("%s", (_, header, expected) => expect(names(header)).toEqual(expected));

  it("is the same octets again, for any lines", () => {
    const line = fc
      .uint8Array({ minLength: 1, maxLength: 40 })
      .map((octets) => Buffer.from(octets.map((octet) => (octet === 13 || octet === 10 ? 32 : octet))));
    const property = fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
      const header = Buffer.concat([...lines.flatMap((one) => [one, Buffer.from("\r\n")]), Buffer.from("\r\n")]);
      expect(formatHeader(parseHeader(header)).equals(header)).toBe(true);
    });
    fc.assert(property, { numRuns: 300 });
  });

  it("is the same octets again, for the corpus", () => {
    const damaged = messages.filter(({ header }) => !formatHeader(parseHeader(header)).equals(header));
    expect(damaged.map(({ name }) => name)).toEqual([]);
  });

  it("of 64 kB is read in linear time", () => {
    for (const line of [" ", "x ", "(", ":", "a:", "x".repeat(900)]) {
      const header = Buffer.from(`A: b\r\n${`${line}\r\n`.repeat(64_000 / (line.length + 2))}\r\n`);
      const start = performance.now();
      expect(formatHeader(parseHeader(header)).length).toBe(header.length);
      expect(performance.now() - start).toBeLessThan(2_000);
    }
  });

  it("gives the value of a field unfolded, octet for octet", () => {
    expect(fieldText(fieldOf(Buffer.from("A : b\r\n\tc\r\n d\xe9:\r\n", "latin1")))).toBe(" b\tc d\xe9:");
  });
});
