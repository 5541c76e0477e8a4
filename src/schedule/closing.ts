/**
 * What the closing of a destination means for the mail that waits for it: one attempt in a while speaks for all of it, and
 * when the destination is reached again, all of it goes. Nothing here begins an attempt.
 */
import { laneOf } from "../mail/delivery.ts";
import type { Reason } from "../mail/outcome.ts";
import type { Clock } from "../runtime/clock.ts";
import type { QueueStore } from "../store/queue.ts";
import type { Claimed, Closed, Destinations, Place } from "./destinations.ts";
import type { Leases } from "./leases.ts";
import { reasonsToHasten } from "./settle.ts";

export interface ClosingDeps {
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly queue: Pick<QueueStore, "postpone" | "hasten">;
  readonly places: Destinations;
  /** What keeps a lane from its place now. */
  readonly closedTo: (lane: string) => Closed | undefined;
  readonly leases: Leases;
  /** Epoch ms. */
  readonly sleepUntil: (at: number) => void;
  readonly wake: () => void;
  readonly onError: (error: unknown) => void;
}

export interface Closing {
  /** What is due in these lanes waits, those that are closed; what has expired stays due. */
  readonly putOff: (place: Place, lanes: readonly string[]) => Promise<void>;
  /** The same, and a look afterwards at what is still due. */
  readonly postpone: (place: Place, lanes: readonly string[]) => void;
  /** What was claimed waits in the queue again, untried. */
  readonly handBack: (place: Place, claimed: Claimed, closed: Closed) => void;
  /** What waits goes now, oldest first, as the limit of the place grows. `lane` is one that was reached. */
  readonly recover: (place: Place, lane: string) => Promise<void>;
}

/** Epoch ms at which it opens. */
export function opensAt(clock: Pick<Clock, "now" | "monotonic">, { until }: Closed): number {
  return Math.ceil(clock.now() + until - clock.monotonic());
}

export function createClosing(deps: ClosingDeps): Closing {
  const { clock, queue, places, closedTo, leases, sleepUntil, wake, onError } = deps;
  const putOff = async (place: Place, lanes: readonly string[]): Promise<void> => {
    const together = new Map<string, { lanes: string[]; until: number; reason: Reason }>();
    for (const lane of lanes) {
      const closed = closedTo(lane);
      if (closed === undefined) continue;
      const until = opensAt(clock, closed);
      const { reason } = closed.by;
      const same = together.get(`${until} ${reason}`) ?? { lanes: [], until, reason };
      same.lanes.push(lane);
      together.set(`${until} ${reason}`, same);
    }
    for (const { lanes: same, until, reason } of together.values()) {
      places.waits(place, same);
      sleepUntil(until);
      await queue.postpone(same, { now: clock.now(), until, reason });
    }
  };
  return {
    putOff,
    postpone: (place, lanes) => void putOff(place, lanes).catch(onError).finally(wake),
    handBack: (place, { delivery }, closed) => {
      const { id, expiresAt } = delivery;
      places.waits(place, [laneOf(delivery)]);
      const at = Math.min(opensAt(clock, closed), Math.max(expiresAt, clock.now()));
      const { reason, detail } = closed.by;
      const next = { at, reason, detail };
      void leases.putBack({ deliveryId: id, next, counts: false }).finally(() => sleepUntil(at));
    },
    recover: async (place, reached) => {
      const lanes = [...new Set([reached, ...place.waiting])].filter((lane) => closedTo(lane) === undefined);
      for (const lane of lanes) place.waiting.delete(lane);
      const reasons = reasonsToHasten(place.reasons);
      if (place.waiting.size === 0) place.reasons.clear();
      try {
        await queue.hasten(lanes, clock.now(), reasons);
      } catch (error) {
        onError(error); // it keeps its schedule
      }
      wake();
    },
  };
}
