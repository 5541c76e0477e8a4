/**
 * One attempt of SPINE 2: next hops and their hosts in order, until one session has decided about the recipients.
 * Every ending is a value. Nothing is sent to a session that `admit` has not let through; unknown waits.
 */
import type { Target } from "./decide/decide.ts";
import { tlsUse } from "./decide/demand.ts";
import { asksFor, demandedBy, type Demands, demandsOn, fullDemand, reportDemands } from "./decide/message-demand.ts";
import type { NextHop, OutboundPolicy, TlsPolicy } from "./decide/policy.ts";
import { missingTreatment } from "./decide/treatment-demand.ts";
import type { Demanded, FullDemand, Published } from "./decide/published-requirement.ts";
import { type Delivery, treatedOf } from "./mail/delivery.ts";
import type { Host } from "./mail/host.ts";
import { type Outcome, problem, type Problem, type Reason } from "./mail/outcome.ts";
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
  /** Absent when no host was looked for. */
  readonly demanded?: Demanded;
  /** The last host tried, and as far as it went. Absent when no host was found. */
  readonly seen?: Seen;
}

export interface Seen {
  readonly host: Host;
  readonly published: Published;
  /** Absent where the host was passed over for what is published, or not known, of it. */
  readonly demand?: FullDemand;
  readonly session?: Session;
  readonly verdict?: Verdict;
  /** In report mode: why the whole policy would have let it wait. */
  readonly wouldDefer?: Reason;
}

/** One host: its sessions until one has decided, or why none has. */
export type HostTrial =
  | { readonly decided: ReadonlyMap<number, Outcome>; readonly seen: Seen }
  | { readonly passed: Problem<"deferred">; readonly seen: Seen };

/** What stays the same from host to host. */
interface Undertaking<V> {
  readonly delivery: Delivery;
  /** What the policy and the message demand. */
  readonly demands: Demands;
  /** In report mode: what is enough, while what the whole policy says of it is told. */
  readonly enough?: Demands;
  readonly steps: Steps<V>;
  readonly ask: AskPublished;
}

/** Addresses tried in one attempt: bounds how long a dead destination holds its slot. */
export const MOST_HOSTS = 6;

export async function attempt<V>(delivery: Delivery, outbound: OutboundPolicy, steps: Steps<V>): Promise<Trial> {
  if (!outbound.permitted) {
    const refused = problem("failed", "not-permitted", "Mail to this destination is not permitted here");
    return { outcomes: forAll(delivery, refused) };
  }
  const missing = missingTreatment(outbound.treatment, treatedOf(delivery), delivery.message.notice);
  if (missing !== undefined) {
    const outdated = problem("deferred", "treatment-required", `The message was stored ${missing}`);
    return { outcomes: forAll(delivery, outdated) };
  }
  const undertaking = undertake(delivery, outbound, steps);
  const demanded = demandedBy(undertaking.demands);
  const unable = new Set<string>();
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
      const server = `${host.name}:${host.port}`;
      if (unable.has(server)) continue; // its other addresses offer no more
      const trial = await tryHost(undertaking, host);
      if ("decided" in trial) return { outcomes: trial.decided, demanded, seen: trial.seen };
      if (trial.passed.reason === "requiretls-not-supported") unable.add(server);
      if (countsAsTried(trial)) tried += 1;
      last = worse(last, { problem: trial.passed, seen: trial.seen });
    }
  }
  const none = problem("deferred", "host-not-found", "No host to deliver to was found");
  const outcome = last?.problem ?? none;
  return { outcomes: forAll(delivery, withoutWay(outcome)), demanded, ...(last?.seen && { seen: last.seen }) };
}

export function undertake<V>(delivery: Delivery, { tls, mode }: OutboundPolicy, steps: Steps<V>): Undertaking<V> {
  const demands = demandsOn(delivery, tls);
  const enough = mode === "report" ? reportDemands(demands) : undefined;
  const asks = asksFor(enough === undefined ? [demands] : [demands, enough]);
  return { delivery, demands, ...(enough && { enough }), steps, ask: askingFor(delivery.domain, asks, steps) };
}

/**
 * RFC 8689 §4.2.1: each host was tried, and of those that have proven who they are none passes the demand on. `worse`
 * has let any other trouble come before it, so nothing is left that waiting could mend.
 */
function withoutWay(outcome: Problem<"deferred" | "failed">): Problem<"deferred" | "failed"> {
  return outcome.reason === "requiretls-not-supported" ? problem("failed", outcome.reason, outcome.detail) : outcome;
}

/**
 * Not a host that the policy of the domain does not name: nobody was asked anything. Nor one that has answered, but
 * cannot pass REQUIRETLS on: of those, every one is tried.
 */
export function countsAsTried(trial: HostTrial): boolean {
  return "decided" in trial || !["mx-not-in-policy", "requiretls-not-supported"].includes(trial.passed.reason);
}

/** Also what a probe runs, with steps that stop before MAIL FROM. */
export async function tryHost<V>(undertaking: Undertaking<V>, host: Host): Promise<HostTrial> {
  const { delivery, demands, enough, ask } = undertaking;
  const published = await ask(host);
  const target = targetOf(host, delivery);
  const whole = fullDemand(demands, target, published);
  const least = enough === undefined ? [] : [fullDemand(enough, target, published)];
  const [demand = least[0] ?? whole, ...others] = [...least, whole].flatMap((one) => ("waits" in one ? [] : [one]));
  if ("waits" in demand) {
    const waits = { ...problem("deferred", demand.waits, demand.detail), ofPolicy: true } as const;
    return { passed: waits, seen: { host, published } };
  }
  const seen = { host, published, demand, ...("waits" in whole && { wouldDefer: whole.waits }) };
  const servername = ("waits" in whole ? undefined : whole.servername) ?? demand.servername;
  const policy = servername === undefined ? demands.tls : { ...demands.tls, servername };
  const use = tlsUse(demands.tls, demand);
  const either = [...others, demand];
  const first = await trySession(undertaking, seen, { handshake: { use, policy, fresh: false }, either });
  // A session kept from earlier may have died unnoticed: that says nothing of the host.
  if ("passed" in first && first.seen.session?.reused === true)
    return trySession(undertaking, seen, { handshake: { use, policy, fresh: true }, either });
  if ("passed" in first && use === "if-offered" && delivery.attempts > 0 && isHandshakeFailure(first.passed)) {
    // Level may, and nothing published: one failed handshake, a retry, and only then plain text (RFC 7435 §3).
    const isTold = others.some((one) => tlsUse(demands.tls, one) === "required");
    const failed = isTold ? { ...seen, wouldDefer: first.passed.reason } : seen;
    return trySession(undertaking, failed, { handshake: { use: "never", policy, fresh: true }, either: [demand] });
  }
  return first;
}

interface Opening {
  readonly handshake: Handshake;
  /** One of them is enough; where it is not the first, what the first was not met for is told. */
  readonly either: readonly FullDemand[];
}

async function trySession<V>(
  { delivery, steps }: Undertaking<V>,
  known: Seen & { readonly demand: FullDemand },
  { handshake, either }: Opening,
): Promise<HostTrial> {
  const { host } = known;
  const session = await steps.connect(host, handshake);
  if (isProblem(session)) return { passed: session, seen: known };
  const judged = judge(steps, session, either, delivery.id);
  const unmet = isProblem(judged) ? judged : withoutRequireTls(session, delivery);
  if (isProblem(judged) || unmet !== undefined) {
    steps.dismiss(session);
    return { passed: unmet ?? (judged as Problem<"deferred">), seen: { ...known, session } };
  }
  const { verified, verdict, wouldDefer } = judged;
  const seen = { ...known, session, verdict, ...(wouldDefer && { wouldDefer }) };
  const decided = await steps.deliver(verified, delivery, host).finally(() => steps.release(session));
  const broken = brokenSession(decided);
  return broken === undefined ? { decided, seen } : { passed: broken, seen };
}

type Judged<V> = { readonly verified: V; readonly verdict: Verdict; readonly wouldDefer?: Reason };

/** The first demand that the session meets; why it meets none is what it lacks of the last. */
function judge<V>(
  { admit }: Steps<V>,
  session: Session,
  either: readonly FullDemand[],
  deliveryId: string,
): Judged<V> | Problem<"deferred"> {
  const unmet: Problem<"deferred">[] = [];
  for (const { requirement } of either) {
    const admitted = admit(session, requirement, deliveryId);
    const [whole] = unmet;
    if (!isProblem(admitted)) return { ...admitted, ...(whole && { wouldDefer: whole.reason }) };
    unmet.push(admitted);
  }
  return unmet.at(-1)!;
}

/** RFC 8689 §4.2.1: the demand is passed on, or the message is not. §5: a message without a sender goes all the same. */
function withoutRequireTls({ host, extensions }: Session, { message }: Delivery): Problem<"deferred"> | undefined {
  const { mail, reversePath } = message.envelope;
  if (!mail.requireTls || reversePath === null || extensions.has("REQUIRETLS")) return undefined;
  const detail = `${host} cannot promise TLS on the rest of the way (REQUIRETLS)`;
  return problem("deferred", "requiretls-not-supported", detail);
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
  // What ends a message comes last: as long as anything else is wrong with a host, waiting may mend it.
  if (a.problem.reason === "requiretls-not-supported") return b;
  if (b.problem.reason === "requiretls-not-supported") return a;
  return isNetwork(a.problem) && !isNetwork(b.problem) ? b : a;
}

function isNetwork({ reason }: Problem<"deferred" | "failed">): boolean {
  return reason === "connection-failed" || reason === "connection-lost" || reason === "dns-failed";
}
