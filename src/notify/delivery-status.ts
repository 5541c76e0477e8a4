/**
 * The message/delivery-status part (RFC 3464 §2): per-message fields, then a group of fields for each recipient.
 * Whatever a peer or a client said is cleaned before it is written.
 */
import type { MessageFacts } from "../mail/delivery.ts";
import type { Recipient } from "../mail/envelope.ts";
import { formatDomain, formatMailbox, type Mailbox, needsSmtpUtf8 } from "../mail/mailbox.ts";
import { type PeerReply, type Problem, statusOfReason } from "../mail/outcome.ts";
import { headerLine, mailDate, printable } from "./header-line.ts";

/** One recipient that was not reached. */
export interface Unreached {
  readonly recipient: Recipient;
  readonly end: "failed" | "expired";
  /** Of the last attempt. */
  readonly problem: Problem<"deferred" | "failed">;
  /** Name or address of the host that was tried last. */
  readonly remoteMta?: string;
}

/** One recipient that still waits. */
export interface Delayed {
  readonly recipient: Recipient;
  readonly end: "delayed";
  readonly problem: Pick<Problem<"deferred">, "reason" | "detail" | "smtp">;
  /** Epoch ms of the last try. */
  readonly until: number;
}

/**
 * One recipient whose host has the message. `relayed`, since what becomes of it there is not known here: `delivered`
 * would say that it lies in the mailbox (RFC 3464 §2.3.3).
 */
export interface Reached {
  readonly recipient: Recipient;
  readonly end: "relayed";
  readonly smtp: PeerReply;
  readonly remoteMta?: string;
}

export type Reported = Unreached | Delayed | Reached;

export interface StatusInput {
  readonly hostname: string;
  readonly message: MessageFacts;
  readonly reported: readonly Reported[];
  /** Epoch ms. */
  readonly lastAttemptAt: number;
}

export function deliveryStatus(input: StatusInput): string {
  const { message, reported } = input;
  const envid = message.envelope.mail.envid;
  const envelopeId = envid === undefined ? undefined : decodeXtext(envid);
  const perMessage = [
    headerLine("Reporting-MTA", `dns; ${input.hostname}`),
    envelopeId === undefined ? "" : headerLine("Original-Envelope-Id", envelopeId),
    headerLine("Arrival-Date", mailDate(message.receivedAt)),
  ];
  const most = reported.length > 30 ? 80 : 300; // many recipients: the whole must stay small
  return [perMessage.join(""), ...reported.map((each) => recipientFields(each, input.lastAttemptAt, most))].join(
    "\r\n",
  );
}

function recipientFields(reported: Reported, at: number, most: number): string {
  const { recipient } = reported;
  const original = recipient.orcpt === undefined ? undefined : originalRecipient(recipient.orcpt);
  const remoteMta = "remoteMta" in reported ? reported.remoteMta : undefined;
  return [
    original === undefined ? "" : headerLine("Original-Recipient", original),
    headerLine("Final-Recipient", finalRecipient(recipient.mailbox)),
    headerLine("Action", ACTIONS[reported.end]),
    headerLine("Status", statusOf(reported)),
    remoteMta === undefined ? "" : headerLine("Remote-MTA", `dns; ${printable(remoteMta, 255)}`),
    headerLine("Diagnostic-Code", diagnosticCode(reported, most)),
    // A delay notice is made between two attempts, and when the last was is not kept.
    reported.end === "delayed"
      ? headerLine("Will-Retry-Until", mailDate(reported.until))
      : headerLine("Last-Attempt-Date", mailDate(at)),
  ].join("");
}

/** RFC 3464 §2.3.3 */
const ACTIONS = { failed: "failed", expired: "failed", delayed: "delayed", relayed: "relayed" } as const;

/** RFC 3463; a delivery that ran out of time is 5.4.7 whatever it waited for. */
export function statusOf(reported: Reported): string {
  switch (reported.end) {
    case "expired":
      return "5.4.7";
    case "failed": {
      const subject = /^[245](\.\d{1,3}\.\d{1,3})$/.exec(reported.problem.status)?.[1] ?? ".0.0";
      return `5${subject}`;
    }
    case "delayed":
      // RFC 3464 §2.3.4: the peer's own, where it said one of this class.
      return (
        /^4\.\d{1,3}\.\d{1,3}$/.exec(reported.problem.smtp?.enhancedCode ?? "")?.[0] ??
        statusOfReason("deferred", reported.problem.reason)
      );
    case "relayed":
      return /^2\.\d{1,3}\.\d{1,3}$/.exec(reported.smtp.enhancedCode ?? "")?.[0] ?? "2.0.0";
  }
}

/** The peer's own words if it said no (RFC 3464 §2.3.6), else our reason and sentence. */
function diagnosticCode(reported: Reported, most: number): string {
  if (reported.end === "relayed") return `smtp; ${replyText(reported.smtp, most)}`;
  const { reason, detail, smtp } = reported.problem;
  if (smtp !== undefined) return `smtp; ${replyText(smtp, most)}`;
  return detail === "" ? `x-sealpost; ${reason}` : `x-sealpost; ${reason}: ${printable(detail, most)}`;
}

/** A reply on one line: `550 5.1.1 No such user`. */
export function replyText({ code, enhancedCode, text }: PeerReply, most: number): string {
  const clean = printable(text, most);
  const enhanced = enhancedCode === undefined ? "" : printable(enhancedCode, 11);
  return [String(code), clean.startsWith(enhanced) ? "" : enhanced, clean].filter((word) => word !== "").join(" ");
}

/** RFC 6533 §3: an address outside ASCII is of type utf-8, and still written in ASCII. */
function finalRecipient(mailbox: Mailbox): string {
  if (!needsSmtpUtf8(mailbox)) return `rfc822; ${formatMailbox(mailbox)}`;
  const local = mailbox.localPart.replace(/[^\x21-\x7e]|[\\+=]/gu, (letter) => {
    return `\\x{${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
  });
  return `utf-8; ${local}@${formatDomain(mailbox.domain)}`;
}

/** RFC 3461 §6.3: as the sender gave it, xtext decoded; left out when it would not be a plain line. */
function originalRecipient(orcpt: string): string | undefined {
  const at = orcpt.indexOf(";");
  const type = orcpt.slice(0, Math.max(at, 0));
  const address = decodeXtext(orcpt.slice(at + 1));
  return /^[A-Za-z0-9-]{1,30}$/.test(type) && address !== undefined ? `${type}; ${address}` : undefined;
}

/** RFC 3461 §4; undefined unless the result is printable ASCII. */
function decodeXtext(text: string): string | undefined {
  const decoded = text.replace(/\+([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return /^[\x21-\x7e][\x20-\x7e]{0,499}$/.test(decoded) ? decoded.trimEnd() : undefined;
}
