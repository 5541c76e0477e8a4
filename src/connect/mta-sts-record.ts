/**
 * Reads the TXT records at `_mta-sts.DOMAIN` (RFC 8461 §3.1). Pure, linear in the length of what it reads.
 * Exactly by the grammar: what is no record announces no policy.
 */

/** What DNS says; of a resolver's answer no more is asked: whether it is secure does not matter (RFC 8461 §2). */
export type TxtLookup =
  /** Each record with its strings joined (§3.1). */
  | { readonly kind: "found"; readonly records: readonly string[] }
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly detail: string };

/** What a domain's record says; `unknown`: the look-up failed. */
export type Announced =
  | { readonly kind: "id"; readonly id: string }
  | { readonly kind: "none" }
  | { readonly kind: "unknown"; readonly detail: string };

/** The policy id, or undefined: no policy is announced. `records`: each with its strings joined. */
export function announcedId(records: readonly string[]): string | undefined {
  // RFC 8461 §3.1: others are discarded, and of those left there must be exactly one.
  const [record, another] = records.filter((text) => text.startsWith("v=STSv1;"));
  return record === undefined || another !== undefined ? undefined : readRecord(record);
}

function readRecord(record: string): string | undefined {
  const [, ...rest] = record.split(";");
  const fields = rest.map(trimmed);
  const last = rest.at(-1);
  // One delimiter may end the record, and white space belongs to delimiters: none may follow the last field.
  if (last !== undefined && fields.at(-1) === "") fields.pop();
  else if (last !== undefined && isSpace(last.at(-1))) return undefined;
  if (!fields.every((field) => FIELD.test(field))) return undefined;
  // §3.2: of a field that is there twice the first counts.
  const id = fields.find((field) => field.startsWith("id="))?.slice(3);
  return id !== undefined && ID.test(id) ? id : undefined;
}

const FIELD = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+$/;
const ID = /^[A-Za-z0-9]{1,32}$/;

/** Without WSP around it; `trim` would take line ends and more. */
function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text[start])) start += 1;
  while (end > start && isSpace(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isSpace(char: string | undefined): boolean {
  return char === " " || char === "\t";
}
