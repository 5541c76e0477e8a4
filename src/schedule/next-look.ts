/** One timer for the earliest of all the moments at which something has to be looked at again. */
import type { Clock } from "../runtime/clock.ts";

export interface NextLook {
  /** At the latest after so many ms. */
  readonly within: (ms: number) => void;
  /** For good. */
  readonly stop: () => void;
}

const LONGEST_MS = 60_000;

export function createNextLook(clock: Pick<Clock, "monotonic" | "after">, look: () => void): NextLook {
  let timer: { readonly at: number; readonly cancel: () => void } | undefined;
  let stopped = false;
  return {
    within: (ms) => {
      const wait = Math.min(Math.max(ms, 0), LONGEST_MS);
      const at = clock.monotonic() + wait;
      if (stopped || (timer !== undefined && timer.at <= at)) return;
      timer?.cancel();
      const cancel = clock.after(wait, () => {
        timer = undefined;
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
