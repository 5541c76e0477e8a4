/** The dispatcher, the real settling of attempts and hosts that behave by the hour, all in time that the test makes pass. */
import { setImmediate as nothingLeftToDo } from "node:timers/promises";
import type { Delivery } from "../../../src/mail/delivery.ts";
import { type Outcome, problem } from "../../../src/mail/outcome.ts";
import { forwardSince } from "../../../src/schedule/clock-jump.ts";
import { createDispatcher, type Dispatcher } from "../../../src/schedule/dispatcher.ts";
import { settle } from "../../../src/schedule/settle.ts";
import { fakeQueue, type Row } from "./fake-queue.ts";

export const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];

export interface WorldWishes {
  readonly rows: Row[];
  /** How long an attempt takes, and whether it gets through, `at` monotonic ms. */
  readonly host: (name: string, at: number) => { readonly ms: number; readonly well: boolean };
  readonly concurrency?: number;
  readonly retryMs?: readonly number[];
}

/** `at` monotonic ms. */
export interface Happening {
  readonly id: string;
  readonly host: string;
  readonly at: number;
}

export function world({
  rows,
  host,
  concurrency = 5,
  retryMs = [1, 5, 15, 30, 60].map((m) => m * MINUTE),
}: WorldWishes) {
  const time = { monotonic: 0, ahead: 0 };
  const timers = createTimers();
  const [tried, delivered, expired] = [[], [], []] as Happening[][] as [Happening[], Happening[], Happening[]];
  const errors: unknown[] = [];
  const { queue, calls } = fakeQueue(rows);
  const now = (): number => time.monotonic + time.ahead;
  const monotonic = (): number => time.monotonic;
  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => void timers.add(time.monotonic + ms, () => resolve()));
  let seed = 1;
  const fraction = (): number => (seed = (seed * 48_271) % 0x7fff_ffff) / 0x7fff_ffff;
  const schedule = () => ({ retryMs, startedAt: now() - time.monotonic });
  const attempt = async (delivery: Delivery, closed?: { reason: "connection-failed" }) => {
    const { id, domain } = delivery;
    const { ms, well } = host(domain, time.monotonic);
    const ahead = time.ahead;
    if (closed === undefined) {
      tried.push({ id, host: domain, at: time.monotonic });
      await sleep(ms);
    }
    const isWell = well && closed === undefined;
    const outcome: Outcome = isWell
      ? { kind: "delivered", smtp: { code: 250, text: "ok" } }
      : problem("deferred", "connection-failed", "no answer");
    // As the relay does.
    const expiresAt = delivery.expiresAt + forwardSince({ now, monotonic }, ahead);
    const at = { now: now(), fraction: fraction() };
    const { next, report } = settle({ ...delivery, expiresAt }, new Map([[0, outcome]]), schedule(), at);
    const end = isWell ? "delivered" : "expired";
    if (next === undefined) (isWell ? delivered : expired).push({ id, host: domain, at: time.monotonic });
    const ended = next === undefined ? [{ position: 0, end } as const] : [];
    await queue.complete({ deliveryId: id, ended, ...(next && { next }), counts: true, notices: [] });
    return report;
  };
  const dispatcher: Dispatcher = createDispatcher({
    clock: {
      now,
      monotonic,
      sleep,
      after: (ms, run) => timers.add(time.monotonic + ms, run),
    },
    queue,
    attempt: (delivery, closed) => attempt(delivery, closed && { reason: "connection-failed" }),
    remind: () => Promise.resolve(),
    random: { fraction },
    wayOf: (lane) => ({ host: lane, policy: "" }),
    schedule,
    ratePerDestination: () => 0,
    longestLifetimeMs: () => 10 * DAY,
    concurrencyPerDestination: () => concurrency,
    onError: (error) => void errors.push(error),
  });
  /** Lets time pass until then. */
  const pass = async (until: number): Promise<void> => {
    await nothingLeftToDo();
    for (let next = timers.next(until); next !== undefined; next = timers.next(until)) {
      time.monotonic = next.at;
      for (const run of next.runs) run();
      await nothingLeftToDo();
    }
    time.monotonic = until;
  };
  return { dispatcher, pass, time, rows, tried, delivered, expired, errors, calls };
}

/** Timers by their moment; those of one moment run together. */
function createTimers() {
  const moments = new Map<number, Set<() => void>>();
  let sorted: number[] = [];
  return {
    add: (at: number, run: () => void): (() => void) => {
      const moment = Math.ceil(at);
      if (!moments.has(moment)) {
        moments.set(moment, new Set());
        sorted = [...sorted, moment].toSorted((a, b) => a - b);
      }
      moments.get(moment)?.add(run);
      return () => void moments.get(moment)?.delete(run);
    },
    next: (until: number): { at: number; runs: readonly (() => void)[] } | undefined => {
      const [at] = sorted;
      if (at === undefined || at > until) return undefined;
      sorted = sorted.slice(1);
      const runs = [...(moments.get(at) ?? [])];
      moments.delete(at);
      return { at, runs };
    },
  };
}
