/**
 * Turns the replies to one transaction into an outcome per recipient. Pure. A 2xx for some never ends the others,
 * and what was not answered waits.
 */
import type { Recipient } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import { type Outcome, type PeerReply, problem } from "../mail/outcome.ts";
import type { TransactionReplies } from "../mail/session.ts";

/** Where in the transaction a reply stood. */
export type ReplyTo = "mail" | "rcpt" | "data";

/** One outcome for each of `recipients`, by position. `host` names the peer in sentences for people. */
export function classify(
  host: string,
  recipients: readonly Recipient[],
  replies: TransactionReplies,
): ReadonlyMap<number, Outcome> {
  return new Map(recipients.map((recipient) => [recipient.position, outcomeFor(host, recipient, replies)]));
}

function outcomeFor(host: string, recipient: Recipient, replies: TransactionReplies): Outcome {
  const { mail, data, lost } = replies;
  if (mail !== undefined && !isPositive(mail)) return refused(host, "mail", mail);
  const rcpt = replies.recipients.get(recipient.position);
  if (rcpt !== undefined && !isPositive(rcpt)) return refused(host, "rcpt", rcpt, formatMailbox(recipient.mailbox));
  const answered = mail !== undefined && rcpt !== undefined;
  if (answered && data !== undefined) {
    return isPositive(data) ? { kind: "delivered", smtp: data } : refused(host, "data", data);
  }
  const detail = lost?.detail ?? `${host} gave no answer`;
  const broken = problem("deferred", "connection-lost", detail);
  // The peer may have committed it: trying again can make a duplicate, giving up could lose it (RFC 1047).
  return answered && lost?.stage === "final-dot" ? { ...broken, mayBeDelivered: true } : broken;
}

/** A refusal, temporary or for good. */
export function refused(host: string, to: ReplyTo, smtp: PeerReply, recipient?: string): Outcome {
  const whom = recipient === undefined ? "the message" : recipient;
  const detail = `${host} refused ${whom}: ${[smtp.code, smtp.enhancedCode, smtp.text].filter(Boolean).join(" ")}`;
  if (smtp.code >= 500 && !isTemporaryAllTheSame(to, smtp)) return problem("failed", "smtp-5xx", detail, smtp);
  return problem("deferred", smtp.code >= 500 ? "smtp-5xx" : "smtp-4xx", detail, smtp);
}

/**
 * RFC 5321 §4.5.3.1.10: 552 to RCPT means too many recipients, as 452 does.
 * RFC 3207 §4: 530 asks for TLS (or a login) first, which no sender can mend: it waits.
 */
function isTemporaryAllTheSame(to: ReplyTo, { code }: PeerReply): boolean {
  return to === "rcpt" ? code === 552 || code === 530 : code === 530;
}

/** The peer took as many recipients as it takes at once; the rest may follow on the same session. */
export function isTooManyRecipients(outcome: Outcome | undefined): boolean {
  return outcome?.kind === "deferred" && (outcome.smtp?.code === 452 || outcome.smtp?.code === 552);
}

function isPositive({ code }: PeerReply): boolean {
  return code >= 200 && code < 300;
}
