/**
 * The queue keys of a store: the current one wraps what is new, the others open what was wrapped before. A key that
 * was in the ring stays in it for the life of the process: a row that was read before a rotation may be opened after it.
 */
import type { QueueKey } from "./seal.ts";
import type { StoreSecrets } from "./store-keys.ts";

export interface KeyRing {
  readonly current: () => QueueKey;
  readonly get: (id: string) => QueueKey | undefined;
  /** The current one first. */
  readonly ids: () => readonly string[];
  /** From now on the current one. */
  readonly turn: (key: QueueKey) => void;
}

/** What the store seals and tags with: the ring, and the secrets that it wraps. */
export interface StoreKeys extends StoreSecrets {
  readonly ring: KeyRing;
}

export function createKeyRing(first: QueueKey, others: readonly QueueKey[] = []): KeyRing {
  let current = first;
  const keys = new Map([first, ...others].map((key) => [key.id, key]));
  return {
    current: () => current,
    get: (id) => keys.get(id),
    ids: () => [current.id, ...[...keys.keys()].filter((id) => id !== current.id)],
    turn: (key) => {
      keys.set(key.id, key);
      current = key;
    },
  };
}
