/**
 * Ends what has expired while its destination is closed, when its time has come and not when its turn would come: without
 * a connection, for the attempt that closed the destination speaks for it. Beside the attempts and never before them, since
 * a step of a ladder may take its time. Nothing ends here that has not lived through the least number of attempts.
 */
import type { Delivery } from "../mail/delivery.ts";
import type { Clock } from "../runtime/clock.ts";
import type { QueueStore } from "../store/queue.ts";
import type { AttemptReport, ClosedBy } from "./destinations.ts";
import type { Leases } from "./leases.ts";
import { graceful, LEAST_ATTEMPTS, type RetrySchedule } from "./retry-schedule.ts";

export interface ExpiringDeps {
  readonly clock: Pick<Clock, "now">;
  readonly queue: Pick<QueueStore, "claimExpired">;
  readonly schedule: () => RetrySchedule;
  /** Until epoch ms; undefined: it is open. */
  readonly closed: (lane: string) => { readonly at: number; readonly by: ClosedBy } | undefined;
  readonly attempt: (delivery: Delivery, closed: ClosedBy) => Promise<AttemptReport>;
  readonly leases: Leases;
  /** Epoch ms. */
  readonly sleepUntil: (at: number) => void;
  /** A lane has opened meanwhile: what is due there can be tried. */
  readonly onOpen: () => void;
  readonly onError: (error: unknown) => void;
  readonly isStopped: () => boolean;
}

export interface Expiring {
  /** Something that has expired is due in this lane. */
  readonly look: (lane: string) => void;
  /** Resolves when what is in hand has ended. */
  readonly ended: () => Promise<void>;
}

const AT_ONCE = 20;
const STORE_PAUSE_MS = 1_000;

export function createExpiring(deps: ExpiringDeps): Expiring {
  const { clock, queue, leases, sleepUntil } = deps;
  const lanes = new Set<string>();
  let running: Promise<void> | undefined;
  const expire = async (delivery: Delivery, { at, by }: { at: number; by: ClosedBy }): Promise<void> => {
    const { id, attempts, expiresAt } = delivery;
    const end = graceful(deps.schedule(), expiresAt);
    if (attempts < LEAST_ATTEMPTS || end > clock.now()) {
      const next = { at: attempts < LEAST_ATTEMPTS ? at : Math.min(at, end), reason: by.reason, detail: by.detail };
      await leases.putBack({ deliveryId: id, next, counts: true });
      return sleepUntil(next.at);
    }
    try {
      const { nextAttemptAt } = await deps.attempt(delivery, by);
      if (nextAttemptAt !== undefined) sleepUntil(nextAttemptAt);
    } catch (error) {
      leases.failed(delivery, error);
    }
  };
  const empty = async (lane: string): Promise<void> => {
    for (;;) {
      const closed = deps.closed(lane);
      if (deps.isStopped()) return;
      if (closed === undefined) return deps.onOpen();
      const expired = await queue.claimExpired(lane, clock.now(), AT_ONCE);
      await Promise.all(expired.map((delivery) => expire(delivery, closed)));
      if (expired.length < AT_ONCE) return;
    }
  };
  const run = async (): Promise<void> => {
    for (const lane of lanes) {
      lanes.delete(lane); // what is looked for meanwhile is added again, at the end
      await empty(lane).catch((error: unknown) => {
        deps.onError(error);
        sleepUntil(clock.now() + STORE_PAUSE_MS);
      });
    }
  };
  return {
    look: (lane) => {
      lanes.add(lane);
      running ??= run().finally(() => (running = undefined));
    },
    ended: async () => running,
  };
}
