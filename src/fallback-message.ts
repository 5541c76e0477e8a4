/**
 * The message that the S/MIME step of the ladder stores: whose it is, what is known of it and what it still demands. Pure.
 * Demands go with it undiminished; a content that is not encrypted is a defect, and refused.
 */
import { laneOn } from "./decide/course.ts";
import type { LadderStep, OutboundPolicy, Rule } from "./decide/policy.ts";
import type { MessageDemands } from "./mail/demands.ts";
import { type Delivery, delayNoticesOf, laneOf, type MessageFacts, treatedOf } from "./mail/delivery.ts";
import type { Recipient } from "./mail/envelope.ts";
import type { Treated } from "./mail/treatment.ts";
import { noticeAfter } from "./reminders.ts";
import type { NewContent, NewDelivery, NewMessage } from "./store/queue.ts";

export interface FallbackContent extends NewContent {
  /** Of the new message. */
  readonly positions: readonly number[];
  readonly treated: Treated;
}

export interface FallbackParts {
  /** Queue id. */
  readonly id: string;
  /** With the positions that they have in the old message; in the new one, their order here. */
  readonly recipients: readonly Recipient[];
  readonly contents: readonly FallbackContent[];
  /** The octets are those of the old message. */
  readonly isSealed: boolean;
  /** Epoch ms, as `expiresAt`. */
  readonly now: number;
  readonly expiresAt: number;
  readonly delayNoticesMs: readonly number[];
}

/** Recipients under one policy, and the step that they are about to take. */
export interface OnStep {
  readonly delivery: Delivery;
  readonly outbound: OutboundPolicy;
  readonly step: LadderStep & { readonly kind: "smime" };
  /** Those of now. */
  readonly rules: readonly Rule[];
}

export function fallbackMessage(
  { delivery, outbound, step, rules }: OnStep,
  { id, recipients, contents, isSealed, now, expiresAt, delayNoticesMs }: FallbackParts,
): NewMessage {
  const { demands, ...before } = delivery.message;
  const treated = contents.map((one) => treatedNow(treatedOf(delivery), one, isSealed));
  if (!treated.every(({ smime }) => smime?.encrypted === true)) throw new TypeError("A fallback in plain");
  const sent = delayNoticesOf(delivery);
  const facts: MessageFacts = {
    ...before,
    id,
    envelope: {
      ...before.envelope,
      recipients: recipients.map((recipient, position) => ({ ...recipient, position })),
    },
    contents: treated.map((one, at) => ({ ...one, ...(treated.length > 1 && { positions: contents[at]!.positions }) })),
    ...(demands && { demands: demandsOf(demands, recipients) }),
    fallback: { of: before.id, approvedBy: step.approvedBy, ...(sent > 0 && { delayNotices: sent }) },
  };
  const noticeAt = noticeAfter(sent, { steps: delayNoticesMs, receivedAt: before.receivedAt, expiresAt, now });
  const { domain } = delivery;
  const deliveries = contents.map(({ positions }, content): NewDelivery => {
    const deliveryId = `${id}-${content}`;
    const to = facts.envelope.recipients.filter(({ position }) => positions.includes(position));
    const lane = laneOf(delivery);
    const way = { id: deliveryId, message: facts, domain, lane, recipients: to, attempts: 0, expiresAt, content };
    return {
      id: deliveryId,
      domain,
      lane: laneOn(way, outbound, rules),
      partner: outbound.partner,
      positions,
      content,
      state: "waiting",
      nextAttemptAt: now,
      expiresAt,
      ...(noticeAt !== null && { noticeAt }),
    };
  });
  return { facts, contents: contents.map(({ header, body }) => ({ header, body })), deliveries };
}

/** What was done to it before stays done. */
function treatedNow(old: Treated, { treated }: FallbackContent, isSealed: boolean): Treated {
  const { positions: _, ...before } = old;
  if (isSealed) {
    const smime = before.smime?.encrypted === true ? before.smime : OF_ITS_USER;
    const dkim = (treated.dkim?.signatures.length ?? 0) > 0 ? treated.dkim : before.dkim;
    return { ...before, size: treated.size, smime, ...(dkim && { dkim }) };
  }
  const signer = before.smime?.signer;
  const { notes = [], ...smime } = treated.smime ?? { signed: false, encrypted: false };
  // Signed before, but by us.
  const told = notes.filter((note) => signer === undefined || note !== "already-signed");
  return {
    ...before,
    ...treated,
    smime: { ...(signer !== undefined && { signer }), ...smime, ...(told.length > 0 && { notes: told }) },
  };
}

const OF_ITS_USER = { signed: false, encrypted: true, notes: ["already-encrypted"] } as const;

/** Rules name recipients by the positions that they have now; those that matched none of them stay behind. */
function demandsOf({ rules, ...demands }: MessageDemands, recipients: readonly Recipient[]): MessageDemands {
  if (rules === undefined) return demands;
  const now = rules.flatMap(({ positions, ...rule }) => {
    if (positions === undefined) return [rule];
    const moved = recipients.flatMap(({ position }, at) => (positions.includes(position) ? [at] : []));
    return moved.length === 0 ? [] : [{ ...rule, positions: moved }];
  });
  return { ...demands, rules: now };
}
