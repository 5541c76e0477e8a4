/**
 * A header block as its fields, octet for octet (RFC 5322 §2.2). Nothing is decoded, unfolded or put right here: what
 * is not edited leaves as it came, whatever it is. Linear in the block's length.
 */

export interface Field {
  /** As written, without the colon and the blanks before it; empty for lines that are no field. */
  readonly name: string;
  /** All of it: name, folded lines, CRLF. */
  readonly raw: Buffer;
}

// RFC 5322 §3.6.8, with the blanks before the colon that §4.5 still allows. The two classes have no octet in common.
const NAME = /^([\x21-\x39\x3b-\x7e]+)[ \t]*:/;
const CRLF = "\r\n";

/** Takes whole lines up to the first empty one or the end. The buffers are views of `header`. */
export function parseHeader(header: Buffer): readonly Field[] {
  const fields: Field[] = [];
  let start = 0;
  for (let at = 0; at < header.length; ) {
    const end = header.indexOf(CRLF, at);
    if (end === at) break;
    at = end < 0 ? header.length : end + 2;
    if (header[at] === 0x20 || header[at] === 0x09) continue; // the field goes on (RFC 5322 §2.2.3)
    fields.push(fieldOf(header.subarray(start, at)));
    start = at;
  }
  return fields;
}

/** One field that is already written, with its folded lines. */
export function fieldOf(raw: Buffer): Field {
  const end = raw.indexOf(CRLF);
  const name = NAME.exec(raw.toString("latin1", 0, end < 0 ? raw.length : end))?.[1];
  return { name: name ?? "", raw };
}

/** With the empty line that ends it. */
export function formatHeader(fields: readonly Pick<Field, "raw">[]): Buffer {
  return Buffer.concat([...fields.map(({ raw }) => raw), Buffer.from(CRLF)]);
}

/** What stands behind the colon, unfolded, octets as latin1. */
export function fieldText({ raw }: Field): string {
  const text = raw.toString("latin1");
  return text.slice(text.indexOf(":") + 1).replaceAll(CRLF, "");
}
