/**
 * The history on the queue's side of its database thread: entries are sealed before they leave, and opened when they
 * come back. What fails authentication is left out, and nobody is kept from the rest. Addresses become keyed tags.
 */
import { createHmac, type KeyObject } from "node:crypto";
import type { Random } from "../runtime/random.ts";
import { erased } from "./erasing.ts";
import type { HistoryEntry, HistoryKind, HistoryQuery, HistoryStore } from "./history.ts";
import { StoreError } from "./queue.ts";
import { sealEntry, TAG_BYTES, unsealEntry } from "./seal.ts";
import type { Link } from "./sqlite-link.ts";
import type { HistoryRow } from "./history-protocol.ts";
import type { Calls } from "./sqlite-protocol.ts";

export interface HistoryDeps {
  readonly key: KeyObject;
  readonly link: Pick<Link, "call">;
  readonly random: Random;
  /** Keeps the store open until the operation has ended. */
  readonly run: <T>(operation: () => Promise<T>) => Promise<T>;
  /** Empties the log of what has been overwritten. */
  readonly shred: () => Promise<void>;
}

/** Entries read or forgotten in one go: other work goes between. */
const SLICE = 500;

type Found = Calls["findHistory"]["out"][number];

export function createHistory(deps: HistoryDeps): HistoryStore {
  const { key, link, run, random } = deps;
  const pages = async function* (query: HistoryQuery): AsyncGenerator<readonly Found[]> {
    const which = "queueId" in query ? query : { tag: tagOf(key, query.found) };
    for (let after = 0; ; ) {
      const rows = await link.call("findHistory", { ...which, after, limit: SLICE });
      if (rows.length > 0) yield rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < SLICE) return;
      after = last.seq;
    }
  };
  return {
    add: (entries) =>
      run(async () => {
        await link.call(
          "addHistory",
          entries.map((entry) => toRow(entry, key, random)),
        );
      }),
    find: async (query, limit) => {
      const found: HistoryEntry[] = [];
      for await (const rows of pages(query)) {
        found.push(...rows.flatMap((row) => toEntry(row, key) ?? []));
        if (found.length >= limit) break;
      }
      return found.slice(0, limit);
    },
    erase: (address) =>
      run(async () => {
        let changed = 0;
        for await (const rows of pages({ found: address })) {
          const touched = rows.flatMap((row) => withoutAddress(row, address, key, random) ?? []);
          await link.call("replaceHistory", { rows: touched, untag: null });
          changed += touched.length;
        }
        // Last: what a crash has left is found again.
        await link.call("replaceHistory", { rows: [], untag: tagOf(key, address) });
        await deps.shred();
        return changed;
      }),
    forget: (before) =>
      run(async () => {
        let all = 0;
        for (let gone = SLICE; gone === SLICE; all += gone) {
          gone = await link.call("forgetHistory", { before, limit: SLICE });
        }
        return all;
      }),
    figures: (partner, since) => link.call("reportFigures", { partner, since }),
  };
}

function toRow(entry: HistoryEntry, key: KeyObject, random: Random): HistoryRow & { tags: readonly Uint8Array[] } {
  const { at, kind, queueId, domain, partner, mode, wouldDefer, found, fields } = entry;
  return {
    at,
    kind,
    queueId,
    domain: domain ?? null,
    partner: partner ?? null,
    mode: mode ?? null,
    wouldDefer: wouldDefer ?? null,
    sealed: sealEntry(key, place({ at, kind, queueId }), JSON.stringify(fields), random),
    tags: [...new Set(found)].map((one) => tagOf(key, one)),
  };
}

function toEntry(row: HistoryRow, key: KeyObject): HistoryEntry | undefined {
  const fields = open(row, key);
  if (fields === undefined) return undefined;
  const { at, queueId, domain, partner, mode, wouldDefer } = row;
  return {
    at,
    kind: row.kind as HistoryKind,
    queueId,
    ...(domain !== null && { domain }),
    ...(partner !== null && { partner }),
    ...(mode !== null && { mode: mode as "enforce" | "report" }),
    ...(wouldDefer !== null && { wouldDefer }),
    found: [],
    fields: JSON.parse(fields) as object,
  };
}

function open(row: HistoryRow, key: KeyObject): string | undefined {
  try {
    return unsealEntry(key, place(row), row.sealed);
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}

function withoutAddress(
  row: Found,
  address: string,
  key: KeyObject,
  random: Random,
): { seq: number; sealed: Uint8Array } | undefined {
  const before = open(row, key);
  const after = before === undefined ? "{}" : erased(before, address);
  if (after === before) return undefined;
  return { seq: row.seq, sealed: sealEntry(key, place(row), after, random) };
}

/** What an entry is bound to: none can be shown in another's place. */
function place({ at, kind, queueId }: Pick<HistoryRow, "at" | "kind" | "queueId">): string {
  return `history ${at} ${kind} ${queueId ?? ""}`;
}

function tagOf(key: KeyObject, value: string): Buffer {
  return createHmac("sha256", key).update(`tag\0${value.toLowerCase()}`).digest().subarray(0, TAG_BYTES);
}
