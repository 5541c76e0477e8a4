/**
 * Tells when an exception begins and ends to be in force: at start, at each reload, and by itself on its last day.
 * It only tells; decide/ asks the records themselves at every attempt.
 */
import type { ExceptionRecord, OutboundPolicy } from "./decide/policy.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Snapshot } from "./snapshot.ts";

export interface ExceptionWatchDeps {
  readonly clock: Pick<Clock, "now" | "after">;
  readonly snapshot: () => Snapshot;
  readonly emit: Emit;
}

export interface ExceptionWatch {
  /** Compares what is in force now with what was before. */
  readonly look: () => void;
  readonly stop: () => void;
}

interface InForce {
  readonly partner: string | null;
  readonly record: ExceptionRecord;
}

const LONGEST_PAUSE_MS = 3_600_000;

export function createExceptionWatch({ clock, snapshot, emit }: ExceptionWatchDeps): ExceptionWatch {
  let known = new Map<string, InForce>();
  let cancel: () => void = () => undefined;
  const look = (): void => {
    cancel();
    const now = clock.now();
    const current = inForce(snapshot(), now);
    for (const [key, { partner, record }] of current) {
      if (known.has(key)) continue;
      const until = new Date(record.endsAt - 1).toISOString().slice(0, 10); // the last day that counts
      emit("exception.started", { partner, approvedBy: record.approvedBy, reason: record.reason, until });
    }
    for (const [key, { partner, record }] of known) {
      if (current.has(key)) continue;
      emit("exception.ended", { partner, approvedBy: record.approvedBy, reason: record.reason });
    }
    known = current;
    const ends = [...current.values()].map(({ record }) => record.endsAt - now);
    cancel = clock.after(Math.max(0, Math.min(LONGEST_PAUSE_MS, ...ends)), look);
  };
  return { look, stop: () => cancel() };
}

function inForce({ settings: { policy } }: Snapshot, now: number): Map<string, InForce> {
  const sources: readonly (readonly [string | null, readonly OutboundPolicy[]])[] = [
    [null, policy.defaultExceptions],
    ...policy.partners.map(({ id, exceptions }) => [id, exceptions] as const),
  ];
  const found = new Map<string, InForce>();
  for (const [partner, exceptions] of sources) {
    for (const { exception } of exceptions) {
      if (exception === undefined || now >= exception.endsAt) continue;
      // What was agreed, not where it stands: a line moved in the file is no new exception.
      const { approvedBy, reason, endsAt, domains } = exception;
      found.set(JSON.stringify([partner, approvedBy, reason, endsAt, domains]), { partner, record: exception });
    }
  }
  return found;
}
