/** Gives leases back that came to nothing. Nobody else would free them before the next start, so it is tried until stored. */
import type { Delivery } from "../mail/delivery.ts";
import type { Clock } from "../runtime/clock.ts";
import { type Completion, type QueueStore, StoreError } from "../store/queue.ts";

export interface LeasesDeps {
  readonly clock: Pick<Clock, "now" | "sleep">;
  readonly queue: Pick<QueueStore, "complete">;
  readonly onError: (error: unknown) => void;
  readonly isStopped: () => boolean;
}

export type Return = Pick<Completion, "deliveryId" | "counts" | "next" | "change">;

export interface Leases {
  readonly putBack: (how: Return) => Promise<void>;
  /** After an attempt that ended with a defect; where its ending is stored already this changes nothing. */
  readonly failed: (delivery: Delivery, error: unknown) => void;
}

const STORE_PAUSE_MS = 1_000;
/** After an attempt that ended with a defect. */
export const DEFECT_PAUSE_MS = 15 * 60_000;
const DEFECT = { reason: "internal-error", detail: "The attempt failed inside the gateway" } as const;

export function createLeases({ clock, queue, onError, isStopped }: LeasesDeps): Leases {
  const putBack = async (how: Return): Promise<void> => {
    for (let tries = 0; ; tries += 1) {
      try {
        await queue.complete({ ...how, ended: [], notices: [] });
        return;
      } catch (error) {
        if (tries === 0) onError(error);
        if (isStopped() || !(error instanceof StoreError)) return;
        await clock.sleep(STORE_PAUSE_MS);
      }
    }
  };
  return {
    putBack,
    failed: ({ id }, error) => {
      onError(error);
      const next = { at: clock.now() + DEFECT_PAUSE_MS, ...DEFECT };
      if (!isStopped()) void putBack({ deliveryId: id, next, counts: true });
    },
  };
}
