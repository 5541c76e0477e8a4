/** A queue of items that a test lists, which keeps their states and notes what it was asked; and actions over it. */
import { Readable } from "node:stream";
import { createQueueActions, type QueueActionDeps, type QueueActions } from "../../../src/admin/queue-actions.ts";
import { parseRoute } from "../../../src/config/route.ts";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import type { Clock } from "../../../src/runtime/clock.ts";
import type {
  Completion,
  DeliveryState,
  FinishedMessage,
  QueueFilter,
  QueueItem,
  QueueStore,
} from "../../../src/store/queue.ts";
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

type Asked =
  | "list"
  | "totals"
  | "retry"
  | "hold"
  | "release"
  | "remove"
  | "seize"
  | "complete"
  | "header"
  | "body"
  | "stats";

export interface FakeQueue extends Omit<Pick<QueueStore, Asked>, "header" | "retry" | "release"> {
  header: QueueStore["header"];
  retry: QueueStore["retry"];
  release: QueueStore["release"];
  items: QueueItem[];
  readonly asked: string[];
  readonly completed: Completion[];
}

/** Knows the filters id and domain. */
export function fakeQueue(items: QueueItem[]): FakeQueue {
  const asked: string[] = [];
  const completed: Completion[] = [];
  const before = new Map<string, DeliveryState>();
  const found = (filter: QueueFilter, ...states: DeliveryState[]) =>
    queue.items.filter(({ delivery, state }) => {
      if (filter.domain !== undefined && filter.domain !== delivery.domain) return false;
      if (states.length > 0 && !states.includes(state)) return false;
      return filter.id === undefined || [delivery.id, delivery.message.id].includes(filter.id);
    });
  const become = (these: readonly QueueItem[], state: DeliveryState): number => {
    queue.items = queue.items.map((one) => (these.includes(one) ? { ...one, state } : one));
    return these.length;
  };
  const from = (all: readonly QueueItem[], { after, limit = 100 }: QueueFilter): QueueItem[] => {
    const places = queue.items.map(({ cursor, delivery }) => [cursor, delivery.id]);
    const at = after === undefined ? -1 : places.findIndex((names) => names.includes(after));
    if (after !== undefined && at === -1) throw new Error(`${after} is gone`);
    return all.filter((one) => queue.items.indexOf(one) > at).slice(0, limit);
  };
  const queue: FakeQueue = {
    items,
    asked,
    completed,
    list: (filter) => Promise.resolve(from(found(filter), filter)),
    totals: (filter) => {
      const all = found(filter);
      const byState = { waiting: 0, leased: 0, held: 0, parked: 0 };
      for (const { state } of all) byState[state] += 1;
      const lanes = [...new Set(all.map(({ delivery }) => delivery.domain))];
      const deliveries = all.length;
      return Promise.resolve({ deliveries, messages: deliveries, size: 0, byDomain: [], byReason: [], byState, lanes });
    },
    retry: (filter, now, parked = false) => {
      asked.push(`retry ${JSON.stringify(filter)} at ${now}`);
      return Promise.resolve(become(found(filter, "waiting", ...(parked ? (["parked"] as const) : [])), "waiting"));
    },
    hold: (filter) => Promise.resolve(become(found(filter, "waiting"), "held")),
    release: (filter) => Promise.resolve(become(found(filter, "held"), "waiting")),
    remove: (filter) => {
      asked.push(`remove ${JSON.stringify(filter)}`);
      const gone = found(filter, "waiting", "held", "parked");
      queue.items = queue.items.filter((left) => !gone.includes(left));
      const finished = gone.map(
        ({ delivery }): FinishedMessage => ({
          id: delivery.message.id,
          recipients: [{ address: `bea@${delivery.domain}`, end: "removed" }],
        }),
      );
      return Promise.resolve(finished);
    },
    seize: (filter, limit) => {
      const taken = from(found(filter, "waiting", "held", "parked"), { ...filter, limit });
      for (const { delivery, state } of taken) before.set(delivery.id, state);
      become(taken, "leased");
      return Promise.resolve(taken.map(({ delivery }) => delivery));
    },
    complete: (completion) => {
      const { deliveryId, ended, next } = completion;
      const one = queue.items.find(({ delivery, state }) => delivery.id === deliveryId && state === "leased");
      if (one === undefined) return Promise.resolve([]);
      completed.push(completion);
      if (ended.length === 0) {
        become([one], next === undefined ? (before.get(deliveryId) ?? "waiting") : "waiting");
        return Promise.resolve([]);
      }
      queue.items = queue.items.filter((left) => left !== one);
      const { message, domain } = one.delivery;
      return Promise.resolve([{ id: message.id, recipients: [{ address: `bea@${domain}`, end: ended[0]!.end }] }]);
    },
    header: () => Promise.resolve(Buffer.from("Subject: secret\r\n\r\n")),
    body: () => Promise.resolve(Readable.from([Buffer.from("hello "), Buffer.from("Bea\r\n")])),
    stats: () =>
      Promise.resolve({
        messages: queue.items.length,
        deliveries: { waiting: queue.items.length, leased: 0, held: 0, parked: 0 },
      }),
  };
  return queue;
}

/** Actions that make no notices and know no policy, unless a test says so. */
export function actionsOn(
  queue: FakeQueue,
  clock: Pick<Clock, "now">,
  over: Partial<QueueActionDeps> & Pick<QueueActionDeps, "emit">,
): QueueActions {
  return createQueueActions({
    queue,
    clock,
    failureNotices: () => Promise.resolve([]),
    laneOf: ({ domain, course }) => (course?.route === undefined ? domain : `${domain} by another way`),
    readRoute: (text) => {
      const route = parseRoute(text, 25);
      return typeof route === "object" && "message" in route ? { error: route.message, remedy: route.remedy } : route;
    },
    contentAccess: false,
    ...over,
  });
}
