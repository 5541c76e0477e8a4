/** What is said about queue keys between the queue and its database thread, which sees their ids and never a key. */

/** A secret of the whole store, wrapped by the queue key `keyId`. */
export interface StoreKeyRow {
  readonly name: string;
  readonly keyId: string;
  readonly wrapped: Uint8Array;
}

export interface StoreFacts {
  /** Random, made with the store. */
  readonly id: string;
  /** Made by this opening. */
  readonly made: boolean;
  /** The queue key that wraps what is new, as far as the store remembers. */
  readonly keyId: string;
  /** Every queue key that something in the store is wrapped by. */
  readonly named: readonly string[];
  readonly keys: readonly StoreKeyRow[];
}

/** The keys of one message: of its bodies, the first included. */
export interface MessageKeysRow {
  readonly seq: number;
  readonly messageId: string;
  readonly keyId: string;
  readonly keys: readonly { readonly part: number; readonly wrapped: Uint8Array }[];
}

export interface KeyCalls {
  /** Messages whose keys another queue key than this one wraps, in order of arrival after `after`. */
  readonly formerKeys: {
    readonly in: { readonly keyId: string; readonly after: number; readonly limit: number };
    readonly out: readonly MessageKeysRow[];
  };
  /** The same keys, wrapped by `keyId`. A message that is gone, or was rewrapped meanwhile, is left. */
  readonly rewrap: {
    readonly in: { readonly keyId: string; readonly rows: readonly MessageKeysRow[] };
    readonly out: null;
  };
  readonly storeKeys: { readonly in: null; readonly out: StoreFacts };
  /** Keeps these in the place of those of the same name, and `keyId` as the current queue key. */
  readonly putStoreKeys: {
    readonly in: { readonly keyId: string; readonly rows: readonly StoreKeyRow[] };
    readonly out: null;
  };
  /** How many messages each other queue key still wraps. */
  readonly formerCounts: {
    readonly in: { readonly keyId: string };
    readonly out: readonly { readonly keyId: string; readonly messages: number }[];
  };
}
