/**
 * Finds where a header block ends (RFC 5322 §2.1), line by line as it arrives. A line that is no field ends it, too,
 * as at other servers, and an empty line is put in its place: so no reader takes fields for body or body for fields.
 */
import { ContentRefused } from "./content-refused.ts";

export type HeaderEnd =
  | { readonly kind: "unknown" }
  /** `at` is the first byte of the body. `addEmptyLine`: the block has none of its own. */
  | { readonly kind: "found"; readonly at: number; readonly addEmptyLine: boolean }
  | { readonly kind: "refused"; readonly refusal: ContentRefused };

const MOST_LINES = 2000;
/** RFC 5322 §2.1.1, without CRLF. */
const LONGEST_LINE = 998;
const FIELD_START = /^[\x21-\x39\x3b-\x7e]+[ \t]*:/;

/** The returned function is given all bytes so far each time, and goes on where it stopped. */
export function findHeaderEnd(): (seen: Buffer, ended: boolean) => HeaderEnd {
  let position = 0;
  let lines = 0;
  return (seen, ended) => {
    for (;;) {
      const end = seen.indexOf("\r\n", position);
      if (end < 0) {
        if (seen.length - position > LONGEST_LINE + 1) return lineTooLong(seen, position, lines);
        return ended ? { kind: "found", at: position, addEmptyLine: true } : { kind: "unknown" };
      }
      if (end === position) return { kind: "found", at: end + 2, addEmptyLine: false };
      if (!isFieldLine(seen, position, lines)) return { kind: "found", at: position, addEmptyLine: true };
      if (end - position > LONGEST_LINE) return lineTooLong(seen, position, lines);
      if (++lines > MOST_LINES)
        return refused(552, "3.4", `The header of the message has more than ${MOST_LINES} lines`);
      position = end + 2;
    }
  };
}

function isFieldLine(seen: Buffer, from: number, lines: number): boolean {
  const first = seen[from];
  if (first === 0x20 || first === 0x09) return lines > 0;
  return FIELD_START.test(seen.toString("latin1", from, Math.min(from + LONGEST_LINE, seen.length)));
}

function lineTooLong(seen: Buffer, from: number, lines: number): HeaderEnd {
  if (!isFieldLine(seen, from, lines)) return { kind: "found", at: from, addEmptyLine: true };
  return refused(550, "6.0", `The header of the message has a line of more than ${LONGEST_LINE} bytes`);
}

function refused(code: number, subject: string, text: string): HeaderEnd {
  return { kind: "refused", refusal: new ContentRefused(code, subject, text) };
}
