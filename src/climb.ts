/**
 * What becomes of recipients whose time has passed: the next step of their ladder, or their end. An S/MIME step makes a
 * message of its own, which is stored in the transaction in which they end here. Nobody is dropped: who cannot take a
 * step takes the next one, and what is not known now waits.
 */
import { laneOn } from "./decide/course.ts";
import { type Encryption, isAwaitingEncryption, type Rung, rungFrom, smimeAt, stepsTaken } from "./decide/ladder.ts";
import type { LadderStep, Rule } from "./decide/policy.ts";
import { type Delivery, delayNoticesOf } from "./mail/delivery.ts";
import { type Outcome, problem, type Problem } from "./mail/outcome.ts";
import type { Encrypted, EncryptStored } from "./fallback.ts";
import type { Part } from "./parts.ts";
import { noticeAfter } from "./reminders.ts";
import { retryDelay, type RetrySchedule } from "./schedule/retry-schedule.ts";
import type { EndedBadly, Settlement } from "./schedule/settle.ts";
import type { CourseChange } from "./store/queue.ts";

export interface Climb {
  readonly settled: Settlement;
  readonly change?: CourseChange;
  readonly moved: readonly Encrypted[];
  /** The same without what was to move, which cannot be stored: it waits. Absent where nothing moves. */
  readonly instead?: Climb;
}

export interface Climbing {
  readonly delivery: Delivery;
  readonly settled: Settlement;
  readonly attempts: readonly (Pick<Part, "delivery" | "outbound"> & {
    readonly trial: { readonly outcomes: ReadonlyMap<number, Outcome> };
  })[];
  readonly at: { readonly now: number; readonly fraction: number };
  readonly schedule: RetrySchedule;
  /** Those of now. */
  readonly rules: readonly Rule[];
  /** Ages at which a sender is told that mail waits, ms. */
  readonly delayNoticesMs: readonly number[];
}

/** Rejects with StoreError "damaged" when the stored content is. */
export async function climb(climbing: Climbing, encrypt: EncryptStored): Promise<Climb> {
  const { settled, attempts } = climbing;
  const stands = attempts.flatMap((attempted) => standsOf(climbing, attempted));
  if (!stands.some(({ from }) => from !== undefined)) return { settled, moved: [] };
  const moved: Encrypted[] = [];
  const encryptions = new Map<number, Encryption>();
  for (const { from, step, part, isLast } of stands) {
    if (from === undefined || step === undefined) continue;
    const { made, unknown } = await encrypt({ ...part, step, rules: climbing.rules });
    for (const position of unknown) encryptions.set(position, isLast ? "impossible" : "unknown");
    for (const position of made?.positions ?? []) encryptions.set(position, "made");
    if (made !== undefined) moved.push(made);
  }
  const placed = place(climbing, stands, encryptions);
  if (moved.length === 0) return { ...placed, moved };
  const without = new Map(encryptions);
  for (const position of moved.flatMap(({ positions }) => positions)) without.set(position, "unknown");
  return { ...placed, moved, instead: { ...place(climbing, stands, without), moved: [] } };
}

/** Recipients under one policy that were not decided, and the step that they are about to take. */
interface Stand {
  readonly part: Pick<Part, "delivery" | "outbound">;
  readonly problems: ReadonlyMap<number, Problem<"deferred" | "failed">>;
  readonly taken: number;
  /** Number of the step; undefined: they stay where they are. */
  readonly from: number | undefined;
  /** Where that is an S/MIME step. */
  readonly step: (LadderStep & { readonly kind: "smime" }) | undefined;
  /** They have waited on it, and its time has passed. */
  readonly isLast: boolean;
}

function standsOf(
  { delivery, settled }: Climbing,
  { delivery: part, outbound, trial }: Climbing["attempts"][number],
): Stand[] {
  const problems = new Map<number, Problem<"deferred" | "failed">>();
  for (const { position } of part.recipients) {
    const outcome = trial.outcomes.get(position) ?? UNTOLD;
    if (outcome.kind === "deferred") problems.set(position, outcome);
  }
  if (problems.size === 0) return [];
  const { onExpiry } = outbound;
  const taken = stepsTaken(delivery, onExpiry);
  const isExpired = settled.next === undefined;
  const awaits = isAwaitingEncryption(delivery, onExpiry);
  const from = awaits ? taken - 1 : isExpired ? taken : undefined;
  const step = from === undefined ? undefined : smimeAt(delivery, onExpiry, from);
  const recipients = part.recipients.filter(({ position }) => problems.has(position));
  return [
    { part: { delivery: { ...part, recipients }, outbound }, problems, taken, from, step, isLast: awaits && isExpired },
  ];
}

const UNTOLD = problem("deferred", "internal-error", "The attempt ended without a result for this recipient");

type Waiting = Extract<Rung, { kind: "waits" }> &
  Pick<Part, "outbound"> & { readonly problem: Problem<"deferred" | "failed"> };

/** A delivery stands on one step with all of its recipients: on the first that any of them takes. */
function place(
  climbing: Climbing,
  stands: readonly Stand[],
  encryptions: ReadonlyMap<number, Encryption>,
): Pick<Climb, "settled" | "change"> {
  const { settled } = climbing;
  const expired: EndedBadly[] = [];
  const waiting: Waiting[] = [];
  for (const { part, problems, taken, from } of stands) {
    for (const recipient of part.delivery.recipients) {
      const { position } = recipient;
      const found = problems.get(position) ?? UNTOLD;
      const rung: Rung =
        from === undefined
          ? { kind: "waits", step: taken, lifetimeMs: 0, encrypts: true }
          : rungFrom(part.outbound.onExpiry, from, encryptions.get(position) ?? "impossible");
      if (rung.kind === "ends") expired.push({ recipient, end: "expired", problem: found });
      if (rung.kind === "waits") waiting.push({ ...rung, problem: found, outbound: part.outbound });
    }
  }
  const { next: planned, ...ended } = { ...settled, expired };
  const step = Math.min(...waiting.map((one) => one.step));
  const here = waiting.filter((one) => one.step === step);
  const [first] = here;
  if (first === undefined) return { settled: withReport(ended, undefined) };
  if (planned !== undefined && step <= Math.max(...stands.map(({ taken }) => taken)))
    return { settled: { ...ended, next: planned } };
  const { now, fraction } = climbing.at;
  const pause = here.every(({ encrypts }) => encrypts) ? retryDelay(climbing.schedule, 1, fraction) : 0;
  const { reason, detail, smtp } = first.problem;
  const next = { at: now + pause, reason, detail, ...(smtp && { smtp }) };
  return {
    settled: withReport({ ...ended, next }, next.at),
    change: changeTo(climbing, { ...first, lifetimeMs: Math.max(...here.map(({ lifetimeMs }) => lifetimeMs)) }),
  };
}

function withReport(settled: Settlement, nextAttemptAt: number | undefined): Settlement {
  const { nextAttemptAt: _, ...report } = settled.report;
  return { ...settled, report: { ...report, ...(nextAttemptAt !== undefined && { nextAttemptAt }) } };
}

function changeTo(
  { delivery, at, rules, delayNoticesMs }: Climbing,
  { step, lifetimeMs, outbound }: Omit<Waiting, "problem">,
): CourseChange {
  const course = { ...delivery.course, step };
  const expiresAt = at.now + lifetimeMs;
  const { receivedAt } = delivery.message;
  const waiting = { steps: delayNoticesMs, receivedAt, expiresAt, now: at.now };
  return {
    course,
    lane: laneOn({ ...delivery, course }, outbound, rules),
    expiresAt,
    attempts: 0, // each step is given real attempts of its own
    noticeAt: noticeAfter(delayNoticesOf(delivery), waiting),
  };
}
