/** A clock that stands still until it is moved. */
import type { Clock } from "../../../src/runtime/clock.ts";

export interface FakeClock extends Clock {
  /** Runs what is due on the way, in order, and lets what it started come to rest. */
  readonly advance: (ms: number) => Promise<void>;
}

export function fakeClock(): FakeClock {
  let time = 0;
  let timers: { at: number; run: () => void }[] = [];
  const after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: time + ms, run };
    timers.push(timer);
    return () => {
      timers = timers.filter((one) => one !== timer);
    };
  };
  return {
    now: () => time,
    monotonic: () => time,
    sleep: (ms) => new Promise((resolve) => after(ms, resolve)),
    after,
    advance: async (ms) => {
      const end = time + ms;
      for (;;) {
        const next = timers.toSorted((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > end) break;
        timers = timers.filter((one) => one !== next);
        time = next.at;
        next.run();
        await rest();
      }
      time = end;
      await rest();
    },
  };
}

async function rest(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}
