/** A queue of items that a test lists, whose retry and remove note what they were asked. */
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import type { FinishedMessage, QueueFilter, QueueItem, QueueStore } from "../../../src/store/queue.ts";
import { facts } from "../spine/fixtures.ts";

export function item(number: number, over: Partial<QueueItem> & { domain?: string } = {}): QueueItem {
  const { domain = "acme.example", ...rest } = over;
  const id = number.toString(16).padStart(32, "0");
  return {
    delivery: {
      id: `${id}-0`,
      message: { ...facts, id, receivedAt: number * 1_000 },
      domain,
      recipients: [{ position: 0, mailbox: parseMailbox(`bea@${domain}`)! }],
      attempts: 2,
      content: 0,
      expiresAt: 500_000_000,
    },
    state: "waiting",
    partner: null,
    nextAttemptAt: 100_000,
    noticeAt: null,
    reason: "certificate-expired",
    detail: "the certificate has expired",
    cursor: `#${number}`,
    ...rest,
  };
}

export interface FakeQueue extends Pick<QueueStore, "list" | "retry" | "remove" | "stats"> {
  items: QueueItem[];
  readonly asked: string[];
}

/** Knows the filters id and domain. */
export function fakeQueue(items: QueueItem[]): FakeQueue {
  const asked: string[] = [];
  const matches = (filter: QueueFilter) =>
    queue.items.filter(({ delivery }) => {
      if (filter.domain !== undefined && filter.domain !== delivery.domain) return false;
      return filter.id === undefined || [delivery.id, delivery.message.id].includes(filter.id);
    });
  const queue: FakeQueue = {
    items,
    asked,
    list: (filter) => {
      const found = matches(filter);
      const from = filter.after === undefined ? 0 : found.findIndex(({ cursor }) => cursor === filter.after) + 1;
      return Promise.resolve(found.slice(from, from + (filter.limit ?? 100)));
    },
    retry: (filter, now) => {
      asked.push(`retry ${JSON.stringify(filter)} at ${now}`);
      return Promise.resolve(matches(filter).filter(({ state }) => state === "waiting").length);
    },
    remove: (filter) => {
      asked.push(`remove ${JSON.stringify(filter)}`);
      const gone = matches(filter).filter(({ state }) => state !== "leased");
      queue.items = queue.items.filter((left) => !gone.includes(left));
      const finished = gone.map(
        ({ delivery }): FinishedMessage => ({
          id: delivery.message.id,
          recipients: [{ address: `bea@${delivery.domain}`, end: "removed" }],
        }),
      );
      return Promise.resolve(finished);
    },
    stats: () =>
      Promise.resolve({
        messages: queue.items.length,
        deliveries: { waiting: queue.items.length, leased: 0, held: 0, parked: 0 },
      }),
  };
  return queue;
}
