/**
 * What the DKIM signatures and the ARC chain of a message are worth. The checking is mailauth's, by the strict reading
 * of the RFCs; the message streams through it once. The only file that asks it, and that catches what it throws.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { arc } from "mailauth/lib/arc/index.js";
import type { DKIMResult, DNSResolver } from "mailauth";
import { type Field, parseHeader } from "../header-block.ts";
import { StrictVerifier } from "./strict-verifier.ts";

export interface StreamedMessage {
  readonly header: Buffer;
  /** From its beginning, each time it is called. */
  readonly body: () => AsyncIterable<Buffer>;
}

/** The TXT records at a name, the strings of each joined; none: empty. Rejects when it cannot be found out. */
export type LookUpTxt = (name: string) => Promise<readonly string[]>;

export type SignatureResult = DKIMResult["status"]["result"];

export interface Verified {
  /** The DKIM-Signature fields from the top, each with what it is worth; `temperror`: DNS did not answer. */
  readonly signatures: readonly { readonly field: Field; readonly result: SignatureResult }[];
  readonly chain: "none" | "pass" | "fail";
}

/**
 * A message with more is not read. Each signature costs a look-up, and each `l=` a hash of the body; the reader's time
 * was seen to grow with the square of the lines of one field, and with each name of an `h=` times each field.
 */
export const MOST_SIGNATURES = 10;
const MOST_LINES = 10_000;
const MOST_COMPARISONS = 2_000_000;

export function signatureFields(header: Buffer): Field[] {
  return parseHeader(header).filter(({ name }) => name.toLowerCase() === "dkim-signature");
}

/**
 * Undefined when it could not be found out: too many signatures, or the reader gave up. Rejects when the body cannot
 * be read. `now`: epoch ms.
 */
export async function verifyMessage(
  message: StreamedMessage,
  txt: LookUpTxt,
  now: number,
): Promise<Verified | undefined> {
  if (!isReadable(message.header)) return undefined;
  const fields = signatureFields(message.header);
  const source = new Source(message);
  const resolver = resolverOf(txt);
  try {
    const verifier = new StrictVerifier({ resolver, now });
    await pipeline(Readable.from(source.chunks(), { highWaterMark: 1 }), verifier);
    const results = verifier.results.filter(({ status }) => status.result !== "none");
    if (results.length !== fields.length) return undefined;
    const { status } = await arc(verifier.arc, { strict: true, resolver });
    return {
      signatures: fields.map((field, index) => ({ field, result: results[index]?.status.result ?? "temperror" })),
      chain: status.result === "none" || status.result === "pass" ? status.result : "fail",
    };
  } catch {
    if (source.failure !== undefined) throw source.failure;
    return undefined;
  }
}

function isReadable(header: Buffer): boolean {
  const fields = parseHeader(header);
  const lists = fields.filter(({ name }) => /^(?:dkim|arc-message)-signature$/i.test(name));
  const names = lists.reduce((sum, { raw }) => sum + countOf(raw, ":"), 0);
  return (
    signatureFields(header).length <= MOST_SIGNATURES &&
    countOf(header, "\n") <= MOST_LINES &&
    names * fields.length <= MOST_COMPARISONS
  );
}

function countOf(octets: Buffer, octet: string): number {
  let count = 0;
  for (let at = octets.indexOf(octet); at >= 0; at = octets.indexOf(octet, at + 1)) count += 1;
  return count;
}

/** Remembers why the body could not be read, to tell it from what the reader makes of it. */
class Source {
  readonly #message: StreamedMessage;
  failure: Error | undefined;

  constructor(message: StreamedMessage) {
    this.#message = message;
  }

  async *chunks(): AsyncGenerator<Buffer> {
    yield this.#message.header;
    try {
      for await (const chunk of this.#message.body()) yield Buffer.from(chunk); // it is read ahead
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
      throw this.failure;
    }
  }
}

function resolverOf(txt: LookUpTxt): DNSResolver {
  return async (name) => {
    const records = await txt(name);
    if (records.length === 0) throw Object.assign(new Error("no such record"), { code: "ENODATA" });
    return records.map((record) => [record]);
  };
}
