/**
 * The next host has the message: told to one who was told before that it waits, and to one who asked for it where that
 * host tells nothing itself (RFC 3461 §5.2.2).
 */
import type { Recipient } from "../mail/envelope.ts";
import type { PeerReply } from "../mail/outcome.ts";
import type { Reached } from "./delivery-status.ts";
import { wantsDelayNotice } from "./delay-notice.ts";
import { visible } from "./header-line.ts";
import { isRedacted, languageFor, type Notice, type NoticeFacts, noticeOf } from "./notice.ts";
import { openingOf, recipientList, text } from "./notice-text.ts";
import { wordingOf } from "./wording.ts";

export interface Delivered {
  readonly recipient: Recipient;
  readonly smtp: PeerReply;
  /** The host was given the sender's wishes, and reports itself. */
  readonly dsnPassedOn: boolean;
  readonly remoteMta?: string;
}

/** `delivered`: after all. */
export type ReachedKind = "delivered" | "relayed";

/** Which notice tells of a recipient; undefined: none does. `wasDelayed`: a delay notice had gone out by then. */
export function reachedKind({ recipient, dsnPassedOn }: Delivered, wasDelayed: boolean): ReachedKind | undefined {
  if (wasDelayed && wantsDelayNotice(recipient)) return "delivered"; // as the delay notice has promised
  return recipient.notify?.includes("SUCCESS") === true && !dsnPassedOn ? "relayed" : undefined;
}

export interface ReachedNoticeInput extends NoticeFacts {
  readonly kind: ReachedKind;
  readonly delivered: readonly Delivered[];
}

/** Undefined when nobody is to be told. */
export function reachedNotice(input: ReachedNoticeInput): Notice | undefined {
  const { message, domain, postmaster, delivered } = input;
  const sender = message.envelope.reversePath;
  if (sender === null || message.notice || delivered.length === 0) return undefined;
  const language = languageFor(input);
  const wording = wordingOf(language);
  const { failure } = wording;
  const words = input.kind === "delivered" ? wording.arrived : wording.relayed;
  const withOriginal = !isRedacted(message);
  const host = delivered.find(({ remoteMta }) => remoteMta !== undefined)?.remoteMta ?? domain;
  return noticeOf(input, {
    to: sender,
    senderName: wording.senderName,
    subject: words.subject(domain),
    blocks: [
      text(words.opening(openingOf({ ...input, withOriginal }, wording))),
      text(words.reached),
      recipientList(delivered, wording),
      text(words.meaning(visible(host, 255))),
      text((withOriginal ? failure.closing : failure.redacted)(postmaster)),
    ],
    reported: delivered.map(({ recipient, smtp, remoteMta }): Reached => {
      return { recipient, end: "relayed", smtp, ...(remoteMta !== undefined && { remoteMta }) };
    }),
    language,
    withOriginal,
  });
}
