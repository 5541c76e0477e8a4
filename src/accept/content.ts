/**
 * Splits what follows DATA into the whole header block and a body that is still arriving. Holds one header block and
 * one chunk at most; everything that makes content unacceptable ends the body with ContentRefused, never quietly.
 */
import { ContentRefused } from "./content-refused.ts";
import { findHeaderEnd } from "./header-end.ts";
import { createLineEndings } from "./line-endings.ts";

export interface ContentRules {
  /** Octets of header and body. */
  readonly messageSize: number;
  readonly normalizeBareLf: boolean;
}

export interface Content {
  /** With its empty line. */
  readonly header: Buffer;
  readonly body: AsyncIterable<Buffer>;
  /** True once the body has been read to its end. */
  readonly isComplete: () => boolean;
}

const LARGEST_HEADER = 256 * 1024;

/** Resolves when the header block is complete. Rejects with ContentRefused, or with what ended `source` too early. */
export async function readContent(source: AsyncIterable<Buffer>, rules: ContentRules): Promise<Content> {
  const chunks = checked(source, rules);
  const { header, rest, ended } = await readHeader(chunks);
  let complete = false;
  async function* body(): AsyncGenerator<Buffer> {
    if (rest.length > 0) yield rest;
    if (!ended) yield* chunks;
    complete = true;
  }
  return { header, body: body(), isComplete: () => complete };
}

async function* checked(source: AsyncIterable<Buffer>, rules: ContentRules): AsyncGenerator<Buffer, void> {
  const lineEndings = createLineEndings(rules.normalizeBareLf);
  let size = 0;
  for await (const raw of source) {
    const chunk = lineEndings.check(raw);
    size += chunk.length;
    if (size > rules.messageSize) throw tooBig(rules.messageSize);
    yield chunk;
  }
  lineEndings.end();
}

export function tooBig(limit: number): ContentRefused {
  return new ContentRefused(552, "3.4", `The message is larger than the limit of ${limit} bytes`);
}

async function readHeader(
  chunks: AsyncGenerator<Buffer, void>,
): Promise<{ header: Buffer; rest: Buffer; ended: boolean }> {
  let seen: Buffer = Buffer.alloc(0);
  const search = findHeaderEnd();
  for (;;) {
    const next = await chunks.next();
    const ended = next.done === true;
    if (!ended) seen = Buffer.concat([seen, next.value]);
    const found = search(seen, ended);
    if (found.kind === "refused") throw found.refusal;
    if (found.kind === "found") return { ...cut(seen, found), ended };
    if (seen.length > LARGEST_HEADER) throw headerTooBig();
  }
}

function cut(seen: Buffer, found: { at: number; addEmptyLine: boolean }): { header: Buffer; rest: Buffer } {
  if (found.at > LARGEST_HEADER) throw headerTooBig();
  const block = seen.subarray(0, found.at);
  if (block.includes(0)) throw new ContentRefused(550, "6.0", "The header of the message has a NUL byte");
  const header = found.addEmptyLine ? Buffer.concat([block, Buffer.from("\r\n")]) : Buffer.from(block);
  return { header, rest: Buffer.from(seen.subarray(found.at)) };
}

function headerTooBig(): ContentRefused {
  return new ContentRefused(552, "3.4", "The header of the message is larger than 256 kB");
}
