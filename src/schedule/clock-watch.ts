/**
 * Notices when the wall clock is put forward or back under a running gateway, and moves what is stored along, so that no
 * message expires early, and none waits longer, for a clock that was wrong. Times that a later start finds were written by
 * a clock that nobody watched: they are never moved towards their end, only bounded.
 */
import type { Clock } from "../runtime/clock.ts";
import { aheadBy, JUMP_MS } from "./clock-jump.ts";
import type { QueueStore } from "../store/queue.ts";

export interface ClockWatchDeps {
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly queue: Pick<QueueStore, "nextDue" | "retry" | "shiftClock">;
  readonly longestLifetimeMs: () => number;
}

export interface ClockWatch {
  /** Looks at once; resolves when what is stored goes by the clock of now. Rejects when that fails: look again. */
  readonly look: () => Promise<void>;
  /** What the wall clock is ahead of the monotonic one by, in the times that are stored. */
  readonly ahead: () => number;
}

/** `onJump` runs when one is noticed, before what is stored has moved. */
export function createClockWatch({ clock, queue, ...deps }: ClockWatchDeps, onJump: () => void): ClockWatch {
  let ahead = aheadBy(clock);
  /** What this run has put forward, ms: as much may go back again. */
  let forward = 0;
  const latest = (): number => clock.now() + deps.longestLifetimeMs();
  const shift = (ms: number) => () => queue.shiftClock(ms, latest());
  // Next tries were reckoned by the other clock: all of them are due now.
  const makeDue = () => queue.retry({}, clock.now());
  const lookAtOld = async (): Promise<void> => {
    // Nothing waits so long: an earlier run was wrong about the time.
    if ((await queue.nextDue(latest())) !== undefined) pending.push(shift(0), makeDue);
  };
  /** Each is done until it has succeeded, in turn. */
  const pending: (() => Promise<unknown>)[] = [lookAtOld];
  let running: Promise<void> | undefined;
  const work = async (): Promise<void> => {
    for (let [first] = pending; first !== undefined; [first] = pending) {
      await first();
      pending.shift();
    }
  };
  return {
    ahead: () => ahead,
    look: () => {
      const jump = aheadBy(clock) - ahead;
      ahead += jump;
      if (jump > JUMP_MS) {
        forward += jump;
        pending.push(shift(Math.round(jump)));
      } else if (jump < -JUMP_MS) {
        const back = Math.round(Math.min(-jump, forward));
        forward -= back;
        pending.push(shift(0 - back), makeDue);
      }
      if (Math.abs(jump) > JUMP_MS) onJump();
      if (pending.length === 0) return Promise.resolve();
      running ??= work().finally(() => (running = undefined));
      return running;
    },
  };
}
