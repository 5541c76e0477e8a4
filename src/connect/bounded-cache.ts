/** Answers kept until their time, within a bound of size: what was asked for longest ago goes first. */
import type { Clock } from "../runtime/clock.ts";

export interface BoundedCache<V> {
  readonly get: (key: string) => V | undefined;
  /** `until`: epoch ms. One that is larger than the bound is not kept. */
  readonly put: (key: string, value: V, until: number) => void;
  readonly drop: (key: string) => void;
  readonly clear: () => void;
}

interface Kept<V> {
  readonly value: V;
  readonly until: number;
  readonly size: number;
}

export function createBoundedCache<V>(
  clock: Pick<Clock, "now">,
  capacity: number,
  sizeOf: (value: V) => number = () => 1,
): BoundedCache<V> {
  const kept = new Map<string, Kept<V>>();
  let used = 0;
  const drop = (key: string): void => {
    used -= kept.get(key)?.size ?? 0;
    kept.delete(key);
  };
  return {
    get: (key) => {
      const found = kept.get(key);
      if (found === undefined) return undefined;
      kept.delete(key); // moves it to the end
      if (found.until <= clock.now()) {
        used -= found.size;
        return undefined;
      }
      kept.set(key, found);
      return found.value;
    },
    put: (key, value, until) => {
      drop(key);
      const size = sizeOf(value);
      if (size > capacity) return;
      kept.set(key, { value, until, size });
      used += size;
      for (const oldest of kept.keys()) {
        if (used <= capacity) break;
        drop(oldest);
      }
    },
    drop,
    clear: () => {
      kept.clear();
      used = 0;
    },
  };
}

const LONGEST_MS = 86_400_000;
const SHORTEST_MS = 60_000;

/** Of what says itself until when it holds: at least a minute, at most a day. */
export function keptUntil(now: number, until: number): number {
  return Math.max(now + SHORTEST_MS, Math.min(until, now + LONGEST_MS));
}
