/** docs/notices.md shows notices as people get them: its examples are what the code writes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { delayNotice, ownerCopy } from "../../src/notify/delay-notice.ts";
import { failureNotice } from "../../src/notify/failure-notice.ts";
import type { Notice } from "../../src/notify/notice.ts";
import { remedyFor } from "../../src/report/remedy.ts";
import { GERMAN_REMEDIES } from "../../src/report/remedy-de.ts";
import { facts, mailbox, NO_TLS, present, recipient, REFUSED, take } from "../unit/notify/notice-rig.ts";

const PAGE = readFileSync(join(import.meta.dirname, "../../docs/notices.md"), "utf8");
const TWO_DAYS_MS = 2 * 86_400_000;

function waiting(language: "de" | "en") {
  const about = facts({ language });
  const recipients = [recipient("bob@acme.example")];
  return { ...about, recipients, last: NO_TLS, lastTryAt: about.message.receivedAt + TWO_DAYS_MS };
}

const EXAMPLES: readonly [string, (language: "de" | "en") => Notice | undefined][] = [
  ["delay", (language) => delayNotice(waiting(language))],
  ["failure", (language) => failureNotice({ ...facts({ language }), unreached: [REFUSED] })],
  [
    "copy",
    (language) => {
      const remedy = {
        en: remedyFor("starttls-not-supported"),
        de: GERMAN_REMEDIES["starttls-not-supported"],
      };
      return ownerCopy({ ...waiting(language), owner: mailbox("olga@example.org"), partner: "ACME AG", remedy });
    },
  ],
];

it.each(EXAMPLES.flatMap(([kind, make]) => (["en", "de"] as const).map((language) => [kind, language, make] as const)))(
  "shows the %s notice in %s as it is",
  (_, language, make) => {
    const text = take(present(make(language)))
      .plain.replaceAll("\r\n", "\n")
      .trimEnd();
    expect(PAGE).toContain(`\n${text}\n`);
  },
);
