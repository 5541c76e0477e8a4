import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { cms } from "../../src/transform/smime/cms.ts";
import { recogniseMessage, wrap } from "../../src/transform/smime/wrap.ts";
import { candidateOf, issue, signerOf } from "../unit/transform/smime-cms-people.ts";
import { readEnvelope, readSignature } from "../unit/transform/smime-cms-reader.ts";
import { chunked, collect } from "../unit/transform/smime-mime-chunks.ts";

const ANNA = issue({});
const BERT = issue({ commonName: "Bert", emails: ["bert@acme.test"] });
const header = Buffer.from("From: anna@acme.test\r\nContent-Type: text/plain\r\nMIME-Version: 1.0\r\n\r\n");
const ENTITY = "Content-Type: text/plain\r\n\r\nHello\r\n";

/** The two parts between the delimiters, as octets. */
function partsOf(message: string): readonly [string, string] {
  const boundary = /boundary="([^"]+)"/.exec(message)?.[1] ?? "";
  const [, signed = "", signature = ""] = message.split(`--${boundary}`);
  return [signed.slice(2, -2), signature];
}

const base64In = (part: string): Buffer => Buffer.from(part.slice(part.indexOf("\r\n\r\n")), "base64");

it.each([
  ["enveloped-data", {}],
  ["authEnveloped-data", { capabilities: { gcm: true, oaep: true } }],
])("a message is signed, then encrypted as %s, and the reader finds both", async (type, over) => {
  const plan = {
    sign: { signer: signerOf(ANNA), format: "detached" },
    encryptTo: [{ certificate: candidateOf(BERT), ...over }],
    tripleWrap: false,
  } as const;
  const deps = { cms, now: Date.UTC(2026, 10, 25), random: randomBytes };
  const wrapped = await wrap({ header, body: chunked(Buffer.from("Hello\r\n"), 3) }, plan, deps);
  if ("problem" in wrapped) throw new Error(wrapped.problem);
  expect(wrapped.header.toString()).toContain(`smime-type=${type};`);
  const read = readEnvelope(Buffer.from((await collect(wrapped.body)).toString(), "base64"));
  const [recipient] = read.recipients;
  if (recipient === undefined) throw new Error("no recipient");
  const inner = read.decrypt(recipient, BERT.key).toString();
  expect(inner).toContain("micalg=sha-256");
  const [signed, signature] = partsOf(inner);
  expect(signed).toBe(ENTITY);
  expect(readSignature(base64In(signature), Buffer.from(signed)).verified).toBe(true);
});

it.each([
  ["signed", "multipart/signed", { sign: { signer: signerOf(ANNA), format: "detached" }, tripleWrap: false }],
  ["signed", "signed-data", { sign: { signer: signerOf(ANNA), format: "opaque" }, tripleWrap: false }],
  ["encrypted", "enveloped-data", { encryptTo: [{ certificate: candidateOf(BERT) }], tripleWrap: false }],
  [
    "encrypted",
    "authEnveloped-data",
    { encryptTo: [{ certificate: candidateOf(BERT), capabilities: { gcm: true, oaep: true } }], tripleWrap: false },
  ],
] as const)("our own is recognised as %s: %s", async (kind, type, plan) => {
  const text = Buffer.from("Hello\r\n".repeat(30_000));
  const deps = { cms, now: Date.UTC(2026, 10, 25), random: randomBytes };
  const wrapped = await wrap({ header, body: chunked(text, 7000) }, plan, deps);
  if ("problem" in wrapped) throw new Error(wrapped.problem);
  expect(wrapped.header.toString()).toContain(type);
  const body = await collect(wrapped.body);
  const recognised = async (octets: Buffer, size: number) =>
    (await recogniseMessage({ header: wrapped.header, body: chunked(octets, size) })).kind;
  for (const size of [1, 7, 65_536]) expect(await recognised(body, size)).toBe(kind);
  const cut = type === "multipart/signed" ? body.lastIndexOf("--") - 100 : body.length - 100;
  expect(await recognised(body.subarray(0, cut), 999)).toBe("plain");
});
