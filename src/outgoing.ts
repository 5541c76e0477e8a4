/**
 * Wires SPINE 2: the queue's deliveries to the rooms that try them. Policy and settings are read through functions,
 * so that a reload reaches what is already queued.
 */
import type { Steps } from "./attempt.ts";
import { findAddresses } from "./connect/addresses.ts";
import { createMtaSts, type MtaSts } from "./connect/mta-sts.ts";
import { createHostFinder } from "./connect/mx.ts";
import { createResolver, type Resolver } from "./connect/resolver.ts";
import { createSecureContexts } from "./connect/secure-contexts.ts";
import { createSessionPool, type SessionPool } from "./connect/session-pool.ts";
import { createDaneFinder } from "./connect/tlsa.ts";
import { destinationOf } from "./decide/decide.ts";
import { deliver } from "./deliver/transaction.ts";
import type { MessageFacts } from "./mail/delivery.ts";
import { parseMailDomain } from "./mail/mailbox.ts";
import type { StsPolicyCache } from "./mail/sts-policy.ts";
import { createNotices } from "./notices.ts";
import { createRelay } from "./relay.ts";
import { deliveryEvents } from "./report/delivery-event.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import { createDispatcher, type Dispatcher } from "./schedule/dispatcher.ts";
import type { Snapshot } from "./snapshot.ts";
import { createStsAlarms } from "./sts-alarms.ts";
import type { FreshContent } from "./store/fresh-content.ts";
import type { QueueStore } from "./store/queue.ts";
import { readEvidence } from "./verify/evidence.ts";
import { admit, type VerifiedSession } from "./verify/gate.ts";

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
  readonly emit: Emit;
  readonly stopping: AbortSignal;
}

export interface Outgoing {
  readonly dispatcher: Dispatcher;
  readonly pool: SessionPool;
  /** Begins to keep MTA-STS policies fresh. */
  readonly start: () => void;
  /** Before the store closes. */
  readonly close: () => Promise<void>;
}

export function createOutgoing(deps: OutgoingDeps): Outgoing {
  const { clock, random, queue, fresh, snapshot, emit, stopping } = deps;
  const resolver = createResolver({ clock, random, settings: () => snapshot().settings.dns });
  const deliverySettings = () => snapshot().settings.delivery;
  const contexts = createSecureContexts();
  const pool = createSessionPool({ clock, settings: deliverySettings, contexts, readEvidence, stopping });
  const mtaSts = mtaStsOf(deps, resolver);
  const stsAlarms = createStsAlarms({ clock, emit });
  const steps: Steps<VerifiedSession> = {
    dane: createDaneFinder({ resolver }),
    mtaSts: mtaSts.facts,
    resolve: createHostFinder({ resolver, random, settings: deliverySettings, isOwn: deps.isOwn }),
    connect: pool.connect,
    admit: (session, requirement, deliveryId) => admit(session, requirement, deliveryId, clock.now()),
    deliver: (verified, delivery, { auth }) =>
      deliver(verified, delivery, {
        content: () => contentOf(delivery.message, deps),
        ...(auth && { auth }),
      }),
    release: pool.release,
    dismiss: pool.dismiss,
  };
  const relay = createRelay({
    clock,
    random,
    steps,
    queue,
    policy: () => ({ outbound: snapshot().decide, schedule: snapshot().settings.schedule }),
    notices: createNotices({ clock, random, queue, snapshot }),
    reportAttempt: (attempted) => {
      stsAlarms.look(attempted);
      const at = { now: clock.now(), generation: snapshot().settings.policy.generation };
      for (const fields of deliveryEvents(attempted, at)) emit("delivery", fields);
    },
    completed: (delivery, finished, notices) => {
      fresh.release(delivery.message.id);
      for (const { id, recipients } of finished) {
        const outcome = recipients.map(({ address, end }) => ({ recipient: address, end }));
        emit("message.finished", { queueId: id, outcome, shredded: true });
      }
      if (notices.length > 0) dispatcher.wake();
    },
    emit,
    stopping,
  });
  const dispatcher = createDispatcher({
    clock,
    queue,
    attempt: relay,
    destinationOf: (domain) => destinationUnder(snapshot(), domain, clock.now()),
    concurrencyPerDestination: () => snapshot().settings.concurrencyPerDestination,
    onError: (error) => emit("error", { kind: "dispatch", detail: textOf(error) }),
  });
  const close = async (): Promise<void> => {
    await mtaSts.close();
    resolver.close();
  };
  return { dispatcher, pool, start: mtaSts.start, close };
}

function mtaStsOf({ clock, policies, snapshot, emit }: OutgoingDeps, resolver: Resolver): MtaSts {
  return createMtaSts({
    clock,
    cache: policies,
    lookupTxt: (name) => resolver.lookup(name, "TXT"),
    resolveAddresses: async (host) => {
      const { byVersion, failure } = await findAddresses(resolver, host, snapshot().settings.delivery.ipVersions);
      return { addresses: byVersion.flat(), ...(failure !== undefined && { failure }) };
    },
    trust: () => snapshot().settings.dns.trust?.ca ?? "system",
    onTrouble: ({ cachedUntil, ...trouble }) => {
      const until = cachedUntil === undefined ? undefined : new Date(cachedUntil).toISOString();
      emit("mta-sts.failed", { ...trouble, cachedUntil: until });
    },
  });
}

/** Slots are counted by where the mail for a domain goes; an address with a partner of its own counts with its domain. */
function destinationUnder({ decide }: Snapshot, domain: string, now: number): string {
  const parsed = parseMailDomain(domain);
  return parsed === undefined
    ? domain
    : destinationOf(decide({ localPart: "postmaster", domain: parsed }, now), domain);
}

/** From memory while it is fresh, else record by record from the queue. */
async function* contentOf(
  { id }: MessageFacts,
  { fresh, queue, passed }: Pick<OutgoingDeps, "fresh" | "queue" | "passed">,
): AsyncGenerator<Buffer> {
  const kept = fresh.get(id);
  yield kept?.header ?? (await queue.header(id));
  if (kept !== undefined) return yield kept.body;
  for await (const record of await queue.body(id)) {
    yield record as Buffer;
    passed((record as Buffer).length);
  }
}

export function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
