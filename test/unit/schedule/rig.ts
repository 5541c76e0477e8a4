/** A dispatcher over a queue in memory, a clock that stands still, and attempts that end when the test says so. */
import { setImmediate as nothingLeftToDo } from "node:timers/promises";
import type { Delivery } from "../../../src/mail/delivery.ts";
import type { AttemptReport } from "../../../src/schedule/destinations.ts";
import { createDispatcher, type DispatcherDeps, type Slot } from "../../../src/schedule/dispatcher.ts";
import { fakeQueue, NEVER, type Row } from "./fake-queue.ts";

export interface Wishes {
  /** Attempts at once at one destination; 2 when absent. */
  readonly concurrency?: number;
  readonly claimMs?: number;
  /** Messages a minute. */
  readonly rate?: number;
  readonly startedAt?: number;
  readonly wayOf?: DispatcherDeps["wayOf"];
}

export const RETRY_MS = [60_000, 300_000];
export const LIFETIME_MS = 432_000_000;

export function rig(rows: Row[], wishes: Wishes = {}) {
  const clock = { now: 0, ahead: 0, timers: [] as { at: number; run: () => void }[] };
  const open = new Map<string, { resolve: (report: AttemptReport) => void; reject: (error: Error) => void }>();
  const [tried, ended, reminded]: string[][] = [[], [], []] as string[][] as [string[], string[], string[]];
  const errors: unknown[] = [];
  const given: Delivery[] = [];
  const { queue, calls, shifts, store } = fakeQueue(rows);
  Object.assign(store, { claimMs: wishes.claimMs ?? 0, passed: (ms: number) => (clock.now += ms) });
  const gone = (id: string): void =>
    void rows.splice(
      rows.findIndex((one) => one.id === id),
      1,
    );
  const dispatcher = createDispatcher({
    clock: {
      now: () => clock.now,
      monotonic: () => clock.now - clock.ahead,
      sleep: () => Promise.resolve(),
      after: (ms, run) => {
        const timer = { at: clock.now - clock.ahead + ms, run };
        clock.timers.push(timer);
        return () => void (clock.timers = clock.timers.filter((other) => other !== timer));
      },
    },
    queue,
    attempt: (delivery, closedBy) => {
      const { id } = delivery;
      if (closedBy !== undefined) {
        ended.push(`${id} ${closedBy.reason}`);
        gone(id);
        return Promise.resolve({ reached: false });
      }
      given.push(delivery);
      return new Promise((resolve, reject) => {
        tried.push(id);
        open.set(id, { resolve, reject });
      });
    },
    remind: ({ id }) => {
      reminded.push(id);
      if (id.startsWith("broken")) return Promise.reject(new TypeError("a defect"));
      Object.assign(rows.find((one) => one.id === id)!, { leased: false, noticeAt: NEVER });
      return Promise.resolve();
    },
    random: { fraction: () => 0.5 },
    // `a.host`: one host, several policies
    wayOf: (lane) => wishes.wayOf?.(lane) ?? { host: lane.split(".").at(-1) ?? lane, policy: lane.split(".")[0] ?? "" },
    schedule: () => ({
      retryMs: RETRY_MS,
      ...(wishes.startedAt !== undefined && { startedAt: wishes.startedAt }),
    }),
    ratePerDestination: () => wishes.rate ?? 0,
    longestLifetimeMs: () => LIFETIME_MS,
    concurrencyPerDestination: () => wishes.concurrency ?? 2,
    onError: (error) => void errors.push(error),
  });
  const settled = async (): Promise<void> => {
    await nothingLeftToDo();
  };
  /** Ends an attempt: without a report the delivery is gone from the queue. */
  const end = async (id: string, report: AttemptReport = { reached: true }) => {
    if (report.nextAttemptAt === undefined) gone(id);
    else {
      const found = rows.find((one) => one.id === id)!;
      Object.assign(found, { leased: false, at: report.nextAttemptAt, attempts: found.attempts + 1 });
      if (report.closedBy) found.reason = report.closedBy.reason;
    }
    open.get(id)!.resolve(report);
    await settled();
  };
  const fail = async (id: string) => {
    open.get(id)!.reject(new TypeError("a defect"));
    await settled();
  };
  /** Lets time pass, timer by timer. */
  const advance = async (to: number) => {
    for (;;) {
      const [next] = clock.timers.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at + clock.ahead > to) break;
      clock.now = Math.max(clock.now, next.at + clock.ahead);
      clock.timers = clock.timers.filter((other) => other !== next);
      next.run();
      await settled();
    }
    clock.now = to;
    await settled();
  };
  /** Sets the wall clock, as an administrator does. */
  const setClock = (to: number) => {
    clock.ahead += to - clock.now;
    clock.now = to;
  };
  const take = (lane: string): Slot | undefined => {
    const reserved = dispatcher.reserve(lane);
    return reserved !== undefined && "submit" in reserved ? reserved : undefined;
  };
  const outcome = { tried, ended, reminded, shifts, errors, given, calls };
  return { dispatcher, take, rows, store, settled, end, fail, advance, setClock, ...outcome };
}

const noAnswer = { reason: "connection-failed", detail: "no answer", tls: false } as const;
const mistrust = { reason: "certificate-not-trusted", detail: "its issuer is not known", tls: true } as const;

export const closedUntil = (at: number): AttemptReport => ({ nextAttemptAt: at, reached: false, closedBy: noAnswer });
export const mistrustedUntil = (at: number): AttemptReport => ({ ...closedUntil(at), closedBy: mistrust });
