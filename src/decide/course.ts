/**
 * The policy of a recipient on the way that its mail takes now: a person's reroute, a step of the ladder, what rules say
 * of next hop and S/MIME. Pure. Another way never changes a demand, but for a message that the S/MIME step has made.
 */
import { type Apart, type Delivery, type Fallback, laneFor, laneOf, readLane, treatedOf } from "../mail/delivery.ts";
import { destinationOf } from "./decide.ts";
import { stepsTaken } from "./ladder.ts";
import { asksTlsRequiredNo } from "./message-demand.ts";
import type { LadderStep, NextHop, OutboundPolicy, Rule } from "./policy.ts";
import { ruledSmime } from "./rules.ts";

export function onCourse(delivery: Delivery, outbound: OutboundPolicy, rules: readonly Rule[]): OutboundPolicy {
  const matched = matchedOf(delivery, rules);
  const way = wayOf(delivery, outbound, matched);
  const { fallback } = delivery.message;
  const own = fallback === undefined ? outbound : fallenBack(delivery, fallback, outbound);
  const policy = matched.some(({ effects }) => effects.smime !== undefined) ? withSmime(own, matched) : own;
  return way === undefined ? policy : { ...policy, nextHop: way };
}

/** What was made of the message is judged by what its rules say now, over the partner. */
function withSmime({ treatment, ...policy }: OutboundPolicy, matched: readonly Rule[]): OutboundPolicy {
  return { ...policy, treatment: { ...treatment, smime: ruledSmime(matched, treatment.smime) } };
}

/** As they are now; those that are gone say nothing any more but their TLS, which is kept with the message. */
function matchedOf({ message, recipients }: Delivery, rules: readonly Rule[]): readonly Rule[] {
  return (message.demands?.rules ?? []).flatMap(({ name, positions }) => {
    const isFor = positions === undefined || recipients.some(({ position }) => positions.includes(position));
    return isFor ? (rules.find((rule) => rule.name === name) ?? []) : [];
  });
}

/** What mail on this course is claimed by: its domain, unless it is apart from the rest. */
export function laneOn(delivery: Delivery, outbound: OutboundPolicy, rules: readonly Rule[]): string {
  const { nextHop, tls } = onCourse(delivery, outbound, rules);
  const via = nextHop === outbound.nextHop ? undefined : destinationOf({ nextHop }, delivery.domain);
  const level = tls === outbound.tls ? undefined : tls.level;
  const { partner } = readLane(laneOf(delivery));
  return laneFor(delivery.domain, { via, level, tlsRequiredNo: asksTlsRequiredNo(delivery.message), partner });
}

/**
 * What is counted as one policy where TLS closes a destination: a partner's, or after a slash, which no partner's id has, a
 * part of it that goes at another level or wishes for less (`Way`).
 */
export function policyName(partner: string | null, apart: Pick<Apart, "level" | "tlsRequiredNo">): string {
  const { level, tlsRequiredNo = false } = apart;
  const at = level === undefined ? [] : [`at ${level}`];
  return [partner ?? "", ...at, ...(tlsRequiredNo ? ["tls-required-no"] : [])].join("/");
}

/** The nearest word counts; undefined: the way that the policy says. */
function wayOf(
  delivery: Delivery,
  { onExpiry }: OutboundPolicy,
  matched: readonly Rule[],
): readonly NextHop[] | undefined {
  const { course } = delivery;
  if (course?.route !== undefined) return [course.route];
  const step = onExpiry[stepsTaken(delivery, onExpiry) - 1];
  if (step?.kind === "next-hop") return step.nextHop;
  return matched.find(({ effects }) => effects.nextHop !== undefined)?.effects.nextHop;
}

/** What is encrypted to every recipient goes over TLS, whoever shows which certificate, while the ladder of now has that step. */
function fallenBack(delivery: Delivery, { approvedBy }: Fallback, outbound: OutboundPolicy): OutboundPolicy {
  const isStep = (step: LadderStep): boolean => step.kind === "smime";
  if (!outbound.onExpiry.some(isStep) || treatedOf(delivery).smime?.encrypted !== true) return outbound;
  const { tls } = outbound;
  if (tls.level === "none") return outbound; // the way to it is plain by agreement
  return {
    ...outbound,
    source: "exception",
    mode: "enforce", // TLS is the least that its ladder asks for, also while the policy is only reported
    tls: { ...tls, level: "encrypt", match: [], fingerprints: [] },
    exception: {
      approvedBy,
      reason: "S/MIME after expiry (on_expiry)",
      endsAt: delivery.expiresAt,
      origin: outbound.origins["on_expiry"] ?? { file: "", line: 1, column: 1 },
    },
  };
}
