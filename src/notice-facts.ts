/** What a notice is made of, whatever it says: who writes, in which language, about what; and what may be promised of it. */
import { demandsEncryption } from "./clear-text.ts";
import type { Delivery } from "./mail/delivery.ts";
import { formatDomain, type Mailbox } from "./mail/mailbox.ts";
import { newQueueId } from "./mail/queue-id.ts";
import type { NoticeFacts } from "./notify/notice.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import type { Snapshot } from "./snapshot.ts";
import { type QueueStore, StoreError } from "./store/queue.ts";

export interface NoticeFactsDeps {
  readonly clock: Pick<Clock, "now">;
  readonly random: Pick<Random, "bytes">;
  readonly queue: Pick<QueueStore, "header">;
  readonly snapshot: () => Snapshot;
}

/** `to`: who gets the notice. Rejects with StoreError when the original cannot be read now. */
export function createNoticeFacts(deps: NoticeFactsDeps): (delivery: Delivery, to: Mailbox) => Promise<NoticeFacts> {
  return async (delivery, to) => {
    const { settings } = deps.snapshot();
    const { hostname, postmaster, noticeLanguage, policy } = settings;
    const reader = formatDomain(to.domain);
    const own = policy.ownDomains.find(({ domain, tlsOnlyAlias }) => domain === reader || tlsOnlyAlias === reader);
    const now = deps.clock.now();
    return {
      id: newQueueId(now, deps.random),
      hostname,
      postmaster,
      now,
      message: delivery.message,
      domain: delivery.domain,
      header: await headerOf(deps.queue, delivery.message.id, delivery.content),
      language: noticeLanguage,
      ...(own?.language && { senderLanguage: own.language }),
      encryptionDemanded: isEncryptionDemanded(deps, delivery),
    };
  };
}

/**
 * At every attempt: a session in clear may have carried mail that was refused there. Of an attempt that a crash cut off
 * nothing is kept, so the policy of then is asked as well.
 */
function isEncryptionDemanded({ snapshot, clock }: NoticeFactsDeps, delivery: Delivery): boolean {
  const { message, recipients, course } = delivery;
  if (course?.clear === true) return false;
  const { decide } = snapshot();
  const policies = [message.receivedAt, clock.now()].flatMap((at) => recipients.map((one) => decide(one.mailbox, at)));
  return policies.every((outbound) => demandsEncryption(outbound, message));
}

/** A damaged header must not keep anybody from being told. */
async function headerOf(queue: NoticeFactsDeps["queue"], messageId: string, content: number): Promise<Buffer> {
  try {
    return await queue.header(messageId, content);
  } catch (error) {
    if (error instanceof StoreError && error.kind === "damaged") return Buffer.from("\r\n");
    throw error;
  }
}
