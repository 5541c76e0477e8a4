/** Walking through MIME as it streams by, and making 7-bit what is to be signed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitFields } from "../../src/transform/smime/mime-fields.ts";
import { type Shape, shapeOf } from "../../src/transform/smime/mime-shape.ts";
import { MimeWalk } from "../../src/transform/smime/mime-walk.ts";
import { rewriteBody, rewriteFields, type Survey, survey } from "../../src/transform/smime/seven-bit.ts";
import { chunked, CHUNK_SIZES, collect } from "../unit/transform/smime-mime-chunks.ts";
import { leavesOf } from "../unit/transform/smime-mime-reader.ts";

const octets = (text: string) => Buffer.from(text, "latin1");
const fieldsOf = (text: string) => splitFields(octets(text));

async function surveyed(fields: string, body: string, size = 64 * 1024): Promise<Survey> {
  const found = await survey(fieldsOf(fields), chunked(octets(body), size));
  if ("problem" in found) throw new Error(found.problem);
  return found;
}

/** Fields and body after the changes. */
async function sevenBit(
  fields: string,
  body: string,
  size = 64 * 1024,
): Promise<{ text: string; left: Survey["left"] }> {
  const found = await surveyed(fields, body, size);
  const after = await collect(rewriteBody(fieldsOf(fields), chunked(octets(body), size), found));
  return {
    text: `${rewriteFields(octets(fields), found).toString("latin1")}\r\n${after.toString("latin1")}`,
    left: found.left,
  };
}

const mixed = (...parts: string[]) => `${parts.map((part) => `--b\r\n${part}\r\n`).join("")}--b--\r\n`;
const MIXED = "Content-Type: multipart/mixed; boundary=b\r\n";
const LONG = "x".repeat(1200);
const NOTHING = { eightBit: false, longLines: false };

describe("the walk", () => {
  interface Step {
    kind: string;
    ordinal: number;
    text: string;
  }
  function walked(fields: string, body: string, size: number): Step[] {
    const steps: Step[] = [];
    const add = (kind: string, ordinal: number, piece: Buffer) => {
      const last = steps.at(-1);
      if (last?.kind === kind && last.ordinal === ordinal && kind !== "header") last.text += piece.toString("latin1");
      else steps.push({ kind, ordinal, text: piece.toString("latin1") });
    };
    const walk = new MimeWalk(shapeOf(fieldsOf(fields), false), {
      header: ({ ordinal }, raw) => add("header", ordinal, raw),
      content: ({ ordinal }, piece) => add("content", ordinal, piece),
      frame: ({ ordinal }, piece) => add("frame", ordinal, piece),
      end: ({ ordinal }) => add("end", ordinal, Buffer.alloc(0)),
      longLine: () => {},
    });
    const content = octets(body);
    const memory = Buffer.alloc(size); // is used again for every chunk
    for (let at = 0; at < content.length; at += size)
      walk.push(memory.subarray(0, content.copy(memory, 0, at, at + size)));
    walk.end();
    return steps;
  }
  const contents = (fields: string, body: string) =>
    walked(fields, body, 7)
      .filter(({ kind }) => kind === "content")
      .map(({ text }) => text);

  it.each([
    ["a text", "", "a\r\nb\r\n", ["a\r\nb\r\n"]],
    ["a text without a line end", "", "a\r\nb", ["a\r\nb"]],
    ["a text with a line of hyphens", "", "--\r\n--b\r\n", ["--\r\n--b\r\n"]],
    [
      "two parts, the line end before a delimiter being its own",
      MIXED,
      "--b\r\n\r\none\r\n\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
      ["one\r\n", "two"],
    ],
    ["empty parts", MIXED, "--b\r\n\r\n--b\r\n\r\n\r\n--b\r\n--b--", []],
    ["preamble and epilogue apart", MIXED, "pre\r\n--b\r\n\r\none\r\n--b--\r\nepi\r\n--b\r\n\r\nnone\r\n", ["one"]],
    ["a missing end", MIXED, "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n", ["one", "two\r\n"]],
    ["blanks behind delimiters", MIXED, "--b \t\r\n\r\none\r\n--b-- \t \r\nepi", ["one"]],
    ["a delimiter at the end without line end", MIXED, "--b\r\n\r\none\r\n--b--", ["one"]],
    [
      "lines that only look like delimiters",
      MIXED,
      "--b\r\n\r\n--bb\r\n--b-\r\n--b--x\r\n --b\r\n-\r\n--\r\n--B\r\n--b\xa0\r\n--b--",
      ["--bb\r\n--b-\r\n--b--x\r\n --b\r\n-\r\n--\r\n--B\r\n--b\xa0"],
    ],
    [
      "a delimiter of no more than 1,000 octets",
      MIXED,
      `--b\r\n\r\none\r\n--b${" ".repeat(996)}\r\n--b${" ".repeat(995)}\r\n\r\ntwo`,
      [`one\r\n--b${" ".repeat(996)}`, "two"],
    ],
    [
      "an inner boundary that begins like the outer",
      MIXED,
      `--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\none\r\n--bb--\r\n--b\r\n\r\ntwo\r\n--b--`,
      ["one", "two"],
    ],
    [
      "an inner multipart that is never closed",
      MIXED,
      `--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--c--\r\n--b--`,
      ["one", "two\r\n--c--"],
    ],
    [
      "an inner boundary that equals the outer",
      MIXED,
      `--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\ntwo\r\n--b--`,
      ["one", "two"],
    ],
    [
      "a boundary that looks like the end of another",
      MIXED.replace("=b", '="b--"'),
      "--b--\r\n\r\none\r\n--b----\r\n",
      ["one"],
    ],
    [
      "a forwarded message",
      "Content-Type: message/rfc822\r\n",
      `Subject: x\r\n${MIXED}\r\n--b\r\n\r\none\r\n--b--\r\n`,
      ["one"],
    ],
    [
      "messages in a digest [RFC 2046 §5.1.5]",
      "Content-Type: multipart/digest; boundary=b\r\n",
      mixed("\r\nSubject: x\r\n\r\none"),
      ["one"],
    ],
    [
      "nothing within what others signed",
      MIXED,
      mixed("Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nx\r\n--s--"),
      [],
    ],
  ])("finds %s", (_, fields, body, expected) => expect(contents(fields, body)).toEqual(expected));

  const piece = fc.constantFrom(
    "\r",
    "\n",
    "--b",
    "--c",
    "--b--",
    "--c--",
    "\r\n",
    "\r\n\r\n",
    "-",
    "--",
    " ",
    "text",
    "\xfc",
    LONG,
    "Content-Type: multipart/mixed; boundary=c\r\n",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: text/plain\r\n",
  );
  it("hands on every octet in order, and the same steps however the body is cut", () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 40 }),
        fc.constantFrom(MIXED, "", "Content-Type: message/rfc822\r\n"),
        (pieces, fields) => {
          const body = pieces.join("");
          const whole = walked(fields, body, body.length + 1);
          expect(whole.map(({ text }) => text).join("")).toBe(body);
          for (const size of [...CHUNK_SIZES, 50]) expect(walked(fields, body, size)).toEqual(whole);
        },
      ),
      { numRuns: 500 },
    );
  });

  const deep = (levels: number) =>
    Array.from(
      { length: levels },
      (_, n) => `--b${n}\r\nContent-Type: multipart/mixed; boundary=b${n + 1}\r\n\r\n`,
    ).join("");
  it.each([
    ["nesting deeper than 100 levels", "Content-Type: multipart/mixed; boundary=b0\r\n", deep(101), "mime-too-deep"],
    [
      "messages in messages deeper than that",
      "Content-Type: message/rfc822\r\n",
      "Content-Type: message/rfc822\r\n\r\n".repeat(101),
      "mime-too-deep",
    ],
    ["more than 10,000 parts", MIXED, "--b\r\n\r\n".repeat(10_000), "mime-too-many-parts"],
    ["a part's header beyond 256 KiB", MIXED, `--b\r\n${"X: y\r\n".repeat(50_000)}`, "mime-part-header-too-large"],
    ["a part's header in one endless line", MIXED, `--b\r\n${"X".repeat(300_000)}`, "mime-part-header-too-large"],
  ])("refuses %s", async (_, fields, body, problem) => {
    for (const size of [1000, 64 * 1024])
      expect(await survey(fieldsOf(fields), chunked(octets(body), size))).toEqual({ problem });
  });
  it("goes 100 levels deep and 9,999 parts wide", async () => {
    expect(
      (await surveyed("Content-Type: multipart/mixed; boundary=b0\r\n", `${deep(100)}--b100\r\n\r\n\xfc`)).changes.size,
    ).toBe(1);
    expect((await surveyed(MIXED, "--b\r\n\r\n".repeat(9_999))).changes.size).toBe(0);
  });
});

describe("a part is", () => {
  it.each<[string, string, Shape]>([
    ["text without a type", "", { kind: "leaf", encoding: "identity", text: true }],
    [
      "an image",
      "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n",
      { kind: "leaf", encoding: "base64", text: false },
    ],
    ["never changed in an unknown encoding", "Content-Transfer-Encoding: x-uu\r\n", { kind: "fixed" }],
    ["never changed under two types", "Content-Type: text/plain\r\nContent-Type: text/html\r\n", { kind: "fixed" }],
    ["never changed when signed", "Content-Type: multipart/signed; boundary=b\r\n", { kind: "fixed" }],
    ["never changed when encrypted", "Content-Type: multipart/encrypted; boundary=b\r\n", { kind: "fixed" }],
    ["never changed as a multipart without boundary", "Content-Type: multipart/mixed\r\n", { kind: "fixed" }],
    [
      "never changed as a multipart with an empty boundary",
      'Content-Type: multipart/mixed; boundary=" "\r\n',
      { kind: "fixed" },
    ],
    [
      "never changed as a multipart with two boundaries",
      "Content-Type: multipart/mixed; boundary=a; boundary=b\r\n",
      { kind: "fixed" },
    ],
    ["never changed as a multipart in base64", `${MIXED}Content-Transfer-Encoding: base64\r\n`, { kind: "fixed" }],
    ["never changed as a piece of a message [RFC 2046 §5.2.2]", "Content-Type: message/partial\r\n", { kind: "fixed" }],
    ["never changed with a header that cannot be read", "hello\r\nContent-Type: text/plain\r\n", { kind: "fixed" }],
    [
      "readable behind the line of an mbox",
      "From a@b Mon\r\nContent-Type: text/html\r\n",
      { kind: "leaf", encoding: "identity", text: true },
    ],
    ["never changed as message/global, which few decode", "Content-Type: message/global\r\n", { kind: "fixed" }],
    ["a message", "Content-Type: message/rfc822\r\n", { kind: "message" }],
    [
      "a multipart whose boundary is longer than allowed",
      `Content-Type: multipart/mixed; boundary=${"b".repeat(200)}\r\n`,
      { kind: "multipart", boundary: "b".repeat(200), digest: false },
    ],
    [
      "never changed as a multipart whose boundary fits in no line",
      `Content-Type: multipart/mixed; boundary=${"b".repeat(995)}\r\n`,
      { kind: "fixed" },
    ],
    [
      "never changed as a message in base64",
      "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n",
      { kind: "fixed" },
    ],
    [
      "a multipart whose boundary ends in a blank",
      'Content-Type: multipart/mixed; boundary="b "\r\n',
      { kind: "multipart", boundary: "b", digest: false },
    ],
  ])("%s", (_, fields, shape) => expect(shapeOf(fieldsOf(fields), false)).toEqual(shape));
});

describe("what is 7-bit already stays as it is:", () => {
  it.each([
    ["text", "", "a\r\n"],
    ["trailing blanks, `From ` and dots", "", "a  \r\nFrom b\r\n.\r\n..c \t\r\n"],
    ["text that says 8bit but is not", "Content-Transfer-Encoding: 8bit\r\n", "a\r\n"],
    [
      "a multipart that says 8bit but is not",
      `${MIXED}Content-Transfer-Encoding: 8bit\r\n`,
      mixed("\r\na", "Content-Transfer-Encoding: binary\r\n\r\nb"),
    ],
    ["a line of 998 octets", "", `${"x".repeat(998)}\r\n`],
    ["an empty body", "", ""],
  ])("%s", async (_, fields, body) => {
    const found = await surveyed(fields, body);
    expect(found).toMatchObject({ changes: new Map(), left: NOTHING });
    expect((await sevenBit(fields, body)).text).toBe(`${fields}\r\n${body}`);
  });
});

describe("made 7-bit is", () => {
  const TEXT = "Content-Type: text/plain; charset=iso-8859-1\r\n";
  it.each([
    [
      "8-bit text",
      `${TEXT}Content-Transfer-Encoding: 8bit\r\nContent-Language: de\r\n`,
      "Gr\xfc\xdfe \r\n",
      `${TEXT}Content-Transfer-Encoding: quoted-printable\r\nContent-Language: de\r\n\r\nGr=FC=DFe=20\r\n`,
    ],
    [
      "8-bit text that says nothing of its encoding",
      TEXT,
      "\xfc",
      `${TEXT}Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC`,
    ],
    [
      "8-bit text in two wrong fields",
      `Content-Transfer-Encoding: 7bit\r\n${TEXT}`,
      "\xfc",
      `Content-Transfer-Encoding: quoted-printable\r\n${TEXT}\r\n=FC`,
    ],
    [
      "binary data",
      "Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n",
      "\x89PNG\r\n",
      "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K",
    ],
    [
      "NUL, which is no 7-bit data [RFC 2045 §2.7]",
      TEXT,
      "a\0",
      `${TEXT}Content-Transfer-Encoding: quoted-printable\r\n\r\na=00`,
    ],
    [
      "8-bit in quoted-printable",
      "Content-Transfer-Encoding: quoted-printable\r\n",
      "=C3\xbc",
      "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC",
    ],
    [
      "base64 in one long line",
      "Content-Transfer-Encoding: base64\r\n",
      "QUJD".repeat(300),
      `Content-Transfer-Encoding: base64\r\n\r\n${("QUJD".repeat(300).match(/.{1,76}/g) ?? []).join("\r\n")}`,
    ],
    [
      "one part, and the label of what is around it",
      `${MIXED}Content-Transfer-Encoding: 8bit\r\n`,
      mixed("\r\na ", `${TEXT}\r\n\xfc`),
      `${MIXED}Content-Transfer-Encoding: 7bit\r\n\r\n${mixed("\r\na ", `${TEXT}Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC`)}`,
    ],
    [
      "a part without a header",
      MIXED,
      mixed("\r\n\xfc"),
      `${MIXED}\r\n${mixed("Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC")}`,
    ],
    [
      "the text of a forwarded message",
      "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n",
      `Subject: x\r\n${TEXT}\r\n\xfc`,
      `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: x\r\n${TEXT}Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC`,
    ],
  ])("%s", async (_, fields, body, expected) => {
    for (const size of CHUNK_SIZES)
      expect(await sevenBit(fields, body, size)).toEqual({ text: expected, left: NOTHING });
  });

  it("a long line, in lines that mail carries [RFC 5321 §4.5.3.1.6]", async () => {
    const { text, left } = await sevenBit("", `${LONG}\r\n`);
    expect(left).toEqual(NOTHING);
    expect(Math.max(...text.split("\r\n").map(({ length }) => length))).toBeLessThanOrEqual(76);
    expect(leavesOf(octets(text))).toEqual([{ type: "text/plain", content: octets(`${LONG}\r\n`) }]);
  });

  it("no new delimiter: a soft break before hyphens is no line of hyphens", async () => {
    const body = mixed(`\r\n${"\xfc".repeat(25)}--b`);
    const { text } = await sevenBit(MIXED, body);
    expect(leavesOf(octets(text))).toEqual(leavesOf(octets(`${MIXED}\r\n${body}`)));
  });
});

describe("what must stay 8-bit is told, and stays:", () => {
  const SIGNED =
    'Content-Type: multipart/signed; boundary=s; protocol="application/pkcs7-signature"\r\n\r\n--s\r\n\r\n\xfc\r\n--s\r\n\r\nsig\r\n--s--';
  it.each([
    ["what others signed", MIXED, mixed(SIGNED, "\r\n7-bit"), { eightBit: true, longLines: false }],
    ["a preamble", MIXED, `\xfc\r\n${mixed("\r\na")}`, { eightBit: true, longLines: false }],
    ["an epilogue with a long line", MIXED, `${mixed("\r\na")}${LONG}`, { eightBit: false, longLines: true }],
    [
      "a file's name in the header of a part",
      MIXED,
      mixed('Content-Disposition: attachment; filename="\xfc"\r\n\r\na'),
      { eightBit: true, longLines: false },
    ],
    [
      "the header of a forwarded message",
      "Content-Type: message/rfc822\r\n",
      "Subject: \xfc\r\n\r\na",
      { eightBit: true, longLines: false },
    ],
    ["a long header line of a part", MIXED, mixed(`X: ${LONG}\r\n\r\na`), { eightBit: false, longLines: true }],
    ["an unknown encoding", "Content-Transfer-Encoding: x-uu\r\n", `\xfc${LONG}`, { eightBit: true, longLines: true }],
    [
      "a multipart without its parts",
      "Content-Type: multipart/mixed\r\n",
      "--b\r\n\r\n\xfc",
      { eightBit: true, longLines: false },
    ],
  ])("%s", async (_, fields, body, left) => {
    for (const size of CHUNK_SIZES)
      expect(await sevenBit(fields, body, size)).toEqual({ text: `${fields}\r\n${body}`, left });
  });

  it("and around it the label stays too, while its neighbour changes", async () => {
    const eightBit = `${MIXED}Content-Transfer-Encoding: 8bit\r\n`;
    const { text, left } = await sevenBit(eightBit, mixed(SIGNED, "\r\n\xfc"));
    expect(text).toBe(`${eightBit}\r\n${mixed(SIGNED, "Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC")}`);
    expect(left.eightBit).toBe(true);
  });
});

describe("text of a body without a type", () => {
  it.each([
    ["ASCII", "abc\r\n", "ascii"],
    ["UTF-8", Buffer.from("Grüße €\r\n").toString("latin1"), "utf-8"],
    ["another", "Gr\xfc\xdfe\r\n", "other"],
  ])("is %s", async (_, body, text) => {
    for (const size of CHUNK_SIZES) expect((await surveyed("", body, size)).text).toBe(text);
  });
});

/** A MIME tree as a recipient would have it made, of any depth and content. */
const content = fc
  .array(
    fc.constantFrom(
      "Hello",
      "\r\n",
      "Gr\xfc\xdfe",
      " ",
      "--",
      "--x",
      "From ",
      ".",
      "=",
      "\xe2\x82\xac",
      "\t",
      LONG,
      "\0",
    ),
  )
  .map((pieces) => pieces.join(""));
const leaf = fc
  .tuple(
    fc.constantFrom("text/plain; charset=utf-8", "image/png", "application/octet-stream", "text/html"),
    fc.constantFrom("", "8bit", "binary", "base64"),
    content,
  )
  .map(([type, encoding, content]) => {
    const body =
      encoding === "base64"
        ? (
            Buffer.from(content, "latin1")
              .toString("base64")
              .match(/.{1,60}/g) ?? []
          ).join("\r\n")
        : content;
    return `Content-Type: ${type}\r\n${encoding === "" ? "" : `Content-Transfer-Encoding: ${encoding}\r\n`}\r\n${body}`;
  });
const { tree } = fc.letrec<{ tree: string; multipart: string; message: string }>((tie) => ({
  tree: fc.oneof({ depthSize: "small", withCrossShrink: true }, leaf, tie("multipart"), tie("message")),
  multipart: fc
    .tuple(fc.array(tie("tree"), { minLength: 1, maxLength: 4 }), fc.uuid(), fc.constantFrom("", "8bit"))
    .map(
      ([parts, id, label]) =>
        `Content-Type: multipart/mixed; boundary="${id}"\r\n${label === "" ? "" : `Content-Transfer-Encoding: ${label}\r\n`}\r\n${parts.map((part) => `--${id}\r\n${part}\r\n`).join("")}--${id}--\r\n`,
    ),
  message: tie("tree").map(
    (inner) => `Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\nMIME-Version: 1.0\r\n${inner}`,
  ),
}));

it("what is made 7-bit shows and saves the same, and is 7-bit with short lines", async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.constantFrom(...CHUNK_SIZES), async (message, size) => {
      const end = message.indexOf("\r\n\r\n") + 2;
      const fields = message.slice(0, end);
      const body = message.slice(end + 2);
      const { text, left } = await sevenBit(fields, body, size);
      expect(left).toEqual(NOTHING);
      expect(leavesOf(octets(text))).toEqual(leavesOf(octets(message)));
      expect(/[^\x01-\x7f]/.test(text) || text.split("\r\n").some((line) => line.length > 998)).toBe(false);
      if (!/[^\x01-\x7f]/.test(message) && !message.includes(LONG)) expect(text).toBe(message);
    }),
    { numRuns: 200 },
  );
});
