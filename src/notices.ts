/**
 * Makes of what ended badly a notice ready to be stored with it: notify → transform → store. The notice goes the way of any mail
 * to the sender's domain, under the policy of that domain.
 */
import type { Delivery, MessageFacts } from "./mail/delivery.ts";
import { formatDomain } from "./mail/mailbox.ts";
import type { DkimTreated } from "./mail/treatment.ts";
import { failureNotice } from "./notify/failure-notice.ts";
import type { Notice } from "./notify/notice.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import type { EndedBadly } from "./schedule/settle.ts";
import type { Snapshot } from "./snapshot.ts";
import { type NewMessage, type QueueStore, StoreError } from "./store/queue.ts";
import { signOwnMessage } from "./transform/own-message.ts";

export interface NoticesDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly queue: Pick<QueueStore, "openSpool" | "header">;
  readonly snapshot: () => Snapshot;
  readonly emit: Emit;
}

/** Rejects with StoreError when the notice cannot be stored now. */
export function createNotices(
  deps: NoticesDeps,
): (delivery: Delivery, badly: readonly EndedBadly[]) => Promise<readonly NewMessage[]> {
  return async (delivery, badly) => {
    const { settings, decide } = deps.snapshot();
    const sender = delivery.message.envelope.reversePath;
    if (sender === null) return [];
    const now = deps.clock.now();
    const id = deps.random.bytes(16).toString("hex");
    const own = settings.policy.ownDomains.find(({ domain }) => domain === formatDomain(sender.domain));
    const levels = badly.map(({ recipient }) => decide(recipient.mailbox, now).tls.level);
    const notice = failureNotice({
      id,
      hostname: settings.hostname,
      postmaster: settings.postmaster,
      now,
      message: delivery.message,
      domain: delivery.domain,
      header: await headerOf(deps.queue, delivery.message.id, delivery.content),
      unreached: badly,
      language: settings.noticeLanguage,
      ...(own?.language && { senderLanguage: own.language }),
      encryptionDemanded: levels.every((level) => level !== "none" && level !== "may"),
    });
    return notice === undefined ? [] : [await asMessage(deps, notice, { id, now })];
  };
}

/** A damaged header must not keep the sender from being told. */
async function headerOf(queue: NoticesDeps["queue"], messageId: string, content: number): Promise<Buffer> {
  try {
    return await queue.header(messageId, content);
  } catch (error) {
    if (error instanceof StoreError && error.kind === "damaged") return Buffer.from("\r\n");
    throw error;
  }
}

async function asMessage(deps: NoticesDeps, notice: Notice, own: { id: string; now: number }): Promise<NewMessage> {
  const { id, now } = own;
  const { settings, decide } = deps.snapshot();
  const { recipient } = notice;
  const { partner } = decide(recipient, now);
  const expiresAt = now + settings.policy.bounceLifetimeMs;
  const { header, dkim } = await signed(deps, notice, { now, expiresAt });
  const spool = deps.queue.openSpool(id);
  await spool.write(notice.body);
  const body = await spool.end();
  const size = header.length + body.length;
  const facts: MessageFacts = {
    id,
    envelope: {
      reversePath: null, // RFC 5321 §6.1
      mail: { body: "7BIT", smtpUtf8: notice.smtpUtf8, requireTls: false },
      recipients: [{ position: 0, mailbox: recipient, notify: ["NEVER"] }], // RFC 3464 §2
    },
    size,
    receivedAt: now,
    listener: "",
    client: { address: "127.0.0.1", port: 0, helo: settings.hostname, via: "internal" },
    messageId: `<${id}@${settings.hostname}>`,
    notice: true,
    contents: [{ size, ...(dkim && { dkim }) }],
  };
  const delivery = {
    id: `${id}-0`,
    domain: formatDomain(recipient.domain),
    partner,
    positions: [0],
    content: 0,
    state: "waiting",
    nextAttemptAt: now,
    expiresAt,
  } as const;
  return { facts, contents: [{ header, body }], deliveries: [delivery] };
}

/** As the policy of its recipient says; a notice goes in any case. */
async function signed(
  { snapshot, emit }: NoticesDeps,
  notice: Notice,
  times: { readonly now: number; readonly expiresAt: number },
): Promise<{ readonly header: Buffer; readonly dkim?: DkimTreated }> {
  const { decide, keyring } = snapshot();
  if (decide(notice.recipient, times.now).treatment.dkim === "none") return { header: notice.header };
  const { header, dkim, failure } = await signOwnMessage(notice, keyring, times);
  if (failure !== undefined) emit("error", { kind: "dkim", detail: failure.stack ?? failure.message });
  return { header, dkim };
}
