/** What a list of the queue shows of one delivery: its envelope, its times and its last answer, never its content. */
import { describeNextHop } from "../decide/decide.ts";
import type { Client } from "../mail/delivery.ts";
import type { MessageDemands } from "../mail/demands.ts";
import { formatMailbox, formatReversePath } from "../mail/mailbox.ts";
import type { DeliveryState, QueueFilter, QueueItem } from "../store/queue.ts";

/** One delivery that waits: a message × its recipients of one domain. Plain JSON; instants in ISO 8601. */
export interface QueueEntry {
  readonly queueId: string;
  readonly delivery: string;
  readonly state: DeliveryState;
  /** Empty for the null sender. */
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly domain: string;
  readonly partner: string | null;
  /** Where a person has sent it, in place of what is configured. */
  readonly route: string | null;
  /** Steps of `on_expiry` that it has taken. */
  readonly step: number;
  /** It was made of this message by the S/MIME step of the ladder. */
  readonly fallback: { readonly of: string; readonly approvedBy: string } | null;
  /** What it demands itself, beside its policy. */
  readonly requireTls: boolean;
  readonly demands: MessageDemands;
  /** Octets. */
  readonly size: number;
  readonly received: string;
  readonly attempts: number;
  readonly nextAttempt: string;
  readonly expires: string;
  readonly reason: string | null;
  /** The last attempt in one sentence. */
  readonly detail: string | null;
  readonly messageId: string | null;
  readonly listener: string;
  readonly client: Client;
  /** Which of the message's contents it sends. */
  readonly content: number;
  /** Where the next page of a list begins. */
  readonly cursor: string;
}

export function toEntry(item: QueueItem): QueueEntry {
  const { delivery, state, partner, reason, detail } = item;
  const { message, course } = delivery;
  const { fallback } = message;
  return {
    queueId: message.id,
    delivery: delivery.id,
    state,
    sender: formatReversePath(message.envelope.reversePath),
    recipients: delivery.recipients.map(({ mailbox }) => formatMailbox(mailbox)),
    domain: delivery.domain,
    partner,
    route: course?.route === undefined ? null : describeNextHop(course.route),
    step: course?.step ?? 0,
    fallback: fallback === undefined ? null : { of: fallback.of, approvedBy: fallback.approvedBy },
    requireTls: message.envelope.mail.requireTls,
    demands: demandsOn(delivery),
    size: message.size,
    received: iso(message.receivedAt),
    attempts: delivery.attempts,
    nextAttempt: iso(item.nextAttemptAt),
    expires: iso(delivery.expiresAt),
    reason,
    detail,
    messageId: message.messageId ?? null,
    listener: message.listener,
    client: message.client,
    content: delivery.content,
    cursor: item.cursor ?? delivery.id,
  };
}

/** Rules may be for other recipients of the message. */
function demandsOn({ message: { demands = {} }, recipients }: QueueItem["delivery"]): MessageDemands {
  const isFor = (positions: readonly number[] | undefined): boolean =>
    positions === undefined || recipients.some(({ position }) => positions.includes(position));
  const rules = (demands.rules ?? []).filter(({ positions }) => isFor(positions));
  const { rules: _, ...others } = demands;
  return { ...others, ...(rules.length > 0 && { rules }) };
}

const PAGE = 1_000;

/** Every match, oldest first, page by page, however many there are; at most `most`. */
export async function* pagesOf(
  list: (filter: QueueFilter) => Promise<readonly QueueEntry[]>,
  filter: QueueFilter,
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<readonly QueueEntry[]> {
  let after = filter.after;
  for (let left = most; left > 0; ) {
    const limit = Math.min(PAGE, left);
    const page = await list({ ...filter, limit, ...(after !== undefined && { after }) });
    const last = page.at(-1);
    if (last === undefined) return;
    yield page; // one that is shorter than asked for need not be the last
    left -= page.length;
    after = last.cursor;
  }
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
