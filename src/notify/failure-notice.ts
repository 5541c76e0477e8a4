/**
 * The failure notice to the sender (RFC 3464 in RFC 6522): text in, bytes out, one per message and attempt round.
 * Never made for a null reverse-path or for a notice, never with the body of the original, never larger than 50 kB
 * unless its recipients alone are. What peers and clients said goes in cleaned.
 */
import { fieldValues, messageIdOf } from "../mail/header-field.ts";
import type { MessageFacts } from "../mail/delivery.ts";
import { formatMailbox, type Mailbox, needsSmtpUtf8 } from "../mail/mailbox.ts";
import { deliveryStatus, statusOf, type Unreached } from "./delivery-status.ts";
import { failureBlocks } from "./failure-text.ts";
import { headerLine, mailDate } from "./header-line.ts";
import { joined, multipart, part } from "./mime.ts";
import { renderHtml, renderText } from "./render.ts";
import { type Language, languageOf, wordingOf } from "./wording.ts";

export interface FailureNoticeInput {
  /** Random, of letters and digits: names the notice in Message-ID and separates its parts. Its queue id. */
  readonly id: string;
  readonly hostname: string;
  /** Who answers questions. */
  readonly postmaster: string;
  /** Epoch ms; also the time of the last attempt. */
  readonly now: number;
  readonly message: MessageFacts;
  /** Recipient domain, or literal in brackets. */
  readonly domain: string;
  /** Header block of the original as it is stored. */
  readonly header: Buffer;
  readonly unreached: readonly Unreached[];
  readonly language: "auto" | Language;
  /** Of the sender's own domain, if it states one. */
  readonly senderLanguage?: Language;
  /** The level in force demanded TLS: only then it can be said that nothing left in clear. */
  readonly encryptionDemanded: boolean;
}

/** A message with null reverse-path to `recipient`. */
export interface Notice {
  /** With the empty line that ends it. */
  readonly header: Buffer;
  readonly body: Buffer;
  readonly recipient: Mailbox;
  /** RFC 3463 status of each recipient reported. */
  readonly statuses: readonly string[];
  readonly language: Language;
  /** The notice itself needs SMTPUTF8, as the sender's address does. */
  readonly smtpUtf8: boolean;
}

const MOST_OCTETS = 50_000;

/** Undefined when nobody is to be told. */
export function failureNotice(input: FailureNoticeInput): Notice | undefined {
  const { message } = input;
  const sender = message.envelope.reversePath;
  if (sender === null || message.notice) return undefined; // RFC 3464 §2, RFC 5321 §6.1: no notice about a notice
  const unreached = input.unreached.filter(wantsNotice);
  if (unreached.length === 0) return undefined;
  const language = languageFor(input);
  return {
    header: Buffer.from(noticeHeader(input, sender, language)),
    body: Buffer.from(noticeBody({ ...input, unreached }, language)),
    recipient: sender,
    statuses: unreached.map(({ end, problem }) => statusOf(end, problem)),
    language,
    smtpUtf8: needsSmtpUtf8(sender),
  };
}

/** RFC 3461 §4.1: without NOTIFY a failure is reported. */
function wantsNotice({ recipient: { notify } }: Unreached): boolean {
  return notify === undefined || notify.includes("FAILURE");
}

function languageFor({ language, header, senderLanguage }: FailureNoticeInput): Language {
  if (language !== "auto") return language;
  return languageOf(fieldValues(header, "Content-Language")[0]) ?? senderLanguage ?? "en";
}

function noticeHeader(input: FailureNoticeInput, sender: Mailbox, language: Language): string {
  const { failure } = wordingOf(language);
  // As the sender knows it: what left may have another one.
  const original = input.message.messageId ?? messageIdOf(input.header);
  const references = original !== undefined && /^<[\x21-\x7e]{1,400}>$/.test(original) ? original : undefined;
  return [
    headerLine("Date", mailDate(input.now)),
    headerLine("From", `${failure.senderName} <MAILER-DAEMON@${input.hostname}>`),
    headerLine("To", `<${formatMailbox(sender)}>`, needsSmtpUtf8(sender)),
    headerLine("Subject", failure.subject(input.domain)),
    headerLine("Message-ID", `<${input.id}@${input.hostname}>`),
    references === undefined ? "" : headerLine("References", references),
    headerLine("Auto-Submitted", "auto-replied"), // RFC 3834 §5
    headerLine("Content-Language", language),
    headerLine("MIME-Version", "1.0"),
    headerLine("Content-Type", `multipart/report; report-type=delivery-status; boundary="${boundary(input, "r")}"`),
    "\r\n",
  ].join("");
}

function noticeBody(input: FailureNoticeInput, language: Language): string {
  const { hostname, message, unreached, now } = input;
  const blocks = failureBlocks(input, wordingOf(language));
  const words = multipart("alternative", boundary(input, "a"), [
    part("text/plain; charset=utf-8", renderText(blocks)),
    part("text/html; charset=utf-8", renderHtml(blocks, language)),
  ]);
  const status = part("message/delivery-status", deliveryStatus({ hostname, message, unreached, lastAttemptAt: now }));
  const left = MOST_OCTETS - words.length - status.length - 2_000;
  return joined(boundary(input, "r"), [words, status, originalHeader(input.header, Math.max(left, 0))]);
}

/** As much of the original's header as fits, whole lines (RFC 6522 §4). */
function originalHeader(header: Buffer, most: number): string {
  const whole = part("text/rfc822-headers", cut(header, most));
  // Quoted-printable takes up to three octets for one, and a soft line break in each 25 of them.
  return whole.length <= most ? whole : part("text/rfc822-headers", cut(header, Math.floor(most / 4)));
}

function cut(header: Buffer, most: number): Buffer {
  const end = header.indexOf("\r\n\r\n");
  const block = end === -1 ? header : header.subarray(0, end + 2);
  return block.length <= most ? block : block.subarray(0, block.lastIndexOf("\r\n", most) + 2);
}

function boundary({ id }: FailureNoticeInput, level: string): string {
  return `=_${id}_${level}`;
}
