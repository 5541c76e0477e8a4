/**
 * Mail waits: the notice to its sender, and what the partner's owner is told of it. Never about the null reverse-path or
 * a notice. The owner sees no field of the message, for it is not his.
 */
import type { Recipient } from "../mail/envelope.ts";
import { formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import type { PeerReply, Reason } from "../mail/outcome.ts";
import { type Delayed, replyText, statusOf } from "./delivery-status.ts";
import { visible } from "./header-line.ts";
import { houseLanguage, isRedacted, languageFor, type Notice, type NoticeFacts, noticeOf } from "./notice.ts";
import { openingOf, recipientList, text } from "./notice-text.ts";
import type { Block } from "./render.ts";
import { type Language, type Wording, wordingOf } from "./wording.ts";

export interface DelayNoticeInput extends NoticeFacts {
  readonly recipients: readonly Recipient[];
  /** How the last attempt ended. */
  readonly last: { readonly reason: Reason; readonly detail: string; readonly smtp?: PeerReply };
  /** Epoch ms. */
  readonly lastTryAt: number;
}

/** To the sender; undefined when nobody is to be told. */
export function delayNotice(input: DelayNoticeInput): Notice | undefined {
  const { message, domain, postmaster } = input;
  const sender = message.envelope.reversePath;
  if (sender === null || message.notice) return undefined;
  const reported = reportedOf(input, input.recipients.filter(wantsDelayNotice));
  if (reported.length === 0) return undefined;
  const language = languageFor(input);
  const wording = wordingOf(language);
  const { delay, failure } = wording;
  const withOriginal = !isRedacted(message);
  return noticeOf(input, {
    to: sender,
    senderName: wording.senderName,
    subject: delay.subject(domain),
    blocks: [
      text(delay.opening(openingOf({ ...input, withOriginal }, wording))),
      text(delay.notReached),
      recipientList(reported, wording),
      reasonBlock(input, wording),
      ...replyBlocks(input, wording),
      text(delay.lastTry(wording.date(input.lastTryAt))),
      technicalBlock(input, reported, wording),
      text((withOriginal ? failure.closing : failure.redacted)(postmaster)),
    ],
    reported,
    language,
    withOriginal,
  });
}

/** RFC 3461 §4.1: without NOTIFY, delay may be reported; a list without DELAY forbids it. */
export function wantsDelayNotice({ notify }: Recipient): boolean {
  return notify === undefined || notify.includes("DELAY");
}

function reportedOf({ last, lastTryAt }: DelayNoticeInput, recipients: readonly Recipient[]): readonly Delayed[] {
  return recipients.map((recipient) => ({ recipient, end: "delayed", problem: last, until: lastTryAt }));
}

/** Of mail that waits nothing has left in clear where encryption is demanded, whatever it waits for. */
function reasonBlock({ last, domain, encryptionDemanded }: DelayNoticeInput, { failure, reasons }: Wording): Block {
  const because = failure.because(reasons[last.reason](domain));
  return text(encryptionDemanded ? `${because} ${failure.stayedEncrypted}` : because);
}

function replyBlocks({ last: { smtp } }: DelayNoticeInput, { failure }: Wording): readonly Block[] {
  return smtp === undefined ? [] : [text(failure.theySaid), { kind: "list", items: [replyText(smtp, 300)] }];
}

function technicalBlock({ last }: DelayNoticeInput, reported: readonly Delayed[], { failure }: Wording): Block {
  return text(failure.technical(last.reason, [...new Set(reported.map(statusOf))].join(", ")));
}

export interface OwnerCopyInput extends DelayNoticeInput {
  readonly owner: Mailbox;
  /** The partner's name, for people. */
  readonly partner: string;
  /** What an administrator can do about it: one sentence. */
  readonly remedy: Readonly<Record<Language, string>>;
}

export function ownerCopy(input: OwnerCopyInput): Notice {
  const { message, owner, hostname, last } = input;
  const language = houseLanguage(input);
  const wording = wordingOf(language);
  const { copy, delay } = wording;
  const partner = visible(input.partner, 100);
  const reported = reportedOf(input, input.recipients);
  const sender = message.envelope.reversePath;
  return noticeOf(input, {
    to: owner,
    senderName: wording.senderName,
    subject: copy.subject(partner),
    blocks: [
      text(copy.opening({ hostname, partner, received: wording.date(message.receivedAt) })),
      text(copy.sender(sender === null ? "<>" : visible(formatMailbox(sender), 400))),
      text(delay.notReached),
      recipientList(reported, wording),
      reasonBlock(input, wording),
      text(copy.lastTry(wording.date(input.lastTryAt))),
      text(copy.remedy(input.remedy[language])),
      technicalBlock(input, reported, wording),
      ...(last.detail === "" ? [] : ([{ kind: "list", items: [visible(last.detail, 300)] }] as const)),
      text(copy.queueId(message.id)),
    ],
    reported,
    language,
    withOriginal: false,
  });
}
