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

interface Deadline {
  readonly what: TimedOut;
  /** Monotonic ms. */
  readonly at: number;
  readonly ms: number;
}

/** Bytes per second below which DATA may not stay beyond data_timeout. */
const SLOWEST_RATE = 500;
const RATE_WINDOW_MS = 60_000;
const NEVER = Number.POSITIVE_INFINITY;

export class SessionTimers {
  readonly #clock: Clock;
  readonly #limits: () => TimerLimits;
  readonly #expired: (what: TimedOut, ms: number) => void;
  #progressAt: number;
  #lineAt: number | undefined;
  #workingSince: number | undefined;
  #data: { windowAt: number; windowMs: number; bytes: number } | undefined;
  #cancel = (): void => {};
  #wakeAt = NEVER;
  #stopped = false;
  /** A deadline came up while we worked. */
  #missed = false;

  constructor(clock: Clock, limits: () => TimerLimits, expired: (what: TimedOut, ms: number) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#expired = expired;
    this.#progressAt = clock.monotonic();
    this.#arm();
  }

  /** Monotonic ms of the last progress. */
  get since(): number {
    return this.#progressAt;
  }

  /** A command was obeyed, or data came. */
  progress(): void {
    this.#progressAt = this.#clock.monotonic();
  }

  /** Bytes of an unfinished command wait, or no longer. */
  lineOpen(open: boolean): void {
    this.#lineAt = open ? (this.#lineAt ?? this.#clock.monotonic()) : undefined;
    if (open) this.#arm();
  }

  /** We work on a reply, or hold data back; the client waits. */
  working(working: boolean): void {
    if (working === (this.#workingSince !== undefined)) return;
    const now = this.#clock.monotonic();
    if (this.#workingSince !== undefined) {
      const spent = now - this.#workingSince;
      this.#progressAt += spent;
      if (this.#data !== undefined) this.#data.windowAt += spent;
    }
    this.#workingSince = working ? now : undefined;
    // A timer that still runs wakes, sees that nothing is due, and is set anew.
    if (!working && (this.#missed || this.#wakeAt === NEVER)) this.#arm();
  }

  dataBegins(): void {
    this.#data = { windowAt: this.#clock.monotonic(), windowMs: this.#limits().dataMs, bytes: 0 };
    this.#arm();
  }

  dataBytes(count: number): void {
    this.progress();
    if (this.#data !== undefined) this.#data.bytes += count;
  }

  dataEnds(): void {
    this.#data = undefined;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #next(): Deadline {
    const { idleMs, commandMs } = this.#limits();
    let next: Deadline = { what: "idle_timeout", at: this.#progressAt + idleMs, ms: idleMs };
    const consider = (other: Deadline): void => {
      if (other.at < next.at) next = other;
    };
    if (this.#lineAt !== undefined) consider({ what: "command_timeout", at: this.#lineAt + commandMs, ms: commandMs });
    if (this.#data !== undefined) {
      const { windowAt, windowMs } = this.#data;
      consider({ what: "data_timeout", at: windowAt + windowMs, ms: windowMs });
    }
    return next;
  }

  #arm(): void {
    this.#missed = this.#workingSince !== undefined;
    if (this.#stopped || this.#missed) return;
    const { at } = this.#next();
    if (at >= this.#wakeAt) return;
    this.#cancel();
    this.#wakeAt = at;
    this.#cancel = this.#clock.after(Math.max(1, Math.ceil(at - this.#clock.monotonic())), () => this.#wake());
  }

  #wake(): void {
    this.#wakeAt = NEVER;
    if (this.#stopped || this.#workingSince !== undefined) return;
    const due = this.#next();
    if (due.at > this.#clock.monotonic() || (due.what === "data_timeout" && this.#isFastEnough())) return this.#arm();
    this.#stopped = true;
    this.#expired(due.what, due.ms);
  }

  /** Judges the window that ends now; a good one opens the next. */
  #isFastEnough(): boolean {
    if (this.#data === undefined) return true;
    const { bytes, windowMs } = this.#data;
    if (bytes < (SLOWEST_RATE * windowMs) / 1000) return false;
    this.#data = { windowAt: this.#clock.monotonic(), windowMs: Math.min(windowMs, RATE_WINDOW_MS), bytes: 0 };
    return true;
  }
}
