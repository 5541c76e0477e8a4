/**
 * Between the nouns and what the database thread sees: seals facts, header and detail, and reads them back.
 * The clear columns are those of the design; addresses leave here only sealed, or as keyed tags.
 */
import type { Course, Delivery, LastEnding, MessageFacts } from "../mail/delivery.ts";
import { formatDomain, formatMailbox, formatReversePath } from "../mail/mailbox.ts";
import type { PeerReply, Reason } from "../mail/outcome.ts";
import { isQueueId } from "../mail/queue-id.ts";
import {
  type FinishedMessage,
  type NewContent,
  type NewMessage,
  type QueueFilter,
  type QueueItem,
  StoreError,
} from "./queue.ts";
import { type MessageKey, openMessageKey, seal, tagOf, unseal, unsealCourse, unsealDetail } from "./seal.ts";
import type { SpooledBody } from "./spool.ts";
import type { StoreKeys } from "./key-ring.ts";
import type { DeliveryRow, FilterRow, GoneRow, KeyRow, MessageRow } from "./sqlite-protocol.ts";

/** More than recipients of a message. */
const MOST_PARTS = 65_535;

/** Ids become file names: only our own do. */
export function checkMessageId(id: string): void {
  if (!isQueueId(id)) throw new TypeError("A message id is 32 hex digits");
}

/** Part of a file name, too. */
export function checkPart(part: number): void {
  if (!Number.isInteger(part) || part < 0 || part > MOST_PARTS)
    throw new TypeError("The number of a body is out of range");
}

/** `bodies`: those of the contents, each once; the first content has the first. */
export function toMessageRow(message: NewMessage, bodies: readonly SpooledBody[], keys: StoreKeys): MessageRow {
  const { facts, contents, deliveries } = message;
  const [first, ...others] = bodies;
  if (deliveries.length === 0) throw new TypeError("A message needs a delivery");
  if (first === undefined || contents.length !== facts.contents.length)
    throw new TypeError("A message needs a content, and says of each what it is");
  if (others.some(({ key }) => key.wrappedBy !== first.key.wrappedBy))
    throw new TypeError("The keys of a message are wrapped by one queue key");
  if (!deliveries.every((delivery) => isMeantFor(delivery, facts)))
    throw new TypeError("A delivery names a content or a domain that is not its recipients'");
  const [{ header }, ...variants] = contents as [NewContent, ...NewContent[]];
  return {
    id: facts.id,
    receivedAt: facts.receivedAt,
    size: facts.size,
    bodyLength: first.length,
    keyId: first.key.wrappedBy,
    part: first.part,
    wrapped: first.key.wrapped,
    facts: seal(first.key, "facts", Buffer.from(JSON.stringify(facts), "utf8")),
    header: seal(first.key, "header", header),
    body: first.sealed ?? null,
    variants: variants.map((variant, index) => {
      const place = { number: index + 1, part: variant.body.part };
      return { ...place, header: seal(first.key, "header", variant.header, place) };
    }),
    parts: others.map(({ part, length, key, sealed }) => ({
      number: part,
      length,
      wrapped: key.wrapped,
      body: sealed ?? null,
    })),
    deliveries: deliveryRows(message, keys),
  };
}

function deliveryRows({ facts, deliveries }: NewMessage, keys: StoreKeys): MessageRow["deliveries"] {
  const shared = [
    senderTag(keys, formatReversePath(facts.envelope.reversePath)),
    ...(facts.envelope.reversePath ? [domainTag(keys, formatDomain(facts.envelope.reversePath.domain))] : []),
    ...(facts.messageId === undefined ? [] : [tagOf(keys.tagging, "message-id", facts.messageId)]),
  ];
  const addresses = new Map(
    facts.envelope.recipients.map(({ position, mailbox }) => [position, formatMailbox(mailbox)] as const),
  );
  return deliveries.map((delivery) => ({
    ...delivery,
    lane: delivery.lane ?? delivery.domain,
    noticeAt: delivery.noticeAt ?? null,
    reason: delivery.reason ?? null,
    tags: [...shared, ...delivery.positions.map((at) => recipientTag(keys, addresses.get(at) ?? ""))],
  }));
}

export function toFilterRow(filter: QueueFilter, keys: StoreKeys): FilterRow {
  const { id, domain, partner, reason, before, sender, senderDomain, recipient, messageId } = filter;
  const tags: Buffer[] = [];
  if (sender !== undefined) tags.push(senderTag(keys, sender === "<>" ? "" : sender));
  if (senderDomain !== undefined) tags.push(domainTag(keys, senderDomain));
  if (recipient !== undefined) tags.push(recipientTag(keys, recipient));
  if (messageId !== undefined) tags.push(tagOf(keys.tagging, "message-id", messageId));
  return {
    tags,
    ...(id !== undefined && (isQueueId(id) ? { messageId: id } : { deliveryId: id })),
    ...(domain !== undefined && { domain }),
    ...(partner !== undefined && { partner }),
    ...(reason !== undefined && { reason }),
    ...(before !== undefined && { before }),
  };
}

/** Throws StoreError "damaged". */
export function openKeyRow(row: KeyRow, keys: StoreKeys): MessageKey {
  const wrapping = keys.ring.get(row.keyId);
  if (wrapping !== undefined) return openMessageKey(wrapping, row.messageId, row.wrapped, row.part);
  throw new StoreError("damaged", `Message ${row.messageId} is sealed with queue key ${row.keyId}, which is not there`);
}

/** Throws StoreError "damaged". */
export function toDelivery(row: DeliveryRow, keys: StoreKeys): { delivery: Delivery; key: MessageKey } {
  const key = openKeyRow(row, keys);
  const facts = openFacts(key, row.facts);
  if (!isMeantFor(row, facts))
    throw new StoreError("damaged", `Delivery ${row.id} names a content or a domain that is not its recipients'`);
  const delivery = deliveryOf(row, facts);
  const course = row.course === null ? undefined : (JSON.parse(unsealCourse(key, row.id, row.course)) as Course);
  const last = row.reason === null ? undefined : { reason: row.reason as Reason, ...readSaid(detailOf(row, key)) };
  return { key, delivery: { ...delivery, ...(course && { course }), ...(last && { last }) } };
}

/** A sentence for people: that it cannot be read keeps no mail from going. */
function detailOf({ detail }: DeliveryRow, key: MessageKey): string | null {
  try {
    return detail === null ? null : unsealDetail(key, detail);
  } catch (error) {
    if (error instanceof StoreError) return null;
    throw error;
  }
}

const SAID = "\0"; // in no sentence

/** The sentence of an attempt, and behind it what the peer said, as they are sealed together. */
export function saidOf({ detail, smtp }: { readonly detail: string; readonly smtp?: PeerReply }): string {
  const sentence = detail.replaceAll(SAID, "");
  return smtp === undefined ? sentence : `${sentence}${SAID}${JSON.stringify(smtp)}`;
}

function readSaid(sealed: string | null): Omit<LastEnding, "reason"> {
  if (sealed === null) return { detail: null };
  const [detail = "", smtp] = sealed.split(SAID, 2);
  return { detail, ...(smtp !== undefined && { smtp: JSON.parse(smtp) as PeerReply }) };
}

/** An item is shown whatever became of its content: what cannot be read is empty. */
export function toQueueItem(row: DeliveryRow, keys: StoreKeys): QueueItem {
  const clear = {
    state: row.state,
    partner: row.partner,
    nextAttemptAt: row.nextAttemptAt,
    noticeAt: row.noticeAt,
    reason: row.reason as Reason | null,
    cursor: `#${row.seq}`,
  };
  try {
    const { delivery, key } = toDelivery(row, keys);
    const detail =
      delivery.last?.detail ?? (row.detail === null ? null : readSaid(unsealDetail(key, row.detail)).detail);
    return { ...clear, delivery, detail };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { ...clear, delivery: deliveryOf(row, unreadableFacts(row)), detail: error.message };
  }
}

/** Recipients of a damaged message have lost their addresses: they are empty. */
export function toFinished(row: GoneRow, keys: StoreKeys): FinishedMessage {
  const addresses = new Map<number, string>();
  try {
    const { envelope } = openFacts(openKeyRow(row, keys), row.facts);
    for (const { position, mailbox } of envelope.recipients) addresses.set(position, formatMailbox(mailbox));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
  const recipients = row.ends
    .toSorted(([a], [b]) => a - b)
    .map(([position, end]) => ({ address: addresses.get(position) ?? "", end }));
  return { id: row.messageId, recipients };
}

/**
 * Whose a delivery is, where it goes and which content it brings stands in clear columns. They must agree with the sealed
 * facts, or who can write to the disk could send a message elsewhere, or in the form that was made for another recipient.
 */
function isMeantFor(
  { content, positions, domain }: Pick<DeliveryRow, "content" | "positions" | "domain">,
  { contents, envelope }: MessageFacts,
): boolean {
  const recipients = envelope.recipients.filter(({ position }) => positions.includes(position));
  if (recipients.length === 0 || recipients.length !== positions.length) return false;
  if (!recipients.every(({ mailbox }) => formatDomain(mailbox.domain) === domain)) return false;
  const treated = contents[content];
  if (treated?.positions === undefined) return treated !== undefined && contents.length === 1;
  return positions.every((position) => treated.positions?.includes(position) === true);
}

function deliveryOf(row: DeliveryRow, message: MessageFacts): Delivery {
  const { id, domain, lane, attempts, expiresAt, positions, content } = row;
  const recipients = message.envelope.recipients.filter(({ position }) => positions.includes(position));
  return { id, message, domain, recipients, attempts, expiresAt, content, ...(lane !== domain && { lane }) };
}

function openFacts(key: MessageKey, sealed: Uint8Array): MessageFacts {
  const facts = JSON.parse(unseal(key, "facts", sealed).toString("utf8")) as MessageFacts;
  // Stored before there were several contents.
  const { contents = [{ size: facts.size }] } = facts as Partial<MessageFacts>;
  return { ...facts, contents };
}

function unreadableFacts(row: DeliveryRow): MessageFacts {
  return {
    id: row.messageId,
    envelope: { reversePath: null, mail: { body: "8BITMIME", smtpUtf8: false, requireTls: false }, recipients: [] },
    size: row.size,
    receivedAt: row.receivedAt,
    listener: "",
    client: { address: "", port: 0, helo: "", via: "internal" },
    notice: false,
    contents: [{ size: row.size }],
  };
}

// People search without regard to case; an exact filter may so match a little more, never less.
function senderTag(keys: StoreKeys, address: string): Buffer {
  return tagOf(keys.tagging, "sender", address.toLowerCase());
}

function recipientTag(keys: StoreKeys, address: string): Buffer {
  return tagOf(keys.tagging, "recipient", address.toLowerCase());
}

function domainTag(keys: StoreKeys, domain: string): Buffer {
  return tagOf(keys.tagging, "sender-domain", domain.toLowerCase());
}
