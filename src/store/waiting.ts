/**
 * What waits, on the queue's side of its database thread: leased, listed, made due, held, removed. Filters by address
 * become keyed tags here; what is leased is opened, and what cannot be opened never leaves.
 */
import type { Delivery } from "../mail/delivery.ts";
import type { FinishedMessage, QueueFilter, QueueStore } from "./queue.ts";
import type { QueueKey } from "./seal.ts";
import { toFilterRow, toQueueItem } from "./sealed-rows.ts";
import type { Link } from "./sqlite-link.ts";
import type { DeliveryRow, FilterRow, GoneRow } from "./sqlite-protocol.ts";

export interface WaitingDeps {
  readonly key: QueueKey;
  readonly link: Pick<Link, "call">;
  /** Counts what runs, so that closing waits for it. */
  readonly run: <T>(operation: () => Promise<T>) => Promise<T>;
  readonly take: (rows: readonly DeliveryRow[]) => Promise<readonly Delivery[]>;
  readonly finish: (gone: readonly GoneRow[]) => Promise<readonly FinishedMessage[]>;
}

type Lease = "claim" | "claimExpired" | "claimNotices" | "seize";
type Times = "postpone" | "hasten" | "shiftClock" | "retry" | "hold" | "release";
export type WaitingPort = Pick<QueueStore, Lease | Times | "list" | "totals" | "remove">;

const REMOVED_AT_ONCE = 500;
const LISTED_BY_DEFAULT = 100;
/** Rows changed in one go: what else is asked of the database goes between. */
const SLICE = 2_000;

export function waitingOf(deps: WaitingDeps): WaitingPort {
  const { key, link, run } = deps;
  const row = (filter: QueueFilter): FilterRow => toFilterRow(filter, key);
  return {
    ...leasesOf(deps, row),
    list: async (filter) => {
      const { limit = LISTED_BY_DEFAULT, after = null } = filter;
      const from = after?.startsWith("#") === true ? Number(after.slice(1)) : after;
      const rows = await link.call("list", { filter: row(filter), limit, after: from });
      return rows.map((found) => toQueueItem(found, key));
    },
    totals: (filter) => link.call("totals", row(filter)),
    postpone: (domains, closed) =>
      run(() => inSlices(domains, (domain) => link.call("postpone", { domain, closed, limit: SLICE }))),
    hasten: (domains, now, reasons) =>
      run(() => inSlices(domains, (domain) => link.call("hasten", { domain, now, reasons, limit: SLICE }))),
    shiftClock: (ms, latest) =>
      run(async () => {
        await link.call("shiftClock", { ms, latest });
      }),
    retry: (filter, now, parked = false) => run(() => link.call("retry", { filter: row(filter), now, parked })),
    hold: (filter) => run(() => link.call("hold", row(filter))),
    release: (filter, now) => run(() => link.call("release", { filter: row(filter), now })),
    remove: (filter) =>
      run(async () => {
        const all: FinishedMessage[] = [];
        for (;;) {
          const { removed, gone } = await link.call("remove", { filter: row(filter), limit: REMOVED_AT_ONCE });
          all.push(...(await deps.finish(gone)));
          if (removed < REMOVED_AT_ONCE) return all;
        }
      }),
  };
}

function leasesOf({ link, run, take }: WaitingDeps, row: (filter: QueueFilter) => FilterRow): Pick<QueueStore, Lease> {
  return {
    claim: (domain, now, limit) => run(async () => take(await link.call("claim", { domain, now, limit }))),
    claimExpired: (domain, now, limit) =>
      run(async () => take(await link.call("claimExpired", { domain, now, limit }))),
    claimNotices: (now, limit) => run(async () => take(await link.call("claimNotices", { now, limit }))),
    seize: (filter, limit) => run(async () => take(await link.call("seize", { filter: row(filter), limit }))),
  };
}

async function inSlices(domains: readonly string[], change: (domain: string) => Promise<number>): Promise<number> {
  let all = 0;
  for (const domain of domains) {
    for (let changed = SLICE; changed === SLICE; all += changed) changed = await change(domain);
  }
  return all;
}
