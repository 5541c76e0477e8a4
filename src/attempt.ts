/**
 * One attempt of SPINE 2: next hops and their hosts in order, until one session has decided about the recipients.
 * Every ending is a value. Nothing is sent to a session that `admit` has not let through; unknown waits.
 */
import { requirementOf, type Target, tlsUse } from "./decide/decide.ts";
import type { NextHop, OutboundPolicy, TlsPolicy } from "./decide/policy.ts";
import type { Delivery } from "./mail/delivery.ts";
import type { Host } from "./mail/host.ts";
import { type Outcome, problem, type Problem } from "./mail/outcome.ts";
import type { Session, Verdict } from "./mail/session.ts";
import type { TlsRequirement } from "./mail/tls-requirement.ts";

/** How a session is opened; whether it may carry mail is decided afterwards. */
export interface Handshake {
  readonly use: "never" | "if-offered" | "required";
  readonly policy: TlsPolicy;
  /** Never one that an earlier delivery has used. */
  readonly fresh: boolean;
}

/** The effects of one attempt; `V` is a session that was admitted for this delivery. */
export interface Steps<V> {
  readonly resolve: (hop: NextHop, domain: string) => Promise<readonly Host[] | Problem<"deferred" | "failed">>;
  readonly connect: (host: Host, handshake: Handshake) => Promise<Session | Problem<"deferred">>;
  readonly admit: (
    session: Session,
    requirement: TlsRequirement,
    deliveryId: string,
  ) => { readonly verified: V; readonly verdict: Verdict } | Problem<"deferred">;
  /** Rejects with StoreError when the content cannot be read; then the peer has committed nothing. */
  readonly deliver: (verified: V, delivery: Delivery, host: Host) => Promise<ReadonlyMap<number, Outcome>>;
  /** Gives a session back after `deliver`; whether it can be used again is its own knowledge. */
  readonly release: (session: Session) => void;
  /** Ends a session that was not admitted; nothing of the message went over it. */
  readonly dismiss: (session: Session) => void;
}

export interface Trial {
  readonly outcomes: ReadonlyMap<number, Outcome>;
  /** The last host tried, and as far as it went. Absent when no host was found. */
  readonly seen?: Seen;
}

export interface Seen {
  readonly host: Host;
  readonly session?: Session;
  readonly verdict?: Verdict;
}

/** One host: its sessions until one has decided, or why none has. */
export type HostTrial =
  | { readonly decided: ReadonlyMap<number, Outcome>; readonly seen: Seen }
  | { readonly passed: Problem<"deferred">; readonly seen: Seen };

/** Addresses tried in one attempt: bounds how long a dead destination holds its slot. */
export const MOST_HOSTS = 6;

export async function attempt<V>(delivery: Delivery, outbound: OutboundPolicy, steps: Steps<V>): Promise<Trial> {
  if (!outbound.permitted) {
    const refused = problem("failed", "smtp-5xx", "Mail to this destination is not permitted here");
    return { outcomes: forAll(delivery, refused) };
  }
  let last: { problem: Problem<"deferred" | "failed">; seen?: Seen } | undefined;
  let tried = 0;
  for (const hop of outbound.nextHop) {
    const found = await steps.resolve(hop, delivery.domain);
    if (!isHosts(found)) {
      last = worse(last, { problem: found });
      continue;
    }
    for (const host of found) {
      if (tried++ >= MOST_HOSTS) break;
      const trial = await tryHost(delivery, outbound.tls, host, steps);
      if ("decided" in trial) return { outcomes: trial.decided, seen: trial.seen };
      last = worse(last, { problem: trial.passed, seen: trial.seen });
    }
  }
  const none = problem("deferred", "host-not-found", "No host to deliver to was found");
  return { outcomes: forAll(delivery, last?.problem ?? none), ...(last?.seen && { seen: last.seen }) };
}

/** Also what a probe runs, with steps that stop before MAIL FROM. */
export async function tryHost<V>(delivery: Delivery, tls: TlsPolicy, host: Host, steps: Steps<V>): Promise<HostTrial> {
  const use = tlsUse(tls);
  const first = await trySession(delivery, host, { use, policy: tls, fresh: false }, steps);
  // A session kept from earlier may have died unnoticed: that says nothing of the host.
  if ("passed" in first && first.seen.session?.reused === true)
    return trySession(delivery, host, { use, policy: tls, fresh: true }, steps);
  if ("passed" in first && use === "if-offered" && delivery.attempts > 0 && isHandshakeFailure(first.passed)) {
    // Level may: one failed handshake, a retry, and only then plain text (RFC 7435 §3).
    return trySession(delivery, host, { use: "never", policy: tls, fresh: true }, steps);
  }
  return first;
}

async function trySession<V>(
  delivery: Delivery,
  host: Host,
  handshake: Handshake,
  steps: Steps<V>,
): Promise<HostTrial> {
  const session = await steps.connect(host, handshake);
  if (isProblem(session)) return { passed: session, seen: { host } };
  const requirement = requirementOf(handshake.policy, targetOf(host, delivery));
  const admitted = steps.admit(session, requirement, delivery.id);
  if (isProblem(admitted)) {
    steps.dismiss(session);
    return { passed: admitted, seen: { host, session } };
  }
  const seen = { host, session, verdict: admitted.verdict };
  const decided = await steps.deliver(admitted.verified, delivery, host).finally(() => steps.release(session));
  const broken = brokenSession(decided);
  return broken === undefined ? { decided, seen } : { passed: broken, seen };
}

function targetOf(host: Host, delivery: Delivery): Target {
  const { route, learnedFromMx, nextHopName } = host;
  const recipientDomain = delivery.domain.startsWith("[") ? undefined : delivery.domain;
  return {
    host: host.name,
    route,
    learnedFromMx,
    ...(recipientDomain !== undefined && { recipientDomain }),
    ...(nextHopName !== undefined && { nextHopName }),
  };
}

/** The session's own end, when no recipient was decided by it: then the next host is tried (RFC 5321 §5.1). */
function brokenSession(outcomes: ReadonlyMap<number, Outcome>): Problem<"deferred"> | undefined {
  let broken: Problem<"deferred"> | undefined;
  for (const outcome of outcomes.values()) {
    if (outcome.kind !== "deferred" || outcome.mayBeDelivered === true) return undefined;
    if (outcome.reason !== "connection-lost" && outcome.smtp?.code !== 421) return undefined;
    broken ??= outcome;
  }
  return broken;
}

export function forAll(delivery: Delivery, outcome: Outcome): ReadonlyMap<number, Outcome> {
  return new Map(delivery.recipients.map(({ position }) => [position, outcome]));
}

function isHosts(found: readonly Host[] | Problem<"deferred" | "failed">): found is readonly Host[] {
  return Array.isArray(found);
}

function isProblem(value: object): value is Problem<"deferred"> {
  return "kind" in value && "reason" in value && "status" in value;
}

const HANDSHAKE: readonly string[] = [
  "starttls-not-supported", // offered, then refused: a host that never offers it has no problem at this level
  "validation-failure",
  "tls-parameters-too-weak",
  "client-certificate-demanded",
];

function isHandshakeFailure({ reason }: Problem<"deferred">): boolean {
  return HANDSHAKE.includes(reason);
}

type Passed = { problem: Problem<"deferred" | "failed">; seen?: Seen };

/** What is told of several hosts' problems: one that waits before one that ends, TLS before the network. */
function worse(a: Passed | undefined, b: Passed): Passed {
  if (a === undefined) return b;
  if (a.problem.kind !== b.problem.kind) return a.problem.kind === "deferred" ? a : b;
  return isNetwork(a.problem) && !isNetwork(b.problem) ? b : a;
}

function isNetwork({ reason }: Problem<"deferred" | "failed">): boolean {
  return reason === "connection-failed" || reason === "connection-lost" || reason === "dns-failed";
}
