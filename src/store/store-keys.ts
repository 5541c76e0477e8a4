/**
 * Secrets of the whole store that outlive every message and every rotation of the queue key: what tags are keyed with,
 * and what seals the history. The queue key wraps them; each is bound to its name and its store.
 */
import { createSecretKey, type KeyObject } from "node:crypto";
import type { Random } from "../runtime/random.ts";
import type { StoreFacts, StoreKeyRow } from "./key-protocol.ts";
import type { KeyRing } from "./key-ring.ts";
import { StoreError } from "./queue.ts";
import { type QueueKey, unwrapSecret, wrapSecret } from "./seal.ts";
import { StoreStartError } from "./start-error.ts";

export interface StoreSecrets {
  /** Of what waits: exact filters. */
  readonly tagging: KeyObject;
  readonly history: KeyObject;
}

const NAMES = ["tagging", "history"] as const;
const SECRET_BYTES = 32;

/** What the database has, and what is made for it now: `made` is to be stored before anything is tagged or sealed. */
export function openStoreKeys(
  store: StoreFacts,
  ring: KeyRing,
  random: Random,
): { readonly secrets: StoreSecrets; readonly made: readonly StoreKeyRow[] } {
  const made: StoreKeyRow[] = [];
  const secretOf = (name: (typeof NAMES)[number]): KeyObject => {
    const row = store.keys.find((one) => one.name === name);
    if (row !== undefined) return opened(store, row, ring);
    const secret = name === "tagging" ? formerTagging(store, ring) : undefined;
    const bytes = secret?.export() ?? random.bytes(SECRET_BYTES);
    made.push(wrap(store.id, name, bytes, { by: ring.current(), random }));
    const key = createSecretKey(bytes);
    bytes.fill(0);
    return key;
  };
  return { secrets: { tagging: secretOf("tagging"), history: secretOf("history") }, made };
}

/** The same secret, wrapped by the ring's current key. Throws StoreError "damaged". */
export function rewrapStoreKey(storeId: string, row: StoreKeyRow, ring: KeyRing, random: Random): StoreKeyRow {
  const secret = unwrap(storeId, row, ring);
  const wrapped = wrap(storeId, row.name, secret, { by: ring.current(), random });
  secret.fill(0);
  return wrapped;
}

/** Stores made before had no tagging key of their own: the one that their tags were made with stays. */
function formerTagging({ made, keyId }: StoreFacts, ring: KeyRing): KeyObject | undefined {
  return made ? undefined : ring.get(keyId)?.tagging;
}

function opened(store: StoreFacts, row: StoreKeyRow, ring: KeyRing): KeyObject {
  try {
    const secret = unwrap(store.id, row, ring);
    const key = createSecretKey(secret);
    secret.fill(0);
    return key;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new StoreStartError("cannot-open", `${error.message}: restore data_dir from a backup`, error);
  }
}

function unwrap(storeId: string, { name, keyId, wrapped }: StoreKeyRow, ring: KeyRing): Buffer {
  const what = `The ${name} key of the store`;
  const by = ring.get(keyId);
  if (by === undefined)
    throw new StoreError("damaged", `${what} is sealed with queue key ${keyId}, which is not there`);
  return unwrapSecret(by, aadOf(storeId, name), wrapped, what);
}

function wrap(
  storeId: string,
  name: string,
  secret: Uint8Array,
  { by, random }: { readonly by: QueueKey; readonly random: Random },
): StoreKeyRow {
  return { name, keyId: by.id, wrapped: wrapSecret(by, aadOf(storeId, name), secret, random) };
}

function aadOf(storeId: string, name: string): Buffer {
  return Buffer.from(`store key ${name} of ${storeId}`, "latin1");
}
