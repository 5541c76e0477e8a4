/**
 * Puts outward Message-IDs in the place of inner ones (RFC 5322 §3.6.4). Only ids whose right side tells of the
 * inside are touched, in the message's own id and in those it answers alike, so that threads hold together; all else,
 * and what is written in the name of our domains themselves, stays as it is.
 */
import type { MessageIds } from "./message-ids.ts";
import { type OwnSide, tellsOfInside } from "./own-side.ts";

const ID_FIELDS: ReadonlySet<string> = new Set(["message-id", "resent-message-id", "in-reply-to", "references"]);
/** RFC 5322 §2.1.1, without CRLF. */
const LONGEST_LINE = 998;

/** `name` in lower case. */
export function isIdField(name: string): boolean {
  return ID_FIELDS.has(name);
}

/** More inner ids than any thread has. What follows is left out of the field: mapping costs, and leaving it would tell. */
const MOST_IDS = 500;

/** For the id fields of one message. Gives the same buffer back where nothing is to be done. */
export function createIdRewriter(own: OwnSide, ids: MessageIds): (raw: Buffer) => Buffer {
  const known = new Map<string, string>();
  const outward = (id: string): string => {
    const found = known.get(id) ?? (known.size < MOST_IDS ? ids.outward(id) : "");
    if (found !== "") known.set(id, found);
    return found;
  };
  return (raw) => {
    const text = raw.toString("latin1");
    const start = text.indexOf(":") + 1;
    let changed = false;
    // An id in brackets, maybe folded inside; or a word, for programs that leave the brackets out.
    const value = text.slice(start).replace(/<[^<>]*>|[^\s<>]+/g, (piece) => {
      const id = piece.replace(/\r\n[ \t]+/g, "");
      if (!isInner(id, own)) return piece;
      const replacement = outward(id);
      changed ||= replacement !== piece;
      return replacement;
    });
    return changed ? Buffer.from(refold(text.slice(0, start) + value), "latin1") : raw;
  };
}

function isInner(id: string, own: OwnSide): boolean {
  const isBracketed = id.startsWith("<");
  const text = isBracketed ? id.slice(1, -1) : id;
  const at = text.lastIndexOf("@");
  // Without a right side, what has dots may still end in a name.
  if (at < 0) return isBracketed && text.includes(".") && tellsOfInside(text, own);
  return tellsOfInside(text.slice(at + 1), own);
}

/** Outward ids are longer: a line that has become too long is broken before and behind ids, never within one. */
function refold(field: string): string {
  const lines = field.split("\r\n").filter((line, at, all) => at === 0 || at === all.length - 1 || line.trim() !== "");
  return lines.map((line) => (line.length > LONGEST_LINE ? brokenAroundIds(line) : line)).join("\r\n");
}

function brokenAroundIds(line: string): string {
  const broken: string[] = [];
  let current = "";
  for (const piece of line.split(/(?=<)|(?<=>)/)) {
    if (current.length + piece.length <= LONGEST_LINE) current += piece;
    else {
      if (current.trim() !== "") broken.push(current.trimEnd());
      current = /^[ \t]/.test(piece) ? piece : ` ${piece}`;
    }
  }
  return [...broken, current].join("\r\n");
}
