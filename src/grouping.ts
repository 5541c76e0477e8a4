/**
 * Recipients that share a delivery: of one domain and partner, with one content, one way and the same demands of the
 * message itself. Pure.
 */
import { destinationOf } from "./decide/decide.ts";
import { asksTlsRequiredNo } from "./decide/message-demand.ts";
import type { OutboundPolicy, Rule } from "./decide/policy.ts";
import { laneFor, type MessageFacts } from "./mail/delivery.ts";
import type { Recipient } from "./mail/envelope.ts";
import { formatDomain } from "./mail/mailbox.ts";
import { noticeAfter } from "./reminders.ts";
import type { NewDelivery } from "./store/queue.ts";

export interface Addressed {
  readonly recipient: Recipient;
  readonly policy: OutboundPolicy;
  /** The rest of its domain belongs to another partner, or to none. */
  readonly isApart: boolean;
  /** Epoch ms. */
  readonly expiresAt: number;
}

export interface Group extends Omit<NewDelivery, "id" | "state" | "nextAttemptAt" | "positions" | "reason"> {
  readonly recipients: Recipient[];
}

export interface Grouping {
  readonly recipients: readonly Addressed[];
  readonly facts: MessageFacts;
  /** By position. */
  readonly contentOf: ReadonlyMap<number, number>;
  /** Those of now. */
  readonly rules: readonly Rule[];
  /** Ages at which a sender is told that mail waits, ms. */
  readonly delayNoticesMs: readonly number[];
}

export function groupByDestination(grouping: Grouping): readonly Group[] {
  const { recipients, facts, contentOf } = grouping;
  const groups = new Map<string, Group>();
  for (const { recipient, policy, isApart, expiresAt } of recipients) {
    const domain = formatDomain(recipient.mailbox.domain);
    const content = contentOf.get(recipient.position);
    if (content === undefined) throw new Error("A recipient without a content"); // each is in exactly one plan
    const matched = rulesOf(facts, recipient);
    const key = JSON.stringify([content, domain, policy.partner, matched]);
    const partner = isApart ? (policy.partner ?? undefined) : undefined;
    const via = wayOfRules(grouping, domain, matched);
    const lane = laneFor(domain, { via, tlsRequiredNo: asksTlsRequiredNo(facts), partner });
    const noticeAt = firstNotice(grouping, expiresAt);
    const group = groups.get(key) ?? {
      domain,
      ...(lane !== domain && { lane }),
      partner: policy.partner,
      expiresAt,
      ...(noticeAt !== null && { noticeAt }),
      content,
      recipients: [],
    };
    group.recipients.push(recipient);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function rulesOf({ demands }: MessageFacts, { position }: Recipient): readonly string[] {
  const matched = (demands?.rules ?? []).filter(({ positions }) => positions?.includes(position) !== false);
  return matched.map(({ name }) => name);
}

/** Where a rule sends mail another way than the rest of its domain goes. */
function wayOfRules({ rules }: Grouping, domain: string, matched: readonly string[]): string | undefined {
  const nextHop = matched
    .map((name) => rules.find((rule) => rule.name === name)?.effects.nextHop)
    .find((hops) => hops !== undefined);
  return nextHop && destinationOf({ nextHop }, domain);
}

/** Nobody is told of mail without a sender. */
function firstNotice({ facts, delayNoticesMs }: Grouping, expiresAt: number): number | null {
  const { receivedAt, envelope } = facts;
  if (envelope.reversePath === null) return null;
  return noticeAfter(0, { steps: delayNoticesMs, receivedAt, expiresAt, now: receivedAt });
}
