/**
 * Makes the `delivery` events of one attempt: one for each group of recipients with the same outcome (contract
 * section 8). Pure. Says what the session showed and what was demanded of it; never guesses what was not seen.
 */
import type { OutboundPolicy } from "../decide/policy.ts";
import type { Demanded, FullDemand, Published } from "../decide/published-requirement.ts";
import { type Delivery, treatedOf } from "../mail/delivery.ts";
import type { Recipient } from "../mail/envelope.ts";
import type { Host } from "../mail/host.ts";
import { formatMailbox, formatReversePath } from "../mail/mailbox.ts";
import { type Outcome, problem, type Reason } from "../mail/outcome.ts";
import type { PeerCertificate } from "../mail/peer-evidence.ts";
import type { Session, Verdict } from "../mail/session.ts";
import { assuranceOf } from "./assurance.ts";
import type { DeliveryFields, MxFields, PeerFields, PublishedFields, TlsFields } from "./events.ts";

/** One attempt of recipients under one policy, as the spine reports it. */
export interface AttemptFacts {
  readonly delivery: Delivery;
  readonly outbound: OutboundPolicy;
  readonly trial: {
    readonly outcomes: ReadonlyMap<number, Outcome>;
    readonly seen?: SeenHost;
    readonly demanded?: Demanded;
  };
  readonly durationMs: number;
  /** Epoch ms; absent when nobody waits any longer. */
  readonly nextAttemptAt: number | undefined;
  /** By position: who waits here no longer, though not decided. Absent: all have expired if there is no next attempt. */
  readonly ends?: ReadonlyMap<number, End>;
}

/** moved: goes on as another message, so nothing has failed. */
type End = "expired" | "moved" | undefined;

export interface SeenHost {
  readonly host: Host;
  readonly published: Published;
  /** Absent where the host was passed over. */
  readonly demand?: FullDemand;
  readonly session?: Session;
  /** Present when the session was admitted. */
  readonly verdict?: Verdict;
  /** In report mode: why the whole policy would have let it wait. */
  readonly wouldDefer?: Reason;
}

/** `now` in epoch ms; `generation` is that of the policy that judged. */
export function deliveryEvents(facts: AttemptFacts, at: { now: number; generation: number }): DeliveryFields[] {
  const { delivery, outbound } = facts;
  const { message } = delivery;
  const treated = treatedOf(delivery);
  const seen = facts.trial.seen;
  const common = {
    queueId: message.id,
    messageId: message.messageId,
    sender: formatReversePath(message.envelope.reversePath),
    domain: delivery.domain,
    partner: outbound.partner,
    direction: "outbound",
    attempt: delivery.attempts + 1,
    route: seen?.host.route ?? (outbound.nextHop[0]?.kind === "mx" ? "mx" : "next-hop"),
    mode: outbound.mode,
    wouldDefer: outbound.mode === "report" ? seen?.wouldDefer : undefined,
    exception: exceptionFields(outbound),
    rules: rulesFor(delivery),
    mx: seen && mxFields(seen),
    tls: tlsFields(outbound, facts.trial),
    bytes: treated.size,
    smime: treated.smime,
    dkim: treated.dkim,
    durationMs: Math.round(facts.durationMs),
    delayMs: Math.max(0, at.now - message.receivedAt),
    expires: iso(delivery.expiresAt),
    generation: at.generation,
  } as const;
  return groupByOutcome(facts).map(({ outcome, end, recipients }) => ({
    ...common,
    recipients: recipients.map(({ mailbox }) => formatMailbox(mailbox)),
    ...outcomeFields(outcome, end, facts),
  }));
}

/** Names of the rules that its recipients matched when it came in. */
function rulesFor({ message, recipients }: Delivery): readonly string[] {
  const rules = message.demands?.rules ?? [];
  const isFor = (positions: readonly number[] | undefined): boolean =>
    positions === undefined || recipients.some(({ position }) => positions.includes(position));
  return rules.filter(({ positions }) => isFor(positions)).map(({ name }) => name);
}

interface Group {
  readonly outcome: Outcome;
  readonly end: End;
  readonly recipients: Recipient[];
}

function groupByOutcome({ delivery, trial, ends, nextAttemptAt }: AttemptFacts): Group[] {
  const groups = new Map<string, Group>();
  for (const recipient of delivery.recipients) {
    const outcome = trial.outcomes.get(recipient.position) ?? MISSING;
    const reason = outcome.kind === "delivered" ? "" : outcome.reason;
    const allEnd = nextAttemptAt === undefined ? "expired" : undefined;
    const end = ends === undefined ? allEnd : ends.get(recipient.position);
    const key = [outcome.kind, reason, outcome.smtp?.code, outcome.smtp?.enhancedCode, end].join(" ");
    const group = groups.get(key) ?? { outcome, end, recipients: [] };
    group.recipients.push(recipient);
    groups.set(key, group);
  }
  return [...groups.values()];
}

const MISSING = problem(
  "deferred",
  "internal-error",
  "The attempt ended without a result for this recipient",
) satisfies Outcome;

type OutcomeFields = Pick<DeliveryFields, "outcome" | "reason" | "smtp" | "detail" | "nextAttempt">;

function outcomeFields(outcome: Outcome, end: End, { delivery, nextAttemptAt }: AttemptFacts): OutcomeFields {
  const smtp = outcome.smtp && { ...outcome.smtp, text: shortened(outcome.smtp.text) };
  if (outcome.kind === "delivered") {
    return { outcome: "delivered", reason: undefined, smtp, detail: undefined, nextAttempt: undefined };
  }
  const { kind, reason } = outcome;
  const detail = shortened(outcome.detail);
  if (kind === "deferred" && end === "expired") {
    const last = `Expired after ${delivery.attempts + 1} attempts; the last reason was ${reason}: ${detail}`;
    return { outcome: "failed", reason: "expired", smtp, detail: last, nextAttempt: undefined };
  }
  const waits = kind === "deferred" && end === undefined && nextAttemptAt !== undefined;
  const nextAttempt = waits ? iso(nextAttemptAt) : undefined;
  return { outcome: kind, reason, smtp, detail, nextAttempt };
}

function exceptionFields({ exception }: OutboundPolicy): DeliveryFields["exception"] {
  if (exception === undefined) return undefined;
  const lastDay = iso(exception.endsAt - 1).slice(0, 10);
  return { approvedBy: exception.approvedBy, reason: exception.reason, until: lastDay };
}

function mxFields({ host, session }: SeenHost): MxFields {
  return {
    host: host.name,
    address: session?.address ?? host.address,
    port: session?.port ?? host.port,
    localAddress: session?.localAddress,
  };
}

const DEMANDED_BY = {
  default: "default",
  "own-domain": "default",
  partner: "partner",
  exception: "exception",
} as const;

function tlsFields({ tls, source }: OutboundPolicy, { seen, demanded }: AttemptFacts["trial"]): TlsFields {
  const { session, verdict, demand } = seen ?? {};
  const evidence = session?.evidence;
  const [leaf] = evidence?.chain ?? [];
  const learnedFromMx = (seen?.host.learnedFromMx ?? true) && seen?.host.dnssec?.mx !== "secure";
  return {
    demanded: demanded?.level ?? tls.level,
    demandedBy: [DEMANDED_BY[source], ...new Set([...publishedBy(seen), ...(demanded?.by ?? [])])],
    tlsRequiredNo: demanded?.lifted === true ? true : undefined,
    result: resultOf(session, verdict),
    assurance: assuranceOf({ tls, demand, session, verdict, learnedFromMx }),
    version: evidence?.version,
    cipher: evidence?.cipher,
    group: evidence?.group,
    profile: tls.level === "none" ? undefined : tls.profile.name,
    sni: evidence?.sni,
    authenticatedBy: verdict?.authenticatedBy,
    matched: verdict?.matched,
    published: seen && publishedFields(seen),
    peer: leaf && peerFields(leaf),
    reused: session?.reused,
  };
}

/** Also where a policy keeps the host from being tried at all. */
function publishedBy(seen: SeenHost | undefined): FullDemand["by"] {
  const mtaSts = seen?.published.mtaSts;
  return seen?.demand?.by ?? (mtaSts?.kind === "policy" && mtaSts.mode === "enforce" ? ["mta-sts"] : []);
}

function publishedFields({ host, published: { dane, mtaSts } }: SeenHost): PublishedFields {
  return {
    mxSecure: host.dnssec?.mx === "secure",
    dane: dane?.kind === "none" ? dane.why : dane?.kind,
    mtaSts: mtaSts?.kind === "policy" ? mtaSts.mode : mtaSts?.kind === "unavailable" ? mtaSts.result : mtaSts?.kind,
  };
}

function resultOf(session: Session | undefined, verdict: Verdict | undefined): TlsFields["result"] {
  if (session?.evidence === undefined) return "none";
  if (verdict?.authenticatedBy !== undefined) return "authenticated";
  return verdict?.trusted === true ? "trusted" : "encrypted";
}

function peerFields(leaf: PeerCertificate): PeerFields {
  const { subject, names, issuer, keyType, keyBits, sha256, spkiSha256 } = leaf;
  return { subject, names, issuer, notAfter: iso(leaf.notAfter), keyType, keyBits, sha256, spkiSha256 };
}

/** Characters of a peer's reply that a line holds. */
const LONGEST_TEXT = 2_000;

function shortened(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

/** A date that a certificate states may be none at all. */
function iso(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "unknown" : date.toISOString();
}
