/**
 * The times a session is bound by (contract: idle_timeout, command_timeout, data_timeout). Counts only while the
 * client owes us something: not while we work or hold its data back. Bytes that get nowhere do not extend a session.
 */
import type { Clock } from "../runtime/clock.ts";

export interface TimerLimits {
  readonly idleMs: number;
  readonly commandMs: number;
  readonly dataMs: number;
}

export type TimedOut = "idle_timeout" | "command_timeout" | "data_timeout";

export interface SessionTimers {
  /** A command was obeyed, or data came. */
  readonly progress: () => void;
  /** Bytes of an unfinished command wait. */
  readonly lineOpen: (open: boolean) => void;
  /** We work on a reply, or hold data back; the client waits. */
  readonly working: (working: boolean) => void;
  readonly dataBegins: () => void;
  readonly dataBytes: (count: number) => void;
  readonly dataEnds: () => void;
  readonly stop: () => void;
  /** Monotonic ms of the last progress. */
  readonly since: () => number;
}

/** Bytes per second below which DATA may not stay beyond data_timeout. */
const SLOWEST_RATE = 500;
const RATE_WINDOW_MS = 60_000;

export function createSessionTimers(
  clock: Clock,
  limits: () => TimerLimits,
  expired: (what: TimedOut, ms: number) => void,
): SessionTimers {
  let progressAt = clock.monotonic();
  let lineAt: number | undefined;
  let workingSince: number | undefined;
  let data: { windowAt: number; windowMs: number; bytes: number } | undefined;
  let cancel = (): void => {};
  let wakeAt = Number.POSITIVE_INFINITY;
  let stopped = false;
  let missed = false;

  const deadlines = (): [TimedOut, number, number][] => {
    const { idleMs, commandMs } = limits();
    const all: [TimedOut, number, number][] = [["idle_timeout", progressAt + idleMs, idleMs]];
    if (lineAt !== undefined) all.push(["command_timeout", lineAt + commandMs, commandMs]);
    if (data !== undefined) all.push(["data_timeout", data.windowAt + data.windowMs, data.windowMs]);
    return all.toSorted((a, b) => a[1] - b[1]);
  };
  const arm = (): void => {
    missed = workingSince !== undefined;
    if (stopped || missed) return;
    const next = deadlines()[0]?.[1] ?? 0;
    if (next >= wakeAt) return;
    cancel();
    wakeAt = next;
    cancel = clock.after(Math.max(1, Math.ceil(next - clock.monotonic())), wake);
  };
  const isFastEnough = (what: TimedOut): boolean => {
    if (what !== "data_timeout" || data === undefined) return false;
    if (data.bytes < (SLOWEST_RATE * data.windowMs) / 1000) return false;
    data = { windowAt: clock.monotonic(), windowMs: Math.min(data.windowMs, RATE_WINDOW_MS), bytes: 0 };
    return true;
  };
  const wake = (): void => {
    wakeAt = Number.POSITIVE_INFINITY;
    if (stopped || workingSince !== undefined) return;
    const first = deadlines()[0];
    if (first !== undefined && first[1] <= clock.monotonic() && !isFastEnough(first[0])) {
      stopped = true;
      expired(first[0], first[2]);
    } else arm();
  };
  arm();

  return {
    progress: () => {
      progressAt = clock.monotonic();
    },
    lineOpen: (open) => {
      lineAt = open ? (lineAt ?? clock.monotonic()) : undefined;
      if (open) arm();
    },
    working: (working) => {
      if (working === (workingSince !== undefined)) return;
      const now = clock.monotonic();
      if (workingSince !== undefined) {
        progressAt += now - workingSince;
        if (data !== undefined) data = { ...data, windowAt: data.windowAt + now - workingSince };
      }
      workingSince = working ? now : undefined;
      if (!working && (missed || wakeAt === Number.POSITIVE_INFINITY)) arm(); // one still running wakes and looks again
    },
    dataBegins: () => {
      data = { windowAt: clock.monotonic(), windowMs: limits().dataMs, bytes: 0 };
      arm();
    },
    dataBytes: (count) => {
      progressAt = clock.monotonic();
      if (data !== undefined) data.bytes += count;
    },
    dataEnds: () => {
      data = undefined;
    },
    stop: () => {
      stopped = true;
      cancel();
    },
    since: () => progressAt,
  };
}
