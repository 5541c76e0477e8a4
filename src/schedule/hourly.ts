/** Counts what is sent to each of a few people, so that a thousand troubles at once do not become a thousand letters. */
import type { Clock } from "../runtime/clock.ts";

const HOUR_MS = 3_600_000;
/** People remembered; the one heard of longest ago goes first. */
const MOST_KEYS = 1_000;

/** The returned function takes one of `most` an hour for a key; false: there is none left. */
export function createHourly(clock: Pick<Clock, "monotonic">, most: number): (key: string) => boolean {
  const sent = new Map<string, number[]>();
  return (key) => {
    const now = clock.monotonic();
    const recent = (sent.get(key) ?? []).filter((at) => at > now - HOUR_MS);
    if (recent.length >= most) return false;
    sent.delete(key);
    sent.set(key, [...recent, now]);
    const [oldest] = sent.keys();
    if (sent.size > MOST_KEYS && oldest !== undefined) sent.delete(oldest);
    return true;
  };
}
