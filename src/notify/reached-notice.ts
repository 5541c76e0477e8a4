/**
 * The next host has the message: told to a sender who asked for it, where that host tells nothing itself (RFC 3461
 * §5.2.7), and to one who was told before that it was delayed.
 */
import type { Recipient } from "../mail/envelope.ts";
import type { PeerReply } from "../mail/outcome.ts";
import type { Reached } from "./delivery-status.ts";
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

export interface ReachedNoticeInput extends NoticeFacts {
  readonly delivered: readonly Delivered[];
  /** A delay notice had gone out for them. */
  readonly wasDelayed: boolean;
}

/** Undefined when nobody is to be told. */
export function reachedNotice(input: ReachedNoticeInput): Notice | undefined {
  const { message, domain, postmaster, wasDelayed } = input;
  const sender = message.envelope.reversePath;
  if (sender === null || message.notice) return undefined;
  const told = input.delivered.filter((one) => (wasDelayed ? mayBeTold(one) : asked(one)));
  if (told.length === 0) return undefined;
  const language = languageFor(input);
  const wording = wordingOf(language);
  const { failure } = wording;
  const words = wasDelayed ? wording.arrived : wording.relayed;
  const withOriginal = !isRedacted(message);
  const host = told.find(({ remoteMta }) => remoteMta !== undefined)?.remoteMta ?? domain;
  return noticeOf(input, {
    to: sender,
    senderName: wording.senderName,
    subject: words.subject(domain),
    blocks: [
      text(words.opening(openingOf({ ...input, withOriginal }, wording))),
      text(words.reached),
      recipientList(told, wording),
      text(words.meaning(visible(host, 255))),
      text((withOriginal ? failure.closing : failure.redacted)(postmaster)),
    ],
    reported: told.map(({ recipient, smtp, remoteMta }): Reached => {
      return { recipient, end: "relayed", smtp, ...(remoteMta !== undefined && { remoteMta }) };
    }),
    language,
    withOriginal,
  });
}

function asked({ recipient: { notify }, dsnPassedOn }: Delivered): boolean {
  return notify?.includes("SUCCESS") === true && !dsnPassedOn;
}

/** Who would have been told of the delay is told of its end, unless the host does so: `success` was asked for and passed on. */
function mayBeTold({ recipient: { notify }, dsnPassedOn }: Delivered): boolean {
  if (notify?.includes("SUCCESS") === true) return !dsnPassedOn || notify.includes("DELAY");
  return notify === undefined || notify.includes("DELAY");
}
