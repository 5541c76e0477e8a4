/** The schema of `rules` (contract section 6). What belongs to incoming mail comes later. */
import * as z from "zod";
import { type Flaw, shown } from "../problems.ts";
import { contentFilter } from "./inbound.ts";
import { level, minVersion, nextHop } from "./outbound.ts";
import { smime } from "./treatment.ts";
import { flag, later, mapOf, path, plainText, says, someOf, text, wanted, word } from "./values.ts";

const LONGEST = 1_000;
const MOST_STARS = 20;

/** `*` for any text, `?` for one character; case does not matter. Bounded, so that matching is. */
export function parseGlob(value: string): string | Flaw {
  const remedy = "write a text with * for any text and ? for one character";
  if (/[\x00-\x1f\x7f]/.test(value)) return { message: `${shown(value)} is not a pattern`, remedy };
  if (value.length > LONGEST) return { message: `a pattern of more than ${LONGEST} characters`, remedy: "shorten it" };
  if (value.split("*").length - 1 <= MOST_STARS) return value;
  return { message: `a pattern with more than ${MOST_STARS} *`, remedy: "write several patterns" };
}

const glob = text("a pattern", "write a text with * for any text and ? for one character", parseGlob);

const LONGEST_REPLY = 400;

/** RFC 5321 §4.2: the text of a reply is printable ASCII, on a line of 512 octets (§4.5.3.1.5). */
const sentence = text("a sentence", "write what the sender is told", (value) => {
  if (value.trim() === "") return undefined;
  if (!/^[ -~]+$/.test(value)) {
    return { message: "a reply of SMTP is ASCII, on one line", remedy: "write it without other characters" };
  }
  if (value.length <= LONGEST_REPLY) return value;
  return { message: `a reply of more than ${LONGEST_REPLY} characters`, remedy: "shorten it" };
});

const globs = someOf(
  z.union([glob.transform((pattern) => ({ pattern })), mapOf({ file: path })]),
  'write patterns, such as "*@hr.example.org", or {file: PATH}',
);
export type Globs = z.output<typeof globs>;

const fields = z.record(z.string().regex(/^[!-9;-~]{1,76}$/), globs, {
  error: (issue) =>
    issue.code === "invalid_key"
      ? says("not the name of a header field", "write a name such as Sensitivity")
      : wanted("a map", 'write {Sensitivity: "Company-*"}')(issue),
});

export const rule = mapOf({
  name: plainText,
  when: mapOf({
    sender: globs.optional(),
    from: globs.optional(),
    recipient: globs.optional(),
    subject: globs.optional(),
    header: fields.optional(),
    direction: later(
      word("outbound", "inbound"),
      "write direction: outbound",
      (value) => value === "outbound",
    ).optional(),
  }),
  // oxlint-disable-next-line no-thenable -- the word of the configuration; nobody awaits a schema
  then: mapOf({
    tls: mapOf({ level, min_version: minVersion.optional() }).optional(),
    refuse: sentence.optional(),
    smime: smime.optional(),
    next_hop: nextHop.optional(),
    remove_subject_tag: flag.optional(),
    content_filter: contentFilter.optional(),
  }),
});
export type RuleEntry = z.output<typeof rule>;
