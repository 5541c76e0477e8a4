/**
 * Parts a message's header into what stays outside and the MIME entity that is signed or encrypted (RFC 8551 §3.1), and
 * puts a header together around a new entity. Fields that stay outside keep every octet and their order.
 */
import { contentTypeOf, encodingOf, type Field, splitFields, trimBlanks, valueOf } from "./mime-fields.ts";
import type { Survey } from "./seven-bit.ts";

/** A MIME entity: Content-* fields without the empty line, and the body, to be read once. */
export interface Entity {
  readonly fields: Buffer;
  readonly body: AsyncIterable<Buffer>;
}

export interface SplitHeader {
  readonly outside: readonly Field[];
  /** The Content-* fields. */
  readonly inside: readonly Field[];
}

const CRLF = Buffer.from("\r\n");

export function splitHeader(header: Buffer): SplitHeader {
  const fields = splitFields(header);
  const isInside = ({ name }: Field) => name.startsWith("content-");
  return { outside: fields.filter((field) => !isInside(field)), inside: fields.filter(isInside) };
}

/** The header of the message around `entity`: MIME-Version is there once (RFC 2045 §4). */
export function joinHeader(outside: readonly Field[], entity: Pick<Entity, "fields">): Buffer {
  const versions = outside.filter(({ name }) => name === "mime-version");
  const isGood = versions.length === 1 && versions.every((field) => withoutComments(valueOf(field)) === "1.0");
  const kept = isGood ? outside : outside.filter(({ name }) => name !== "mime-version");
  const version = isGood ? [] : [Buffer.from("MIME-Version: 1.0\r\n")];
  return Buffer.concat([...kept.map(({ raw }) => raw), ...version, entity.fields, CRLF]);
}

/**
 * The entity's fields; where none tells its type, what the body looks like (RFC 1428 for what is not UTF-8). An encoded
 * body stays without a type: its text is not seen.
 */
export function describedFields(inside: readonly Field[], text: Survey["text"]): Buffer {
  const described: Buffer[] = [];
  if (contentTypeOf(inside) === "none" && encodingOf(inside) === "identity") {
    const charset = { ascii: "us-ascii", "utf-8": "utf-8", other: "unknown-8bit" }[text];
    described.push(Buffer.from(`Content-Type: text/plain; charset=${charset}\r\n`));
    if (text !== "ascii" && !inside.some(({ name }) => name === "content-transfer-encoding"))
      described.push(Buffer.from("Content-Transfer-Encoding: 8bit\r\n"));
  }
  return Buffer.concat([...described, ...inside.map(({ raw }) => raw)]);
}

/** The entity as octets, header first. */
export async function* octetsOf({ fields, body }: Entity): AsyncIterable<Buffer> {
  yield Buffer.concat([fields, CRLF]);
  yield* body;
}

function withoutComments(value: string): string {
  const comment = value.indexOf("(");
  return trimBlanks(comment < 0 ? value : value.slice(0, comment));
}
