/** When a delivery is tried again, and when it has expired. Pure arithmetic on epoch milliseconds. */

export interface RetrySchedule {
  /** Delays in ms; the last one repeats. Never empty. */
  readonly retryMs: readonly number[];
}

/** A delivery expires only after this many real attempts, however late the clock says it is. */
export const LEAST_ATTEMPTS = 2;

/** The delay after `attempts` ended attempts (1 after the first), ± 10 % so that queues do not march in step. */
export function retryDelay(schedule: RetrySchedule, attempts: number, fraction: number): number {
  const list = schedule.retryMs;
  const base = list[Math.min(attempts, list.length) - 1] ?? list.at(-1) ?? 60_000;
  return Math.round(base * (0.9 + 0.2 * fraction));
}

/** The next attempt, or "expired". The last attempt falls on the expiry itself, never behind it. */
export function nextAttempt(
  schedule: RetrySchedule,
  at: { readonly now: number; readonly attempts: number; readonly expiresAt: number; readonly fraction: number },
): number | "expired" {
  const due = at.now + retryDelay(schedule, at.attempts, at.fraction);
  if (at.attempts < LEAST_ATTEMPTS) return Math.min(due, Math.max(at.expiresAt, at.now + 1));
  return at.now >= at.expiresAt ? "expired" : Math.min(due, at.expiresAt);
}
