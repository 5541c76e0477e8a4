/** How far the wall clock has been put forward, told by the monotonic one beside it. */
import type { Clock } from "../runtime/clock.ts";

type Clocks = Pick<Clock, "now" | "monotonic">;

/** A smaller jump is waited out. */
export const JUMP_MS = 60_000;

export function aheadBy(clock: Clocks): number {
  return clock.now() - clock.monotonic();
}

/** ms by which the wall clock was put forward since it was so far `ahead`; 0 where it was not, or was put back. */
export function forwardSince(clock: Clocks, ahead: number): number {
  const jump = aheadBy(clock) - ahead;
  return jump > JUMP_MS ? Math.round(jump) : 0;
}
