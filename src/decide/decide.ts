/**
 * Which policy governs a recipient, and what one host must prove under it. Pure: no clock, no I/O.
 * The policy follows the recipient, whatever the next hop, and is asked anew at each attempt.
 */
import { ancestry, isBelow } from "../mail/domain-name.ts";
import { isAddressLiteral, type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import { type NamePattern, opportunistic, type TlsRequirement } from "../mail/tls-requirement.ts";
import type { MatchEntry, NextHop, OutboundPolicy, PartnerPolicy, Policy, TlsPolicy } from "./policy.ts";

/** Answers for one policy snapshot. `now` in epoch ms: exceptions begin and end by it. */
export type DecideOutbound = (recipient: Mailbox, now: number) => OutboundPolicy;

/** Builds the look-up tables once per snapshot. An address beats a domain, an exact domain the longest pattern, a partner the default. */
export function decisions(policy: Policy): DecideOutbound {
  const addresses = new Map<string, PartnerPolicy>();
  const domains = new Map<string, PartnerPolicy>();
  const parents = new Map<string, PartnerPolicy>();
  for (const partner of policy.partners) {
    for (const address of partner.addresses) addresses.set(address, partner);
    for (const domain of partner.domains) domains.set(domain, partner);
    for (const parent of partner.subdomainsOf) parents.set(parent, partner);
  }
  const own = new Map(policy.ownDomains.map((entry) => [entry.domain, entry.outbound]));

  const partnerOf = (recipient: Mailbox): PartnerPolicy | undefined => {
    const byAddress = addresses.get(mailboxKey(recipient));
    if (byAddress !== undefined || isAddressLiteral(recipient.domain)) return byAddress;
    const exact = domains.get(recipient.domain);
    if (exact !== undefined || own.has(recipient.domain)) return exact;
    for (const parent of ancestry(recipient.domain)) {
      const partner = parent === recipient.domain ? undefined : parents.get(parent);
      if (partner !== undefined) return partner;
    }
    return undefined;
  };

  const enforced = createEnforced();
  const policyOf: DecideOutbound = (recipient, now) => {
    const partner = partnerOf(recipient);
    if (partner !== undefined) return inForce(partner.exceptions, now) ?? partner.outbound;
    if (isAddressLiteral(recipient.domain)) return policy.default;
    const { domain } = recipient;
    const meant = policy.defaultExceptions.filter(({ exception }) => isFor(exception?.domains, domain));
    return own.get(domain) ?? inForce(meant, now) ?? policy.default;
  };
  return (recipient, now) => {
    const outbound = policyOf(recipient, now);
    return outbound.reportEndsAt === undefined || now < outbound.reportEndsAt ? outbound : enforced(outbound);
  };
}

/** What report mode leaves behind when its time is over: one value each, since attempts tell policies apart by identity. */
function createEnforced(): (outbound: OutboundPolicy) => OutboundPolicy {
  const made = new WeakMap<OutboundPolicy, OutboundPolicy>();
  return (outbound) => {
    const known = made.get(outbound);
    if (known !== undefined) return known;
    const { reportEndsAt: _, ...rest } = outbound;
    const enforcing: OutboundPolicy = { ...rest, mode: "enforce" };
    made.set(outbound, enforcing);
    return enforcing;
  };
}

function inForce(exceptions: readonly OutboundPolicy[], now: number): OutboundPolicy | undefined {
  return exceptions.find(({ exception }) => exception !== undefined && now < exception.endsAt);
}

function isFor(domains: readonly NamePattern[] | undefined, domain: string): boolean {
  if (domains === undefined) return true;
  return domains.some((name) => ("host" in name ? name.host === domain : isBelow(domain, name.below)));
}

/** The host about to be tried, and how we came to its name. */
export interface Target {
  /** The name connected to: from MX, or from next_hop. */
  readonly host: string;
  readonly route: "mx" | "next-hop";
  /** `host` was learned from an MX look-up. */
  readonly learnedFromMx: boolean;
  /** The answer to it was vouched for by DNSSEC. */
  readonly mxSecure?: boolean;
  /** The name written in next_hop; absent for plain MX routing and for address literals. */
  readonly nextHopName?: string;
  /** A-label; absent for an address literal. */
  readonly recipientDomain?: string;
}

/** What the level itself demands of a session to `target`; demand.ts adds what the destination publishes. */
export function requirementOf(tls: TlsPolicy, target: Target): TlsRequirement {
  const { minVersion } = tls;
  switch (tls.level) {
    case "none":
    case "may":
      return opportunistic;
    case "encrypt":
      return { level: "mandatory", minVersion, checks: [] };
    case "fingerprint":
      return { level: "mandatory", minVersion, checks: [{ by: "fingerprint", pins: tls.fingerprints }] };
    case "verify":
      return pkix(tls, target, tls.match.length > 0 ? tls.match : ["hostname"]);
    case "secure":
      return pkix(tls, target, tls.match.length > 0 ? tls.match : ["nexthop", "dot-nexthop"]);
    case "authenticated":
      return pkix(tls, target, tls.match.length > 0 ? tls.match : ["nexthop", "dot-nexthop", "hostname"]);
    case "dane-only":
      // Its records come with what is published; without any, no certificate meets this.
      return { level: "mandatory", minVersion, checks: [{ by: "dane", records: [], names: [] }] };
  }
}

function pkix(tls: TlsPolicy, target: Target, match: readonly MatchEntry[]): TlsRequirement {
  const names = match.flatMap((entry) => namesOf(entry, tls, target));
  return { level: "mandatory", minVersion: tls.minVersion, checks: [{ by: "pkix", trustId: tls.trust.id, names }] };
}

function namesOf(entry: MatchEntry, tls: TlsPolicy, target: Target): NamePattern[] {
  if (typeof entry !== "string") return [entry];
  if (entry === "hostname") {
    // A name from an insecure MX look-up proves nothing (Postfix TLS_README, secure).
    const proven = tls.level === "verify" || !target.learnedFromMx || target.mxSecure === true;
    return proven ? [{ host: target.host }] : [];
  }
  const nextHop = target.route === "next-hop" ? target.nextHopName : target.recipientDomain;
  if (nextHop === undefined) return [];
  return entry === "nexthop" ? [{ host: nextHop }] : [{ below: nextHop }];
}

/** What concurrency and back-off are counted by: where the mail goes, not for whom it is. */
export function destinationOf({ nextHop }: Pick<OutboundPolicy, "nextHop">, domain: string): string {
  const [first] = nextHop;
  return first === undefined || first.kind === "mx" ? domain : describeNextHop(first);
}

export function describeNextHop(hop: NextHop): string {
  switch (hop.kind) {
    case "mx":
      return "mx";
    case "mx-of":
      return hop.port === undefined ? hop.domain : `${hop.domain}:${hop.port}`;
    case "host":
      return `[${hop.host}]:${hop.port}`;
  }
}
