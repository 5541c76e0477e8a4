/**
 * What DANE says of one host at one port (RFC 7672 §2.2, RFC 7671). TLSA is asked for only where the MX and the
 * addresses are secure. A look-up that fails is "unknown" and the host waits; it is never "nothing is published".
 */
import { type DomainName, parseDomainName } from "../mail/domain-name.ts";
import type { DnssecStatus, Host } from "../mail/host.ts";
import type { DaneFacts } from "../mail/published.ts";
import type { Resolver } from "./resolver.ts";
import { usableRecords } from "./tlsa-records.ts";

export interface DaneFinderDeps {
  readonly resolver: Pick<Resolver, "lookup">;
}

/** `nextHopDomain`: the domain whose MX led to the host; where the host has a `nextHopName`, that one counts. */
export type FindDane = (host: Host, nextHopDomain: string) => Promise<DaneFacts>;

/** Never rejects. */
export function createDaneFinder({ resolver }: DaneFinderDeps): FindDane {
  return async (host, nextHopDomain) => {
    const bases = await candidateBases(resolver, host);
    if ("kind" in bases) return bases;
    let none: DaneFacts = { kind: "none", why: "absent" };
    for (const base of bases) {
      const facts = await factsAt(resolver, base, host.port);
      if (facts.kind === "usable") return { ...facts, names: referenceNames(base, host, nextHopDomain) };
      if (facts.kind !== "none") return facts; // RFC 7672 §2.1.3: a look-up that failed is no reason to try the next
      if (facts.why !== "absent") none = facts;
    }
    return none;
  };
}

/** The TLSA base domains to try in turn (RFC 7672 §2.2.2), or why there are none. */
async function candidateBases(
  resolver: Pick<Resolver, "lookup">,
  host: Host,
): Promise<readonly DomainName[] | DaneFacts> {
  const { dnssec } = host;
  const name = parseDomainName(host.name);
  if (dnssec === undefined || name === undefined) return { kind: "none", why: "absent" }; // DNS knows nothing of it
  if (dnssec.mx !== "secure") return notSecure(dnssec.mx, `the MX that names ${name}`);
  if (dnssec.address === "secure") return dnssec.expanded === name ? [name] : [dnssec.expanded, name];
  if (dnssec.expanded === name || dnssec.address !== "insecure")
    return notSecure(dnssec.address, `the addresses of ${name}`);
  // "Insecure CNAME": aliases that leave the signed zones. Where the first link is secure, the name itself is tried.
  const alias = await resolver.lookup(name, "CNAME");
  if (alias.kind === "failed") return { kind: "unknown", detail: alias.detail };
  return alias.dnssec === "secure" ? [name] : notSecure(alias.dnssec, `the alias ${name}`);
}

async function factsAt(resolver: Pick<Resolver, "lookup">, base: DomainName, port: number): Promise<DaneFacts> {
  const owner = parseDomainName(`_${port}._tcp.${base}`);
  if (owner === undefined) return { kind: "none", why: "absent" }; // longer than a name in DNS can be
  const lookup = await resolver.lookup(owner, "TLSA");
  if (lookup.kind === "failed") return { kind: "unknown", detail: lookup.detail };
  if (lookup.dnssec !== "secure") return notSecure(lookup.dnssec, owner);
  if (lookup.kind === "none") return { kind: "none", why: "absent" };
  const records = usableRecords(lookup.records);
  return records.length > 0 ? { kind: "usable", base, names: [base], records } : { kind: "unusable", base };
}

function notSecure(status: Exclude<DnssecStatus, "secure">, what: string): DaneFacts {
  switch (status) {
    case "insecure":
      return { kind: "none", why: "insecure" };
    case "untrusted":
      return { kind: "none", why: "untrusted-resolver" };
    case "unknown":
      return {
        kind: "unknown",
        detail: `Whether ${what} can be trusted is unknown: no resolver whose word counts (dns.trust_ad) answered`,
      };
  }
}

/**
 * RFC 7672 §3.2.2: the base domain; the next-hop domain; and, where MX was used, what that one is an alias of.
 * The MX host's own name is not among them where it is an alias and the records stand at its target.
 */
function referenceNames(base: DomainName, host: Host, nextHopDomain: string): readonly string[] {
  const nextHop = parseDomainName(host.nextHopName ?? nextHopDomain);
  const owner = host.learnedFromMx ? host.dnssec?.mxOwner : undefined;
  return [...new Set([base, nextHop, owner].filter((name) => name !== undefined))];
}
