/** The message around what is signed and encrypted: which fields stay outside, what is inside, what is left alone. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { recogniseMessage, wrap, type WrapPlan, type Wrapped } from "../../../src/transform/smime/wrap.ts";
import { base64 } from "../../corpus/build.ts";
import { envelopedData, signedData } from "../../corpus/cms.ts";
import { chunked, CHUNK_SIZES, collect } from "./smime-mime-chunks.ts";
import { ENVELOPED_DATA, type FakeSigner, fakeDeps, SIGNED_DATA } from "./smime-mime-cms.ts";
import { bodyText, fieldOf, leavesOf, signedOctets } from "./smime-mime-reader.ts";

type Plan = WrapPlan<FakeSigner, string>;

const octets = (text: string) => Buffer.from(text, "latin1");
const anna = { name: "anna" };
const SIGN: Plan = { sign: { signer: anna, format: "detached" }, tripleWrap: false };
const OPAQUE: Plan = { sign: { signer: anna, format: "opaque" }, tripleWrap: false };
const ENCRYPT: Plan = { encryptTo: ["bert", "anna"], tripleWrap: false };

interface Result extends Wrapped {
  readonly text: string;
}

async function wrapped(header: string, body: string, plan: Plan, size = 64 * 1024): Promise<Result> {
  const result = await wrap({ header: octets(`${header}\r\n`), body: chunked(octets(body), size) }, plan, fakeDeps);
  if ("problem" in result) throw new Error(result.problem);
  const text = result.header.toString("latin1") + (await collect(result.body)).toString("latin1");
  return { ...result, text };
}

/** What an application/pkcs7-mime holds, without the marks of the stand-in. */
function opened(text: string, prefix: Buffer): string {
  const der = Buffer.from(bodyText(octets(text)), "base64");
  expect(der.subarray(0, prefix.length)).toEqual(prefix);
  return der.subarray(prefix.length).toString("latin1");
}

const HEAD = "Received: from a by b\r\nFrom: a@b.example\r\nSubject: Gr\xfc\xdfe,\r\n folded\r\n";
const MIME =
  "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nX-Odd : y\r\nContent-Transfer-Encoding: 7bit\r\n";

describe("a message signed in the clear", () => {
  it("is the entity, octet for octet, and a signature over it, however it is cut [RFC 1847 §2.1]", async () => {
    const boundary = `=_${"ab".repeat(24)}`;
    const inside = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello \r\n";
    const digest = createHash("sha256").update(inside).digest();
    const signature = Buffer.concat([octets("anna 1795000000000 "), digest]).toString("base64");
    for (const size of CHUNK_SIZES) {
      const { text, signed, encrypted, sevenBit, notes } = await wrapped(HEAD + MIME, "Hello \r\n", SIGN, size);
      expect(text).toBe(
        [
          `${HEAD}MIME-Version: 1.0\r\nX-Odd : y\r\nContent-Type: multipart/signed; protocol="application/pkcs7-signature";`,
          `\tmicalg=sha-256; boundary="${boundary}"`,
          "",
          `--${boundary}`,
          inside,
          `--${boundary}`,
          'Content-Type: application/pkcs7-signature; name="smime.p7s"',
          "Content-Transfer-Encoding: base64",
          'Content-Disposition: attachment; filename="smime.p7s"',
          "",
          signature.slice(0, 76),
          ...(signature.length > 76 ? [signature.slice(76)] : []),
          "",
          `--${boundary}--`,
          "",
        ].join("\r\n"),
      );
      expect({ signed, encrypted, sevenBit, notes }).toEqual({
        signed: true,
        encrypted: false,
        sevenBit: true,
        notes: [],
      });
    }
  });

  it.each([
    ["a final line end", "Hello\r\n"],
    ["no final line end", "Hello"],
    ["an empty body", ""],
    ["empty lines at the end", "Hello\r\n\r\n\r\n"],
    ["blanks at the ends of lines", "-- \r\n\t\r\n"],
    ["only a line end", "\r\n"],
  ])("hashes what a reader takes for the part: %s", async (_, body) => {
    const { text } = await wrapped(HEAD + MIME, body, SIGN);
    const inside = signedOctets(octets(text));
    expect(inside.toString("latin1")).toBe(
      `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n${body}`,
    );
    const signature = leavesOf(octets(text)).at(-1)?.content ?? Buffer.alloc(0);
    expect(signature.subarray(-32)).toEqual(createHash("sha256").update(inside).digest());
  });

  it.each([
    ["ASCII", "Hello\r\n", "Content-Type: text/plain; charset=us-ascii\r\n\r\nHello\r\n"],
    [
      "UTF-8",
      "\xc3\xbc\r\n",
      "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n",
    ],
    [
      "an unknown charset [RFC 1428]",
      "\xfc\r\n",
      "Content-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=FC\r\n",
    ],
    ["nothing", "", "Content-Type: text/plain; charset=us-ascii\r\n\r\n"],
  ])("without MIME is told to be text: %s", async (_, body, inside) => {
    const { text } = await wrapped(HEAD, body, SIGN);
    expect(signedOctets(octets(text)).toString("latin1")).toBe(inside);
    expect(text.startsWith(`${HEAD}MIME-Version: 1.0\r\nContent-Type: multipart/signed`)).toBe(true);
  });

  it("keeps a body whose encoding alone is told without a type", async () => {
    const { text } = await wrapped(`${HEAD}Content-Transfer-Encoding: base64\r\n`, "SGVsbG8=\r\n", SIGN);
    expect(signedOctets(octets(text)).toString("latin1")).toBe("Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n");
  });

  it.each([
    ["none", ""],
    ["two", "MIME-Version: 1.0\r\nMIME-Version: 1.0\r\n"],
    ["an odd one", "mime-version: 2.0\r\n"],
    ["a folded one that is well", "Mime-Version: 1.0\r\n (made by hand)\r\n"],
    ["one that is well", "MIME-Version: 1.0\r\n"],
  ])("has MIME-Version once where it had %s [RFC 2045 §4]", async (_, field) => {
    const { text, header } = await wrapped(HEAD + field, "x", SIGN);
    expect(header.toString("latin1").match(/^mime-version: 1\.0/gim)).toHaveLength(1);
    expect(text.startsWith(HEAD)).toBe(true);
  });

  it("has no old Content-* field outside, and every other field as it was", async () => {
    const odd =
      "content-type: text/plain\r\nX: 1\r\nContent-Language: de\r\n\tfolded\r\nno field\r\nContent-Disposition : inline\r\nContentious: yes\r\n";
    const { header, text } = await wrapped(HEAD + odd, "x", SIGN);
    const outside = header.toString("latin1").split("MIME-Version")[0];
    expect(outside).toBe(`${HEAD}X: 1\r\nno field\r\nContentious: yes\r\n`);
    expect(signedOctets(octets(text)).toString("latin1")).toBe(
      "content-type: text/plain\r\nContent-Language: de\r\n\tfolded\r\nContent-Disposition : inline\r\n\r\nx",
    );
  });

  it("says that it is 8-bit where it had to stay so", async () => {
    const fixed = "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uu\r\n";
    const { header, notes, sevenBit, text } = await wrapped(HEAD + fixed, `\xfc${"x".repeat(999)}`, SIGN);
    const inside = signedOctets(octets(text));
    expect(inside.toString("latin1")).toBe(`${fixed}\r\n\xfc${"x".repeat(999)}`);
    expect(leavesOf(octets(text)).at(-1)?.content.subarray(-32)).toEqual(createHash("sha256").update(inside).digest());
    expect(fieldOf(header, "Content-Transfer-Encoding")).toBe("8bit");
    expect({ notes, sevenBit }).toEqual({ notes: ["signed-8bit", "signed-long-lines"], sevenBit: false });
  });

  it("is refused beyond the limits of MIME", async () => {
    const message = {
      header: octets(`${HEAD}Content-Type: multipart/mixed; boundary=b\r\n\r\n`),
      body: chunked(octets("--b\r\n\r\n".repeat(10_001)), 1000),
    };
    expect(await wrap(message, SIGN, fakeDeps)).toEqual({ problem: "mime-too-many-parts" });
    expect(await wrap(message, ENCRYPT, fakeDeps)).toMatchObject({ encrypted: true }); // nobody has to walk through it
  });

  it("gives its signer's failure to who reads the body", async () => {
    const cms = { ...fakeDeps.cms, signDetached: () => Promise.reject(new Error("no key")) };
    const result = await wrap({ header: octets(`${HEAD}\r\n`), body: chunked(octets("x"), 9) }, SIGN, {
      ...fakeDeps,
      cms,
    });
    if ("problem" in result) throw new Error(result.problem);
    await expect(collect(result.body)).rejects.toThrow("no key");
  });
});

it("every field that is not of MIME stays outside, octet for octet and in order, whatever the header", async () => {
  const line = fc.constantFrom(
    "Content-Type: text/html\r\n",
    "Content-X: y\r\n",
    "MIME-Version: 1.0\r\n",
    "X: y\r\n",
    "X:\r\n",
    "Gr\xfc\xdfe: \xfc\r\n",
    "no field\r\n",
    "From : a\r\n",
    " folded\r\n",
    "\t\r\n",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.constantFrom(SIGN, OPAQUE, ENCRYPT), async (lines, plan) => {
      const { header } = await wrapped(lines.join(""), "x", plan);
      const outside = (text: string) =>
        text.split(/\r\n(?![ \t])/).filter((field) => field !== "" && !/^(content-|mime-version)/i.test(field));
      expect(outside(header.toString("latin1"))).toEqual(outside(lines.join("")));
      expect(header.toString("latin1").match(/^mime-version:/gim)).toHaveLength(1);
      expect(header.toString("latin1").match(/^content-type:/gim)).toHaveLength(1);
      expect(header.toString("latin1")).not.toMatch(/^Content-X/m);
    }),
  );
});

describe("a message in application/pkcs7-mime", () => {
  const fields = (smimeType: string) =>
    `Content-Type: application/pkcs7-mime; smime-type=${smimeType};\r\n\tname="smime.p7m"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="smime.p7m"\r\n\r\n`;

  it("holds the signed entity when it is signed opaquely [RFC 8551 §3.5.2]", async () => {
    const { text, header, sevenBit } = await wrapped(HEAD, "Gr\xfc\xdfe\r\n", OPAQUE);
    expect(header.toString("latin1")).toBe(`${HEAD}MIME-Version: 1.0\r\n${fields("signed-data")}`);
    expect(opened(text, SIGNED_DATA)).toBe(
      "Content-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n",
    );
    expect(sevenBit).toBe(true);
  });

  it("holds the entity, octet for octet, when it is only encrypted", async () => {
    const inside = "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n";
    for (const size of CHUNK_SIZES) {
      const { text, header, signed, encrypted, sevenBit } = await wrapped(
        `${HEAD}MIME-Version: 1.0\r\n${inside}`,
        "Gr\xfc\xdfe \r\n",
        ENCRYPT,
        size,
      );
      expect(header.toString("latin1")).toBe(`${HEAD}MIME-Version: 1.0\r\n${fields("authEnveloped-data")}`);
      expect(opened(text, ENVELOPED_DATA)).toBe(`for bert+anna:${inside}\r\nGr\xfc\xdfe \r\n`);
      expect({ signed, encrypted, sevenBit }).toEqual({ signed: false, encrypted: true, sevenBit: true });
      expect(text.split("\r\n").every((line) => line.length <= 76 || line.startsWith("Content-"))).toBe(true);
    }
  });

  it("tells the type of its envelope", async () => {
    const { header } = await wrapped(HEAD, "x", { encryptTo: ["old"], tripleWrap: false });
    expect(header.toString("latin1")).toContain(fields("enveloped-data"));
  });

  it.each([
    ["ASCII", "x", "Content-Type: text/plain; charset=us-ascii\r\n\r\nx"],
    ["8-bit", "\xc3\xbc", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc"],
  ])("says of a body without MIME what it is, and leaves it as it is: %s", async (_, body, inside) => {
    const { text } = await wrapped(HEAD, body, ENCRYPT);
    expect(opened(text, ENVELOPED_DATA)).toBe(`for bert+anna:${inside}`);
  });

  it("holds the signed message when it is signed first", async () => {
    const signed = await wrapped(HEAD + MIME, "Hello\r\n", SIGN);
    const { text } = await wrapped(HEAD + MIME, "Hello\r\n", { ...SIGN, ...ENCRYPT });
    const start = signed.text.indexOf("Content-Type: multipart/signed");
    expect(opened(text, ENVELOPED_DATA)).toBe(`for bert+anna:${signed.text.slice(start)}`);
  });

  it("is signed once more when it is wrapped three times [RFC 2634 §1.1]", async () => {
    const twice = await wrapped(HEAD + MIME, "Hello\r\n", { ...SIGN, ...ENCRYPT });
    const thrice = await wrapped(HEAD + MIME, "Hello\r\n", { ...SIGN, ...ENCRYPT, tripleWrap: true });
    const start = twice.text.indexOf("Content-Type: application/pkcs7-mime");
    expect(signedOctets(octets(thrice.text)).toString("latin1")).toBe(twice.text.slice(start));
    expect(thrice).toMatchObject({ signed: true, encrypted: true, sevenBit: true });
  });

  it("is not wrapped three times where nothing is encrypted", async () => {
    expect((await wrapped(HEAD + MIME, "x", { ...SIGN, tripleWrap: true })).text).toBe(
      (await wrapped(HEAD + MIME, "x", SIGN)).text,
    );
  });
});

describe("a message that is there already", () => {
  const signedType =
    'MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=s\r\n';
  const signedBody =
    "--s\r\nContent-Type: text/plain\r\n\r\nGr\xfc\xdfe \r\n--s\r\nContent-Type: application/pkcs7-signature\r\n" +
    `Content-Transfer-Encoding: base64\r\n\r\n${base64(signedData())}\r\n--s--\r\n`;
  const envelopedType =
    "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n";
  const enveloped = base64(envelopedData());
  const ALL: Plan = { ...SIGN, ...ENCRYPT, tripleWrap: true };

  it("signed is not signed again", async () => {
    const result = await wrapped(HEAD + signedType, signedBody, SIGN);
    expect(result.text).toBe(`${HEAD}${signedType}\r\n${signedBody}`);
    expect(result).toMatchObject({ signed: true, encrypted: false, notes: ["already-signed"] });
  });
  it("signed is encrypted as it is", async () => {
    const result = await wrapped(HEAD + signedType, signedBody, { ...SIGN, ...ENCRYPT });
    expect(opened(result.text, ENVELOPED_DATA)).toBe(
      `for bert+anna:${signedType.replace("MIME-Version: 1.0\r\n", "")}\r\n${signedBody}`,
    );
    expect(result).toMatchObject({ signed: true, encrypted: true, notes: ["already-signed"] });
  });
  it("signed is encrypted as it is, and signed around that when it is wrapped three times", async () => {
    const twice = await wrapped(HEAD + signedType, signedBody, { ...SIGN, ...ENCRYPT });
    const { text } = await wrapped(HEAD + signedType, signedBody, ALL);
    const start = twice.text.indexOf("Content-Type: application/pkcs7-mime");
    expect(signedOctets(octets(text)).toString("latin1")).toBe(twice.text.slice(start));
  });
  it("encrypted is neither signed nor encrypted again", async () => {
    const result = await wrapped(HEAD + envelopedType, enveloped, ALL);
    expect(result.text).toBe(`${HEAD}${envelopedType}\r\n${enveloped}`);
    expect(result).toMatchObject({ signed: false, encrypted: true, notes: ["already-encrypted"] });
  });
  it("encrypted by name alone is encrypted", async () => {
    const result = await wrapped(HEAD + envelopedType, "Dear Bert", ALL);
    expect(result).toMatchObject({ signed: true, encrypted: true, notes: [] });
    const only = await wrapped(HEAD + envelopedType, "Dear Bert", { tripleWrap: false });
    expect(only.encrypted).toBe(false);
  });
  it("and nothing to be done stays as it is", async () => {
    const result = await wrapped(HEAD + MIME, "x", { tripleWrap: true, encryptTo: [] });
    expect(result.text).toBe(`${HEAD}${MIME}\r\nx`);
    expect(result).toMatchObject({ signed: false, encrypted: false, notes: [] });
  });
  it("is looked at no further than it must be", async () => {
    let read = 0;
    const body = async function* () {
      for (let n = 0; n < 100; n++) {
        read++;
        yield octets("x".repeat(10_000));
      }
    };
    expect((await recogniseMessage({ header: octets(`${HEAD}${envelopedType}\r\n`), body })).kind).toBe("plain");
    expect(read).toBe(1);
    expect((await recogniseMessage({ header: octets(`${HEAD}\r\n`), body })).kind).toBe("plain");
    expect(read).toBe(1);
  });
});
