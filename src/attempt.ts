/**
 * One attempt of SPINE 2: next hops and their hosts in order, until one session has decided about the recipients.
 * Every ending is a value. Nothing is sent to a session that `admit` has not let through; unknown waits.
 */
import type { Target } from "./decide/decide.ts";
import { demandOf, tlsUse } from "./decide/demand.ts";
import type { NextHop, OutboundPolicy, TlsPolicy } from "./decide/policy.ts";
import { missingTreatment } from "./decide/treatment-demand.ts";
import type { Demand, Published } from "./decide/published-requirement.ts";
import { type Delivery, treatedOf } from "./mail/delivery.ts";
import type { Host } from "./mail/host.ts";
import { type Outcome, problem, type Problem } from "./mail/outcome.ts";
import type { Session, Verdict } from "./mail/session.ts";
import type { TlsRequirement } from "./mail/tls-requirement.ts";
import { type AskPublished, askingFor, type Publications } from "./published.ts";

/** How a session is opened; whether it may carry mail is decided afterwards. */
export interface Handshake {
  readonly use: "never" | "if-offered" | "required";
  readonly policy: TlsPolicy;
  /** Never one that an earlier delivery has used. */
  readonly fresh: boolean;
}

/** The effects of one attempt; `V` is a session that was admitted for this delivery. */
export interface Steps<V> extends Publications {
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
  readonly published: Published;
  /** Absent where the host was passed over for what is published, or not known, of it. */
  readonly demand?: Demand;
  readonly session?: Session;
  readonly verdict?: Verdict;
}

/** One host: its sessions until one has decided, or why none has. */
export type HostTrial =
  | { readonly decided: ReadonlyMap<number, Outcome>; readonly seen: Seen }
  | { readonly passed: Problem<"deferred">; readonly seen: Seen };

/** What stays the same from host to host. */
interface Undertaking<V> {
  readonly delivery: Delivery;
  readonly tls: TlsPolicy;
  readonly steps: Steps<V>;
  readonly ask: AskPublished;
}

/** Addresses tried in one attempt: bounds how long a dead destination holds its slot. */
export const MOST_HOSTS = 6;

export async function attempt<V>(delivery: Delivery, outbound: OutboundPolicy, steps: Steps<V>): Promise<Trial> {
  if (!outbound.permitted) {
    const refused = problem("failed", "smtp-5xx", "Mail to this destination is not permitted here");
    return { outcomes: forAll(delivery, refused) };
  }
  const missing = missingTreatment(outbound.treatment, treatedOf(delivery), delivery.message.notice);
  if (missing !== undefined) {
    const outdated = problem("deferred", "treatment-required", `The message was stored ${missing}`);
    return { outcomes: forAll(delivery, outdated) };
  }
  const { tls } = outbound;
  const undertaking = { delivery, tls, steps, ask: askingFor(delivery.domain, tls, steps) };
  let last: Passed | undefined;
  let tried = 0;
  for (const hop of outbound.nextHop) {
    const found = await steps.resolve(hop, delivery.domain);
    if (!isHosts(found)) {
      last = worse(last, { problem: found });
      continue;
    }
    for (const host of found) {
      if (tried >= MOST_HOSTS) break;
      const trial = await tryHost(undertaking, host);
      if ("decided" in trial) return { outcomes: trial.decided, seen: trial.seen };
      if (countsAsTried(trial)) tried += 1;
      last = worse(last, { problem: trial.passed, seen: trial.seen });
    }
  }
  const none = problem("deferred", "host-not-found", "No host to deliver to was found");
  return { outcomes: forAll(delivery, last?.problem ?? none), ...(last?.seen && { seen: last.seen }) };
}

/** Of a host that the policy of the domain does not name, nobody was asked anything. */
export function countsAsTried(trial: HostTrial): boolean {
  return "decided" in trial || trial.passed.reason !== "mx-not-in-policy";
}

/** Also what a probe runs, with steps that stop before MAIL FROM. */
export async function tryHost<V>(undertaking: Undertaking<V>, host: Host): Promise<HostTrial> {
  const { delivery, tls, ask } = undertaking;
  const published = await ask(host);
  const demand = demandOf(tls, targetOf(host, delivery), published);
  if ("waits" in demand) return { passed: problem("deferred", demand.waits, demand.detail), seen: { host, published } };
  const { servername } = demand;
  const policy = servername === undefined ? tls : { ...tls, servername };
  const use = tlsUse(tls, demand);
  const seen = { host, published, demand };
  const first = await trySession(undertaking, seen, { use, policy, fresh: false });
  // A session kept from earlier may have died unnoticed: that says nothing of the host.
  if ("passed" in first && first.seen.session?.reused === true)
    return trySession(undertaking, seen, { use, policy, fresh: true });
  if ("passed" in first && use === "if-offered" && delivery.attempts > 0 && isHandshakeFailure(first.passed)) {
    // Level may, and nothing published: one failed handshake, a retry, and only then plain text (RFC 7435 §3).
    return trySession(undertaking, seen, { use: "never", policy, fresh: true });
  }
  return first;
}

async function trySession<V>(
  { delivery, steps }: Undertaking<V>,
  known: Seen & { readonly demand: Demand },
  handshake: Handshake,
): Promise<HostTrial> {
  const { host, demand } = known;
  const session = await steps.connect(host, handshake);
  if (isProblem(session)) return { passed: session, seen: known };
  const admitted = steps.admit(session, demand.requirement, delivery.id);
  if (isProblem(admitted)) {
    steps.dismiss(session);
    return { passed: admitted, seen: { ...known, session } };
  }
  const seen = { ...known, session, verdict: admitted.verdict };
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
    mxSecure: host.dnssec?.mx === "secure",
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
export function worse(a: Passed | undefined, b: Passed): Passed {
  if (a === undefined) return b;
  if (a.problem.kind !== b.problem.kind) return a.problem.kind === "deferred" ? a : b;
  return isNetwork(a.problem) && !isNetwork(b.problem) ? b : a;
}

function isNetwork({ reason }: Problem<"deferred" | "failed">): boolean {
  return reason === "connection-failed" || reason === "connection-lost" || reason === "dns-failed";
}
