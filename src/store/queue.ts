/**
 * The port of the durable, sealed queue, and its states. Engines implement it; nothing else knows SQL.
 *
 *   state     meaning                                   leaves to
 *   waiting   due at next_attempt_at                    leased (claim…, seize), held (hold), gone (remove)
 *   leased    one worker incarnation has it in hand     waiting (deferred), the state before (lease void, nothing tried),
 *                                                       parked (damaged), gone (every recipient ended)
 *   held      a person stopped it                       waiting (release), leased (seize), gone (remove)
 *   parked    its sealed content failed authentication  waiting (retry), leased (seize), gone (remove)
 *
 * A recipient is pending until delivered, failed, expired, removed, or moved into another message that the same
 * transaction stores; ended recipients never come back. What is held neither expires nor causes notices.
 * A message goes, and its key with it, when its last delivery is gone.
 * 250 is sent only after `enqueue` has resolved: then the message is on stable storage (RFC 5321 §6.1).
 */
import type { Readable } from "node:stream";
import type { Course, Delivery, MessageFacts } from "../mail/delivery.ts";
import type { PeerReply, Reason } from "../mail/outcome.ts";

export type DeliveryState = "waiting" | "leased" | "held" | "parked";
/** moved: goes on as a message of its own, stored with this ending (a step of the ladder). */
export type RecipientEnd = "delivered" | "failed" | "expired" | "removed" | "moved";

/** Takes one body while it arrives: seals it in records, spills to a file above a threshold. */
export interface Spool {
  /** Resolves when more may be written (backpressure). Rejects with StoreError on a full or failing disk. */
  readonly write: (chunk: Buffer) => Promise<void>;
  /** Flushes what is left; the body can no longer grow. */
  readonly end: () => Promise<SealedBody>;
  /** Leaves nothing behind. Safe after end, and after a failed write, which has left nothing already; no effect once given to enqueue. */
  readonly discard: () => Promise<void>;
}

/** Opaque to all but the store. `messageId` is the queue id. */
export interface SealedBody {
  readonly messageId: string;
  /** Which of the message's bodies. */
  readonly part: number;
  /** Octets in clear. */
  readonly length: number;
}

export interface NewDelivery {
  readonly id: string;
  readonly domain: string;
  /** What it is claimed by; absent: its domain. */
  readonly lane?: string;
  readonly partner: string | null;
  /** Positions of `message.envelope.recipients`. */
  readonly positions: readonly number[];
  /** Which of `message.contents` they get. */
  readonly content: number;
  /** leased: the caller tries it at once; waiting: due at `nextAttemptAt`. */
  readonly state: "leased" | "waiting";
  readonly nextAttemptAt: number;
  readonly expiresAt: number;
  /** Epoch ms at which its first delay notice is due; absent: none is. */
  readonly noticeAt?: number;
  /** Why it waits from the beginning: its destination is closed. */
  readonly reason?: Reason;
}

export interface NewContent {
  /** The final header block, with the empty line that ends it. */
  readonly header: Buffer;
  readonly body: SealedBody;
}

export interface NewMessage {
  readonly facts: MessageFacts;
  /**
   * One for each treatment. Of several, `facts.contents` says at the same place whose each is (`positions`), and the
   * deliveries agree. A body that several share is stored once; a body that none names is the caller's to discard.
   */
  readonly contents: readonly NewContent[];
  readonly deliveries: readonly NewDelivery[];
}

export interface Completion {
  readonly deliveryId: string;
  /** Recipients that ended in this attempt. */
  readonly ended: readonly { readonly position: number; readonly end: RecipientEnd }[];
  /**
   * For those that still wait; absent when none does. Absent while some are left: the delivery goes back to the state
   * that it was leased from (what was held stays held), and its time, reason and detail stay.
   */
  readonly next?: {
    readonly at: number;
    readonly reason: Reason;
    readonly detail: string;
    /** What the peer said, where it did. */
    readonly smtp?: PeerReply;
  };
  /** False when the attempt never reached a peer by our own doing (shutdown): it is not counted. */
  readonly counts: boolean;
  /** Notices that this completion causes, and the message that recipients have moved into: stored in the same transaction. */
  readonly notices: readonly NewMessage[];
  /** What changes of a delivery that goes on, in the same transaction; what is absent stays. */
  readonly change?: CourseChange;
}

export interface CourseChange {
  readonly course?: Course;
  readonly expiresAt?: number;
  /** null: no more delay notices. */
  readonly noticeAt?: number | null;
  /** A new step of the ladder counts its attempts from 0. */
  readonly attempts?: 0;
  /** What it is claimed by from now on: its way has changed (`laneOf`). */
  readonly lane?: string;
}

export interface FinishedMessage {
  readonly id: string;
  readonly recipients: readonly { readonly address: string; readonly end: RecipientEnd }[];
}

export interface QueueFilter {
  /** Of a message or a delivery. */
  readonly id?: string;
  readonly domain?: string;
  readonly partner?: string;
  /** The whole address in any case; `<>` or the empty string is the null reverse-path. */
  readonly sender?: string;
  readonly senderDomain?: string;
  readonly recipient?: string;
  /** Of the header, brackets included. */
  readonly messageId?: string;
  readonly reason?: string;
  /** Epoch ms: received before. */
  readonly before?: number;
  /** For `list` only; 100 when absent. */
  readonly limit?: number;
  /** For `list` and `seize`: continue after this item: its `cursor`, or its delivery id while it exists. */
  readonly after?: string;
}

export interface QueueItem {
  readonly delivery: Delivery;
  readonly state: DeliveryState;
  readonly partner: string | null;
  readonly nextAttemptAt: number;
  /** When its next delay notice is due, epoch ms; null: none is. */
  readonly noticeAt: number | null;
  readonly reason: Reason | null;
  /** The last attempt's sentence. */
  readonly detail: string | null;
  /** For `after`; stays good when the item is gone. */
  readonly cursor?: string;
}

export interface QueueStore {
  /** `part` numbers the bodies of one message; 0 when absent. */
  readonly openSpool: (messageId: string, part?: number) => Spool;
  /** A body that has ended and was neither enqueued nor discarded, in clear, as often as it is asked for. As `body` does. */
  readonly reread: (body: SealedBody) => Promise<Readable>;
  /** Resolves when message, bodies and deliveries are on stable storage, together or not at all. Rejects with StoreError. */
  readonly enqueue: (message: NewMessage) => Promise<void>;
  /** Lanes with something due, the longest due first; `except` are left out. A lane is a domain, or another way to it (`laneFor`). */
  readonly dueDomains: (now: number, except: ReadonlySet<string>, limit: number) => Promise<readonly string[]>;
  /** Leases up to `limit` due deliveries of one lane, oldest due first. */
  readonly claim: (lane: string, now: number, limit: number) => Promise<readonly Delivery[]>;
  /** Leases up to `limit` due deliveries of one lane whose lifetime has passed, the longest expired first. */
  readonly claimExpired: (lane: string, now: number, limit: number) => Promise<readonly Delivery[]>;
  /** Leases up to `limit` that wait and are owed a delay notice, wherever they go, the longest owed first. */
  readonly claimNotices: (now: number, limit: number) => Promise<readonly Delivery[]>;
  /** Leases up to `limit` matches in whatever state they are, but leased: a person ends or changes them. Oldest first, `after` as in `list`. */
  readonly seize: (filter: QueueFilter, limit: number) => Promise<readonly Delivery[]>;
  /** Epoch ms at which something waiting becomes due after `now`, an attempt or a delay notice; undefined when nothing will. */
  readonly nextDue: (now: number) => Promise<number | undefined>;
  /** An attempt has closed their destination: what is due waits as well, and the attempt counts for it. Answers how many. */
  readonly postpone: (lanes: readonly string[], closed: Closed) => Promise<number>;
  /** Their destination has recovered: what waits for one of `reasons` is due now. Answers how many. */
  readonly hasten: (lanes: readonly string[], now: number, reasons: readonly Reason[]) => Promise<number>;
  /** The wall clock was put forward (ms > 0) or back: expiry and delay notices move along. No expiry is left after `latest`. */
  readonly shiftClock: (ms: number, latest: number) => Promise<void>;
  /** Header block as stored. Rejects with StoreError "damaged". */
  readonly header: (messageId: string, content: number) => Promise<Buffer>;
  /** Body in clear, record by record, each authenticated before a byte is given; destroyed with StoreError "damaged" otherwise. */
  readonly body: (messageId: string, content: number) => Promise<Readable>;
  /** One transaction; answers with the messages that are now gone. */
  readonly complete: (completion: Completion) => Promise<readonly FinishedMessage[]>;
  /** Stops trying a delivery whose content is damaged. */
  readonly park: (deliveryId: string, detail: string) => Promise<void>;
  readonly list: (filter: QueueFilter) => Promise<readonly QueueItem[]>;
  /** How many match, and how they divide. */
  readonly totals: (filter: QueueFilter) => Promise<QueueTotals>;
  /** Makes what waits, and with `parked` what is parked, due at once; answers how many. */
  readonly retry: (filter: QueueFilter, now: number, parked?: boolean) => Promise<number>;
  /** Stops what waits; answers how many. */
  readonly hold: (filter: QueueFilter) => Promise<number>;
  /** Makes what is held wait again, due at once; answers how many. */
  readonly release: (filter: QueueFilter, now: number) => Promise<number>;
  /** Ends every pending recipient as removed. Deliveries leased at the moment are left out. */
  readonly remove: (filter: QueueFilter) => Promise<readonly FinishedMessage[]>;
  readonly stats: () => Promise<QueueStats>;
  /** True while new mail can be stored: engine healthy, free disk above the reserve. */
  readonly usable: () => boolean;
  /** True while it is free disk alone that is wanting. */
  readonly full: () => boolean;
  readonly close: () => Promise<void>;
}

export interface Closed {
  /** Epoch ms: the end of the attempt. */
  readonly now: number;
  /** Epoch ms: nothing is tried before; what expires earlier is due then. */
  readonly until: number;
  readonly reason: Reason;
}

export interface QueueTotals {
  readonly deliveries: number;
  readonly messages: number;
  /** Octets of the messages, each counted once. */
  readonly size: number;
  /** The most frequent first. */
  readonly byDomain: readonly { readonly domain: string; readonly deliveries: number }[];
  /** null: not tried yet. */
  readonly byReason: readonly { readonly reason: Reason | null; readonly deliveries: number }[];
  readonly byState: Readonly<Record<DeliveryState, number>>;
  /** What they are claimed by: their domains, and other ways to them. */
  readonly lanes: readonly string[];
}

export interface QueueStats {
  readonly messages: number;
  readonly deliveries: Readonly<Record<DeliveryState, number>>;
  /** Epoch ms of the oldest message; absent when the queue is empty. */
  readonly oldest?: number;
}

/** no-space: 452, temporary for this message; failed: 451, the engine is broken; damaged: content fails authentication. */
export class StoreError extends Error {
  readonly kind: "no-space" | "failed" | "damaged";
  constructor(kind: "no-space" | "failed" | "damaged", message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "StoreError";
    this.kind = kind;
  }
}
