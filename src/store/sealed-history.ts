/**
 * The history on the queue's side of its database thread: entries are sealed before they leave, and opened when they
 * come back. What fails authentication is left out, and nobody is kept from the rest. Addresses become keyed tags.
 */
import type { KeyObject } from "node:crypto";
import type { Random } from "../runtime/random.ts";
import { withoutAddress } from "./erasing.ts";
import type { HistoryEntry, HistoryKind, HistoryQuery, HistoryStore } from "./history.ts";
import { createHistoryKeys, type HistoryKeys } from "./history-keys.ts";
import type { FoundRow, HistoryRow, NewHistory } from "./history-protocol.ts";
import { StoreError } from "./queue.ts";
import { joined, NONCE_BYTES, sealEntry, TAG_BYTES, unsealEntry } from "./seal.ts";
import type { Link } from "./sqlite-link.ts";

export interface HistoryDeps {
  readonly key: KeyObject;
  readonly link: Pick<Link, "call">;
  readonly random: Random;
  /** Keeps the store open until the operation has ended. */
  readonly run: <T>(operation: () => Promise<T>) => Promise<T>;
  /** False below the reserve of free disk: that is for mail. */
  readonly spare: () => boolean;
  /** Empties the log of what has been overwritten. */
  readonly shred: () => Promise<void>;
}

/** Rows read, changed or forgotten in one go: other work goes between. */
const SLICE = 500;
/** Entries and tags stored in one go; a message may have a thousand recipients. */
const WEIGHT = 500;
const NEWEST = Number.MAX_SAFE_INTEGER;

export function createSealedHistory(deps: HistoryDeps): HistoryStore {
  const { link, run, random } = deps;
  const keys = createHistoryKeys(deps.key);
  return {
    add: (entries) =>
      run(async () => {
        if (!deps.spare()) throw new StoreError("no-space", "The disk is too full for it");
        for (const slice of slices(entries)) {
          const rows = toRows(slice, keys, random);
          await link.call("addHistory", rows, [rows.octets.buffer]);
        }
      }),
    find: async (query, limit) => {
      const messages: HistoryEntry[][] = [];
      let left = limit;
      for await (const rows of messagesOf(deps, keys, query)) {
        const entries: HistoryEntry[] = [];
        for await (const row of rows) {
          const entry = toEntry(row, keys);
          if (entry !== undefined && entries.push(entry) >= left) break;
        }
        messages.push(entries.reverse());
        left -= entries.length;
        if (left <= 0) break;
      }
      return messages.reverse().flat();
    },
    erase: (address) =>
      run(async () => {
        let changed = 0;
        for await (const rows of messagesOf(deps, keys, { found: address })) {
          for await (const row of rows) changed += await eraseFrom(row, address, keys, deps);
        }
        // Last: what a crash has left is found again.
        await link.call("replaceHistory", { row: null, untag: keys.tag(address) });
        keys.forgetTags();
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

type Found = Pick<HistoryDeps, "link">;

/** The messages that match, the newest first; of each its entries, the newest first. */
async function* messagesOf(
  deps: Found,
  keys: HistoryKeys,
  query: HistoryQuery,
): AsyncGenerator<AsyncIterable<FoundRow> | readonly FoundRow[]> {
  if ("queueId" in query) return yield pages(deps, query);
  const seen = new Set<string>();
  for await (const row of pages(deps, { tag: keys.tag(query.found) })) {
    if (row.queueId === null) yield [row];
    else if (!seen.has(row.queueId)) {
      seen.add(row.queueId);
      yield pages(deps, { queueId: row.queueId });
    }
  }
}

async function* pages(
  { link }: Found,
  which: { readonly queueId: string } | { readonly tag: Uint8Array },
): AsyncGenerator<FoundRow> {
  for (let before = NEWEST; ; ) {
    const rows = await link.call("findHistory", { ...which, before, limit: SLICE });
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < SLICE) return;
    before = last.seq;
  }
}

function* slices(entries: readonly HistoryEntry[]): Generator<readonly HistoryEntry[]> {
  let slice: HistoryEntry[] = [];
  let weight = 0;
  for (const entry of entries) {
    slice.push(entry);
    weight += 1 + entry.found.length;
    if (weight < WEIGHT) continue;
    yield slice;
    slice = [];
    weight = 0;
  }
  if (slice.length > 0) yield slice;
}

function toRows(
  entries: readonly HistoryEntry[],
  keys: HistoryKeys,
  random: Random,
): NewHistory & { octets: Uint8Array<ArrayBuffer> } {
  const nonces = random.bytes(NONCE_BYTES * entries.length);
  const octets: Uint8Array[] = [];
  const rows = entries.map((entry, at) => {
    const { kind, queueId, domain, partner, mode, wouldDefer, found, fields } = entry;
    const columns = {
      at: entry.at,
      kind,
      queueId,
      domain: domain ?? null,
      partner: partner ?? null,
      mode: mode ?? null,
      wouldDefer: wouldDefer ?? null,
    };
    const nonce = nonces.subarray(at * NONCE_BYTES, (at + 1) * NONCE_BYTES);
    const sealed = sealEntry(keys.sealing(entry.at), placeOf(columns), JSON.stringify(fields), nonce);
    const tags = [...new Set(found)].map(keys.tag);
    octets.push(sealed, ...tags);
    return { ...columns, length: sealed.length, tags: tags.length };
  });
  return { rows, octets: joined(octets), tagLength: TAG_BYTES };
}

function toEntry(row: HistoryRow, keys: HistoryKeys): HistoryEntry | undefined {
  const fields = open(row, keys);
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
    fields,
  };
}

function open(row: HistoryRow, keys: HistoryKeys): object | undefined {
  try {
    return JSON.parse(unsealEntry(keys.sealing(row.at), placeOf(row), row.sealed)) as object;
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}

/** What cannot be opened may hold the address as well: it is emptied. */
async function eraseFrom(
  row: FoundRow,
  address: string,
  keys: HistoryKeys,
  { link, random }: Pick<HistoryDeps, "link" | "random">,
): Promise<0 | 1> {
  const before = open(row, keys);
  const after = before === undefined ? {} : withoutAddress(before, address);
  if (after === before) return 0;
  const text = JSON.stringify(after);
  const sealed = sealEntry(keys.sealing(row.at), placeOf(row), text, random.bytes(NONCE_BYTES));
  await link.call("replaceHistory", { row: { seq: row.seq, sealed }, untag: null });
  return 1;
}

/** What an entry is bound to: none can be shown in another's place, or counted as another. */
function placeOf({ at, kind, queueId, domain, partner, mode, wouldDefer }: Omit<HistoryRow, "sealed">): string {
  return JSON.stringify([at, kind, queueId, domain, partner, mode, wouldDefer]);
}
