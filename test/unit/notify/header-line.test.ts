import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeWords } from "../../../src/mail/encoded-words.ts";
import { headerLine, printable, visible } from "../../../src/notify/header-line.ts";

describe("a header line", () => {
  it.each(["a\r\nBcc: b", "a\rb", "a\nb", "a\0b", "\r\n", "a\n"])("is refused with %j", (value) =>
    expect(() => headerLine("Subject", value)).toThrow(TypeError),
  );

  it.each(["Subject:", "", "Sub ject", "Sub\r\nject", "Süb"])("is refused under the name %j [RFC 5322 §2.2]", (name) =>
    expect(() => headerLine(name, "x")).toThrow(TypeError),
  );

  it("is folded at spaces, with lines of 78 at most [RFC 5322 §2.1.1]", () => {
    const line = headerLine("Subject", "word ".repeat(40).trim());
    expect(line.split("\r\n").every((part) => part.length <= 78)).toBe(true);
    expect(line.replace(/\r\n(?= )/g, "")).toBe(`Subject: ${"word ".repeat(40).trim()}\r\n`);
  });

  it("carries any letters as encoded-words of 75 octets at most [RFC 2047 §2]", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
        const value = text.replace(/[\r\n\0]/g, "");
        const line = headerLine("Subject", `ü${value}`);
        expect(line).toMatch(/^Subject: [\x20-\x7e]*(?:\r\n [\x20-\x7e]*)*\r\n$/);
        for (const word of line.split(/\s+/)) expect(word.length).toBeLessThanOrEqual(75);
        expect(decodeWords(line.slice(9, -2).replaceAll("\r\n", ""))).toBe(`ü${value}`);
      }),
    );
  });

  it("keeps its letters where the message goes as SMTPUTF8 [RFC 6532 §3.2]", () =>
    expect(headerLine("To", "<jörg@example.org>", true)).toBe("To: <jörg@example.org>\r\n"));
});

describe("text of others", () => {
  it("becomes one line of printable ASCII", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(0xffff)), fc.nat(50), (units, most) => {
        const text = String.fromCharCode(...units);
        expect(printable(text, most)).toMatch(/^[\x20-\x7e]*$/);
        expect(printable(text, most).length).toBeLessThanOrEqual(most + 3);
      }),
    );
  });

  it.each([
    ["a\r\nb", "a b"],
    ["Grüße", "Gr?e"],
    ["  a \0 b  ", "a b"],
  ])("%j is shown as %j", (text, shown) => expect(printable(text, 99)).toBe(shown));

  it("for people keeps its letters, without marks that turn the direction of reading", () =>
    expect(visible("Grüße\u202e\r\n\u0007 x", 99)).toBe("Grüße x"));
});
