/** A notice of ours did not reach its recipient: told once to the postmaster, and never of that again. */
import type { Mailbox } from "../mail/mailbox.ts";
import type { Unreached } from "./delivery-status.ts";
import { groupedBlocks } from "./failure-text.ts";
import { houseLanguage, type Notice, type NoticeFacts, noticeOf } from "./notice.ts";
import { text } from "./notice-text.ts";
import { wordingOf } from "./wording.ts";

export interface UndeliverableInput extends NoticeFacts {
  readonly postmasterMailbox: Mailbox;
  readonly unreached: readonly Unreached[];
}

export function undeliverableNotice(input: UndeliverableInput): Notice {
  const { hostname, message, domain, unreached } = input;
  const language = houseLanguage(input);
  const wording = wordingOf(language);
  const received = wording.date(message.receivedAt);
  return noticeOf(input, {
    to: input.postmasterMailbox,
    senderName: wording.senderName,
    subject: wording.undeliverable.subject(domain),
    blocks: [
      text(wording.undeliverable.opening({ hostname, received })),
      ...groupedBlocks(input, wording),
      text(wording.undeliverable.closing),
    ],
    reported: unreached,
    language,
    withOriginal: true,
  });
}
