/**
 * Hands out what is owed a delay notice, wherever its destination stands: also mail that nobody tries just now. Beside
 * the attempts and never before them: a few at a time.
 */
import type { Delivery } from "../mail/delivery.ts";
import type { Clock } from "../runtime/clock.ts";
import type { QueueStore } from "../store/queue.ts";
import { DEFECT_PAUSE_MS, type Leases } from "./leases.ts";

export interface RemindingDeps {
  readonly clock: Pick<Clock, "now">;
  readonly queue: Pick<QueueStore, "claimNotices">;
  readonly remind: (delivery: Delivery) => Promise<void>;
  readonly leases: Leases;
  /** It waits again, and may have come due while it was in hand. */
  readonly onReturned: () => void;
  readonly onError: (error: unknown) => void;
  readonly isStopped: () => boolean;
}

export interface Reminding {
  /** Begins to hand out what is due, unless it does already. */
  readonly look: () => void;
  /** Resolves when what is in hand has ended. */
  readonly ended: () => Promise<void>;
}

const AT_ONCE = 4;

export function createReminding(deps: RemindingDeps): Reminding {
  const { clock, queue, leases } = deps;
  let running: Promise<void> | undefined;
  let again = false;
  const remind = async (delivery: Delivery): Promise<void> => {
    try {
      await deps.remind(delivery);
    } catch (error) {
      deps.onError(error);
      // It goes on waiting for its attempt as before; only the notice comes later.
      const change = { noticeAt: clock.now() + DEFECT_PAUSE_MS };
      await leases.putBack({ deliveryId: delivery.id, counts: false, change });
    }
  };
  const run = async (): Promise<void> => {
    for (;;) {
      const owed = deps.isStopped() ? [] : await queue.claimNotices(clock.now(), AT_ONCE);
      if (owed.length === 0 && !again) return;
      again = false;
      await Promise.all(owed.map(remind));
      if (owed.length > 0) deps.onReturned();
    }
  };
  return {
    look: () => {
      again = running !== undefined;
      running ??= run()
        .catch(deps.onError)
        .finally(() => (running = undefined));
    },
    ended: async () => running,
  };
}
