/**
 * SPINE 1: a message comes in. accept → decide → transform → store.
 * The answer is 250 only after the queue has it on stable storage; it must never be given earlier.
 */
import type { Delivery, MessageFacts } from "./mail/delivery.ts";
import type { Recipient } from "./mail/envelope.ts";
import { fromDomain, messageIdOf } from "./mail/header-field.ts";
import { countHops } from "./mail/hop-count.ts";
import { formatDomain, formatMailbox, formatReversePath } from "./mail/mailbox.ts";
import { reply, type SmtpReply } from "./mail/smtp-reply.ts";
import type { Transaction } from "./mail/transaction.ts";
import type { DecideOutbound } from "./decide/decide.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import type { Dispatcher, Slot } from "./schedule/dispatcher.ts";
import { type NewDelivery, type QueueStore, type SealedBody, StoreError } from "./store/queue.ts";
import { receivedField } from "./transform/received.ts";

export interface ReceiveDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly hostname: () => string;
  readonly queue: Pick<QueueStore, "openSpool" | "enqueue">;
  /** The policy of now. */
  readonly policy: () => { readonly outbound: DecideOutbound; readonly bounceLifetimeMs: number };
  readonly dispatcher: Pick<Dispatcher, "reserve" | "arrived">;
  /** Told of the octets of bodies as they come in. */
  readonly passed: (bytes: number) => void;
  /** Keeps a small body in memory until its first attempts have ended. */
  readonly remember: (messageId: string, content: { header: Buffer; body: Buffer }, deliveries: number) => void;
  readonly emit: Emit;
}

/** Bodies up to this size are delivered from memory the first time. */
const REMEMBERED_BYTES = 128 * 1024;

/** Resolves with the reply to DATA. Rejects only with what `transaction.body` threw, after leaving nothing behind. */
export function createReceive(deps: ReceiveDeps): (transaction: Transaction) => Promise<SmtpReply> {
  return async (transaction) => {
    const id = deps.random.bytes(16).toString("hex");
    const at = deps.clock.now();
    const { envelope, client } = transaction;
    const hop = { client, hostname: deps.hostname(), queueId: id, at, smtpUtf8: envelope.mail.smtpUtf8 };
    const hops = countHops(transaction.header);
    const header = Buffer.concat([receivedField({ ...hop, received: "keep", hops }), transaction.header]);
    try {
      const { body, kept } = await spool(deps, id, transaction.body);
      const facts = factsOf(transaction, { id, at, size: header.length + body.length });
      const groups = groupByDestination(deps, facts);
      await store(deps, { facts, session: transaction.session, header, body, kept, groups });
      return reply(250, "0.0", `${id} queued`);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      deps.emit("error", { kind: `store-${error.kind}`, detail: error.message });
      return error.kind === "no-space"
        ? reply(452, "3.1", "No space to store the message now, try again later")
        : reply(451, "3.0", "The queue cannot store the message now, try again later");
    }
  };
}

/** Seals the body as it arrives. On any failure nothing stays on disk. */
async function spool(
  deps: ReceiveDeps,
  id: string,
  chunks: AsyncIterable<Buffer>,
): Promise<{ body: SealedBody; kept: Buffer | undefined }> {
  const spool = deps.queue.openSpool(id);
  let kept: Buffer[] | undefined = [];
  let length = 0;
  try {
    for await (const chunk of chunks) {
      length += chunk.length;
      if (length > REMEMBERED_BYTES) kept = undefined;
      kept?.push(Buffer.from(chunk)); // the chunk's memory may be reused by its maker
      await spool.write(chunk);
      deps.passed(chunk.length);
    }
    return { body: await spool.end(), kept: kept && Buffer.concat(kept) };
  } catch (error) {
    await spool.discard();
    throw error;
  }
}

function factsOf(transaction: Transaction, own: { id: string; at: number; size: number }): MessageFacts {
  const messageId = messageIdOf(transaction.header);
  const from = fromDomain(transaction.header);
  return {
    id: own.id,
    envelope: transaction.envelope,
    size: own.size,
    receivedAt: own.at,
    listener: transaction.listener,
    client: transaction.client,
    ...(messageId !== undefined && { messageId }),
    ...(from !== undefined && { fromDomain: from }),
    notice: false,
  };
}

interface Group {
  readonly domain: string;
  readonly partner: string | null;
  readonly expiresAt: number;
  readonly recipients: Recipient[];
}

/** Recipients of one domain and one partner share a delivery. */
function groupByDestination(deps: ReceiveDeps, facts: MessageFacts): Group[] {
  const { outbound, bounceLifetimeMs } = deps.policy();
  const groups = new Map<string, Group>();
  for (const recipient of facts.envelope.recipients) {
    const policy = outbound(recipient.mailbox, facts.receivedAt);
    const domain = formatDomain(recipient.mailbox.domain);
    const key = `${domain} ${policy.partner ?? ""}`;
    const lifetime = facts.envelope.reversePath === null ? bounceLifetimeMs : policy.lifetimeMs;
    const group = groups.get(key) ?? {
      domain,
      partner: policy.partner,
      expiresAt: facts.receivedAt + lifetime,
      recipients: [],
    };
    group.recipients.push(recipient);
    groups.set(key, group);
  }
  return [...groups.values()];
}

async function store(
  deps: ReceiveDeps,
  message: {
    facts: MessageFacts;
    session: string;
    header: Buffer;
    body: SealedBody;
    kept: Buffer | undefined;
    groups: Group[];
  },
): Promise<void> {
  const { facts, header, body, kept, groups } = message;
  const fresh: { slot: Slot; delivery: Delivery }[] = [];
  const deliveries: NewDelivery[] = groups.map((group, index) => {
    const id = `${facts.id}-${index}`;
    const { domain, partner, expiresAt, recipients } = group;
    const slot = deps.dispatcher.reserve(domain);
    if (slot !== undefined)
      fresh.push({ slot, delivery: { id, message: facts, domain, recipients, attempts: 0, expiresAt } });
    const state = slot === undefined ? "waiting" : "leased";
    const positions = recipients.map(({ position }) => position);
    return { id, domain, partner, positions, state, nextAttemptAt: facts.receivedAt, expiresAt };
  });
  try {
    await deps.queue.enqueue({ facts, header, body, deliveries });
  } catch (error) {
    for (const { slot } of fresh) slot.giveBack();
    throw error;
  }
  announce(deps, message.session, facts, groups);
  if (kept !== undefined && fresh.length > 0) deps.remember(facts.id, { header, body: kept }, fresh.length);
  for (const { slot, delivery } of fresh) slot.submit(delivery);
  for (const { domain, state } of deliveries) if (state === "waiting") deps.dispatcher.arrived(domain);
}

function announce(deps: ReceiveDeps, session: string, facts: MessageFacts, groups: readonly Group[]): void {
  const { envelope } = facts;
  const partners = [...new Set(groups.flatMap(({ partner }) => (partner === null ? [] : [partner])))];
  deps.emit("message.accepted", {
    queueId: facts.id,
    messageId: facts.messageId,
    session,
    listener: facts.listener,
    client: facts.client,
    sender: formatReversePath(envelope.reversePath),
    fromDomain: facts.fromDomain,
    recipients: envelope.recipients.map(({ mailbox }) => formatMailbox(mailbox)),
    size: facts.size,
    partners,
    rules: [],
    requireTls: envelope.mail.requireTls,
  });
}
