/**
 * The port of the history: what became of messages, kept for `trace` after they have gone. Sealed like the queue, under
 * a key of its own that the queue key wraps; found by keyed tags only. Holds envelopes and endings, never content.
 */

export type HistoryKind = "accepted" | "refused" | "delivery" | "notice" | "moved" | "finished" | "action";

export interface HistoryEntry {
  /** Epoch ms. */
  readonly at: number;
  readonly kind: HistoryKind;
  /** Of the message that it is about; null for one that was refused. */
  readonly queueId: string | null;
  /** Of kind delivery. */
  readonly domain?: string;
  readonly partner?: string;
  readonly mode?: "enforce" | "report";
  readonly wouldDefer?: string;
  /** Whole addresses, and Message-IDs in brackets, by which the message is found; given once, with its first entry. */
  readonly found: readonly string[];
  /** The fields of the log's event, as they are before masking. */
  readonly fields: object;
}

/** A queue id, a Message-ID with its brackets, or a whole address in any case. */
export type HistoryQuery = { readonly queueId: string } | { readonly found: string };

/** Report mode's figures of one partner: what was tried in it, and what `enforce` would have kept, by reason. */
export interface ReportFigures {
  /** Messages × destinations; each counted once however often it was tried. */
  readonly deliveries: number;
  /** Each delivery by the reason of its latest attempt that has one; the most frequent first. */
  readonly wouldDefer: readonly { readonly reason: string; readonly deliveries: number }[];
  /** Epoch ms of the first and last; absent when there is none. */
  readonly first?: number;
  readonly last?: number;
}

export interface HistoryStore {
  /** Resolves when all of them are on stable storage, in their order. Rejects with StoreError. */
  readonly add: (entries: readonly HistoryEntry[]) => Promise<void>;
  /**
   * All that is kept of the messages that match, message by message, each in its order; the oldest first. Of more than
   * `limit` entries those of the newest messages, and of a single message that has more the newest.
   */
  readonly find: (query: HistoryQuery, limit: number) => Promise<readonly HistoryEntry[]>;
  /** Leaves the address nowhere in the history: what else its entries tell stays. Answers how many it changed. */
  readonly erase: (address: string) => Promise<number>;
  /** Forgets messages of which nothing younger is known; answers how many entries. */
  readonly forget: (before: number) => Promise<number>;
  readonly figures: (partner: string, since: number) => Promise<ReportFigures>;
}
