/** The schema of `rules` (contract section 6). What belongs to incoming mail comes later. */
import * as z from "zod";
import { contentFilter } from "./inbound.ts";
import { level, minVersion, nextHop } from "./outbound.ts";
import { smime } from "./treatment.ts";
import { flag, later, mapOf, path, plainText, says, someOf, text, word } from "./values.ts";

const LONGEST = 1_000;
const MOST_STARS = 20;

/** `*` for any text, `?` for one character; case does not matter. */
const glob = text("a pattern", "write a text with * for any text and ? for one character", (value) => {
  if (value.length > LONGEST || /[\x00-\x1f\x7f]/.test(value)) return undefined;
  if (value.split("*").length - 1 <= MOST_STARS) return value;
  return { message: `a pattern with more than ${MOST_STARS} *`, remedy: "write several patterns" };
});

const globs = someOf(
  z.union([glob.transform((pattern) => ({ pattern })), mapOf({ file: path })]),
  'write patterns, such as "*@hr.example.org", or {file: PATH}',
);
export type Globs = z.output<typeof globs>;

const fieldName = z
  .string()
  .regex(/^[!-9;-~]{1,76}$/, { error: says("not the name of a header field", "write a name such as Sensitivity") });

export const rule = mapOf({
  name: plainText,
  when: mapOf({
    sender: globs.optional(),
    from: globs.optional(),
    recipient: globs.optional(),
    subject: globs.optional(),
    header: z.record(fieldName, globs).optional(),
    direction: later(
      word("outbound", "inbound"),
      "write direction: outbound",
      (value) => value === "outbound",
    ).optional(),
  }),
  // oxlint-disable-next-line no-thenable -- the word of the configuration; nobody awaits a schema
  then: mapOf({
    tls: mapOf({ level, min_version: minVersion.optional() }).optional(),
    refuse: plainText.optional(),
    smime: smime.optional(),
    next_hop: nextHop.optional(),
    remove_subject_tag: flag.optional(),
    content_filter: contentFilter.optional(),
  }),
});
export type RuleEntry = z.output<typeof rule>;
