/** When a delivery is tried again, and when it has expired. Pure arithmetic on epoch milliseconds. */

export interface RetrySchedule {
  /** Delays in ms; the last one repeats. Never empty. */
  readonly retryMs: readonly number[];
  /** Epoch ms at which this gateway started: what had expired by then gets the longest delay's time of real attempts. */
  readonly startedAt?: number;
}

/** A delivery expires only after this many real attempts, however late the clock says it is. */
export const LEAST_ATTEMPTS = 2;

/** The delay after `attempts` ended attempts (1 after the first), ± 10 % so that queues do not march in step. */
export function retryDelay({ retryMs }: RetrySchedule, attempts: number, fraction: number): number {
  const base = retryMs[Math.min(attempts, retryMs.length) - 1] ?? retryMs.at(-1) ?? 60_000;
  return Math.round(base * (0.9 + 0.2 * fraction));
}

/** Mail that grew old while nobody tried it, or whose clock did, does not end at the first attempt after a start. */
export function graceful({ retryMs, startedAt }: RetrySchedule, expiresAt: number): number {
  if (startedAt === undefined || expiresAt > startedAt) return expiresAt;
  return startedAt + Math.max(...retryMs);
}

/** The next attempt, or "expired". The last attempt falls on the expiry itself, never behind it. */
export function nextAttempt(
  schedule: RetrySchedule,
  at: { readonly now: number; readonly attempts: number; readonly expiresAt: number; readonly fraction: number },
): number | "expired" {
  const due = at.now + retryDelay(schedule, at.attempts, at.fraction);
  const expiresAt = graceful(schedule, at.expiresAt);
  if (at.attempts < LEAST_ATTEMPTS) return Math.min(due, Math.max(expiresAt, at.now + 1));
  return at.now >= expiresAt ? "expired" : Math.min(due, expiresAt);
}
