/**
 * Turns the outcomes of one attempt into what the queue stores: who has ended, how, and when the rest is tried again.
 * Pure. A TLS problem never ends a delivery before its schedule does.
 */
import type { Delivery, MessageFacts } from "../mail/delivery.ts";
import type { Recipient } from "../mail/envelope.ts";
import type { Outcome, PeerReply, Problem, Reason } from "../mail/outcome.ts";
import type { Completion } from "../store/queue.ts";
import type { AttemptReport, ClosedBy } from "./destinations.ts";
import { nextAttempt, type RetrySchedule } from "./retry-schedule.ts";

export interface EndedBadly {
  readonly recipient: Recipient;
  readonly end: "failed" | "expired";
  readonly problem: Problem<"deferred" | "failed">;
  /** The host tried last; known to who made the attempt. */
  readonly remoteMta?: string;
}

export interface Settlement {
  readonly delivered: readonly { readonly recipient: Recipient; readonly smtp: PeerReply }[];
  readonly failed: readonly EndedBadly[];
  /** Their time has passed; whether they end with that is not said here. Never beside `next`. */
  readonly expired: readonly EndedBadly[];
  /** For those that wait; absent when none does. */
  readonly next?: NonNullable<Completion["next"]>;
  readonly report: AttemptReport;
}

/** Failures of the network rather than of one message: they close the host for all. So does a 421, whatever it says. */
const NETWORK: readonly Reason[] = ["connection-failed", "connection-lost", "dns-failed", "host-not-found"];

/**
 * Failures to prove what a policy demands, or what the destination publishes for all: they close the host for those under
 * the same policy. Not among them: `requiretls-not-supported` and `treatment-required`, which one message demands, and
 * replies to it.
 */
const TLS: readonly Reason[] = [
  "starttls-not-supported",
  "validation-failure",
  "tls-parameters-too-weak",
  "certificate-not-trusted",
  "certificate-expired",
  "certificate-host-mismatch",
  "fingerprint-mismatch",
  "client-certificate-demanded",
  "tlsa-invalid",
  "dnssec-invalid",
  "dane-required",
  "sts-policy-fetch-error",
  "sts-policy-invalid",
  "sts-webpki-invalid",
  "mx-not-in-policy",
];

/** What waits for one of these can go once its destination has been reached. A 4xx counts where it came with a closing 421. */
export function reasonsToHasten(closings: ReadonlySet<Reason>): readonly Reason[] {
  return [...new Set([...NETWORK, ...TLS, ...closings])];
}

export function settle(
  delivery: Delivery,
  outcomes: ReadonlyMap<number, Outcome>,
  schedule: RetrySchedule,
  at: { readonly now: number; readonly fraction: number },
): Settlement {
  const attempts = delivery.attempts + 1;
  const when = nextAttempt(schedule, { ...at, attempts, expiresAt: delivery.expiresAt });
  const delivered: { recipient: Recipient; smtp: PeerReply }[] = [];
  const failed: EndedBadly[] = [];
  const expired: EndedBadly[] = [];
  let waits: Problem<"deferred" | "failed"> | undefined;
  for (const recipient of delivery.recipients) {
    const outcome = outcomes.get(recipient.position) ?? MISSING;
    if (outcome.kind === "delivered") delivered.push({ recipient, smtp: outcome.smtp });
    else if (outcome.kind === "failed") failed.push({ recipient, end: "failed", problem: outcome });
    else if (when === "expired") expired.push({ recipient, end: "expired", problem: outcome });
    else waits ??= outcome;
  }
  const next = waits && typeof when === "number" ? nextOf(waits, when) : undefined;
  const closedBy = closing(delivery, [...outcomes.values()]);
  return {
    delivered,
    failed,
    expired,
    ...(next && { next }),
    report: {
      ...(next && { nextAttemptAt: next.at }),
      ...(closedBy && { closedBy }),
      reached: [...outcomes.values()].some(wasReached),
    },
  };
}

function nextOf({ reason, detail, smtp }: Problem<"deferred" | "failed">, at: number): NonNullable<Completion["next"]> {
  return { at, reason, detail, ...(smtp && { smtp }) };
}

/** An outcome that nobody reported is unknown, and unknown waits. */
const MISSING: Problem<"deferred"> = {
  kind: "deferred",
  reason: "internal-error",
  detail: "The attempt ended without a result for this recipient",
  status: "4.3.0",
};

function closing({ message }: Delivery, outcomes: readonly Outcome[]): ClosedBy | undefined {
  for (const outcome of outcomes) {
    if (outcome.kind !== "deferred") continue;
    const { reason, detail, smtp } = outcome;
    // A look-up that one policy waits for, as that of `_mta-sts`, is not even asked for another.
    const ofPolicy = TLS.includes(reason) || outcome.ofPolicy === true;
    if (smtp?.code === 421 || (NETWORK.includes(reason) && !ofPolicy)) return { reason, detail, tls: false };
    if (ofPolicy && !demandsMore(message)) return { reason, detail, tls: true };
  }
  return undefined;
}

/** What a message demands beyond its policy may be wanting where the others would pass. */
function demandsMore({ demands, envelope }: MessageFacts): boolean {
  return envelope.mail.requireTls || demands?.alias === true || demands?.rules?.some(({ tls }) => tls) === true;
}

/** The peer answered for at least one recipient: whatever it said, it is there and was let through. */
function wasReached(outcome: Outcome): boolean {
  if (outcome.kind === "delivered") return true;
  const answered = outcome.reason === "smtp-4xx" || outcome.reason === "smtp-5xx";
  return answered && outcome.smtp !== undefined && outcome.smtp.code !== 421;
}
