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
  readonly delay: DelayWording;
  readonly relayed: ReachedWording;
  readonly arrived: ReachedWording;
  readonly copy: CopyWording;
  readonly undeliverable: UndeliverableWording;
  readonly alarm: AlarmWording;
}

/** Who writes, about which message; `subject` is empty where it is not to be told. */
type Opening = (of: { readonly hostname: string; readonly received: string; readonly subject: string }) => string;

/** To the sender, while it waits. The rest of its sentences are those of the failure notice. */
export interface DelayWording {
  readonly subject: (domain: string) => string;
  readonly opening: Opening;
  readonly notReached: string;
  readonly lastTry: (date: string) => string;
}

/** To the sender, once the next host has it. */
export interface ReachedWording {
  readonly subject: (domain: string) => string;
  readonly opening: Opening;
  readonly reached: string;
  readonly meaning: (host: string) => string;
}

/** To the partner's owner: nothing of the message but its envelope. */
export interface CopyWording {
  readonly subject: (partner: string) => string;
  readonly opening: (of: { readonly hostname: string; readonly partner: string; readonly received: string }) => string;
  readonly sender: (address: string) => string;
  readonly lastTry: (date: string) => string;
  readonly remedy: (text: string) => string;
  readonly queueId: (id: string) => string;
}

/** By mail to the owner of a partner or the postmaster. `partner` is empty where it concerns none. */
export interface AlarmWording {
  readonly raised: (code: string, partner: string) => string;
  readonly cleared: (code: string, partner: string) => string;
  readonly opening: (hostname: string) => string;
  readonly since: (date: string) => string;
  readonly until: (date: string) => string;
}

/** To the postmaster, when a notice of ours could not be delivered. */
export interface UndeliverableWording {
  readonly subject: (domain: string) => string;
  readonly opening: (of: { readonly hostname: string; readonly received: string }) => string;
  readonly closing: string;
}

export interface FailureWording {
  readonly subject: (domain: string) => string;
  readonly opening: Opening;
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
  /** Where no header goes along. */
  readonly redacted: (postmaster: string) => string;
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
