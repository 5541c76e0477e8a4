/**
 * Keeps what became of messages for `trace`: hears every event, and stores what is about a message, a handful at a time.
 * It never holds up or fails mail: where the history cannot be stored, it has a gap, and the log says so.
 */
import type { Emit, Events } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { HistoryEntry, HistoryStore } from "./store/history.ts";

export interface HistoryDeps {
  readonly clock: Clock;
  readonly store: () => Pick<HistoryStore, "add" | "forget">;
  /** How long it is kept, ms; 0: nothing is. */
  readonly keepMs: () => number;
  readonly emit: Emit;
}

export interface History {
  readonly hear: Emit;
  /** Begins to forget what is old. */
  readonly start: () => void;
  /** Stores what was heard. */
  readonly stop: () => Promise<void>;
}

const LONGEST_MS = 1_000;
const MOST_HELD = 500;
/** A store that fails must not make memory grow. */
const MOST_EVER = 10_000;
const FORGET_MS = 3_600_000;
const COMPLAIN_MS = 60_000;

export function createHistory({ clock, store, keepMs, emit }: HistoryDeps): History {
  let held: HistoryEntry[] = [];
  let writing: Promise<void> = Promise.resolve();
  let pending = 0;
  let timer: (() => void) | undefined;
  let forgetting: (() => void) | undefined;
  let complained = Number.NEGATIVE_INFINITY;
  const complain = (error: unknown): void => {
    if (clock.monotonic() - complained < COMPLAIN_MS) return;
    complained = clock.monotonic();
    const detail = error instanceof Error ? error.message : String(error);
    emit("error", { kind: "history", detail: `The history has a gap: ${detail}` });
  };
  const flush = (): void => {
    timer?.();
    timer = undefined;
    if (held.length === 0) return;
    const entries = held;
    held = [];
    pending += entries.length;
    writing = writing
      .then(() => store().add(entries))
      .catch(complain)
      .finally(() => (pending -= entries.length));
  };
  const forget = async (): Promise<void> => {
    try {
      await store().forget(clock.now() - keepMs());
    } catch (error) {
      complain(error);
    }
    forgetting = clock.after(FORGET_MS, () => void forget());
  };
  return {
    hear: (event, fields) => {
      if (keepMs() === 0) return;
      const entry = entryOf(event, fields, clock.now());
      if (entry === undefined || held.length + pending >= MOST_EVER) return;
      held.push(entry);
      if (held.length >= MOST_HELD) flush();
      else timer ??= clock.after(LONGEST_MS, flush);
    },
    start: () => void forget(),
    stop: async () => {
      forgetting?.();
      flush();
      await writing;
    },
  };
}

type Told = { [K in keyof Events]?: (fields: Events[K], at: number) => HistoryEntry | undefined };

const NOTHING_FOUND: readonly string[] = [];

/** A message is found by its first entry; what comes later names its queue id. */
const TOLD: Told = {
  "message.accepted": (fields, at) => ({
    at,
    kind: "accepted",
    queueId: fields.queueId,
    found: addresses([fields.sender, ...fields.recipients], fields.messageId),
    fields,
  }),
  "message.refused": (fields, at) =>
    fields.sender === undefined
      ? undefined
      : {
          at,
          kind: "refused",
          queueId: null,
          found: addresses([fields.sender, ...fields.recipients], undefined),
          fields,
        },
  delivery: (fields, at) => ({
    at,
    kind: "delivery",
    queueId: fields.queueId,
    domain: fields.domain,
    ...(fields.partner !== null && { partner: fields.partner }),
    mode: fields.mode,
    ...(fields.wouldDefer !== undefined && { wouldDefer: fields.wouldDefer }),
    found: NOTHING_FOUND,
    fields,
  }),
  "notice.queued": (fields, at) => ({ at, kind: "notice", queueId: fields.about, found: [fields.recipient], fields }),
  "message.moved": (fields, at) => ({ at, kind: "moved", queueId: fields.queueId, found: NOTHING_FOUND, fields }),
  // Of most messages the last delivery tells as much.
  "message.finished": (fields, at) =>
    fields.outcome.some(({ end }) => end === "removed")
      ? { at, kind: "finished", queueId: fields.queueId, found: NOTHING_FOUND, fields }
      : undefined,
};

function entryOf<K extends keyof Events>(event: K, fields: Events[K], at: number): HistoryEntry | undefined {
  return TOLD[event]?.(fields, at);
}

function addresses(of: readonly string[], messageId: string | undefined): readonly string[] {
  const given = of.filter((address) => address !== "" && address !== "<>");
  return messageId === undefined ? given : [...given, messageId];
}
