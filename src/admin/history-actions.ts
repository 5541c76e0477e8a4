/**
 * What a person may ask of the history, with the same words everywhere: the running gateway over HTTP, the command line
 * on a stopped one. Every look and every erasure is logged with who and why. Shows envelopes and endings, never content.
 */
import { formatMailbox, parseMailbox } from "../mail/mailbox.ts";
import type { Emit } from "../report/events.ts";
import type { HistoryEntry, HistoryQuery, HistoryStore, ReportFigures } from "../store/history.ts";
import type { QueueStore } from "../store/queue.ts";
import { type BadRequest, isMessageOrDelivery } from "./queue-query.ts";
import type { Asker } from "./who.ts";

/** Plain JSON: instant, kind and the fields of its event. */
export interface TraceEntry {
  /** ISO 8601 */
  readonly at: string;
  readonly kind: string;
  readonly queueId: string | null;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Erasure {
  /** Entries of the history that named it. */
  readonly changed: number;
  /** Deliveries that still wait for it or from it, and were left alone. */
  readonly waiting: number;
}

export interface HistoryActions {
  readonly trace: (query: string, asker: Asker) => Promise<readonly TraceEntry[] | BadRequest>;
  readonly erase: (address: string, asker: Asker) => Promise<Erasure | BadRequest>;
  readonly figures: (partner: string) => Promise<ReportFigures>;
}

export interface HistoryActionDeps {
  readonly history: Pick<HistoryStore, "find" | "erase" | "figures">;
  readonly queue: Pick<QueueStore, "totals">;
  readonly emit: Emit;
}

/** Entries shown of one question. */
const MOST_ENTRIES = 10_000;

export function createHistoryActions({ history, queue, emit }: HistoryActionDeps): HistoryActions {
  const log = (action: string, detail: string, asker: Asker): void =>
    emit("admin.action", { action, ...asker, detail });
  return {
    trace: async (query, asker) => {
      const queries = readQuery(query);
      if ("error" in queries) return queries;
      const found: HistoryEntry[] = [];
      for (const one of queries) if (found.length === 0) found.push(...(await history.find(one, MOST_ENTRIES)));
      log("trace", `${query.trim().slice(0, 200)}: ${found.length} entries`, asker);
      return found.map(toTrace);
    },
    erase: async (written, asker) => {
      const mailbox = parseMailbox(written);
      if (mailbox === undefined) return NO_ADDRESS;
      const address = formatMailbox(mailbox);
      const changed = await history.erase(address);
      const [to, from] = await Promise.all([queue.totals({ recipient: address }), queue.totals({ sender: address })]);
      // The log must not keep what was just erased.
      log("erase", `${changed} entries`, asker);
      return { changed, waiting: to.deliveries + from.deliveries };
    },
    figures: (partner) => history.figures(partner, 0),
  };
}

const NO_ADDRESS: BadRequest = { error: "That is not an address", remedy: "Write a whole one, as anna@example.org." };

/** The first that finds something counts: what looks like an address may be a Message-ID without its brackets. */
function readQuery(text: string): readonly HistoryQuery[] | BadRequest {
  const query = text.trim();
  if (isMessageOrDelivery(query)) return [{ queueId: query.slice(0, 32) }];
  if (/^<[^<>\s]{1,990}>$/.test(query)) return [{ found: query }];
  if (/^[^<>\s]{1,990}$/.test(query) && query.includes("@")) {
    const mailbox = parseMailbox(query);
    return [...(mailbox === undefined ? [] : [{ found: formatMailbox(mailbox) }]), { found: `<${query}>` }];
  }
  return {
    error: `${JSON.stringify(query.slice(0, 80))} is nothing that can be traced`,
    remedy: "Write a queue id, a Message-ID or a whole address.",
  };
}

function toTrace({ at, kind, queueId, fields }: HistoryEntry): TraceEntry {
  return { at: new Date(at).toISOString(), kind, queueId, fields: { ...fields } };
}
