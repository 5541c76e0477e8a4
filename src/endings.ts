/**
 * Stores how an attempt ended: outcomes, the notices they cause and the messages that recipients move into, in one
 * transaction. What became of a delivery is stored sooner or later: forgetting it would deliver the message again.
 */
import type { Climb } from "./climb.ts";
import type { Encrypted } from "./fallback.ts";
import type { Delivery } from "./mail/delivery.ts";
import type { Notices, StoredNotice } from "./notices.ts";
import type { Delivered } from "./notify/reached-notice.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { EndedBadly } from "./schedule/settle.ts";
import { type Completion, type FinishedMessage, type QueueStore, StoreError } from "./store/queue.ts";

/** What is stored now. */
export interface Stored {
  readonly finished: readonly FinishedMessage[];
  readonly notices: readonly StoredNotice[];
  readonly moved: readonly Encrypted[];
}

export interface EndingsDeps {
  readonly clock: Pick<Clock, "now" | "sleep">;
  readonly queue: Pick<QueueStore, "complete" | "park">;
  /** What is to be told of it, sealed and ready to be stored with it. */
  readonly notices: Notices["ended"];
  /** Content kept in memory can go, notices are due. */
  readonly completed: (delivery: Delivery, stored: Stored) => void;
  readonly emit: Emit;
  /** Aborts when the gateway stops: an attempt that did not end well is then not counted. */
  readonly stopping: AbortSignal;
}

export interface Endings {
  /** Rejects only when it cannot be stored and the gateway stops: the lease is void at the next start. */
  readonly store: (delivery: Delivery, climb: Climb, delivered: readonly Delivered[]) => Promise<void>;
  readonly park: (delivery: Delivery, error: StoreError) => Promise<void>;
}

const STORE_PAUSE_MS = 1_000;
const DEFECT_PAUSE_MS = 15 * 60_000;

export function createEndings(deps: EndingsDeps): Endings {
  return {
    store: async (delivery, climb, delivered) => {
      let current = climb;
      try {
        await untilStored(
          deps,
          async () => {
            const { completion, notices } = await completionOf(deps, delivery, current, delivered);
            const finished = await deps.queue.complete(completion);
            deps.completed(delivery, { finished, notices, moved: current.moved });
          },
          () => (current = current.instead ?? current),
        );
      } finally {
        for (const { discard } of climb.moved) await discard();
      }
    },
    park: async (delivery, error) => {
      await untilStored(deps, () => deps.queue.park(delivery.id, error.message));
      deps.emit("alarm", {
        code: "content-damaged",
        partner: null,
        state: "raised",
        since: new Date(deps.clock.now()).toISOString(),
        until: undefined,
        remedy: `Message ${delivery.message.id} fails authentication and is parked: restore data_dir from backup, or remove it`,
      });
    },
  };
}

async function untilStored(
  { emit, stopping, clock }: EndingsDeps,
  store: () => Promise<void>,
  failed: () => void = () => undefined,
): Promise<void> {
  for (;;) {
    try {
      return await store();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      emit("error", { kind: `store-${error.kind}`, detail: error.message });
      if (stopping.aborted) throw error; // the lease is void at the next start
      failed();
      await clock.sleep(STORE_PAUSE_MS, stopping);
    }
  }
}

async function completionOf(
  deps: EndingsDeps,
  delivery: Delivery,
  { settled, change, moved }: Climb,
  delivered: readonly Delivered[],
): Promise<{ completion: Completion; notices: readonly StoredNotice[] }> {
  const badly = [...settled.failed, ...settled.expired];
  const made = await noticesOf(deps, delivery, badly, delivered);
  // No recipient may end badly without its notice: they wait until the defect is mended.
  const spared = made === undefined;
  const waits = settled.next ?? { ...SPARED, at: deps.clock.now() + DEFECT_PAUSE_MS };
  const ended: Completion["ended"] = [
    ...settled.delivered.map(({ recipient: { position } }) => ({ position, end: "delivered" as const })),
    ...(spared ? [] : badly).map(({ recipient: { position }, end }) => ({ position, end })),
    ...moved.flatMap(({ positions }) => positions.map((position) => ({ position, end: "moved" as const }))),
  ];
  const next = spared && badly.length > 0 ? waits : settled.next;
  const notices = made ?? [];
  const completion: Completion = {
    deliveryId: delivery.id,
    ended,
    ...(next && { next }),
    counts: !deps.stopping.aborted || ended.length > 0,
    notices: [...notices, ...moved].map(({ message }) => message),
    ...(change && { change }),
  };
  return { completion, notices };
}

const SPARED = { reason: "internal-error", detail: "The failure notice could not be made" } as const;

/** Undefined after a defect. */
async function noticesOf(
  { notices, emit }: EndingsDeps,
  delivery: Delivery,
  badly: readonly EndedBadly[],
  delivered: readonly Delivered[],
): Promise<readonly StoredNotice[] | undefined> {
  if (badly.length === 0 && delivered.length === 0) return [];
  try {
    return await notices(delivery, badly, delivered);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    emit("error", { kind: "notice", detail: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    return undefined;
  }
}
