/**
 * What a destination publishes of TLS, asked for one attempt: each host name and policy domain once, and only what the
 * policy honours. Decides nothing: decide/ makes a demand of it.
 */
import type { Published } from "./decide/published-requirement.ts";
import { type DomainName, parseDomainName } from "./mail/domain-name.ts";
import type { Host } from "./mail/host.ts";
import type { DaneFacts, MtaStsFacts } from "./mail/published.ts";

/** Both never reject: a look-up that fails is an answer. */
export interface Publications {
  /** `nextHopDomain`: whose MX led to the host, unless the host has a `nextHopName`. */
  readonly dane: (host: Host, nextHopDomain: string) => Promise<DaneFacts>;
  readonly mtaSts: (domain: DomainName) => Promise<MtaStsFacts>;
}

export type AskPublished = (host: Host) => Promise<Published>;

/** `domain`: the recipients'; `asks`: what is to be asked at all. */
export function askingFor(
  domain: string,
  asks: { readonly dane: boolean; readonly mtaSts: boolean },
  publications: Publications,
): AskPublished {
  const dane = new Map<string, Promise<DaneFacts>>();
  const mtaSts = new Map<string, Promise<MtaStsFacts>>();

  const daneOf = (host: Host): Promise<DaneFacts> => {
    const key = `${host.name}:${host.port}`;
    const facts = dane.get(key) ?? publications.dane(host, domain);
    dane.set(key, facts);
    return facts;
  };

  const mtaStsOf = (policyDomain: DomainName): Promise<MtaStsFacts> => {
    const facts = mtaSts.get(policyDomain) ?? publications.mtaSts(policyDomain);
    mtaSts.set(policyDomain, facts);
    return facts;
  };

  return async (host) => {
    const found = asks.dane ? { dane: await daneOf(host) } : {};
    const policyDomain = asks.mtaSts ? policyDomainOf(host, domain) : undefined;
    // Where DANE decides or must be waited for, MTA-STS does not count (RFC 8461 §2).
    const decided = found.dane?.kind === "usable" || found.dane?.kind === "unknown";
    if (decided || policyDomain === undefined) return found;
    return { ...found, mtaSts: await mtaStsOf(policyDomain) };
  };
}

/** The next hop's domain, where there is one (RFC 8461 §3.4); none where DNS had no part in finding the host. */
function policyDomainOf(host: Host, domain: string): DomainName | undefined {
  if (host.dnssec === undefined) return undefined;
  return parseDomainName(host.route === "next-hop" ? (host.nextHopName ?? "") : domain);
}
