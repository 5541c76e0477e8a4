/**
 * Keeps what became of messages for `trace`: hears every event, and stores what is about a message, a handful at a time.
 * It never holds up or fails mail: where the history cannot be stored, it has a gap, and the log says so.
 */
import { entriesOf } from "./history-entries.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { HistoryEntry, HistoryStore } from "./store/history.ts";

export interface HistoryDeps {
  readonly clock: Clock;
  readonly store: () => HistoryStore;
  /** How long it is kept, ms; 0: nothing is. */
  readonly keepMs: () => number;
  readonly emit: Emit;
}

export interface History {
  readonly hear: Emit;
  /** The same as the store's, with what has just been heard in it. */
  readonly reader: Pick<HistoryStore, "find" | "erase" | "figures">;
  /** Begins to forget what is old. */
  readonly start: () => void;
  /** Stores what was heard. */
  readonly stop: () => Promise<void>;
}

const LONGEST_MS = 1_000;
const MOST_HELD = 500;
/** Entries, and addresses in them: a store that fails or is slow must not make memory grow. */
const MOST_EVER = 50_000;
const FORGET_MS = 3_600_000;
const COMPLAIN_MS = 60_000;
/** Refusals kept in a minute: whoever makes us refuse must not fill the disk. */
const MOST_REFUSED = 1_000;
const REFUSED_MS = 60_000;
/** Messages of which it is known that they can be found. */
const MOST_INTRODUCED = 20_000;

export function createHistory({ clock, store, keepMs, emit }: HistoryDeps): History {
  const introduced = createIntroduced();
  const refusals = createLimit(clock);
  let held: HistoryEntry[] = [];
  let writing: Promise<void> = Promise.resolve();
  /** Of what is held or being stored. */
  let weight = 0;
  let lost = 0;
  let timer: (() => void) | undefined;
  let forgetting: (() => void) | undefined;
  let stopped = false;
  let complained = Number.NEGATIVE_INFINITY;
  const complain = (why: string): void => {
    if (clock.monotonic() - complained < COMPLAIN_MS) return;
    complained = clock.monotonic();
    const gap = lost === 0 ? "" : ` of ${lost} entries`;
    lost = 0;
    emit("error", { kind: "history", detail: `The history has a gap${gap}: ${why}` });
  };
  const flush = (): Promise<void> => {
    timer?.();
    timer = undefined;
    if (held.length === 0) return writing;
    const entries = held;
    held = [];
    writing = writing
      .then(() => store().add(entries))
      .catch((error: unknown) => {
        introduced.forget(); // what was to be found by these entries is not
        lost += entries.length;
        complain(textOf(error));
      })
      .finally(() => (weight -= weightOf(entries)));
    return writing;
  };
  const hold = (entry: HistoryEntry): void => {
    if (entry.kind === "refused" && !refusals()) return;
    const its = weightOf([entry]);
    if (weight + its > MOST_EVER) {
      lost += 1;
      if (entry.queueId !== null) introduced.forget();
      return complain("it is stored too slowly");
    }
    weight += its;
    held.push(entry);
    if (entry.queueId !== null && (entry.kind === "accepted" || entry.kind === "notice")) introduced.add(entry.queueId);
    if (held.length >= MOST_HELD) void flush();
    else timer ??= clock.after(LONGEST_MS, () => void flush());
  };
  const forget = async (): Promise<void> => {
    try {
      await store().forget(clock.now() - keepMs());
    } catch (error) {
      complain(textOf(error));
    }
    if (!stopped) forgetting = clock.after(FORGET_MS, () => void forget());
  };
  return {
    hear: (event, fields) => {
      if (stopped || keepMs() === 0) return;
      for (const entry of entriesOf(event, fields, { at: clock.now(), isKnown: introduced.has })) hold(entry);
    },
    reader: {
      find: (query, limit) => flush().then(() => store().find(query, limit)),
      erase: (address) => flush().then(() => store().erase(address)),
      figures: (partner, since) => flush().then(() => store().figures(partner, since)),
    },
    start: () => void forget(),
    stop: async () => {
      stopped = true;
      forgetting?.();
      await flush();
    },
  };
}

function weightOf(entries: readonly HistoryEntry[]): number {
  return entries.reduce((sum, { found }) => sum + 1 + found.length, 0);
}

/** Messages that have an entry with all their addresses. Forgetting one costs tags, never an address that is not found. */
function createIntroduced() {
  let ids = new Set<string>();
  let former = new Set<string>();
  return {
    has: (id: string): boolean => ids.has(id) || former.has(id),
    add: (id: string): void => {
      if (ids.size >= MOST_INTRODUCED / 2) [former, ids] = [ids, new Set()];
      ids.add(id);
    },
    forget: (): void => {
      ids = new Set();
      former = new Set();
    },
  };
}

function createLimit(clock: Pick<Clock, "monotonic">): () => boolean {
  let since = Number.NEGATIVE_INFINITY;
  let count = 0;
  return () => {
    const now = clock.monotonic();
    if (now - since >= REFUSED_MS) [since, count] = [now, 0];
    count += 1;
    return count <= MOST_REFUSED;
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
