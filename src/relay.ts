/**
 * SPINE 2: a delivery goes out. split → attempt (connect → verify → deliver) → report → settle → notify → complete.
 * An accepted recipient reaches exactly one end; outcomes and the notices they cause are stored in one transaction.
 */
import { attempt, forAll, type Steps, type Trial } from "./attempt.ts";
import type { DecideOutbound } from "./decide/decide.ts";
import type { OutboundPolicy } from "./decide/policy.ts";
import type { Delivery } from "./mail/delivery.ts";
import type { Recipient } from "./mail/envelope.ts";
import { type Outcome, problem } from "./mail/outcome.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import type { AttemptReport } from "./schedule/destinations.ts";
import type { RetrySchedule } from "./schedule/retry-schedule.ts";
import { type EndedBadly, settle, type Settlement } from "./schedule/settle.ts";
import { type Completion, type FinishedMessage, type NewMessage, type QueueStore, StoreError } from "./store/queue.ts";

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
}

export interface RelayDeps<V> {
  readonly clock: Clock;
  readonly random: Random;
  readonly steps: Steps<V>;
  readonly queue: Pick<QueueStore, "complete" | "park">;
  /** The policy of now. */
  readonly policy: () => {
    readonly outbound: DecideOutbound;
    readonly schedule: RetrySchedule;
    readonly generation: number;
  };
  /** The notices that endings cause, sealed and ready to be stored with them. */
  readonly notices: (delivery: Delivery, badly: readonly EndedBadly[]) => Promise<readonly NewMessage[]>;
  readonly reportAttempt: (attempted: Attempted) => void;
  /** After the endings are stored: content kept in memory can go, notices are due. */
  readonly completed: (
    delivery: Delivery,
    finished: readonly FinishedMessage[],
    notices: readonly NewMessage[],
  ) => void;
  readonly emit: Emit;
  /** Aborts when the gateway stops: an attempt that did not end well is then not counted. */
  readonly stopping: AbortSignal;
}

/** Tries one delivery whose lease is ours, and stores how it ended. Rejects only when that could not be stored. */
export function createRelay<V>(deps: RelayDeps<V>): (delivery: Delivery) => Promise<AttemptReport> {
  return async (delivery) => {
    const attempts: Omit<Attempted, "nextAttemptAt">[] = [];
    const parts = partsNow(deps, delivery);
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      const startedAt = deps.clock.monotonic();
      const tried = await tryPart(deps, part);
      if (!(tried instanceof StoreError) && isSuperseded(deps, part, tried)) {
        parts.unshift(...partsNow(deps, part.delivery));
        continue;
      }
      // Parking forgets how the others ended; what is damaged still is when the rest is tried.
      const parks = tried instanceof StoreError && !attempts.some(someEnded);
      if (parks) return park(deps, delivery, tried);
      const trial = tried instanceof StoreError ? { outcomes: forAll(part.delivery, FAULT) } : tried;
      attempts.push({ ...part, trial, durationMs: deps.clock.monotonic() - startedAt });
    }
    const outcomes = new Map(attempts.flatMap(({ trial }) => [...trial.outcomes]));
    const at = { now: deps.clock.now(), fraction: deps.random.fraction() };
    const settled = settle(delivery, outcomes, deps.policy().schedule, at);
    for (const attempted of attempts) report(deps, { ...attempted, nextAttemptAt: settled.next?.at });
    const badly = [...settled.failed, ...settled.expired].map((ended) => withHost(ended, attempts));
    await end(deps, delivery, settled, badly);
    return settled.report;
  };
}

/** Recipients under one policy, and the configuration it is from. */
interface Part {
  readonly delivery: Delivery;
  readonly outbound: OutboundPolicy;
  readonly generation: number;
}

function partsNow<V>({ policy, clock }: RelayDeps<V>, delivery: Delivery): Part[] {
  const { outbound, generation } = policy();
  return splitByPolicy(delivery, outbound, clock.now()).map((part) => ({ ...part, generation }));
}

/** A reload, or the end of an exception, has put another policy over a recipient since the attempt began. */
function isInForce<V>({ policy, clock }: RelayDeps<V>, { delivery, outbound }: Part): boolean {
  const decide = policy().outbound;
  return delivery.recipients.every(({ mailbox }) => decide(mailbox, clock.now()) === outbound);
}

/** Nothing was sent, and what was found was judged by a policy that is no longer in force: it is tried anew at once. */
function isSuperseded<V>(deps: RelayDeps<V>, part: Part, { seen }: Trial): boolean {
  return seen?.verdict === undefined && !isInForce(deps, part);
}

/** No session is opened or let through for a policy that is no longer in force: mail may have come to demand more. */
function stepsInForce<V>(deps: RelayDeps<V>, part: Part): Steps<V> {
  const { steps } = deps;
  return {
    ...steps,
    connect: (...given) => (isInForce(deps, part) ? steps.connect(...given) : Promise.resolve(SUPERSEDED)),
    admit: (...given) => (isInForce(deps, part) ? steps.admit(...given) : SUPERSEDED),
  };
}

const SUPERSEDED = problem("deferred", "internal-error", "The policy changed while the attempt was under way");

/** Recipients whose policy a reload has made differ are tried apart; positions stay theirs. */
export function splitByPolicy(
  delivery: Delivery,
  decide: DecideOutbound,
  now: number,
): { delivery: Delivery; outbound: OutboundPolicy }[] {
  const parts = new Map<OutboundPolicy, Recipient[]>();
  for (const recipient of delivery.recipients) {
    const outbound = decide(recipient.mailbox, now);
    parts.set(outbound, [...(parts.get(outbound) ?? []), recipient]);
  }
  return [...parts].map(([outbound, recipients]) => ({ outbound, delivery: { ...delivery, recipients } }));
}

/** The one edge where a defect or a failing store becomes a value; damaged content is told apart. */
async function tryPart<V>(deps: RelayDeps<V>, part: Part): Promise<Trial | StoreError> {
  try {
    return await attempt(part.delivery, part.outbound, stepsInForce(deps, part));
  } catch (error) {
    if (error instanceof StoreError && error.kind === "damaged") return error;
    deps.emit("error", { kind: "attempt", detail: textOf(error) });
    return { outcomes: forAll(part.delivery, FAULT) };
  }
}

const FAULT: Outcome = problem("deferred", "internal-error", "The attempt failed inside the gateway");

function someEnded({ trial }: Pick<Attempted, "trial">): boolean {
  return [...trial.outcomes.values()].some(({ kind }) => kind !== "deferred");
}

/** What cannot be told is stored all the same: else mail that was delivered would be delivered again. */
function report<V>(deps: RelayDeps<V>, attempted: Attempted): void {
  try {
    deps.reportAttempt(attempted);
  } catch (error) {
    deps.emit("error", { kind: "report", detail: textOf(error) });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Notices name the host that was tried last (RFC 3464 §2.3.5). */
function withHost(ended: EndedBadly, attempts: readonly Pick<Attempted, "trial">[]): EndedBadly {
  const host = attempts.find(({ trial }) => trial.outcomes.has(ended.recipient.position))?.trial.seen?.host.name;
  return host === undefined ? ended : { ...ended, remoteMta: host };
}

async function park<V>(deps: RelayDeps<V>, delivery: Delivery, error: StoreError): Promise<AttemptReport> {
  await untilStored(deps, () => deps.queue.park(delivery.id, error.message));
  const { now } = deps.clock;
  deps.emit("alarm", {
    code: "content-damaged",
    partner: null,
    state: "raised",
    since: new Date(now()).toISOString(),
    until: undefined,
    remedy: `Message ${delivery.message.id} fails authentication and is parked: restore data_dir from backup, or remove it`,
  });
  return { reached: false };
}

async function end<V>(
  deps: RelayDeps<V>,
  delivery: Delivery,
  settled: Settlement,
  badly: readonly EndedBadly[],
): Promise<void> {
  await untilStored(deps, async () => {
    const completion = await completionOf(deps, delivery, settled, badly);
    const finished = await deps.queue.complete(completion);
    deps.completed(delivery, finished, completion.notices);
  });
}

/** What became of a delivery is stored sooner or later: forgetting it would deliver the message again. */
async function untilStored<V>(deps: RelayDeps<V>, store: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await store();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      deps.emit("error", { kind: `store-${error.kind}`, detail: error.message });
      if (deps.stopping.aborted) throw error; // the lease is void at the next start
      await deps.clock.sleep(STORE_PAUSE_MS, deps.stopping);
    }
  }
}

const STORE_PAUSE_MS = 1_000;
const DEFECT_PAUSE_MS = 15 * 60_000;

async function completionOf<V>(
  deps: RelayDeps<V>,
  delivery: Delivery,
  { delivered, next }: Settlement,
  badly: readonly EndedBadly[],
): Promise<Completion> {
  const ended = [
    ...delivered.map(({ recipient: { position } }) => ({ position, end: "delivered" as const })),
    ...badly.map(({ recipient: { position }, end }) => ({ position, end })),
  ];
  const counts = !deps.stopping.aborted || ended.length > 0;
  const deliveryId = delivery.id;
  try {
    const notices = badly.length === 0 ? [] : await deps.notices(delivery, badly);
    return { deliveryId, ended, ...(next && { next }), counts, notices };
  } catch (error) {
    if (error instanceof StoreError) throw error;
    // No recipient may end badly without its notice: they wait until the defect is mended.
    deps.emit("error", { kind: "notice", detail: textOf(error) });
    const spared = new Set(badly.map(({ recipient }) => recipient.position));
    const at = next?.at ?? deps.clock.now() + DEFECT_PAUSE_MS;
    const waits = { at, reason: "internal-error", detail: "The failure notice could not be made" } as const;
    return {
      deliveryId,
      ended: ended.filter(({ position }) => !spared.has(position)),
      next: waits,
      counts,
      notices: [],
    };
  }
}
