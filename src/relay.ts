/**
 * SPINE 2: a delivery goes out. schedule → connect → verify → deliver → report, and notify when it ends badly.
 * Every ending is a value. Nothing is sent to a session that `admit` has not let through; unknown waits.
 */
import type { DecideOutbound } from "./decide/decide.ts";
import { requirementOf, tlsUse } from "./decide/decide.ts";
import type { NextHop, OutboundPolicy } from "./decide/policy.ts";
import type { Delivery } from "./mail/delivery.ts";
import type { Recipient } from "./mail/envelope.ts";
import type { Host } from "./mail/host.ts";
import { type Outcome, problem, type Problem } from "./mail/outcome.ts";
import type { TlsRequirement } from "./mail/tls-requirement.ts";

/** How a session is opened; whether it may carry mail is decided afterwards. */
export interface Handshake {
  readonly use: "never" | "if-offered" | "required";
  readonly policy: OutboundPolicy["tls"];
}

export interface Trial<Admitted> {
  readonly outcomes: ReadonlyMap<number, Outcome>;
  /** What the session that decided looked like; absent when none did. */
  readonly session?: Admitted;
}

/** The effects of one attempt; `S` is a plain session, `V` one that was admitted for this delivery. */
export interface Steps<S, V> {
  readonly resolve: (hop: NextHop, domain: string) => Promise<readonly Host[] | Problem<"deferred" | "failed">>;
  readonly connect: (host: Host, handshake: Handshake) => Promise<S | Problem<"deferred">>;
  readonly admit: (session: S, requirement: TlsRequirement, deliveryId: string) => V | Problem<"deferred">;
  readonly deliver: (session: V, delivery: Delivery) => Promise<ReadonlyMap<number, Outcome>>;
  /** Closes a session that was not admitted. */
  readonly close: (session: S) => void;
}

/** Addresses tried in one attempt: bounds how long a dead destination holds its slot. */
const MOST_HOSTS = 6;

/** Tries the next hops in order until one session has decided about the recipients. */
export async function attempt<S extends object, V>(
  delivery: Delivery,
  outbound: OutboundPolicy,
  steps: Steps<S, V>,
): Promise<Trial<V>> {
  if (!outbound.permitted) {
    return {
      outcomes: forAll(delivery, problem("failed", "smtp-5xx", "Mail to this destination is not permitted here")),
    };
  }
  let last: Problem<"deferred" | "failed"> | undefined;
  let tried = 0;
  for (const hop of outbound.nextHop) {
    const hosts = await steps.resolve(hop, delivery.domain);
    if (!Array.isArray(hosts)) {
      last = worse(last, hosts as Problem<"deferred" | "failed">);
      continue;
    }
    for (const host of hosts as readonly Host[]) {
      if (tried++ >= MOST_HOSTS) break;
      const result = await tryHost(delivery, outbound, host, steps);
      if ("outcomes" in result) return result;
      last = worse(last, result);
    }
  }
  return {
    outcomes: forAll(delivery, last ?? problem("deferred", "host-not-found", "No host to deliver to was found")),
  };
}

async function tryHost<S extends object, V>(
  delivery: Delivery,
  outbound: OutboundPolicy,
  host: Host,
  steps: Steps<S, V>,
): Promise<Trial<V> | Problem<"deferred">> {
  const { tls } = outbound;
  const target = {
    host: host.name,
    route: host.route,
    learnedFromMx: host.learnedFromMx,
    recipientDomain: delivery.domain,
    ...(host.nextHopName !== undefined && { nextHopName: host.nextHopName }),
  };
  const requirement = requirementOf(tls, target);
  const use = tlsUse(tls);
  let session = await steps.connect(host, { use, policy: tls });
  if (isProblem(session) && use === "if-offered" && delivery.attempts > 0 && isHandshakeFailure(session)) {
    // Level may: one failed handshake, a retry, and only then plain text (RFC 7435 §3).
    session = await steps.connect(host, { use: "never", policy: tls });
  }
  if (isProblem(session)) return session;
  const admitted = steps.admit(session, requirement, delivery.id);
  if (isProblem(admitted)) {
    steps.close(session);
    return admitted;
  }
  return { outcomes: await steps.deliver(admitted, delivery), session: admitted };
}

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

function forAll(delivery: Delivery, outcome: Outcome): ReadonlyMap<number, Outcome> {
  return new Map(delivery.recipients.map(({ position }) => [position, outcome]));
}

function isProblem(value: unknown): value is Problem<"deferred"> {
  return typeof value === "object" && value !== null && "kind" in value && "reason" in value && "status" in value;
}

const HANDSHAKE: readonly string[] = ["validation-failure", "tls-parameters-too-weak", "client-certificate-demanded"];

function isHandshakeFailure({ reason }: Problem<"deferred">): boolean {
  return HANDSHAKE.includes(reason);
}

/** What is told of several hosts' problems: one that waits before one that ends, TLS before the network. */
function worse(
  a: Problem<"deferred" | "failed"> | undefined,
  b: Problem<"deferred" | "failed">,
): Problem<"deferred" | "failed"> {
  if (a === undefined) return b;
  if (a.kind !== b.kind) return a.kind === "deferred" ? a : b;
  return isNetwork(a) && !isNetwork(b) ? b : a;
}

function isNetwork({ reason }: Problem<"deferred" | "failed">): boolean {
  return reason === "connection-failed" || reason === "connection-lost" || reason === "dns-failed";
}
