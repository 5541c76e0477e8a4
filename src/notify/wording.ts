/**
 * The words of notices, in German and English. A language is one table; every reason has its sentence in each.
 * Sentences are for people who know nothing of mail protocols; the technical name stands beside them.
 */
import type { Reason } from "../mail/outcome.ts";
import { english } from "./wording-en.ts";
import { german } from "./wording-de.ts";

export type Language = "de" | "en";

export interface Wording {
  readonly language: Language;
  readonly date: (at: number) => string;
  /** What the mail system of `domain` did or lacks: the second half of `because`. No full stop. */
  readonly reasons: Readonly<Record<Reason, (domain: string) => string>>;
  /** Display name of the From of every notice. */
  readonly senderName: string;
  readonly failure: FailureWording;
}

export interface FailureWording {
  readonly subject: (domain: string) => string;
  /** Who writes, about which message. */
  readonly opening: (of: { readonly hostname: string; readonly received: string; readonly subject: string }) => string;
  readonly notReached: string;
  readonly andMore: (count: number) => string;
  readonly because: (reason: string) => string;
  readonly expired: string;
  readonly stayedEncrypted: string;
  /** The session broke after the last byte. */
  readonly mayHaveArrived: string;
  readonly theySaid: string;
  readonly technical: (reason: string, status: string) => string;
  readonly closing: (postmaster: string) => string;
}

export function wordingOf(language: Language): Wording {
  return language === "de" ? german : english;
}

/** The first language of a Content-Language field (RFC 3282) that notices are written in. */
export function languageOf(contentLanguage: string | undefined): Language | undefined {
  for (const tag of (contentLanguage ?? "").slice(0, 200).split(",")) {
    const primary = tag.trim().toLowerCase().split("-")[0];
    if (primary === "de" || primary === "en") return primary;
  }
  return undefined;
}
