/**
 * What the queue and its database thread say to each other. Everything secret is sealed before it gets here:
 * the thread never sees a key, an address or a byte of a message in clear.
 */
import type { KeptStsPolicy } from "../mail/sts-policy.ts";
import type { Closed, DeliveryState, QueueStats, QueueTotals, RecipientEnd } from "./queue.ts";
import type { HistoryCalls } from "./history-protocol.ts";
import type { KeyCalls, StoreFacts } from "./key-protocol.ts";
import type { StoreStartProblem } from "./start-error.ts";

export interface MessageRow {
  readonly id: string;
  readonly receivedAt: number;
  readonly size: number;
  readonly bodyLength: number;
  readonly keyId: string;
  /** Of the first content, as are the key, the header and the body here. */
  readonly part: number;
  readonly wrapped: Uint8Array;
  readonly facts: Uint8Array;
  readonly header: Uint8Array;
  /** null: it lies in a file. */
  readonly body: Uint8Array | null;
  readonly variants: readonly VariantRow[];
  readonly parts: readonly PartRow[];
  readonly deliveries: readonly NewDeliveryRow[];
}

/** A content that is not the first: its header, and which body it has. */
export interface VariantRow {
  readonly number: number;
  readonly header: Uint8Array;
  readonly part: number;
}

/** A body that is not the first's, under a key of its own. */
export interface PartRow {
  readonly number: number;
  readonly length: number;
  readonly wrapped: Uint8Array;
  readonly body: Uint8Array | null;
}

export interface NewDeliveryRow {
  readonly id: string;
  readonly domain: string;
  readonly lane: string;
  readonly partner: string | null;
  readonly positions: readonly number[];
  readonly content: number;
  readonly state: "leased" | "waiting";
  readonly nextAttemptAt: number;
  readonly expiresAt: number;
  readonly noticeAt: number | null;
  readonly reason: string | null;
  readonly tags: readonly Uint8Array[];
}

export interface CompletionRow {
  readonly deliveryId: string;
  readonly ended: readonly { readonly position: number; readonly end: RecipientEnd }[];
  readonly next: { readonly at: number; readonly reason: string; readonly detail: Uint8Array } | null;
  readonly counts: boolean;
  readonly notices: readonly MessageRow[];
  readonly change: ChangeRow | null;
}

/** Of a delivery that goes on; what is absent stays. */
export interface ChangeRow {
  readonly course?: Uint8Array;
  readonly expiresAt?: number;
  readonly noticeAt?: number | null;
  readonly attempts?: 0;
  readonly lane?: string;
}

/** How a message's sealed parts are read. */
export interface KeyRow {
  readonly messageId: string;
  readonly keyId: string;
  /** The body that the key seals. */
  readonly part: number;
  readonly wrapped: Uint8Array;
}

export interface HeaderRow extends KeyRow {
  readonly header: Uint8Array;
  /** The body that it is bound to. */
  readonly contentPart: number;
}

export interface BodyRow extends KeyRow {
  readonly length: number;
  /** null: it lies in a file. */
  readonly body: Uint8Array | null;
}

export interface GoneRow extends KeyRow {
  readonly facts: Uint8Array;
  /** Position and end of every recipient. */
  readonly ends: readonly (readonly [number, RecipientEnd])[];
  /** Bodies that lie in files. */
  readonly filed: readonly number[];
}

export interface DeliveryRow extends KeyRow {
  readonly id: string;
  readonly facts: Uint8Array;
  readonly size: number;
  readonly receivedAt: number;
  readonly domain: string;
  readonly lane: string;
  readonly partner: string | null;
  /** Of recipients that are pending. */
  readonly positions: readonly number[];
  readonly content: number;
  readonly state: DeliveryState;
  readonly nextAttemptAt: number;
  readonly expiresAt: number;
  readonly attempts: number;
  readonly reason: string | null;
  readonly detail: Uint8Array | null;
  readonly noticeAt: number | null;
  readonly course: Uint8Array | null;
  /** Arrival order. */
  readonly seq: number;
}

/** Every condition must hold; `tags` are of sender, recipient and the like. */
export interface FilterRow {
  readonly messageId?: string;
  readonly deliveryId?: string;
  readonly domain?: string;
  readonly partner?: string;
  readonly reason?: string;
  readonly before?: number;
  readonly tags: readonly Uint8Array[];
}

/** So many of the matches, in order of arrival. */
export interface Slice {
  readonly filter: FilterRow;
  readonly limit: number;
  /** A delivery's place in that order, or its id; null: from the first. */
  readonly after: number | string | null;
}

/** How many matches of a slice there were, and the last one's place. */
export interface Changed {
  readonly changed: number;
  readonly last: number;
}

export interface ContentKey {
  readonly messageId: string;
  readonly content: number;
}

/** Each call's input and answer. */
export interface Calls extends HistoryCalls, KeyCalls {
  readonly enqueue: { readonly in: MessageRow; readonly out: null };
  /** null: the delivery is not leased (any more), and nothing was stored. */
  readonly complete: { readonly in: CompletionRow; readonly out: readonly GoneRow[] | null };
  readonly park: { readonly in: { readonly id: string; readonly detail: Uint8Array | null }; readonly out: null };
  readonly claim: {
    readonly in: { readonly domain: string; readonly now: number; readonly limit: number };
    readonly out: readonly DeliveryRow[];
  };
  readonly claimExpired: {
    readonly in: { readonly domain: string; readonly now: number; readonly limit: number };
    readonly out: readonly DeliveryRow[];
  };
  readonly claimNotices: {
    readonly in: { readonly now: number; readonly limit: number };
    readonly out: readonly DeliveryRow[];
  };
  readonly seize: { readonly in: Slice; readonly out: readonly DeliveryRow[] };
  readonly postpone: {
    readonly in: { readonly domains: readonly string[]; readonly closed: Closed; readonly limit: number };
    readonly out: number;
  };
  readonly hasten: {
    readonly in: {
      readonly domains: readonly string[];
      readonly now: number;
      readonly reasons: readonly string[];
      readonly limit: number;
    };
    readonly out: number;
  };
  readonly shiftClock: { readonly in: { readonly ms: number; readonly latest: number }; readonly out: null };
  readonly retry: { readonly in: Slice & { readonly now: number; readonly parked: boolean }; readonly out: Changed };
  readonly hold: { readonly in: Slice; readonly out: Changed };
  readonly release: { readonly in: Slice & { readonly now: number }; readonly out: Changed };
  readonly totals: { readonly in: FilterRow; readonly out: QueueTotals };
  readonly remove: {
    readonly in: { readonly filter: FilterRow; readonly limit: number };
    readonly out: { readonly removed: number; readonly gone: readonly GoneRow[] };
  };
  readonly dueDomains: {
    readonly in: { readonly now: number; readonly except: readonly string[]; readonly limit: number };
    readonly out: readonly string[];
  };
  readonly nextDue: { readonly in: number; readonly out: number | null };
  readonly header: { readonly in: ContentKey; readonly out: HeaderRow | null };
  readonly body: { readonly in: ContentKey; readonly out: (HeaderRow & { readonly stored: BodyRow | null }) | null };
  readonly list: { readonly in: Slice; readonly out: readonly DeliveryRow[] };
  readonly stats: { readonly in: null; readonly out: QueueStats };
  /** Empties the log; `shrink` gives free pages back to the disk. False: somebody reads, try again. */
  readonly maintain: { readonly in: { readonly shrink: boolean }; readonly out: boolean };
  readonly policy: {
    readonly in: { readonly domain: string; readonly now: number };
    readonly out: KeptStsPolicy | null;
  };
  /** `most`: rows kept at most. */
  readonly putPolicy: { readonly in: { readonly policy: KeptStsPolicy; readonly most: number }; readonly out: null };
  readonly usedPolicy: { readonly in: { readonly domain: string; readonly now: number }; readonly out: null };
  /** `again`: bounds of the time after which a policy that was handed out is due anew. */
  readonly duePolicies: {
    readonly in: {
      readonly now: number;
      readonly usedSince: number;
      readonly limit: number;
      readonly again: { readonly leastMs: number; readonly mostMs: number };
    };
    readonly out: readonly KeptStsPolicy[];
  };
  readonly close: { readonly in: null; readonly out: null };
}

export type CallKind = keyof Calls;

export type Call = {
  [K in CallKind]: { readonly number: number; readonly kind: K; readonly input: Calls[K]["in"] };
}[CallKind];

export interface CallFailure {
  readonly kind: "no-space" | "failed";
  readonly message: string;
  /** True: the engine ends now, and whether the call took effect is seen only after reopening. */
  readonly fatal: boolean;
}

export type Answer =
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly failure: CallFailure };

/** What the thread is started with. */
export interface EngineStart {
  readonly database: string;
  /** What there is of queue keys; the first wraps what is new. */
  readonly keyIds: readonly string[];
  readonly now: number;
  /** Leases of this process; all others are void. */
  readonly held: readonly string[];
  /** Messages that were refused while it was unknown whether they were stored. */
  readonly forget: readonly string[];
  /** Pages of log after which it is copied into the database. */
  readonly checkpointPages: number;
}

export type EngineOpened =
  | {
      readonly kind: "open";
      /** Names of the body files. */
      readonly filed: readonly string[];
      readonly store: StoreFacts;
    }
  | {
      readonly kind: "refused";
      readonly problem: StoreStartProblem;
      readonly message: string;
      /** Of problem key-wrong: ids of the keys that are wanted and not there. */
      readonly missing?: readonly string[];
    };
