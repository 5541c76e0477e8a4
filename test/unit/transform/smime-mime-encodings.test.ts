/** Quoted-printable and base64 as octets stream by. What decodes is what went in. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { base64Lines, createBase64, foldBase64 } from "../../../src/transform/smime/base64-lines.ts";
import {
  createQuotedPrintable,
  type Encoder,
  mendQuotedPrintable,
} from "../../../src/transform/smime/quoted-printable.ts";
import { Utf8Check } from "../../../src/transform/smime/utf8-check.ts";
import { chunked, CHUNK_SIZES, collect } from "./smime-mime-chunks.ts";

function run(make: () => Encoder, content: Buffer, size: number = content.length + 1): string {
  const encoder = make();
  const out: Buffer[] = [];
  for (let at = 0; at < content.length; at += size) out.push(encoder.push(content.subarray(at, at + size)));
  return Buffer.concat([...out, encoder.end()]).toString("latin1");
}

const decodeQuoted = (text: string) =>
  Buffer.from(
    text
      .replace(/[ \t]+(?=\r\n|$)/g, "")
      .replace(/=\r\n/g, "")
      .replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );

/** Any octets whose CR and LF are line ends. */
const mailOctets = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.constantFrom("\r\n", " ", "\t", "From ", "--b", ".", "=", "  \r\n", "x".repeat(80)),
    ),
  )
  .map((pieces) =>
    pieces
      .map((piece) =>
        typeof piece === "string"
          ? piece
          : Buffer.from(piece)
              .toString("latin1")
              .replace(/[\r\n]/g, "?"),
      )
      .join(""),
  )
  .map((text) => Buffer.from(text, "latin1"));

describe("quoted-printable", () => {
  it.each([
    ["nothing", "", ""],
    ["8-bit octets", "Gr\xfc\xdfe\r\n", "Gr=FC=DFe\r\n"],
    ["the equals sign", "a=b", "a=3Db"],
    ["blanks at the end of a line only", "a b \r\n\t\r\n", "a b=20\r\n=09\r\n"],
    ["blanks at the end of all", "a  ", "a =20"],
    ["control characters", "\0\x7f\x1b", "=00=7F=1B"],
    [
      "what mail systems alter at the start of a line [RFC 2049 §3]",
      "From me\r\n.\r\n--b\r\n",
      "=46rom me\r\n=2E\r\n=2D-b\r\n",
    ],
    ["line ends as they are", "\r\n\r\na", "\r\n\r\na"],
  ])("encodes %s", (_, from, to) => expect(run(createQuotedPrintable, Buffer.from(from, "latin1"))).toBe(to));

  it("writes lines of at most 76 characters that decode to what went in, however it is cut [RFC 2045 §6.7]", () => {
    fc.assert(
      fc.property(mailOctets, (content) => {
        const whole = run(createQuotedPrintable, content);
        expect(
          whole.split("\r\n").every((line) => line.length <= 76 && /^(?![-.F])[\x20-\x7e\t]*$|^$/.test(line)),
        ).toBe(true);
        expect(decodeQuoted(whole).equals(content)).toBe(true);
        for (const size of CHUNK_SIZES) expect(run(createQuotedPrintable, content, size)).toBe(whole);
      }),
    );
  });

  it.each([
    ["octets that should have been encoded", "Gr\xfc=DFe\r\n", "Gr=FC=DFe\r\n"],
    ["nothing of what is well", "a=3Db=\r\nc =\r\n=46\r\n", "a=3Db=\r\nc =\r\n=46\r\n"],
    ["a long line, but not within an escape", `${"x".repeat(74)}=C3=9F`, `${"x".repeat(74)}=\r\n=C3=9F`],
    ["an escape that is cut off", "a=", "a="],
    ["an escape that is none", "a=xy=\xfc", "a=xy==FC"],
  ])("that has faults is mended: %s", (_, from, to) =>
    expect(run(mendQuotedPrintable, Buffer.from(from, "latin1"))).toBe(to),
  );

  it("that has faults decodes to the same when it is mended", () => {
    const token = fc.constantFrom("=C3", "=\r\n", "\xfc", "a", "F", "-", ".", "\r\n", "word ", "x".repeat(70), "=3D");
    fc.assert(
      fc.property(fc.array(token), (tokens) => {
        const content = Buffer.from(tokens.join(""), "latin1");
        const whole = run(mendQuotedPrintable, content);
        expect(decodeQuoted(whole).equals(decodeQuoted(content.toString("latin1")))).toBe(true);
        expect(/[^\x00-\x7f]/.test(whole)).toBe(false);
        expect(whole.split("\r\n").every((line) => line.length <= 78)).toBe(true);
        for (const size of CHUNK_SIZES) expect(run(mendQuotedPrintable, content, size)).toBe(whole);
      }),
    );
  });
});

describe("base64", () => {
  it("has lines of 76 characters with CRLF and decodes to what went in, however it is cut [RFC 2045 §6.8]", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
        const content = Buffer.from(octets);
        const whole = run(createBase64, content);
        const lines = whole.split("\r\n");
        expect(lines.slice(0, -1).every((line) => line.length === 76)).toBe(true);
        expect(lines.at(-1)?.length).toBeLessThanOrEqual(76);
        expect(lines.length === 1 || lines.at(-1) !== "").toBe(true);
        expect(Buffer.from(whole, "base64").equals(content)).toBe(true);
        for (const size of CHUNK_SIZES) expect(run(createBase64, content, size)).toBe(whole);
      }),
    );
  });
  it("as a stream ends in a line end", async () => {
    const content = Buffer.alloc(1000, 1);
    for (const size of CHUNK_SIZES) {
      const lines = (await collect(base64Lines(chunked(content, size)()))).toString("latin1");
      expect(lines).toBe(`${run(createBase64, content)}\r\n`);
    }
  });
  it("that is there already is folded anew, and rubbish in it left out", () => {
    const content = Buffer.from("AB=\xfc*\r\n".repeat(100), "latin1");
    const whole = run(foldBase64, content);
    expect(whole.split("\r\n").map(({ length }) => length)).toEqual([76, 76, 76, 72]);
    expect(whole.replaceAll("\r\n", "")).toBe("AB=".repeat(100));
    for (const size of CHUNK_SIZES) expect(run(foldBase64, content, size)).toBe(whole);
  });
});

describe("UTF-8", () => {
  it.each([
    ["ASCII", "abc", true],
    ["nothing", "", true],
    ["characters of every length", Buffer.from("ü€😀").toString("latin1"), true],
    ["latin1", "Gr\xfc\xdfe", false],
    ["a character cut off at the end", "\xe2\x82", false],
    ["an octet that starts nothing", "\x80\x80\x80\x80", false],
    ["a surrogate [RFC 3629 §3]", "\xed\xa0\x80", false],
    ["an overlong form", "\xc0\xaf", false],
    ["a start after a start", "\xf0\xf0\x9f\x98\x80", false],
  ])("is told, however it is cut: %s", (_, text, valid) => {
    const content = Buffer.from(text, "latin1");
    for (const size of CHUNK_SIZES) {
      const check = new Utf8Check();
      for (let at = 0; at < content.length; at += size) check.push(content.subarray(at, at + size));
      expect(check.isValid()).toBe(valid);
    }
  });
});
