/** One timer for the earliest of all the moments at which something has to be looked at again. */
import type { Clock } from "../runtime/clock.ts";

export interface NextLook {
  /** At the latest after so many ms. */
  readonly within: (ms: number) => void;
  /** For good. */
  readonly stop: () => void;
}

const LONGEST_MS = 60_000;
/** Thousands that come due one after another are not looked for one by one. */
const SHORTEST_MS = 20;

export function createNextLook(clock: Pick<Clock, "monotonic" | "after">, look: () => void): NextLook {
  let timer: { readonly at: number; readonly cancel: () => void } | undefined;
  let last = Number.NEGATIVE_INFINITY;
  let stopped = false;
  return {
    within: (ms) => {
      const now = clock.monotonic();
      const wait = Math.min(Math.max(ms, last + SHORTEST_MS - now, 0), LONGEST_MS);
      const at = now + wait;
      if (stopped || (timer !== undefined && timer.at <= at)) return;
      timer?.cancel();
      const cancel = clock.after(wait, () => {
        timer = undefined;
        last = clock.monotonic();
        look();
      });
      timer = { at, cancel };
    },
    stop: () => {
      stopped = true;
      timer?.cancel();
    },
  };
}
