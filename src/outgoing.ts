/**
 * Wires SPINE 2: the queue's deliveries to the rooms that try them. Policy and settings are read through functions,
 * so that a reload reaches what is already queued.
 */
import type { Steps } from "./attempt.ts";
import type { StsTrouble } from "./connect/mta-sts-update.ts";
import type { Resolver } from "./connect/resolver.ts";
import type { SessionPool } from "./connect/session-pool.ts";
import { policyName } from "./decide/course.ts";
import { destinationOf } from "./decide/decide.ts";
import { deliver } from "./deliver/transaction.ts";
import type { Stored } from "./endings.ts";
import { createEngine } from "./engine.ts";
import { createFallback } from "./fallback.ts";
import { type Delivery, readLane } from "./mail/delivery.ts";
import { parseMailbox, parseMailDomain } from "./mail/mailbox.ts";
import type { StsPolicyCache } from "./mail/sts-policy.ts";
import { createNotices } from "./notices.ts";
import { createProbe, type Prober } from "./probe.ts";
import { createRelay } from "./relay.ts";
import { createRemind } from "./reminders.ts";
import { deliveryEvents } from "./report/delivery-event.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import type { Way } from "./schedule/destinations.ts";
import { createDispatcher, type Dispatcher } from "./schedule/dispatcher.ts";
import type { RetrySchedule } from "./schedule/retry-schedule.ts";
import type { Snapshot } from "./snapshot.ts";
import { createStsAlarms } from "./sts-alarms.ts";
import type { FreshContent } from "./store/fresh-content.ts";
import type { QueueStore } from "./store/queue.ts";
import type { Treatments } from "./treatments.ts";
import type { VerifiedSession } from "./verify/gate.ts";
import { createWaitingAlarms } from "./waiting-alarms.ts";

export interface OutgoingDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly queue: QueueStore;
  /** Where MTA-STS policies are kept. */
  readonly policies: StsPolicyCache;
  readonly fresh: FreshContent;
  /** What is in force now. */
  readonly snapshot: () => Snapshot;
  readonly isOwn: (address: string | undefined, port: number, name: string) => boolean;
  /** Told of the octets of bodies as they go out. */
  readonly passed: (bytes: number) => void;
  /** What the S/MIME step of the ladder encrypts with. */
  readonly treatments: () => Pick<Treatments, "certificatesFor" | "treatWith">;
  readonly emit: Emit;
  readonly stopping: AbortSignal;
}

export interface Outgoing {
  readonly dispatcher: Dispatcher;
  readonly pool: SessionPool;
  readonly resolver: Resolver;
  readonly prober: Prober;
  /** Begins to keep MTA-STS policies fresh. */
  readonly start: () => void;
  /** Before the store closes. */
  readonly close: () => Promise<void>;
}

export function createOutgoing(deps: OutgoingDeps): Outgoing {
  const { clock, random, queue, fresh, snapshot, emit, stopping } = deps;
  const began = clock.monotonic();
  const schedule = (): RetrySchedule => ({
    ...snapshot().settings.schedule,
    startedAt: clock.now() - (clock.monotonic() - began), // by the clock of now, should it have jumped
  });
  const engine = createEngine({ ...deps, onStsTrouble: stsFailed(emit) });
  const stsAlarms = createStsAlarms({ clock, emit });
  const waitingAlarms = createWaitingAlarms({
    clock,
    emit,
    list: queue.list,
    waitingMs: () => snapshot().settings.alarms.waitingMs,
  });
  const steps: Steps<VerifiedSession> = {
    ...engine.steps,
    deliver: (verified, delivery, { auth }) =>
      deliver(verified, delivery, {
        content: () => contentOf(delivery, deps),
        ...(auth && { auth }),
      }),
  };
  const settings = (): Snapshot["settings"] => snapshot().settings;
  const notices = createNotices({ clock, random, queue, snapshot, emit });
  const relay = createRelay({
    clock,
    random,
    steps,
    queue,
    policy: () => {
      const { decide, settings } = snapshot();
      const { rules, generation } = settings.policy;
      return { outbound: decide, rules, schedule: schedule(), generation };
    },
    delayNoticesMs: () => settings().delayNoticesMs,
    notices: notices.ended,
    encrypt: createFallback({
      ...deps,
      hostname: () => settings().hostname,
      certificatesFor: (mailbox, now) => deps.treatments().certificatesFor(mailbox, now),
      treat: (stored, certificatesFor) => deps.treatments().treatWith(stored, certificatesFor),
      delayNoticesMs: () => settings().delayNoticesMs,
    }),
    reportAttempt: (attempted) => {
      stsAlarms.look(attempted);
      waitingAlarms.look(attempted);
      const at = { now: clock.now(), generation: attempted.generation };
      for (const fields of deliveryEvents(attempted, at)) emit("delivery", fields);
    },
    completed: (delivery, stored) => {
      fresh.release(delivery.message.id, delivery.content);
      tellStored(emit, delivery, stored);
      if (stored.notices.length + stored.moved.length > 0) dispatcher.wake();
    },
    emit,
    stopping,
  });
  const remind = createRemind({
    clock,
    queue,
    delayNoticesMs: () => settings().delayNoticesMs,
    delayed: notices.delayed,
    queued: (made) => {
      for (const { told } of made) emit("notice.queued", told);
      dispatcher.wake();
    },
  });
  const dispatcher = createDispatcher({
    clock,
    queue,
    attempt: relay,
    random,
    remind,
    wayOf: (lane) => wayUnder(snapshot(), lane, clock.now()),
    schedule,
    ratePerDestination: () => snapshot().settings.ratePerDestination,
    longestLifetimeMs: () => longestLifetime(snapshot()),
    concurrencyPerDestination: () => snapshot().settings.concurrencyPerDestination,
    onError: (error) => emit("error", { kind: "dispatch", detail: textOf(error) }),
  });
  const { pool, resolver, start } = engine;
  const prober = createProbe({ clock, snapshot, steps: engine.steps });
  const close = async (): Promise<void> => {
    waitingAlarms.stop();
    await engine.close();
  };
  return { dispatcher, pool, resolver, prober, start, close };
}

function tellStored(emit: Emit, { message }: Delivery, { notices, moved, finished }: Stored): void {
  for (const { told } of notices) emit("notice.queued", told);
  for (const { message: into, approvedBy } of moved) {
    const reason = "S/MIME after expiry (on_expiry)";
    emit("message.moved", { queueId: message.id, into: into.facts.id, reason, approvedBy });
  }
  for (const { id, recipients } of finished) {
    const outcome = recipients.map(({ address, end }) => ({ recipient: address, end }));
    emit("message.finished", { queueId: id, outcome, shredded: true });
  }
}

function stsFailed(emit: Emit): (trouble: StsTrouble) => void {
  return ({ cachedUntil, ...trouble }) => {
    const until = cachedUntil === undefined ? undefined : new Date(cachedUntil).toISOString();
    emit("mta-sts.failed", { ...trouble, cachedUntil: until });
  };
}

/** Slots are counted by where the mail of a lane goes. */
function wayUnder({ decide, settings }: Snapshot, lane: string, now: number): Way {
  const { domain, via, partner, ...less } = readLane(lane);
  const parsed = parseMailDomain(domain);
  const [address] = settings.policy.partners.find(({ id }) => id === partner)?.addresses ?? [];
  // Of a partner that a reload has taken away the mail goes as the rest of its domain does.
  const one =
    (address === undefined ? undefined : parseMailbox(address)) ??
    (parsed && { localPart: "postmaster", domain: parsed });
  if (one === undefined) return { host: via ?? domain, policy: policyName(null, less) };
  const outbound = decide(one, now);
  return { host: via ?? destinationOf(outbound, domain), policy: policyName(outbound.partner, less) };
}

function longestLifetime({ settings: { policy } }: Snapshot): number {
  const listed = policy.partners.flatMap(({ outbound, exceptions }) => [outbound, ...exceptions]);
  const own = policy.ownDomains.map(({ outbound }) => outbound);
  const all = [policy.default, ...policy.defaultExceptions, ...listed, ...own];
  const lifetimes = all.flatMap(({ lifetimeMs, onExpiry }) => [lifetimeMs, ...onExpiry.map((step) => step.lifetimeMs)]);
  return lifetimes.reduce((most, lifetimeMs) => Math.max(most, lifetimeMs), policy.bounceLifetimeMs);
}

/** From memory while it is fresh, else record by record from the queue. */
async function* contentOf(
  { message: { id }, content }: Delivery,
  { fresh, queue, passed }: Pick<OutgoingDeps, "fresh" | "queue" | "passed">,
): AsyncGenerator<Buffer> {
  const kept = fresh.get(id, content);
  yield kept?.header ?? (await queue.header(id, content));
  if (kept !== undefined) return yield kept.body;
  for await (const record of await queue.body(id, content)) {
    yield record as Buffer;
    passed((record as Buffer).length);
  }
}

export function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
