/** An alarm by mail: plain words to the owner of a partner or the postmaster. No report on any message, nothing of one. */
import { formatMailbox, type Mailbox, needsSmtpUtf8 } from "../mail/mailbox.ts";
import { headerLine, mailDate, visible } from "./header-line.ts";
import { part } from "./mime.ts";
import { type Block, renderText } from "./render.ts";
import { text } from "./notice-text.ts";
import { type Language, wordingOf } from "./wording.ts";

export interface AlarmNoticeInput {
  /** Its queue id. */
  readonly id: string;
  readonly hostname: string;
  /** Epoch ms. */
  readonly now: number;
  readonly to: Mailbox;
  readonly language: Language;
  readonly code: string;
  /** The partner's name; absent where it concerns none. */
  readonly partner?: string;
  readonly state: "raised" | "cleared";
  /** Epoch ms. */
  readonly since: number;
  /** Epoch ms, where it has an end. */
  readonly until?: number;
  readonly remedy: string;
}

export interface AlarmNotice {
  readonly header: Buffer;
  readonly body: Buffer;
  readonly recipient: Mailbox;
  readonly smtpUtf8: boolean;
}

export function alarmNotice(input: AlarmNoticeInput): AlarmNotice {
  const { id, hostname, now, to, language } = input;
  const wording = wordingOf(language);
  const { alarm } = wording;
  const code = visible(input.code, 60);
  const about = input.partner === undefined ? "" : visible(input.partner, 100);
  const raised = input.state === "raised";
  const times = [
    alarm.since(wording.date(input.since)),
    ...(input.until === undefined ? [] : [alarm.until(wording.date(input.until))]),
  ];
  const header = [
    headerLine("Date", mailDate(now)),
    headerLine("From", `${wording.senderName} <MAILER-DAEMON@${hostname}>`),
    headerLine("To", `<${formatMailbox(to)}>`, needsSmtpUtf8(to)),
    headerLine("Subject", (raised ? alarm.raised : alarm.cleared)(code, about)),
    headerLine("Message-ID", `<${id}@${hostname}>`),
    headerLine("Auto-Submitted", "auto-generated"), // RFC 3834 §5
    headerLine("Content-Language", language),
    headerLine("MIME-Version", "1.0"),
  ];
  const blocks: Block[] = [
    text(alarm.opening(hostname)),
    text((raised ? alarm.raised : alarm.cleared)(code, about)),
    { kind: "list", items: times },
    ...(raised ? [text(wording.copy.remedy(visible(input.remedy, 1_000)))] : []),
  ];
  const body = part("text/plain; charset=utf-8", renderText(blocks));
  const split = body.indexOf("\r\n\r\n") + 2;
  return {
    header: Buffer.from(`${header.join("")}${body.slice(0, split)}\r\n`),
    body: Buffer.from(body.slice(split + 2)),
    recipient: to,
    smtpUtf8: needsSmtpUtf8(to),
  };
}
