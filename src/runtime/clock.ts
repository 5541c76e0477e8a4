/**
 * Time as a parameter. The only place that reads the system's clocks or starts timers;
 * every other room is handed a Clock, so tests can hold time still.
 */
import { setTimeout as delay } from "node:timers/promises";

export interface Clock {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds from an arbitrary start; never jumps with the wall clock. */
  readonly monotonic: () => number;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects, and does not keep the process alive. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Calls `run` once after `ms`; the returned function cancels it. Does not keep the process alive. */
  readonly after: (ms: number, run: () => void) => () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, { ref: false, ...(signal && { signal }) }).catch(() => undefined),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
