/**
 * Filters as people write them, in a query string, a JSON body or on the command line, made into a QueueFilter.
 * Nothing is guessed: an unknown word or an address that is none is refused, for a filter that is read too widely
 * would retry or remove the wrong mail.
 */
import { formatDomain, formatMailbox, parseMailbox, parseMailDomain } from "../mail/mailbox.ts";
import { isQueueId } from "../mail/queue-id.ts";
import type { Events } from "../report/events.ts";
import { isReason } from "../report/remedy.ts";
import type { QueueFilter } from "../store/queue.ts";

export interface BadRequest {
  readonly error: string;
  readonly remedy: string;
}

const FILTER_WORDS = ["id", "domain", "partner", "sender", "recipient", "reason", "older_than", "before"] as const;
const PAGE_WORDS = ["limit", "after"] as const;

type Word = (typeof FILTER_WORDS)[number] | (typeof PAGE_WORDS)[number];
type Reader = (text: string, now: number) => QueueFilter | string;

/** What a word becomes, or a sentence that says what may stand there. */
const READERS: Readonly<Record<Word, Reader>> = {
  id: (text) => (isMessageOrDelivery(text) ? { id: text } : "Write a queue id, as `sealpost queue list` shows it."),
  domain: (text) => {
    const domain = parseMailDomain(text);
    return domain === undefined ? "Write a domain, as acme.example." : { domain: formatDomain(domain) };
  },
  partner: (text) =>
    /^[^\s/]{1,100}$/.test(text) ? { partner: text } : "Write the name of the partner file without .yaml.",
  sender: (text) => {
    if (text === "<>") return { sender: "" };
    if (text.startsWith("@")) return readSenderDomain(text.slice(1));
    const sender = readAddress(text);
    return sender === undefined ? "Write a whole address, @example.org, or <> for the null sender." : { sender };
  },
  recipient: (text) => {
    const recipient = readAddress(text);
    return recipient === undefined ? "Write a whole address." : { recipient };
  },
  reason: (text) =>
    isReason(text) ? { reason: text } : "Write a reason as the queue's list shows it, as certificate-expired.",
  older_than: (text, now) => {
    const ms = readAge(text);
    return ms === undefined ? "Write an age, as 30s, 15m, 4h or 2d." : { before: now - ms };
  },
  before: (text) => {
    const at = /^\d{4}-\d\d-\d\dT[\d:.]{5,12}Z$/.test(text) ? Date.parse(text) : Number.NaN;
    return Number.isNaN(at) ? "Write an instant, as 2026-11-25T12:00:00Z." : { before: at };
  },
  limit: (text) => {
    const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
    return limit >= 1 && limit <= 1_000 ? { limit } : "Write a number from 1 to 1000.";
  },
  after: (text) => (/^[0-9a-z#-]{1,64}$/.test(text) ? { after: text } : "Write the `cursor` of the last entry."),
};

/** `paged` allows limit and after. Values that are not there are skipped. */
export function readQueueFilter(
  given: Readonly<Record<string, unknown>>,
  options: { readonly now: number; readonly paged: boolean },
): { readonly filter: QueueFilter } | BadRequest {
  let filter: QueueFilter = {};
  const words: readonly string[] = options.paged ? [...FILTER_WORDS, ...PAGE_WORDS] : FILTER_WORDS;
  for (const [word, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!words.includes(word))
      return { error: `There is no filter ${quoted(word)}`, remedy: `Use ${words.join(", ")}.` };
    if (typeof value !== "string") return { error: `${word} is not one text`, remedy: `Give ${word} once, as a text.` };
    const read = READERS[word as Word](value, options.now);
    if (typeof read === "string") return { error: `${quoted(value)} does not fit ${word}`, remedy: read };
    filter = { ...filter, ...read };
  }
  return { filter };
}

/** A message's id, or that of one of its deliveries. */
export function isMessageOrDelivery(text: string): boolean {
  return isQueueId(text.replace(/-\d{1,6}$/, ""));
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `30s`, `15m`, `4h` or `2d`. */
function readAge(text: string): number | undefined {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  const unit = UNITS[match?.[2] ?? ""];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

function readSenderDomain(text: string): QueueFilter | string {
  const domain = parseMailDomain(text);
  return domain === undefined
    ? "Write a domain behind the @, as @example.org."
    : { senderDomain: formatDomain(domain) };
}

function readAddress(text: string): string | undefined {
  const mailbox = parseMailbox(text);
  return mailbox === undefined ? undefined : formatMailbox(mailbox);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** What a person wants done, as far as it can be judged without looking at the queue. */
export interface Wanted {
  readonly action: Action;
  readonly filter: QueueFilter;
  /** Said on purpose: everything. */
  readonly all: boolean;
  readonly why: string | undefined;
  /** Of reroute: the next hop as it is written. */
  readonly to: string | undefined;
}

export type Action = Events["queue.action"]["action"];

/** Ended or sent elsewhere: never for all mail at once, and not by one recipient of several. */
const NAMES: Readonly<Partial<Record<Action, string>>> = {
  remove: "Removing",
  bounce: "Bouncing",
  reroute: "Rerouting",
};

export function problemOf({ action, filter, all, why, to }: Wanted): BadRequest | undefined {
  const name = NAMES[action];
  const isNarrow = Object.values(filter).some((value) => value !== undefined);
  if (!isNarrow && name !== undefined) return needsFilter(name);
  if (!isNarrow && !all)
    return { error: "Which mail?", remedy: "Name a queue id or a filter, or say that you mean all of it." };
  if (action === "remove" && why === undefined) return NO_REASON;
  if (name !== undefined && filter.recipient !== undefined) return takesAlong(name);
  if ((action === "reroute") === (to !== undefined)) return undefined;
  return action === "reroute"
    ? { error: "Rerouting needs to know where to", remedy: 'Name a next hop, as "[host.example]:25".' }
    : { error: `A next hop means nothing to ${action}`, remedy: "Leave it out, or reroute." };
}

const NO_REASON: BadRequest = {
  error: "Removing needs a reason",
  remedy: "Say in one line why the mail is removed; it goes into the log, and the sender is not told.",
};

function needsFilter(name: string): BadRequest {
  return {
    error: `${name} needs a filter`,
    remedy: "Name a queue id, a domain, partner, sender, reason or age; it is never done to the whole queue at once.",
  };
}

/** A delivery goes as a whole: by recipient, others in the same delivery would go with it, unseen. */
function takesAlong(name: string): BadRequest {
  return {
    error: `${name} by recipient would take the other recipients of a message along`,
    remedy: "List by recipient, and name what you mean by its queue id.",
  };
}
