/**
 * The key of a policy table: a next hop as Postfix writes it (postconf(5), smtp_tls_policy_maps). Without brackets and
 * port it is a domain, mostly the recipients'; with them it comes from the transport table. Pure.
 */
import { isIP } from "node:net";
import { parseNextHop } from "../../config/next-hop.ts";
import { type DomainName, parseDomainName } from "../../mail/domain-name.ts";

export type Key =
  | { readonly kind: "domain"; readonly domain: DomainName }
  /** `.acme.example`: every name below. */
  | { readonly kind: "below"; readonly domain: DomainName }
  /** In the grammar of `next_hop`. */
  | { readonly kind: "hop"; readonly hop: string; readonly name?: string }
  | { readonly kind: "none"; readonly why: string };

/** services(5), as far as mail uses it. */
const PORTS: Readonly<Record<string, number>> = {
  smtp: 25,
  mail: 25,
  smtps: 465,
  ssmtp: 465,
  urd: 465,
  submissions: 465,
  submission: 587,
};

export function parseKey(key: string): Key {
  if (key.includes("@"))
    return { kind: "none", why: "is an address: Postfix looks up next hops here, never addresses" };
  if (key === "*" || key.startsWith("*.")) {
    return { kind: "none", why: "is a pattern: Postfix looks up names and .parents here, so it never matches" };
  }
  if (key.includes("/")) return { kind: "none", why: "is the path of a socket, which is no destination here" };
  if (key.startsWith(".")) {
    const domain = parseDomainName(key.slice(1));
    return domain === undefined ? { kind: "none", why: "is not a domain name" } : { kind: "below", domain };
  }
  const domain = parseDomainName(key);
  if (domain !== undefined && isIP(key) === 0) return { kind: "domain", domain };
  return hopOf(key);
}

function hopOf(key: string): Key {
  const [, before = "", service] = /^(\[[^\]]*\]|[^:[\]]+):([a-z][a-z0-9-]*)$/.exec(key) ?? [];
  const port = service === undefined ? undefined : PORTS[service];
  if (service !== undefined && port === undefined)
    return { kind: "none", why: `names a port, ${service}, unknown here` };
  const hop = parseNextHop(port === undefined ? key : `${before}:${port}`);
  if ("message" in hop || hop.kind === "mx") return { kind: "none", why: "is neither a domain nor a next hop" };
  const end = hop.port === undefined ? "" : `:${hop.port}`;
  if (hop.kind === "mx-of") return { kind: "hop", hop: hop.domain + end, name: hop.domain };
  return { kind: "hop", hop: `[${hop.host}]${end}`, ...(isIP(hop.host) === 0 && { name: hop.host }) };
}
