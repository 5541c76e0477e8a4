/**
 * The frame that every notice has (RFC 3464 in RFC 6522): text in, bytes out. Never the body of the original, never
 * larger than 50 kB unless its recipients alone are. What peers and clients said goes in cleaned.
 */
import type { MessageFacts } from "../mail/delivery.ts";
import { fieldValues, messageIdOf } from "../mail/header-field.ts";
import { formatMailbox, type Mailbox, needsSmtpUtf8 } from "../mail/mailbox.ts";
import { deliveryStatus, type Reported, statusOf } from "./delivery-status.ts";
import { headerLine, mailDate } from "./header-line.ts";
import { joined, multipart, part } from "./mime.ts";
import { type Block, renderHtml, renderText } from "./render.ts";
import { type Language, languageOf } from "./wording.ts";

/** A message with null reverse-path to `recipient`. */
export interface Notice {
  /** With the empty line that ends it. */
  readonly header: Buffer;
  readonly body: Buffer;
  readonly recipient: Mailbox;
  /** RFC 3463 status of each recipient reported. */
  readonly statuses: readonly string[];
  readonly language: Language;
  /** The notice itself needs SMTPUTF8, as the recipient's address does. */
  readonly smtpUtf8: boolean;
}

/** What every notice is made of, whatever it says. */
export interface NoticeFacts {
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
  readonly language: "auto" | Language;
  /** Of the domain of who gets the notice, if it states one. */
  readonly senderLanguage?: Language;
  /** Every attempt demanded TLS: only then it can be said that nothing left in clear. */
  readonly encryptionDemanded: boolean;
}

/** What one kind of notice says. */
export interface NoticeText {
  readonly to: Mailbox;
  readonly senderName: string;
  readonly subject: string;
  readonly blocks: readonly Block[];
  readonly reported: readonly Reported[];
  readonly language: Language;
  /** False: no field of the original goes along, nor what refers to it. */
  readonly withOriginal: boolean;
}

const MOST_OCTETS = 50_000;

export function noticeOf(facts: NoticeFacts, text: NoticeText): Notice {
  return {
    header: Buffer.from(noticeHeader(facts, text)),
    body: Buffer.from(noticeBody(facts, text)),
    recipient: text.to,
    statuses: text.reported.map(statusOf),
    language: text.language,
    smtpUtf8: needsSmtpUtf8(text.to),
  };
}

/** What demanded protection along its whole way is not told of in a notice that has none (RFC 8689 §5): it is redacted. */
export function isRedacted({ envelope, demands }: MessageFacts): boolean {
  return envelope.mail.requireTls || demands?.alias === true;
}

/** The language that a person who knows the original reads. */
export function languageFor({ language, header, senderLanguage }: NoticeFacts): Language {
  if (language !== "auto") return language;
  return languageOf(fieldValues(header, "Content-Language")[0]) ?? senderLanguage ?? "en";
}

/** The language of the house, for a reader who has not seen the original. */
export function houseLanguage({ language, senderLanguage }: NoticeFacts): Language {
  return language === "auto" ? (senderLanguage ?? "en") : language;
}

function noticeHeader({ id, hostname, now, message, header }: NoticeFacts, text: NoticeText): string {
  // As the sender knows it: what left may have another one.
  const original = text.withOriginal ? (message.messageId ?? messageIdOf(header)) : undefined;
  const references = original !== undefined && /^<[\x21-\x7e]{1,400}>$/.test(original) ? original : undefined;
  return [
    headerLine("Date", mailDate(now)),
    headerLine("From", `${text.senderName} <MAILER-DAEMON@${hostname}>`),
    headerLine("To", `<${formatMailbox(text.to)}>`, needsSmtpUtf8(text.to)),
    headerLine("Subject", text.subject),
    headerLine("Message-ID", `<${id}@${hostname}>`),
    references === undefined ? "" : headerLine("References", references),
    headerLine("Auto-Submitted", "auto-replied"), // RFC 3834 §5
    headerLine("Content-Language", text.language),
    headerLine("MIME-Version", "1.0"),
    headerLine("Content-Type", `multipart/report; report-type=delivery-status; boundary="${boundary(id, "r")}"`),
    "\r\n",
  ].join("");
}

function noticeBody({ id, hostname, message, now, header }: NoticeFacts, text: NoticeText): string {
  const { blocks, reported, language, withOriginal } = text;
  const words = multipart("alternative", boundary(id, "a"), [
    part("text/plain; charset=utf-8", renderText(blocks)),
    part("text/html; charset=utf-8", renderHtml(blocks, language)),
  ]);
  const status = part("message/delivery-status", deliveryStatus({ hostname, message, reported, lastAttemptAt: now }));
  if (!withOriginal) return joined(boundary(id, "r"), [words, status]);
  const left = MOST_OCTETS - words.length - status.length - 2_000;
  return joined(boundary(id, "r"), [words, status, originalHeader(header, Math.max(left, 0))]);
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

function boundary(id: string, level: string): string {
  return `=_${id}_${level}`;
}
