/** What the history and the database thread say to each other; addresses and texts are sealed or tags before they get here. */
import type { ReportFigures } from "./history.ts";

/** An entry of the history; what it says is sealed. */
export interface HistoryRow {
  readonly at: number;
  readonly kind: string;
  readonly queueId: string | null;
  readonly domain: string | null;
  readonly partner: string | null;
  readonly mode: string | null;
  readonly wouldDefer: string | null;
  readonly sealed: Uint8Array;
}

export interface FoundRow extends HistoryRow {
  /** Order of storing. */
  readonly seq: number;
}

export interface NewHistoryRow extends Omit<HistoryRow, "sealed"> {
  /** Octets of what is sealed. */
  readonly length: number;
  /** How many; each has as many octets as `tagLength` says. */
  readonly tags: number;
}

/** The octets of all rows in one piece, which is handed over rather than copied: sealed, then tags, row after row. */
export interface NewHistory {
  readonly rows: readonly NewHistoryRow[];
  readonly octets: Uint8Array;
  readonly tagLength: number;
}

export interface HistoryCalls {
  readonly addHistory: { readonly in: NewHistory; readonly out: null };
  /** All of one message, or those that have the tag: the newest first, those stored before `before`. */
  readonly findHistory: {
    readonly in: { readonly before: number; readonly limit: number } & (
      | { readonly queueId: string }
      | { readonly tag: Uint8Array }
    );
    readonly out: readonly FoundRow[];
  };
  /** Other octets in an entry's place; a tag that nothing has any more. */
  readonly replaceHistory: {
    readonly in: {
      readonly row: { readonly seq: number; readonly sealed: Uint8Array } | null;
      readonly untag: Uint8Array | null;
    };
    readonly out: null;
  };
  /** So many entries of messages of which nothing is known from `before` on; answers how many there were. */
  readonly forgetHistory: { readonly in: { readonly before: number; readonly limit: number }; readonly out: number };
  readonly reportFigures: {
    readonly in: { readonly partner: string; readonly since: number };
    readonly out: ReportFigures;
  };
}
