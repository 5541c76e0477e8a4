/** How far ahead the last day of what must end by itself may lie: exceptions and report mode. */
import { DAY_MS, dayOf } from "./scalars.ts";

export const LONGEST_DAYS = 366;

/** The latest last day permitted now, as it is written. */
export function latestDay(now: number): string {
  return dayOf(now + LONGEST_DAYS * DAY_MS);
}

/** `end`: the first instant after the last day, UTC. */
export function isTooFar(end: number, now: number): boolean {
  return end - DAY_MS > now - (now % DAY_MS) + LONGEST_DAYS * DAY_MS;
}
