/**
 * The S/MIME step of the ladder: makes of stored content that waited in vain a message of its own, encrypted to every
 * recipient, which then goes over plain TLS. Its bytes are made once and sealed before the first try. It must never
 * hold anything in plain: what cannot be encrypted is left where it is.
 */
import { type FallbackContent, fallbackMessage, type OnStep } from "./fallback-message.ts";
import { type Delivery, treatedOf } from "./mail/delivery.ts";
import type { Recipient } from "./mail/envelope.ts";
import { mailboxKey } from "./mail/mailbox.ts";
import { newQueueId } from "./mail/queue-id.ts";
import type { SmtpReply } from "./mail/smtp-reply.ts";
import type { Treatment } from "./mail/treatment.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import { createSpools, type Spools } from "./spools.ts";
import { type NewMessage, type QueueStore, type SealedBody, StoreError } from "./store/queue.ts";
import type { Content } from "./transform/finish.ts";
import { type Found, isTooMuch } from "./transform/plan.ts";
import type { Candidate } from "./transform/smime/candidate.ts";
import { recogniseMessage } from "./transform/smime/wrap.ts";
import { fitting, type Incoming, type StoredBody, type TreatDeps, type Treating } from "./transform/treat.ts";

type CertificatesFor = TreatDeps["certificatesFor"];

export interface FallbackDeps {
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
  readonly hostname: () => string;
  readonly queue: Pick<QueueStore, "openSpool" | "header" | "body">;
  readonly certificatesFor: CertificatesFor;
  readonly treat: (stored: Incoming, certificatesFor: CertificatesFor) => Promise<Treating | SmtpReply>;
  readonly delayNoticesMs: () => readonly number[];
  /** Told of the octets of bodies. */
  readonly passed: (bytes: number) => void;
  readonly emit: Emit;
}

/** A message that goes on in place of another, for some of its recipients. */
export interface Encrypted {
  /** Of the old message. */
  readonly positions: readonly number[];
  readonly message: NewMessage;
  readonly approvedBy: string;
  /** Leaves nothing of what was not stored; no effect on what was. */
  readonly discard: () => Promise<void>;
}

export interface Encryptions {
  /** For those to whom it can be done; absent: nobody. */
  readonly made?: Encrypted;
  /** Positions of whom it is not known now: they can be tried later. To all others it cannot be done. */
  readonly unknown: readonly number[];
}

/** Rejects with StoreError "damaged" when the stored content is; nothing else rejects. */
export type EncryptStored = (stored: OnStep) => Promise<Encryptions>;

export function createFallback(deps: FallbackDeps): EncryptStored {
  return async (stored) => {
    const id = newQueueId(deps.clock.now(), deps.random);
    const spools = createSpools(deps.queue, id, deps.passed);
    try {
      const encryptions = await encrypt(deps, stored, { id, spools });
      if (encryptions.made === undefined) await spools.discard();
      return encryptions;
    } catch (error) {
      await spools.discard();
      if (error instanceof StoreError && error.kind === "damaged") throw error;
      // A defect, a full disk, a key that does not sign: another time it may go well.
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      deps.emit("error", { kind: "fallback", detail });
      return { unknown: stored.delivery.recipients.map(({ position }) => position) };
    }
  };
}

/** The new message: its queue id, and where its bodies go. */
interface Making {
  readonly id: string;
  readonly spools: Spools;
}

async function encrypt(deps: FallbackDeps, stored: OnStep, { id, spools }: Making): Promise<Encryptions> {
  const { delivery, step } = stored;
  const source = await sourceOf(deps, delivery);
  const known = source.isSealed ? undefined : await certificatesOf(deps, delivery);
  const [recipients, unknown] = [[], []] as [Recipient[], number[]];
  for (const recipient of delivery.recipients) {
    const { kind } = known?.get(mailboxKey(recipient.mailbox)) ?? { kind: "found" };
    if (kind === "found") recipients.push(recipient);
    if (kind === "unknown") unknown.push(recipient.position);
  }
  if (recipients.length === 0) return { unknown };
  const now = deps.clock.now();
  const incoming = incomingOf(deps, stored, { id, now, recipients, source });
  const certificatesFor: CertificatesFor = (mailbox) => Promise.resolve(known?.get(mailboxKey(mailbox)) ?? NOT_KNOWN);
  const treating = await deps.treat(incoming, certificatesFor);
  if ("code" in treating) return { unknown };
  const contents = await contentsOf(source, treating, spools);
  if (contents === undefined) return { unknown };
  const lasts = { now, expiresAt: incoming.expiresAt, delayNoticesMs: deps.delayNoticesMs() };
  const message = fallbackMessage(stored, { id, recipients, contents, isSealed: source.isSealed, ...lasts });
  const positions = recipients.map(({ position }) => position);
  return { made: { positions, message, approvedBy: step.approvedBy, discard: spools.discard }, unknown };
}

const NOT_KNOWN: Found<Candidate> = { kind: "none", why: "no certificate is known" };

interface Source {
  readonly header: Buffer;
  readonly body: StoredBody;
  /** Octets, about. */
  readonly length: number;
  /** Its user or we have encrypted it already: it needs no certificate and no new bytes, only the level falls. */
  readonly isSealed: boolean;
}

async function sourceOf({ queue }: FallbackDeps, delivery: Delivery): Promise<Source> {
  const { message, content } = delivery;
  const header = await queue.header(message.id, content);
  const body = async function* (): AsyncGenerator<Buffer> {
    for await (const record of await queue.body(message.id, content)) yield record as Buffer;
  };
  const treated = treatedOf(delivery);
  const isSealed = treated.smime?.encrypted === true || (await recogniseMessage({ header, body })).kind === "encrypted";
  return { header, body, length: treated.size, isSealed };
}

/** By address. Asked once, so that those who were found are those who are encrypted for. */
async function certificatesOf(
  { certificatesFor, clock }: FallbackDeps,
  { recipients }: Delivery,
): Promise<ReadonlyMap<string, Found<Candidate>>> {
  const found = await Promise.all(
    recipients.map(async ({ mailbox }) => {
      const answer = await certificatesFor(mailbox, clock.now());
      const usable = answer.kind === "found" ? fitting(answer.certificates, mailbox) : answer;
      return [mailboxKey(mailbox), usable] as const;
    }),
  );
  return new Map(found);
}

function incomingOf(
  deps: FallbackDeps,
  { delivery, outbound, step }: OnStep,
  made: {
    readonly id: string;
    readonly now: number;
    readonly recipients: readonly Recipient[];
    readonly source: Source;
  },
): Incoming {
  const { client, envelope } = delivery.message;
  const { smime } = outbound.treatment;
  const treatment: Treatment = {
    ...outbound.treatment,
    smime: made.source.isSealed ? { ...smime, sign: "never", encrypt: "never" } : { ...smime, encrypt: "always" },
  };
  return {
    header: made.source.header,
    isEdited: true,
    reversePath: envelope.reversePath,
    addressees: made.recipients.map((recipient, position) => ({ recipient: { ...recipient, position }, treatment })),
    hop: { client, hostname: deps.hostname(), queueId: made.id, at: made.now, smtpUtf8: envelope.mail.smtpUtf8 },
    expiresAt: made.now + step.lifetimeMs,
  };
}

/** Undefined: it cannot be encrypted. */
async function contentsOf(
  { body, length, isSealed }: Source,
  treating: Treating,
  spools: Spools,
): Promise<readonly FallbackContent[] | undefined> {
  // The same octets, as a body of the new message.
  const copy = isSealed ? (await spools.fill(observed(body(), treating.passed))).body : undefined;
  const made = await treating.finish(body);
  if ("code" in made || isTooMuch(made.length, length)) return undefined;
  const contents: FallbackContent[] = [];
  for (const content of made) contents.push(await sealed(content, copy, spools));
  return contents;
}

async function sealed(
  { positions, body, seal }: Content,
  copy: SealedBody | undefined,
  spools: Spools,
): Promise<FallbackContent> {
  const stored = body === undefined ? copy : (await spools.fill(body)).body;
  if (stored === undefined) throw new TypeError("A content that should have been encrypted was left as it is");
  return { positions, body: stored, ...(await seal(stored.length)) };
}

async function* observed(chunks: AsyncIterable<Buffer>, see: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    see(chunk);
    yield chunk;
  }
}
