/** What the gateway itself writes, made into a message ready to be stored: null sender, DKIM-signed like other mail. */
import type { MessageFacts } from "./mail/delivery.ts";
import type { Policy } from "./decide/policy.ts";
import { formatDomain, type Mailbox, parseMailDomain } from "./mail/mailbox.ts";
import type { DkimTreated } from "./mail/treatment.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import type { Snapshot } from "./snapshot.ts";
import type { NewMessage, QueueStore } from "./store/queue.ts";
import { signOwnMessage } from "./transform/own-message.ts";

export interface OwnMailDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly queue: Pick<QueueStore, "openSpool">;
  readonly snapshot: () => Snapshot;
  readonly emit: Emit;
}

export interface OwnMail {
  /** With the empty line that ends it. */
  readonly header: Buffer;
  readonly body: Buffer;
  readonly recipient: Mailbox;
  readonly smtpUtf8: boolean;
}

/** `id`: its queue id; `now` in epoch ms. Rejects with StoreError when it cannot be stored now. */
export function createOwnMail(
  deps: OwnMailDeps,
): (mail: OwnMail, own: { readonly id: string; readonly now: number }) => Promise<NewMessage> {
  return async (mail, { id, now }) => {
    const { settings, decide } = deps.snapshot();
    const recipient = atHome(mail.recipient, settings.policy.ownDomains);
    const { partner } = decide(recipient, now);
    const expiresAt = now + settings.policy.bounceLifetimeMs;
    const { header, dkim } = await signed(deps, { ...mail, recipient }, { now, expiresAt });
    const spool = deps.queue.openSpool(id);
    await spool.write(mail.body);
    const body = await spool.end();
    const size = header.length + body.length;
    const facts: MessageFacts = {
      id,
      envelope: {
        reversePath: null, // RFC 5321 §6.1
        mail: { body: "7BIT", smtpUtf8: mail.smtpUtf8, requireTls: false },
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
  };
}

/** A TLS-only alias has no server of its own: its mail is for the same person at the domain that it stands for. */
function atHome(mailbox: Mailbox, ownDomains: Policy["ownDomains"]): Mailbox {
  const own = ownDomains.find(({ tlsOnlyAlias }) => tlsOnlyAlias === formatDomain(mailbox.domain));
  const domain = own && parseMailDomain(own.domain);
  return domain === undefined ? mailbox : { ...mailbox, domain };
}

/** As the policy of its recipient says; it goes in any case. */
async function signed(
  { snapshot, emit }: OwnMailDeps,
  mail: OwnMail,
  times: { readonly now: number; readonly expiresAt: number },
): Promise<{ readonly header: Buffer; readonly dkim?: DkimTreated }> {
  const { decide, keyring } = snapshot();
  if (decide(mail.recipient, times.now).treatment.dkim === "none") return { header: mail.header };
  const { header, dkim, failure } = await signOwnMessage(mail, keyring, times);
  if (failure !== undefined) emit("error", { kind: "dkim", detail: failure.stack ?? failure.message });
  return { header, dkim };
}
