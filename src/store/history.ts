/**
 * The port of the history: what became of messages, kept for `trace` after they have gone. Sealed like the queue, under
 * a key of its own that the queue key wraps; found by keyed tags only. Holds envelopes and endings, never content.
 */

/** `delivery`: one attempt of recipients with one outcome. `moved`: another message goes on in its place. */
export type HistoryKind = "accepted" | "refused" | "delivery" | "notice" | "finished" | "action";

export interface HistoryEntry {
  /** Epoch ms. */
  readonly at: number;
  readonly kind: HistoryKind;
  readonly queueId: string;
  readonly partner: string | null;
  /** Of kind delivery. */
  readonly outcome?: "delivered" | "deferred" | "failed";
  readonly mode?: "enforce" | "report";
  readonly wouldDefer?: string;
  /** Whole addresses, each found by `address`; the null sender is absent. */
  readonly addresses: readonly string[];
  /** Brackets included. */
  readonly messageId?: string;
  /** The fields of the log's event, as logged before masking. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export type HistoryQuery =
  | { readonly queueId: string }
  | { readonly messageId: string }
  /** A whole address, in any case. */
  | { readonly address: string };

/** Report mode's figures of one partner: what was delivered, and what `enforce` would have kept, by reason. */
export interface ReportFigures {
  /** Messages × destinations tried in report mode, whatever their outcome; each counted once however often it was tried. */
  readonly deliveries: number;
  readonly wouldDefer: readonly { readonly reason: string; readonly deliveries: number }[];
  /** Epoch ms of the first and last; absent when there is none. */
  readonly first?: number;
  readonly last?: number;
}

export interface HistoryStore {
  /** Resolves when all of them are on stable storage. Rejects with StoreError. */
  readonly add: (entries: readonly HistoryEntry[]) => Promise<void>;
  /** Oldest first; at most `limit`. */
  readonly find: (query: HistoryQuery, limit: number) => Promise<readonly HistoryEntry[]>;
  /** Leaves the address nowhere in the history: what else the entries tell stays. Answers how many it changed. */
  readonly erase: (address: string) => Promise<number>;
  /** Forgets what is older; answers how many. */
  readonly forget: (before: number) => Promise<number>;
  readonly figures: (partner: string, since: number) => Promise<ReportFigures>;
}
