/** Answers of DNS for as long as their TTL says, within a bound of memory. Holds no failures. */

export interface DnsCache<V> {
  readonly get: (key: string) => V | undefined;
  /** Drops the least recently used until it fits. */
  readonly set: (key: string, entry: { readonly value: V; readonly ttlSeconds: number; readonly size: number }) => void;
}

/** `now` in ms, monotonic; `capacity` in the unit of the entries' `size`. */
export function createDnsCache<V>(now: () => number, capacity: number): DnsCache<V> {
  const entries = new Map<string, { readonly value: V; readonly until: number; readonly size: number }>();
  let used = 0;
  const drop = (key: string): void => {
    used -= entries.get(key)?.size ?? 0;
    entries.delete(key);
  };
  return {
    get: (key) => {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      drop(key);
      if (entry.until <= now()) return undefined;
      entries.set(key, entry); // a Map keeps the order of insertion: the last one used is the last one dropped
      used += entry.size;
      return entry.value;
    },
    set: (key, { value, ttlSeconds, size }) => {
      drop(key);
      if (ttlSeconds <= 0 || size > capacity) return;
      for (const oldest of entries.keys()) {
        if (used + size <= capacity) break;
        drop(oldest);
      }
      entries.set(key, { value, until: now() + ttlSeconds * 1000, size });
      used += size;
    },
  };
}
