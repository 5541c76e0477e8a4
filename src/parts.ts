/**
 * The policy of now over the recipients of one delivery: tried apart where it differs, and anew where a reload has
 * changed it meanwhile. No session is opened or let through for a policy that is no longer in force.
 */
import type { Steps } from "./attempt.ts";
import type { DecideOutbound } from "./decide/decide.ts";
import { onCourse } from "./decide/course.ts";
import type { OutboundPolicy, Rule } from "./decide/policy.ts";
import type { Delivery } from "./mail/delivery.ts";
import type { Recipient } from "./mail/envelope.ts";
import { problem } from "./mail/outcome.ts";

/** What is in force now. */
export interface PolicyNow {
  readonly outbound: DecideOutbound;
  readonly rules: readonly Rule[];
  readonly generation: number;
}

/** Recipients under one policy, and the configuration it is from. */
export interface Part {
  readonly delivery: Delivery;
  readonly outbound: OutboundPolicy;
  /** The same on the way that the delivery takes now. */
  readonly way: OutboundPolicy;
  readonly generation: number;
}

export interface Parts<V> {
  readonly of: (delivery: Delivery) => Part[];
  /** False: a reload, or the end of an exception, has put another policy over a recipient since. */
  readonly isInForce: (part: Part) => boolean;
  /** They stop where the policy is no longer in force: mail may have come to demand more. */
  readonly steps: (part: Part, steps: Steps<V>) => Steps<V>;
}

export function createParts<V>(now: () => number, policy: () => PolicyNow): Parts<V> {
  const isInForce = ({ delivery, outbound }: Part): boolean => {
    const decide = policy().outbound;
    return delivery.recipients.every(({ mailbox }) => decide(mailbox, now()) === outbound);
  };
  return {
    of: (delivery) => {
      const { outbound, rules, generation } = policy();
      return splitByPolicy(delivery, outbound, now()).map((part) => {
        return { ...part, way: onCourse(part.delivery, part.outbound, rules), generation };
      });
    },
    isInForce,
    steps: (part, steps) => ({
      ...steps,
      connect: (...given) => (isInForce(part) ? steps.connect(...given) : Promise.resolve(SUPERSEDED)),
      admit: (...given) => (isInForce(part) ? steps.admit(...given) : SUPERSEDED),
    }),
  };
}

const SUPERSEDED = problem("deferred", "internal-error", "The policy changed while the attempt was under way");

/** Recipients whose policy a reload has made differ are tried apart; positions stay theirs. */
export function splitByPolicy(
  delivery: Delivery,
  decide: DecideOutbound,
  now: number,
): { delivery: Delivery; outbound: OutboundPolicy }[] {
  const parts = new Map<OutboundPolicy, Recipient[]>();
  for (const recipient of delivery.recipients) {
    const outbound = decide(recipient.mailbox, now);
    parts.set(outbound, [...(parts.get(outbound) ?? []), recipient]);
  }
  return [...parts].map(([outbound, recipients]) => ({ outbound, delivery: { ...delivery, recipients } }));
}
