/**
 * What waits, on the queue's side of its database thread: leased, listed, made due, held, removed. Filters by address
 * become keyed tags here; what is leased is opened, and what cannot be opened never leaves.
 */
import type { Delivery } from "../mail/delivery.ts";
import type { FinishedMessage, QueueFilter, QueueStore } from "./queue.ts";
import type { StoreKeys } from "./key-ring.ts";
import { toFilterRow, toQueueItem } from "./sealed-rows.ts";
import type { Link } from "./sqlite-link.ts";
import type { Changed, DeliveryRow, FilterRow, GoneRow, Slice } from "./sqlite-protocol.ts";

export interface WaitingDeps {
  readonly keys: StoreKeys;
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
const SLICE = 1_000;

export function waitingOf(deps: WaitingDeps): WaitingPort {
  const { keys, link, run } = deps;
  const row = (filter: QueueFilter): FilterRow => toFilterRow(filter, keys);
  return {
    ...leasesOf(deps, row),
    list: async (filter) => {
      const { limit = LISTED_BY_DEFAULT } = filter;
      return (await link.call("list", { filter: row(filter), limit, after: placeOf(filter) })).map((found) =>
        toQueueItem(found, keys),
      );
    },
    totals: (filter) => link.call("totals", row(filter)),
    postpone: (domains, closed) =>
      run(() => untilFewer(() => link.call("postpone", { domains, closed, limit: SLICE }))),
    hasten: (domains, now, reasons) =>
      run(() => untilFewer(() => link.call("hasten", { domains, now, reasons, limit: SLICE }))),
    shiftClock: (ms, latest) =>
      run(async () => {
        await link.call("shiftClock", { ms, latest });
      }),
    retry: (filter, now, parked = false) =>
      run(() => inOrder((after) => link.call("retry", { filter: row(filter), limit: SLICE, after, now, parked }))),
    hold: (filter) => run(() => inOrder((after) => link.call("hold", { filter: row(filter), limit: SLICE, after }))),
    release: (filter, now) =>
      run(() => inOrder((after) => link.call("release", { filter: row(filter), limit: SLICE, after, now }))),
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
    seize: (filter, limit) =>
      run(async () => {
        for (let after = placeOf(filter); ; ) {
          const rows = await link.call("seize", { filter: row(filter), limit, after });
          const taken = await take(rows);
          // Those that are damaged are parked again: the others must be reached all the same.
          if (taken.length > 0 || rows.length < limit) return taken;
          after = rows.at(-1)?.seq ?? null;
        }
      }),
  };
}

function placeOf({ after }: QueueFilter): Slice["after"] {
  if (after === undefined) return null;
  return after.startsWith("#") ? Number(after.slice(1)) : after;
}

async function untilFewer(change: () => Promise<number>): Promise<number> {
  for (let all = 0; ; ) {
    const changed = await change();
    all += changed;
    if (changed < SLICE) return all;
  }
}

async function inOrder(change: (after: number) => Promise<Changed>): Promise<number> {
  for (let all = 0, after = 0; ; ) {
    const { changed, last } = await change(after);
    all += changed;
    if (changed < SLICE) return all;
    after = last;
  }
}
