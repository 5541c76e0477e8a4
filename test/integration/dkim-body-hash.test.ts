import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BodyHashWay, createBodyHash } from "../../src/transform/dkim/body-hash.ts";

function hashOf(body: Buffer, size = Math.max(1, body.length), way?: BodyHashWay): string {
  const hash = createBodyHash(way);
  const memory = Buffer.alloc(size);
  for (let at = 0; at < body.length; at += size) {
    hash.update(memory.subarray(0, body.copy(memory, 0, at, at + size)));
    memory.fill(0xee); // as its maker may
  }
  return hash.digest().toString("base64");
}

const plain = (relaxed: string) => createHash("sha256").update(relaxed, "latin1").digest("base64");

/** All of it at once, step by step as RFC 6376 §3.4.4 says. */
function reference(body: Buffer): string {
  const lines = body.toString("latin1").split("\r\n");
  const reduced = lines.map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
  while (reduced.at(-1) === "") reduced.pop();
  return plain(reduced.map((line) => `${line}\r\n`).join(""));
}

const piece = fc.oneof(
  fc.constantFrom("\r\n", " ", "\t", "  ", "\r", "\n", "x", "\r\n\r\n\r\n", " \r\n", "word and word"),
  fc.nat({ max: 300 }).map((n) => "\r\n".repeat(n)),
  fc.nat({ max: 5000 }).map((n) => " ".repeat(n)),
  fc.nat({ max: 9000 }).map((n) => "QUJD".repeat(n)),
  fc.string({ unit: "binary-ascii" }),
);
const bodies = fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join(""), "latin1"));

const SIZES = [1, 2, 3, 7, 64 * 1024];

const cases: readonly (readonly [string, string, string])[] = [
  ["the example (§3.4.5)", " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"],
  ["an empty body (§3.4.4)", "", ""],
  ["nothing but line ends", "\r\n\r\n\r\n", ""],
  ["nothing but blanks", " \t ", ""],
  ["lines of nothing but blanks at the end", "x\r\n \t\r\n  \r\n", "x\r\n"],
  ["lines of nothing but blanks inside", "x\r\n \t\r\n  \r\ny\r\n", "x\r\n\r\n\r\ny\r\n"],
  ["no final line end", "x", "x\r\n"],
  ["blanks without a final line end", "x  ", "x\r\n"],
  ["a final line end", "x\r\n", "x\r\n"],
  ["line ends before everything", "\r\n\r\nx\r\n", "\r\n\r\nx\r\n"],
  ["blanks before everything", "  x\r\n", " x\r\n"],
  ["a tab alone", "a\tb\r\n", "a b\r\n"],
  ["8-bit octets", "\xe4\xf6  \xfc\r\n\x00\xff", "\xe4\xf6 \xfc\r\n\x00\xff\r\n"],
  ["octets that are no line end alone", "a\rb\nc \r d\n\r\n", "a\rb\nc \r d\n\r\n"],
  ["a CR at the very end", "a \r", "a \r\r\n"],
  ["two CRs before an LF", "a\r\r\n\r\n", "a\r\r\n"],
];

describe("the body hash (RFC 6376 §3.4.4)", () => {
  it.each(cases)("of %s is that of its relaxed form, in chunks of any size", (_, body, relaxed) => {
    const octets = Buffer.from(body, "latin1");
    expect(SIZES.map((size) => hashOf(octets, size))).toEqual(SIZES.map(() => plain(relaxed)));
    expect(reference(octets)).toBe(plain(relaxed)); // or the reference below would prove nothing
  });

  it("of the example of RFC 8463 appendix A is the one given there", () => {
    const body = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
    expect(hashOf(Buffer.from(body))).toBe("2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
  });

  it("is the same however the body is cut, and the same as of the whole", () => {
    fc.assert(
      fc.property(bodies, fc.integer({ min: 1, max: 10_000 }), (body, size) => {
        expect(hashOf(body, size)).toBe(reference(body));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ["an empty body (§3.4.3)", "", "\r\n"],
    ["the example (§3.4.5)", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n"],
    ["nothing but line ends", "\r\n\r\n", "\r\n"],
    ["no final line end", "x", "x\r\n"],
    ["blanks at the end", "x\r\n \r\n", "x\r\n \r\n"],
    ["a CR at the very end", "x\r\n\r", "x\r\n\r\r\n"],
    ["octets that are no line end alone", "a\r\r\n\n\rb", "a\r\r\n\n\rb\r\n"],
  ])("of %s in the simple form is that of this form, in chunks of any size", (_, body, form) => {
    const way = { form: "simple", algorithm: "sha256" } as const;
    const octets = Buffer.from(body, "latin1");
    expect(SIZES.map((size) => hashOf(octets, size, way))).toEqual(SIZES.map(() => plain(form)));
  });

  it("of the simple form is the same however the body is cut, and the same as of the whole; l= counts octets of it", () => {
    const sizes = fc.integer({ min: 1, max: 10_000 });
    fc.assert(
      fc.property(bodies, sizes, fc.option(fc.nat({ max: 20_000 })), (body, size, limit) => {
        const form = `${body.toString("latin1").replace(/(\r\n)*$/, "")}\r\n`;
        const way = { form: "simple", algorithm: "sha256", ...(limit !== null && { limit }) } as const;
        expect(hashOf(body, size, way)).toBe(plain(form.slice(0, limit ?? undefined)));
      }),
    );
  });

  it.each([
    ["blanks", " ", " "],
    ["tabs and blanks", "\t ", " "],
    ["line ends", "\r\n", "\r\n"],
    ["lines of two blanks", "  \r\n", "\r\n"],
  ])("of 16 MiB of %s and a word takes linear time and constant memory", (_, unit, relaxed) => {
    const units = 65_536 / unit.length;
    const chunk = Buffer.from(unit.repeat(units));
    const hash = createBodyHash();
    const [cpu, memory] = [process.cpuUsage(), process.memoryUsage().arrayBuffers];
    for (let count = 0; count < 256; count += 1) hash.update(chunk);
    hash.update(Buffer.from("x"));
    const digest = hash.digest().toString("base64");
    expect(process.memoryUsage().arrayBuffers - memory).toBeLessThan(4 * 1024 * 1024);
    expect(process.cpuUsage(cpu).user / 1e6).toBeLessThan(5); // quadratic would be minutes
    expect(digest).toBe(plain(`${relaxed === " " ? " " : relaxed.repeat(256 * units)}x\r\n`));
  });
});
