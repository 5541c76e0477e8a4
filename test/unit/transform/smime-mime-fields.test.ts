/** Header fields octet for octet, and what their MIME fields say. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  contentTypeOf,
  encodingOf,
  readContentType,
  splitFields,
  valueOf,
} from "../../../src/transform/smime/mime-fields.ts";

const block = (text: string) => splitFields(Buffer.from(text, "latin1"));

describe("a header block", () => {
  it("is parted into fields that keep every octet [RFC 5322 §2.2]", () => {
    const parts = fc.constantFrom(
      "A: b\r\n",
      " folded\r\n",
      "\t\r\n",
      "no field\r\n",
      "X :y\r\n",
      ":\r\n",
      "\xfc: \xdf\r\n",
      "a\0b: \r\n",
    );
    fc.assert(
      fc.property(fc.array(parts), (lines) => {
        const header = Buffer.from(lines.join(""), "latin1");
        expect(Buffer.concat(splitFields(header).map(({ raw }) => raw))).toEqual(header);
      }),
    );
  });
  it("ends at the empty line", () => {
    expect(block("A: 1\r\nB: 2\r\n\r\nC: 3\r\n").map(({ name }) => name)).toEqual(["a", "b"]);
  });
  it.each([
    ["a field", "Subject: x\r\n", "subject", "x"],
    ["odd case", "cOnTent-TYPE: x\r\n", "content-type", "x"],
    ["white space before the colon [RFC 5322 §4.5]", "Subject \t: x\r\n", "subject", "x"],
    ["a folded value", "Subject: a\r\n b\r\n\tc\r\n", "subject", "a b\tc"],
    ["an empty value", "X:\r\n", "x", ""],
    ["a value of 8-bit octets", "X: \xa0\xfc\xa0 \r\n", "x", "\xa0\xfc\xa0"],
    ["a line that is no field", "no field\r\n", "", "no field"],
    ["a folded line without a field", " x: y\r\n", "", "y"],
  ])("has %s", (_, text, name, value) => {
    const [field] = block(text);
    expect(field?.name).toBe(name);
    expect(field && valueOf(field)).toBe(value);
  });
});

describe("Content-Type", () => {
  it.each<[string, string, string, Record<string, string>]>([
    ["plain", "text/plain; charset=utf-8", "text/plain", { charset: "utf-8" }],
    ["odd case", "TEXT/Html;CharSet=UTF-8", "text/html", { charset: "UTF-8" }],
    ["quoted", 'multipart/mixed; boundary="a; b=\\"c\\\\"', "multipart/mixed", { boundary: 'a; b="c\\' }],
    ["quoted and closed", 'multipart/mixed; boundary="a b"; x=y', "multipart/mixed", { boundary: "a b", x: "y" }],
    [
      "comments [RFC 2045 §5.1]",
      "(a (b) \\) c) text (x) / (y) plain (z); (c) charset (d) = (e) utf-8 (f)",
      "text/plain",
      { charset: "utf-8" },
    ],
    ["blanks everywhere", "text / plain ; charset = utf-8", "text/plain", { charset: "utf-8" }],
    [
      "missing quotes",
      "multipart/mixed; boundary=----=_Next?Part/0:1",
      "multipart/mixed",
      { boundary: "----=_Next?Part/0:1" },
    ],
    ["a value with blanks but no quotes", "a/b; name=foo bar.pdf; x=y", "a/b", { name: "foo", x: "y" }],
    [
      "continuations [RFC 2231 §3]",
      'multipart/mixed; boundary*1=def; boundary*0="abc"',
      "multipart/mixed",
      { boundary: "abcdef" },
    ],
    [
      "encoded continuations [RFC 2231 §4.1]",
      "a/b; name*0*=utf-8'de'gr%C3%BC; name*1=n%20; name*2*=%21",
      "a/b",
      { name: "gr\xc3\xbcn%20!" },
    ],
    ["an encoded value [RFC 2231 §4]", "a/b; boundary*=us-ascii''a%20b", "a/b", { boundary: "a b" }],
    ["a gap in the continuations", "a/b; n*0=a; n*2=c", "a/b", { n: "a" }],
    ["continuations that begin twice: none", "a/b; n*0=a; n*0=x; n*1=c", "a/b", {}],
    ["the same twice", "a/b; boundary=x; boundary=x", "a/b", { boundary: "x" }],
    ["two values for one name: none", "a/b; boundary=x; boundary=y; c=d", "a/b", { c: "d" }],
    ["a type alone, as old mail has it", "text", "text/plain", {}],
    ["nothing", "", "text/plain", {}],
    ["rubbish", ';;=;/;"', "text/plain", {}],
    ["too many slashes", "a/b/c; x=y", "a/b", { x: "y" }],
    ["a quote that is never closed", 'multipart/mixed; boundary="abc', "multipart/mixed", { boundary: "abc" }],
    ["a quote that only seems closed", 'multipart/mixed; boundary="abc\\"', "multipart/mixed", { boundary: 'abc"' }],
    ["a semicolon in a stray string", 'text/plain "; x=1"; y=2', "text/plain", { y: "2" }],
    ["names that JavaScript knows", "a/b; __proto__=x; constructor=y", "a/b", { ["__proto__"]: "x", constructor: "y" }],
  ])("is read: %s", (_, value, type, parameters) => {
    const read = readContentType(value);
    expect(read.type).toBe(type);
    expect(read.parameters).toEqual(new Map(Object.entries(parameters)));
  });

  it("given twice alike is one, given twice otherwise is ambiguous", () => {
    expect(contentTypeOf(block("Content-Type: a/b\r\nContent-Type: a/b\r\n"))).toMatchObject({ type: "a/b" });
    expect(contentTypeOf(block("Content-Type: a/b\r\nContent-Type: a/c\r\n"))).toBe("ambiguous");
    expect(contentTypeOf(block("X: y\r\n"))).toBe("none");
  });

  it.each([
    ["quotes", `a/b; ${'x="'.repeat(60_000)}`],
    ["quotes of one character", 'a/b; x="\\'.repeat(40_000)],
    ["comments", `a/b ${"(".repeat(250_000)}`],
    ["comments one after the other", `a/b${"(x)".repeat(80_000)}`],
    ["blanks", `a/b;${" ".repeat(250_000)}=`],
    ["parameters", `a/b${";a=b".repeat(60_000)}`],
    ["continuations", `a/b${Array.from({ length: 20_000 }, (_, n) => `;a*${n}=b`).join("")}`],
    ["continuations that begin again", `a/b${Array.from({ length: 20_000 }, (_, n) => `;a*0=${n}`).join("")};a*1=x`],
    [
      "continuations of many beginnings",
      `a/b${Array.from({ length: 20_000 }, (_, n) => `;a*0=${n};a*${n + 1}=b`).join("")}`,
    ],
    ["percent signs", `a/b; x*=''${"%".repeat(250_000)}`],
    ["backslashes", `a/b; x="${"\\".repeat(250_000)}`],
  ])("of hostile %s costs little time", (_, value) => {
    const start = performance.now();
    readContentType(value);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe("Content-Transfer-Encoding", () => {
  it.each([
    ["missing", "X: y", "identity"],
    ["empty", "Content-Transfer-Encoding:", "identity"],
    ["8bit", "Content-Transfer-Encoding: 8BIT", "identity"],
    ["binary", "content-transfer-encoding: binary", "identity"],
    ["base64 with a comment", "Content-Transfer-Encoding: (x) Base64 (y)", "base64"],
    ["base64 with a semicolon", "Content-Transfer-Encoding: base64;", "base64"],
    ["quoted-printable, folded", "Content-Transfer-Encoding:\r\n quoted-printable", "quoted-printable"],
    ["of a private kind", "Content-Transfer-Encoding: x-uuencode", "unknown"],
    ["given twice alike", "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: base64", "base64"],
    ["given twice otherwise", "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit", "unknown"],
  ])("%s", (_, text, encoding) => expect(encodingOf(block(`${text}\r\n`))).toBe(encoding));
});
