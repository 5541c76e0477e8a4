/**
 * SPINE 2: a delivery goes out. split → attempt (connect → verify → deliver) → settle → climb → report → notify → complete.
 * An accepted recipient reaches exactly one end; outcomes and the notices they cause are stored in one transaction.
 */
import { attempt, forAll, type Steps, type Trial } from "./attempt.ts";
import { rememberClear } from "./clear-text.ts";
import { climb, type Climb, type Climbing } from "./climb.ts";
import { policyName } from "./decide/course.ts";
import { demandsOn } from "./decide/message-demand.ts";
import type { OutboundPolicy } from "./decide/policy.ts";
import { createEndings, type EndingsDeps } from "./endings.ts";
import type { EncryptStored } from "./fallback.ts";
import { type Delivery, laneOf, readLane } from "./mail/delivery.ts";
import { type Outcome, problem, type Reason } from "./mail/outcome.ts";
import { createParts, type Part, type Parts, type PolicyNow } from "./parts.ts";
import type { Delivered } from "./notify/reached-notice.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import { aheadBy, forwardSince } from "./schedule/clock-jump.ts";
import type { AttemptReport } from "./schedule/destinations.ts";
import type { RetrySchedule } from "./schedule/retry-schedule.ts";
import { type EndedBadly, settle, type Settlement } from "./schedule/settle.ts";
import { StoreError } from "./store/queue.ts";

/** One attempt of recipients under one policy, as it is reported. */
export interface Attempted {
  readonly delivery: Delivery;
  readonly outbound: OutboundPolicy;
  readonly trial: Trial;
  /** Of the configuration that it was judged by. */
  readonly generation: number;
  /** Monotonic ms that it took. */
  readonly durationMs: number;
  /** Epoch ms of the next attempt of those that wait. */
  readonly nextAttemptAt: number | undefined;
  /** By position: those that the attempt has not decided, and that wait here no longer. */
  readonly ends: ReadonlyMap<number, "expired" | "moved">;
}

export interface RelayDeps<V> extends EndingsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly steps: Steps<V>;
  /** What is in force now. */
  readonly policy: () => PolicyNow & { readonly schedule: RetrySchedule };
  /** Ages at which a sender is told that mail waits, ms. */
  readonly delayNoticesMs: () => readonly number[];
  /** The S/MIME step of the ladder. */
  readonly encrypt: EncryptStored;
  readonly reportAttempt: (attempted: Attempted) => void;
}

/** Why nothing is tried: the destination is closed to it, and the delivery's time has passed. */
export interface Closed {
  readonly reason: Reason;
  readonly detail: string;
  /** It is closed to those of one policy. */
  readonly tls?: boolean;
  readonly policy?: string;
}

type Tried = Omit<Attempted, "nextAttemptAt" | "ends"> & Pick<Part, "way">;

/** Tries one delivery whose lease is ours, and stores how it ended. Rejects only when that could not be stored. */
export function createRelay<V>(deps: RelayDeps<V>): (delivery: Delivery, closed?: Closed) => Promise<AttemptReport> {
  const parts: Parts<V> = createParts(deps.clock.now, deps.policy);
  const endings = createEndings(deps);
  return async (delivery, closed) => {
    const attempts: Tried[] = [];
    const ahead = aheadBy(deps.clock);
    const left = parts.of(delivery);
    for (let part = left.shift(); part !== undefined; part = left.shift()) {
      const startedAt = deps.clock.monotonic();
      const isSpokenFor = closed !== undefined && speaksFor(closed, part);
      const tried = isSpokenFor ? untried(part, closed) : await tryPart(deps, parts, part);
      // Nothing was sent, and what was found was judged by a policy that is no longer in force: it is tried anew at once.
      if (!(tried instanceof StoreError) && tried.seen?.verdict === undefined && !parts.isInForce(part)) {
        left.unshift(...parts.of(part.delivery));
        continue;
      }
      if (tried instanceof StoreError && parks(attempts)) {
        await endings.park(delivery, tried);
        return { reached: false };
      }
      const trial = tried instanceof StoreError ? { outcomes: forAll(part.delivery, FAULT) } : tried;
      attempts.push({ ...part, trial, durationMs: deps.clock.monotonic() - startedAt });
    }
    // A clock that was put forward meanwhile takes no time away.
    const expiresAt = delivery.expiresAt + forwardSince(deps.clock, ahead);
    const climbed = await settled(deps, { ...delivery, expiresAt }, attempts);
    if (climbed instanceof StoreError) {
      await endings.park(delivery, climbed);
      return { reached: false };
    }
    const { next, report } = climbed.settled;
    const told = { nextAttemptAt: next?.at, ends: endsOf(climbed) };
    for (const attempted of attempts) tell(deps, { ...attempted, ...told, outbound: attempted.way });
    const kept = rememberClear(delivery, climbed, attempts);
    await endings.store(delivery, kept, deliveredOf(climbed.settled, attempts));
    return withPolicy(report, delivery, attempts);
  };
}

/** Says which policy was not met, so that mail under another is not held up with it. */
function withPolicy(report: AttemptReport, delivery: Delivery, attempts: readonly Tried[]): AttemptReport {
  const { closedBy } = report;
  if (closedBy === undefined) return report;
  const { reason, detail } = closedBy;
  const closing = attempts.find(({ trial }) =>
    [...trial.outcomes.values()].some(
      (outcome) => outcome.kind === "deferred" && outcome.reason === reason && outcome.detail === detail,
    ),
  );
  const policy = policyName(closing?.outbound.partner ?? null, readLane(laneOf(delivery)));
  return { ...report, closedBy: { ...closedBy, policy } };
}

/** Parking forgets how the others ended; what is damaged still is when the rest is tried. */
function parks(attempts: readonly Tried[]): boolean {
  return attempts.every(({ trial }) => [...trial.outcomes.values()].every(({ kind }) => kind === "deferred"));
}

/**
 * What closed a destination by TLS says nothing of an address that got a partner of its own while it waited with the rest,
 * nor of mail that wishes for less and was stored by a version that let it wait with the rest: none of them ends without an
 * attempt of its own.
 */
function speaksFor({ tls, policy }: Closed, { delivery, outbound, way }: Part): boolean {
  if (tls !== true) return true;
  const lane = readLane(laneOf(delivery));
  const own = policyName(outbound.partner, lane);
  return (policy ?? own) === own && (lane.tlsRequiredNo === true || !demandsOn(delivery, way.tls).lifted);
}

function untried({ delivery }: Part, { reason, detail }: Closed): Trial {
  return { outcomes: forAll(delivery, problem("deferred", reason, detail)) };
}

/** The one edge where a defect or a failing store becomes a value; damaged content is told apart. */
async function tryPart<V>(deps: RelayDeps<V>, parts: Parts<V>, part: Part): Promise<Trial | StoreError> {
  try {
    return await attempt(part.delivery, part.way, parts.steps(part, deps.steps));
  } catch (error) {
    if (error instanceof StoreError && error.kind === "damaged") return error;
    fault(deps.emit, "attempt", error);
    return { outcomes: forAll(part.delivery, FAULT) };
  }
}

const FAULT: Outcome = problem("deferred", "internal-error", "The attempt failed inside the gateway");

/** Who has ended, who waits, and who takes a step of the ladder. An error: the content is damaged, and nobody has ended. */
async function settled<V>(
  deps: RelayDeps<V>,
  delivery: Delivery,
  attempts: readonly Tried[],
): Promise<Climb | StoreError> {
  const outcomes = new Map(attempts.flatMap(({ trial }) => [...trial.outcomes]));
  const at = { now: deps.clock.now(), fraction: deps.random.fraction() };
  const { schedule, rules } = deps.policy();
  const first = settle(delivery, outcomes, schedule, at);
  const climbing: Climbing = {
    delivery,
    settled: first,
    attempts,
    at,
    schedule,
    rules,
    delayNoticesMs: deps.delayNoticesMs(),
  };
  let climbed: Climb;
  try {
    climbed = await climb(climbing, deps.encrypt);
  } catch (error) {
    if (error instanceof StoreError && error.kind === "damaged" && parks(attempts)) return error;
    fault(deps.emit, "ladder", error);
    climbed = await climb(climbing, ({ delivery: { recipients } }) =>
      Promise.resolve({ unknown: recipients.map(positionOf) }),
    );
  }
  const named = (ended: readonly EndedBadly[]): EndedBadly[] => ended.map((one) => withHost(one, attempts));
  const { failed, expired } = climbed.settled;
  const told = { ...climbed.settled, failed: named(failed), expired: named(expired) };
  return { ...climbed, settled: told };
}

function positionOf({ position }: { readonly position: number }): number {
  return position;
}

/** Notices name the host that was tried last (RFC 3464 §2.3.5). */
function withHost<T extends { readonly recipient: { readonly position: number } }>(
  ended: T,
  attempts: readonly Tried[],
): T & { readonly remoteMta?: string } {
  const host = seenBy(ended.recipient.position, attempts)?.host.name;
  return host === undefined ? ended : { ...ended, remoteMta: host };
}

function seenBy(position: number, attempts: readonly Tried[]): Trial["seen"] {
  return attempts.find(({ trial }) => trial.outcomes.has(position))?.trial.seen;
}

function deliveredOf({ delivered }: Settlement, attempts: readonly Tried[]): Delivered[] {
  return delivered.map((one) => {
    const session = seenBy(one.recipient.position, attempts)?.session;
    return withHost({ ...one, dsnPassedOn: session?.extensions.has("DSN") === true }, attempts);
  });
}

function endsOf({ settled: { expired }, moved }: Climb): Attempted["ends"] {
  const moves = moved.flatMap(({ positions }) => positions.map((position) => [position, "moved"] as const));
  return new Map([...moves, ...expired.map(({ recipient }) => [recipient.position, "expired"] as const)]);
}

/** What cannot be told is stored all the same: else mail that was delivered would be delivered again. */
function tell<V>(deps: RelayDeps<V>, attempted: Attempted): void {
  try {
    deps.reportAttempt(attempted);
  } catch (error) {
    fault(deps.emit, "report", error);
  }
}

function fault(emit: Emit, kind: string, error: unknown): void {
  emit("error", { kind, detail: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
