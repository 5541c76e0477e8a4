/**
 * SPINE 1: a message comes in. accept → decide → transform → store.
 * The answer is 250 only after the queue has it on stable storage; it must never be given earlier.
 */
import { type Delivery, laneOf, type MessageFacts } from "./mail/delivery.ts";
import { fromDomain, messageIdOf } from "./mail/header-field.ts";
import { newQueueId } from "./mail/queue-id.ts";
import { reply, type SmtpReply } from "./mail/smtp-reply.ts";
import type { Transaction } from "./mail/transaction.ts";
import type { Treated } from "./mail/treatment.ts";
import type { DecideOutbound } from "./decide/decide.ts";
import type { Rule } from "./decide/policy.ts";
import type { Ruled, RuledMessage } from "./decide/rules.ts";
import { type Addressed, groupByDestination } from "./grouping.ts";
import { acceptedEvent } from "./report/accepted-event.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import type { Dispatcher, Slot } from "./schedule/dispatcher.ts";
import { createSpools, type Spooled, type Spools } from "./spools.ts";
import { type NewDelivery, type QueueStore, StoreError } from "./store/queue.ts";
import { DkimSigningError } from "./transform/dkim/sign.ts";
import type { Content } from "./transform/finish.ts";
import { SmimeSigningError } from "./transform/smime/signed-data.ts";
import type { Incoming, Treating } from "./transform/treat.ts";

export interface ReceiveDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly hostname: () => string;
  readonly queue: Pick<QueueStore, "openSpool" | "reread" | "enqueue">;
  /** The policy of now. */
  readonly policy: () => {
    readonly outbound: DecideOutbound;
    /** What the rules say of a message, and what it demands itself. */
    readonly ruled: (message: RuledMessage) => Ruled;
    /** Of those that ask for it: where it goes under a rule of this name. */
    readonly rules: readonly Rule[];
    readonly bounceLifetimeMs: number;
    /** Ages at which a sender is told that mail waits, ms. */
    readonly delayNoticesMs: readonly number[];
  };
  /** What is done to it before it is stored; a reply refuses it. */
  readonly treat: (message: Incoming) => Promise<Treating | SmtpReply>;
  readonly dispatcher: Pick<Dispatcher, "reserve" | "arrived">;
  /** Told of the octets of bodies as they come in. */
  readonly passed: (bytes: number) => void;
  /** Keeps a small body in memory until its first attempts have ended. */
  readonly remember: (messageId: string, content: number, kept: Remembered, deliveries: number) => void;
  readonly emit: Emit;
}

type Remembered = { readonly header: Buffer; readonly body: Buffer };

/** Resolves with the reply to DATA. Rejects only with what `transaction.body` threw, after leaving nothing behind. */
export function createReceive(deps: ReceiveDeps): (transaction: Transaction) => Promise<SmtpReply> {
  return async (transaction) => {
    const message = begin(deps, transaction);
    const { refused } = message.ruled;
    if (refused !== undefined) return { ...reply(550, "7.1", refused.text), rule: refused.rule };
    const treating = await deps.treat(message.incoming);
    if ("code" in treating) return treating;
    const spools = createSpools(deps.queue, message.id, deps.passed);
    try {
      const base = await spools.fill(observed(transaction.body, treating.passed));
      const made = await treating.finish(() => reread(deps, base));
      if ("code" in made) return made;
      const contents = await fill(made, base, spools);
      await store(deps, transaction, message, { base, contents });
      return reply(250, "0.0", `${message.id} queued`);
    } catch (error) {
      return answer(deps, error);
    } finally {
      await spools.discard();
    }
  };
}

/** What the client can mend by sending it again later becomes a reply; anything else is the caller's. */
function answer({ emit }: ReceiveDeps, error: unknown): SmtpReply {
  if (error instanceof DkimSigningError || error instanceof SmimeSigningError) {
    const kind = error instanceof DkimSigningError ? "dkim" : "smime";
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
    emit("error", { kind, detail: `${error.stack ?? error.message}${cause}` });
    return reply(451, "3.0", "The message cannot be signed now, try again later");
  }
  if (!(error instanceof StoreError)) throw error;
  emit("error", { kind: `store-${error.kind}`, detail: error.message });
  return error.kind === "no-space"
    ? reply(452, "3.1", "No space to store the message now, try again later")
    : reply(451, "3.0", "The queue cannot store the message now, try again later");
}

/** A message whose header is complete, and the policy of each of its recipients, decided once. */
interface Begun {
  readonly id: string;
  readonly at: number;
  readonly recipients: readonly Addressed[];
  readonly ruled: Ruled;
  readonly incoming: Incoming;
}

function begin(deps: ReceiveDeps, { envelope, client, header }: Transaction): Begun {
  const at = deps.clock.now();
  const id = newQueueId(at, deps.random);
  const { outbound, ruled: rule, bounceLifetimeMs } = deps.policy();
  const { reversePath } = envelope;
  const ruled = rule({ header, reversePath, recipients: envelope.recipients });
  const recipients = envelope.recipients.map((recipient) => {
    const policy = outbound(recipient.mailbox, at);
    const { partner } = outbound({ ...recipient.mailbox, localPart: "postmaster" }, at);
    const lifetime = reversePath === null ? Math.min(bounceLifetimeMs, policy.lifetimeMs) : policy.lifetimeMs;
    return { recipient, policy, isApart: policy.partner !== partner, expiresAt: at + lifetime };
  });
  const incoming = {
    header,
    reversePath,
    addressees: recipients.map(({ recipient, policy }) => {
      return { recipient, treatment: ruled.treatment(recipient.position, policy.treatment) };
    }),
    hop: { client, hostname: deps.hostname(), queueId: id, at, smtpUtf8: envelope.mail.smtpUtf8 },
    // It is signed once, and goes as it is on every step of its ladder.
    expiresAt: Math.max(
      ...recipients.map(({ expiresAt, policy }) =>
        policy.onExpiry.reduce((at, step) => at + step.lifetimeMs, expiresAt),
      ),
    ),
  };
  return { id, at, recipients, ruled, incoming };
}

/** From memory where it is small, else record by record from the spool. */
async function* reread({ queue }: ReceiveDeps, { body, kept }: Spooled): AsyncGenerator<Buffer> {
  if (kept !== undefined) return yield kept;
  for await (const record of await queue.reread(body)) yield record as Buffer;
}

/** One content as it is stored, and the positions of those who get it. */
interface Filled extends Spooled {
  readonly positions: readonly number[];
  readonly header: Buffer;
  readonly treated: Treated;
}

/** One after another: each new body goes through once, and only then can its header be signed. */
async function fill(contents: readonly Content[], base: Spooled, spools: Spools): Promise<readonly Filled[]> {
  const filled: Filled[] = [];
  for (const { positions, body, seal } of contents) {
    const spooled = body === undefined ? base : await spools.fill(body);
    filled.push({ ...spooled, positions, ...(await seal(spooled.body.length)) });
  }
  return filled;
}

function factsOf(
  transaction: Transaction,
  { id, at, ruled }: Begun,
  { base, contents }: { base: Spooled; contents: readonly Filled[] },
): MessageFacts {
  const messageId = messageIdOf(transaction.header);
  const from = fromDomain(transaction.header);
  return {
    id,
    envelope: transaction.envelope,
    size: transaction.header.length + base.body.length,
    receivedAt: at,
    listener: transaction.listener,
    client: transaction.client,
    ...(messageId !== undefined && { messageId }),
    ...(from !== undefined && { fromDomain: from }),
    notice: false,
    ...(ruled.demands && { demands: ruled.demands }),
    contents: contents.map(({ treated, positions }) => (contents.length === 1 ? treated : { ...treated, positions })),
  };
}

async function store(
  deps: ReceiveDeps,
  transaction: Transaction,
  message: Begun,
  made: { readonly base: Spooled; readonly contents: readonly Filled[] },
): Promise<void> {
  const { contents } = made;
  const facts = factsOf(transaction, message, made);
  const { rules, delayNoticesMs } = deps.policy();
  const contentOf = new Map(
    contents.flatMap(({ positions }, content) => positions.map((one) => [one, content] as const)),
  );
  // Its time begins when it is stored, whatever the clock did while the body came.
  const since = deps.clock.now() - message.at;
  const recipients = message.recipients.map((one) => ({ ...one, expiresAt: one.expiresAt + since }));
  const groups = groupByDestination({ recipients, facts, contentOf, rules, delayNoticesMs });
  const fresh: { slot: Slot; delivery: Delivery }[] = [];
  const deliveries: NewDelivery[] = groups.map(({ recipients, ...group }, index) => {
    const id = `${facts.id}-${index}`;
    const { domain, lane, expiresAt, content } = group;
    const reserved = deps.dispatcher.reserve(laneOf(group));
    const waits = reserved !== undefined && "waits" in reserved ? reserved.waits : undefined;
    const slot = reserved !== undefined && "submit" in reserved ? reserved : undefined;
    if (slot !== undefined)
      fresh.push({
        slot,
        delivery: { id, message: facts, domain, ...(lane && { lane }), recipients, attempts: 0, expiresAt, content },
      });
    const state = slot === undefined ? "waiting" : "leased";
    const positions = recipients.map(({ position }) => position);
    const due = { nextAttemptAt: waits?.at ?? facts.receivedAt, ...(waits && { reason: waits.reason }) };
    return { ...group, id, positions, state, ...due };
  });
  try {
    await deps.queue.enqueue({ facts, contents: contents.map(({ header, body }) => ({ header, body })), deliveries });
  } catch (error) {
    for (const { slot } of fresh) slot.giveBack();
    throw error;
  }
  deps.emit(
    "message.accepted",
    acceptedEvent(
      facts,
      transaction.session,
      groups.flatMap(({ partner }) => partner ?? []),
    ),
  );
  for (const [content, { header, kept }] of contents.entries()) {
    const uses = fresh.filter(({ delivery }) => delivery.content === content).length;
    if (kept !== undefined && uses > 0) deps.remember(facts.id, content, { header, body: kept }, uses);
  }
  for (const { slot, delivery } of fresh) slot.submit(delivery);
  for (const delivery of deliveries) {
    const { state, nextAttemptAt: at, reason } = delivery;
    if (state === "waiting") deps.dispatcher.arrived(laneOf(delivery), reason && { at, reason });
  }
}

async function* observed(chunks: AsyncIterable<Buffer>, see: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    see(chunk);
    yield chunk;
  }
}
