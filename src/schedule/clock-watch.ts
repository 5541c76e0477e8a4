/**
 * Notices when the wall clock is put forward or back under a running gateway: what waits keeps the time that it has left,
 * so no message expires early, and none waits longer, for a clock that was wrong.
 */
import type { Clock } from "../runtime/clock.ts";
import type { QueueStore } from "../store/queue.ts";

export interface ClockWatchDeps {
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly queue: Pick<QueueStore, "retry" | "shiftClock">;
  readonly longestLifetimeMs: () => number;
}

/** A smaller jump is waited out. */
const JUMP_MS = 60_000;

/** The returned function looks; `onJump` runs before what waits is made due. Rejects when that cannot be stored: look again. */
export function createClockWatch({ clock, queue, ...deps }: ClockWatchDeps, onJump: () => void): () => Promise<void> {
  /** How far the wall clock is ahead of the monotonic one. */
  let ahead = clock.now() - clock.monotonic();
  return async () => {
    const now = clock.now();
    const jump = now - clock.monotonic() - ahead;
    if (Math.abs(jump) <= JUMP_MS) {
      ahead += jump;
      return;
    }
    onJump();
    await queue.shiftClock(Math.round(jump), now + deps.longestLifetimeMs());
    ahead += jump;
    // Next tries were reckoned by the other clock: all of them are due now.
    await queue.retry({}, now);
  };
}
