/**
 * Wraps with the current queue key what another one wraps: the keys of messages and the secrets of the store. What they
 * have sealed is not touched. One transaction a page; what is done is not done again.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import type { MessageKeysRow } from "./key-protocol.ts";
import type { StoreKeys } from "./key-ring.ts";
import { StoreError } from "./queue.ts";
import { openMessageKey, rewrapMessageKey } from "./seal.ts";
import type { Link } from "./sqlite-link.ts";
import { rewrapStoreKey } from "./store-keys.ts";

export interface RewrapDeps {
  readonly keys: StoreKeys;
  readonly storeId: string;
  readonly link: Pick<Link, "call">;
  readonly clock: Pick<Clock, "sleep">;
  readonly random: Random;
}

const PAGE = 200;
/** Between pages, for the mail. */
const PAUSE_MS = 5;

/** Resolves with the queue keys that are named afterwards, and how many messages could not be opened. */
export async function rewrapAll(
  deps: RewrapDeps,
  stopping: AbortSignal,
): Promise<{ readonly named: readonly string[]; readonly damaged: number }> {
  const { keys, link, clock } = deps;
  const keyId = keys.ring.current().id;
  await rewrapSecrets(deps, keyId);
  let damaged = 0;
  for (let after = 0; !stopping.aborted; ) {
    const rows = await link.call("formerKeys", { keyId, after, limit: PAGE });
    const last = rows.at(-1);
    if (last === undefined) break;
    after = last.seq;
    const rewrapped = rows.flatMap((row) => rewrap(row, deps) ?? []);
    damaged += rows.length - rewrapped.length;
    await link.call("rewrap", { keyId, rows: rewrapped });
    await clock.sleep(PAUSE_MS, stopping);
  }
  return { named: (await link.call("storeKeys", null)).named, damaged };
}

async function rewrapSecrets({ keys, storeId, link, random }: RewrapDeps, keyId: string): Promise<void> {
  const { keys: rows, keyId: remembered } = await link.call("storeKeys", null);
  const former = rows.filter((row) => row.keyId !== keyId);
  if (former.length === 0 && remembered === keyId) return;
  const wrapped = former.map((row) => rewrapStoreKey(storeId, row, keys.ring, random));
  await link.call("putStoreKeys", { keyId, rows: wrapped });
}

/** Undefined for a message whose keys cannot be opened: its row stays, and the key that it names with it. */
function rewrap(row: MessageKeysRow, { keys: { ring }, random }: RewrapDeps): MessageKeysRow | undefined {
  const by = ring.get(row.keyId);
  if (by === undefined) return undefined;
  try {
    const keys = row.keys.map(({ part, wrapped }) => {
      const key = openMessageKey(by, row.messageId, wrapped, part);
      return { part, wrapped: rewrapMessageKey(key, ring.current(), random).wrapped };
    });
    return { ...row, keys };
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}
