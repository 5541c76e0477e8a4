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

export interface HistoryCalls {
  readonly addHistory: {
    readonly in: readonly (HistoryRow & { readonly tags: readonly Uint8Array[] })[];
    readonly out: null;
  };
  readonly findHistory: {
    readonly in: { readonly after: number; readonly limit: number } & (
      | { readonly queueId: string }
      | { readonly tag: Uint8Array }
    );
    readonly out: readonly (HistoryRow & { readonly seq: number })[];
  };
  readonly replaceHistory: {
    readonly in: {
      readonly rows: readonly { readonly seq: number; readonly sealed: Uint8Array }[];
      readonly untag: Uint8Array | null;
    };
    readonly out: null;
  };
  readonly forgetHistory: { readonly in: { readonly before: number; readonly limit: number }; readonly out: number };
  readonly reportFigures: {
    readonly in: { readonly partner: string; readonly since: number };
    readonly out: ReportFigures;
  };
}
