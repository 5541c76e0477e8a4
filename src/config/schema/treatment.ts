/** The schema of what is done to a message on its way out: `headers`, `dkim` and `smime` of an `outbound`. */
import * as z from "zod";
import { DEFAULT_REMOVE } from "../../transform/leaking-fields.ts";
import { flag, mapOf, oneOrMany, text, word } from "./values.ts";

/** Stands for the default list within a longer one. */
export const DEFAULT_LIST = "default";

/** Without these a message cannot be read, answered or believed, whatever they tell; Content-* and ARC-* beside. */
const NEEDED = [
  "from",
  "date",
  "to",
  "cc",
  "subject",
  "reply-to",
  "message-id",
  "in-reply-to",
  "references",
  "mime-version",
  "received",
  "dkim-signature",
  "auto-submitted",
];
const NEEDED_FAMILIES = ["content-", "arc-"];

const OTHERWISE: Readonly<Record<string, string>> = {
  received: "write received: strip",
  "message-id": "write message_id: rewrite",
};

/** RFC 5322 §2.2: printable ASCII but the colon; a `*` at the end stands for any rest. */
const fieldName = text(
  "the name of a header field",
  'write X-Name, "X-Name-*" for all that begin so, or default for the default list',
  (value) => {
    const name = value.toLowerCase();
    if (!/^[!-)+-9;-~]{1,76}\*?$/.test(name)) return undefined;
    const needed = firstNeeded(name);
    if (needed === undefined) return name;
    const message = `${needed} is needed: mail without it cannot be read, answered or believed`;
    return { message, remedy: OTHERWISE[needed] ?? "name other fields" };
  },
);

/** The first field among those needed that a name or pattern would take away. */
function firstNeeded(name: string): string | undefined {
  const stem = name.endsWith("*") ? name.slice(0, -1) : undefined;
  const family = NEEDED_FAMILIES.find((one) => name.startsWith(one) || (stem !== undefined && one.startsWith(stem)));
  return NEEDED.find((one) => (stem === undefined ? one === name : one.startsWith(stem))) ?? (family && `${family}*`);
}

export const headers = z.union([
  word("strip", "keep"),
  mapOf({
    received: word("strip", "anonymize", "keep").optional(),
    remove: oneOrMany(fieldName).optional(),
    message_id: word("keep", "rewrite").optional(),
  }),
]);

export const dkim = word("sign", "require", "none");

export const smime = mapOf({
  sign: word("never", "if-possible", "always").optional(),
  encrypt: word("never", "if-known", "always").optional(),
  format: word("detached", "opaque").optional(),
  triple_wrap: flag.optional(),
});

/** The names to remove, `default` replaced by those of the default list. */
export function namesToRemove(written: readonly string[] | undefined): readonly string[] {
  if (written === undefined) return DEFAULT_REMOVE;
  return [...new Set(written.flatMap((name) => (name === DEFAULT_LIST ? DEFAULT_REMOVE : [name])))];
}
