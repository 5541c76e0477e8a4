/**
 * Tells when an exception begins and ends to be in force: at start, at each reload, and by itself on its last day; and
 * raises alarms ahead of its end, and of the end of report mode. It only tells; decide/ asks the records at every attempt.
 */
import { createCertificateWatch, type Dated } from "./certificate-watch.ts";
import type { ExceptionRecord, Origin, OutboundPolicy, Policy } from "./decide/policy.ts";
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
const DAY_MS = 86_400_000;
/** Days before the end at which people are told. */
const DAYS = [7, 1];
/** What is still written down so long after its end was told of before. */
const REMEMBERED_MS = 7 * DAY_MS;

export function createExceptionWatch({ clock, snapshot, emit }: ExceptionWatchDeps): ExceptionWatch {
  let known = new Map<string, InForce>();
  let cancel: () => void = () => undefined;
  /** Those that a reload no longer has since they have ended: told of until the next one. */
  let over: readonly InForce[] = [];
  const told = { clock, emit, days: () => DAYS };
  const watches = [
    createCertificateWatch({
      ...told,
      codes: { ending: "exception-ends", ended: "exception-ended" },
      dated: () => {
        const written = inForce(snapshot().settings.policy, 0).values();
        return recent([...written, ...over].map(datedException), clock.now());
      },
    }),
    createCertificateWatch({
      ...told,
      codes: { ending: "report-mode-ends", ended: "report-mode-ended" },
      dated: () => recent(datedReportModes(snapshot()), clock.now()),
    }),
  ];
  const look = (): void => {
    cancel();
    const now = clock.now();
    const current = inForce(snapshot().settings.policy, now);
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
  return {
    look: () => {
      const before = known;
      look();
      over = [...before].flatMap(([key, one]) => (known.has(key) || one.record.endsAt > clock.now() ? [] : [one]));
      for (const watch of watches) watch.look();
    },
    stop: () => {
      cancel();
      for (const watch of watches) watch.stop();
    },
  };
}

function recent(all: readonly Dated[], now: number): readonly Dated[] {
  return all.filter(({ endsAt }) => endsAt + REMEMBERED_MS > now);
}

function datedException({ partner, record: { reason, endsAt, origin } }: InForce): Dated {
  const remedy = "see that the whole policy can be met, which counts from then on, or have the exception approved anew";
  const what = `The exception of ${whose(partner)} for “${reason}”`;
  return { what, partner, endsAt, endsWithDay: true, file: origin.file, remedy };
}

/** What a partner inherits is told of once, where it was written. */
function datedReportModes({ settings: { policy } }: Snapshot): readonly Dated[] {
  const all = [policy.default, ...policy.partners.map(({ outbound }) => outbound)];
  const inherited = policy.default.origins["mode"];
  return all.flatMap(({ partner, mode, reportEndsAt, origins }) => {
    const { mode: origin } = origins;
    const isInherited = partner !== null && origin !== undefined && isSame(origin, inherited);
    if (mode !== "report" || reportEndsAt === undefined || isInherited) return [];
    const remedy =
      "look with sealpost explain at what would wait, and promote it; its whole policy counts from then on";
    const what = `Report mode of ${whose(partner)}`;
    return [{ what, partner, endsAt: reportEndsAt, endsWithDay: true, ...(origin && { file: origin.file }), remedy }];
  });
}

function isSame(a: Origin, b: Origin | undefined): boolean {
  return a.file === b?.file && a.line === b.line && a.column === b.column;
}

function whose(partner: string | null): string {
  return partner === null ? "the default" : `partner ${partner}`;
}

function inForce(policy: Policy, now: number): Map<string, InForce> {
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
