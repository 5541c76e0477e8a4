/**
 * Turns the outcomes of one attempt into what the queue stores: who has ended, how, and when the rest is tried again.
 * Pure. A TLS problem never ends a delivery before its schedule does.
 */
import type { Delivery } from "../mail/delivery.ts";
import type { Recipient } from "../mail/envelope.ts";
import type { Outcome, Problem, Reason } from "../mail/outcome.ts";
import type { Completion, RecipientEnd } from "../store/queue.ts";
import type { AttemptReport } from "./dispatcher.ts";
import { nextAttempt, retryDelay, type RetrySchedule } from "./retry-schedule.ts";

export interface EndedBadly {
  readonly recipient: Recipient;
  readonly end: "failed" | "expired";
  readonly problem: Problem<"deferred" | "failed">;
  /** The host tried last; known to who made the attempt. */
  readonly remoteMta?: string;
}

export interface Settlement {
  readonly ended: Completion["ended"];
  readonly next?: NonNullable<Completion["next"]>;
  /** Recipients whose sender is owed a failure notice. */
  readonly badly: readonly EndedBadly[];
  readonly report: AttemptReport;
}

/** Failures of the destination rather than of one message: they close it for the others, too. */
const CLOSES: ReadonlySet<Reason> = new Set([
  "connection-failed",
  "connection-lost",
  "dns-failed",
  "starttls-not-supported",
  "validation-failure",
  "tls-parameters-too-weak",
  "certificate-not-trusted",
  "certificate-expired",
  "certificate-host-mismatch",
  "fingerprint-mismatch",
  "client-certificate-demanded",
]);

export function settle(
  delivery: Delivery,
  outcomes: ReadonlyMap<number, Outcome>,
  schedule: RetrySchedule,
  at: { readonly now: number; readonly fraction: number },
): Settlement {
  const attempts = delivery.attempts + 1;
  const when = nextAttempt(schedule, { ...at, attempts, expiresAt: delivery.expiresAt });
  const ended: { position: number; end: RecipientEnd }[] = [];
  const badly: EndedBadly[] = [];
  let waits: Problem<"deferred" | "failed"> | undefined;
  for (const recipient of delivery.recipients) {
    const outcome = outcomes.get(recipient.position);
    if (outcome?.kind === "delivered") ended.push({ position: recipient.position, end: "delivered" });
    else {
      const problem = outcome ?? MISSING;
      const end = problem.kind === "failed" ? "failed" : when === "expired" ? "expired" : undefined;
      if (end === undefined) waits ??= problem;
      else {
        ended.push({ position: recipient.position, end });
        badly.push({ recipient, end, problem });
      }
    }
  }
  const next = waits && typeof when === "number" ? { at: when, reason: waits.reason, detail: waits.detail } : undefined;
  const closedBy = [...outcomes.values()].find(closesDestination);
  return {
    ended,
    badly,
    ...(next && { next }),
    report: {
      ...(next && { nextAttemptAt: next.at }),
      ...(closedBy && {
        closedUntil: at.now + retryDelay(schedule, 1, at.fraction),
        closedBy: { reason: closedBy.reason, detail: closedBy.detail },
      }),
    },
  };
}

/** An outcome that nobody reported is unknown, and unknown waits. */
const MISSING: Problem<"deferred"> = {
  kind: "deferred",
  reason: "internal-error",
  detail: "The attempt ended without a result for this recipient",
  status: "4.3.0",
};

function closesDestination(outcome: Outcome): outcome is Problem<"deferred"> {
  return outcome.kind === "deferred" && (CLOSES.has(outcome.reason) || outcome.smtp?.code === 421);
}
