/**
 * The failure notice to the sender: one per message and attempt. Never made for a null reverse-path or for a notice
 * (RFC 3464 §2, RFC 5321 §6.1).
 */
import type { Unreached } from "./delivery-status.ts";
import { failureBlocks } from "./failure-text.ts";
import { isRedacted, languageFor, type Notice, type NoticeFacts, noticeOf } from "./notice.ts";
import { wordingOf } from "./wording.ts";

export interface FailureNoticeInput extends NoticeFacts {
  readonly unreached: readonly Unreached[];
}

/** Undefined when nobody is to be told. */
export function failureNotice(input: FailureNoticeInput): Notice | undefined {
  const { message } = input;
  const sender = message.envelope.reversePath;
  if (sender === null || message.notice) return undefined;
  const unreached = input.unreached.filter(wantsNotice);
  if (unreached.length === 0) return undefined;
  const language = languageFor(input);
  const wording = wordingOf(language);
  const withOriginal = !isRedacted(message);
  return noticeOf(input, {
    to: sender,
    senderName: wording.senderName,
    subject: wording.failure.subject(input.domain),
    blocks: failureBlocks({ ...input, unreached, withOriginal }, wording),
    reported: unreached,
    language,
    withOriginal,
  });
}

/** RFC 3461 §4.1: without NOTIFY a failure is reported. */
function wantsNotice({ recipient: { notify } }: Unreached): boolean {
  return notify === undefined || notify.includes("FAILURE");
}
