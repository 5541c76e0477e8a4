/** The `message.accepted` event of a message that was stored (contract section 8). Pure. */
import type { MessageFacts } from "../mail/delivery.ts";
import { formatMailbox, formatReversePath } from "../mail/mailbox.ts";
import type { Events } from "./events.ts";

/** `partners`: of its recipients, in order; each is told once. */
export function acceptedEvent(
  facts: MessageFacts,
  session: string,
  partners: readonly string[],
): Events["message.accepted"] {
  const { envelope, contents } = facts;
  const kept = [...new Set(contents.flatMap((one) => one.kept ?? []))];
  return {
    queueId: facts.id,
    messageId: facts.messageId,
    session,
    listener: facts.listener,
    client: facts.client,
    sender: formatReversePath(envelope.reversePath),
    fromDomain: facts.fromDomain,
    recipients: envelope.recipients.map(({ mailbox }) => formatMailbox(mailbox)),
    size: facts.size,
    partners: [...new Set(partners)],
    rules: (facts.demands?.rules ?? []).map(({ name }) => name),
    requireTls: envelope.mail.requireTls,
    tlsRequiredNo: facts.demands?.tlsRequiredNo,
    headersKept: kept.length === 0 ? undefined : kept,
  };
}
