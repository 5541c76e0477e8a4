/**
 * What a person may do with the queue, and the same words for it everywhere: the running gateway does it over its
 * store, the command line asks it to over HTTP, and does it itself when the gateway is stopped.
 * Shows envelopes and endings, never content.
 */
import type { Client } from "../mail/delivery.ts";
import { formatMailbox, formatReversePath } from "../mail/mailbox.ts";
import type { Emit } from "../report/events.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Dispatcher } from "../schedule/dispatcher.ts";
import type { DeliveryState, QueueFilter, QueueItem, QueueStore } from "../store/queue.ts";

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
  /** Where the next page of a list begins. */
  readonly cursor: string;
}

/** `matched` deliveries it reached; `busy` ones were under way and left out. */
export interface ActionResult {
  readonly matched: number;
  readonly busy: number;
}

export interface QueueActions {
  /** One page, oldest first. */
  readonly list: (filter: QueueFilter) => Promise<readonly QueueEntry[]>;
  /** Makes what waits due at once, and its destinations open. */
  readonly retry: (filter: QueueFilter) => Promise<ActionResult>;
  /** For good, without a notice to the sender. */
  readonly remove: (filter: QueueFilter, reason: string) => Promise<ActionResult>;
}

export interface QueueActionDeps {
  readonly queue: Pick<QueueStore, "list" | "retry" | "remove">;
  /** Absent when the gateway is stopped. */
  readonly dispatcher?: Pick<Dispatcher, "reopen">;
  readonly emit: Emit;
  readonly clock: Clock;
}

export function createQueueActions({ queue, dispatcher, emit, clock }: QueueActionDeps): QueueActions {
  return {
    list: async (filter) => (await queue.list(filter)).map(toEntry),
    retry: async (filter) => {
      const { domains, busy } = await survey(queue, filter);
      const matched = await queue.retry(filter, clock.now(), true);
      for (const domain of domains) dispatcher?.reopen(domain);
      emit("queue.action", { action: "retry", matched, reason: undefined, filter: shown(filter) });
      return { matched, busy };
    },
    remove: async (filter, reason) => {
      const { idle, busy } = await survey(queue, filter);
      const finished = await queue.remove(filter);
      emit("queue.action", { action: "remove", matched: idle, reason, filter: shown(filter) });
      for (const { id, recipients } of finished) {
        const outcome = recipients.map(({ address, end }) => ({ recipient: address, end }));
        emit("message.finished", { queueId: id, outcome, shredded: true });
      }
      return { matched: idle, busy };
    },
  };
}

const PAGE = 500;

/** Every match, page by page, however many there are. */
export async function* allEntries(
  actions: Pick<QueueActions, "list">,
  filter: QueueFilter,
): AsyncGenerator<QueueEntry> {
  let after = filter.after;
  for (;;) {
    const page = await actions.list({ ...filter, limit: PAGE, ...(after !== undefined && { after }) });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.cursor;
  }
}

/** What the store's own answer does not tell: how many are not under way, and where they go. */
async function survey(
  queue: Pick<QueueStore, "list">,
  filter: QueueFilter,
): Promise<{ idle: number; busy: number; domains: ReadonlySet<string> }> {
  const domains = new Set<string>();
  let idle = 0;
  let busy = 0;
  const list: QueueActions["list"] = async (page) => (await queue.list(page)).map(toEntry);
  for await (const { state, domain } of allEntries({ list }, filter)) {
    if (state === "leased") busy += 1;
    else idle += 1;
    domains.add(domain);
  }
  return { idle, busy, domains };
}

function shown({ before, ...filter }: QueueFilter): Record<string, string> {
  const entries = Object.entries(filter).filter(([key, value]) => {
    return value !== undefined && key !== "limit" && key !== "after";
  });
  return {
    ...Object.fromEntries(entries.map(([key, value]) => [key, String(value)])),
    ...(before !== undefined && { before: iso(before) }),
  };
}

function toEntry(item: QueueItem): QueueEntry {
  const { delivery, state, partner, reason, detail } = item;
  const { message } = delivery;
  return {
    queueId: message.id,
    delivery: delivery.id,
    state,
    sender: formatReversePath(message.envelope.reversePath),
    recipients: delivery.recipients.map(({ mailbox }) => formatMailbox(mailbox)),
    domain: delivery.domain,
    partner,
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
    cursor: item.cursor ?? delivery.id,
  };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
