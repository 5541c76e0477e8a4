/**
 * Finds the hosts of a next hop, in the order in which they are tried (RFC 5321 §5.1, RFC 7505).
 * Fails only what DNS proves of the recipient's own domain; a failed look-up, or a next hop of our configuration, waits.
 */
import { isIP, isIPv6 } from "node:net";
import { type DomainName, isBelow, parseDomainName } from "../mail/domain-name.ts";
import type { Host, HostDnssec } from "../mail/host.ts";
import { parseAddressLiteral } from "../mail/mailbox.ts";
import type { NextHop } from "../mail/next-hop.ts";
import { problem, type Problem } from "../mail/outcome.ts";
import type { Random } from "../runtime/random.ts";
import { type Found, findAddresses } from "./addresses.ts";
import { hostName, type MailExchanger } from "./dns-message.ts";
import type { Resolver } from "./resolver.ts";
import type { DeliverySettings } from "./settings.ts";

export interface HostFinderDeps {
  readonly resolver: Pick<Resolver, "lookup">;
  readonly random: Random;
  readonly settings: () => Pick<DeliverySettings, "port" | "ipVersions">;
  /** True for this gateway itself; `address` is undefined where only the name is known. */
  readonly isOwn: (address: string | undefined, port: number, name: string) => boolean;
}

type Unresolved = Problem<"deferred" | "failed">;
export type FindHosts = (hop: NextHop, domain: string) => Promise<readonly Host[] | Unresolved>;

/** MX hosts looked at for one destination: bounds the look-ups that a hostile domain can cause. */
const MOST_MX = 20;

/** Exchangers of one domain, still without addresses; `implicit`: the domain itself, for want of MX records. */
interface Exchangers {
  readonly domain: DomainName;
  readonly names: readonly { readonly name: DomainName; readonly preference: number }[];
  readonly implicit: boolean;
  /** Some were left out: beyond the limit, or no host names. */
  readonly partial: boolean;
  /** Of the MX RRset, or of its denial. */
  readonly dnssec: Pick<HostDnssec, "mx" | "mxOwner">;
}

/** `domain` is the recipients': an A-label name or an address literal in brackets. */
export function createHostFinder(deps: HostFinderDeps): FindHosts {
  return async (hop, domain) => {
    const { port, ipVersions } = deps.settings();
    switch (hop.kind) {
      case "host":
        return hostsOfName(deps, hop);
      case "mx-of": {
        const target = { domain: hop.domain, port: hop.port ?? port, ipVersions };
        const found = await hostsOfDomain(deps, target);
        if (!isHosts(found)) return { ...waiting(found), detail: `${found.detail} (next hop ${hop.domain})` };
        return found.map((host) => ({ ...host, route: "next-hop", nextHopName: hop.domain }));
      }
      case "mx":
        if (domain.startsWith("[")) return literal(deps, domain);
        return hostsOfDomain(deps, { domain, port, ipVersions });
    }
  };
}

/** A next hop is our configuration: what is wrong there says nothing final of the recipients. */
function waiting(found: Unresolved): Problem<"deferred"> {
  return problem("deferred", found.reason, found.detail);
}

function literal(deps: HostFinderDeps, domain: string): readonly Host[] | Unresolved {
  const { port, ipVersions } = deps.settings();
  const address = parseAddressLiteral(domain)?.address;
  if (address === undefined) return problem("failed", "no-such-domain", `${domain} is no address literal`);
  if (!ipVersions.includes(isIPv6(address) ? 6 : 4))
    return problem("deferred", "host-not-found", `${domain} is of an IP version that this gateway does not use`);
  if (deps.isOwn(address, port, address)) return loop(domain);
  return [{ name: address, address, port, route: "mx", learnedFromMx: false, implicitTls: false }];
}

/** `[host]:port`: no MX look-up. */
async function hostsOfName(
  deps: HostFinderDeps,
  hop: Extract<NextHop, { kind: "host" }>,
): Promise<readonly Host[] | Problem<"deferred">> {
  const { host: text, port, implicitTls, auth } = hop;
  const host = { port, route: "next-hop", learnedFromMx: false, implicitTls, ...(auth && { auth }) } as const;
  if (isIP(text) !== 0) return [{ ...host, name: text, address: text }];
  const name = parseDomainName(text);
  if (name === undefined) return problem("deferred", "host-not-found", `The next hop ${text} is no host name`);
  const found = isLocalhost(name) ? loopback(deps) : await addressesOf(deps, name);
  // RFC 7672 §2.2.2: a name that was configured did not come out of DNS, so nobody there could forge it.
  const dnssec = found.dnssec && ({ mx: "secure", ...found.dnssec } as const);
  if (found.addresses.length > 0)
    return found.addresses.map((address) => ({
      ...host,
      name,
      nextHopName: name,
      address,
      ...(dnssec && { dnssec }),
    }));
  if (found.failure !== undefined) return problem("deferred", "dns-failed", found.failure);
  return problem("deferred", "host-not-found", `The next hop ${name} has no address in DNS`);
}

/** RFC 6761 §6.3: the loopback interface, whatever DNS says. Not for names out of DNS: they would reach our own services. */
function isLocalhost(name: DomainName): boolean {
  return name === "localhost" || isBelow(name, "localhost");
}

function loopback({ settings }: HostFinderDeps): Found {
  const addresses = settings().ipVersions.map((version) => (version === 4 ? "127.0.0.1" : "::1"));
  return { addresses, exists: true };
}

/** Name and order of MX (RFC 5321 §5.1), then their addresses. */
async function hostsOfDomain(
  deps: HostFinderDeps,
  target: { readonly domain: string; readonly port: number; readonly ipVersions: readonly (4 | 6)[] },
): Promise<readonly Host[] | Unresolved> {
  const domain = parseDomainName(target.domain);
  if (domain === undefined) return problem("failed", "no-such-domain", `${target.domain} is no domain name`);
  const exchangers = await exchangersOf(deps, domain);
  if ("kind" in exchangers) return exchangers;
  const found = await Promise.all(
    exchangers.names.map(async (mx) => ({ ...mx, ...(await addressesOf(deps, mx.name)) })),
  );
  const own = found
    .filter(({ name, addresses }) =>
      [undefined, ...addresses].some((address) => deps.isOwn(address, target.port, name)),
    )
    .map(({ preference }) => preference);
  // RFC 5321 §5.1: of equal or worse preference than ourselves, they would send it back to us.
  const better = found.filter(({ preference }) => preference < Math.min(...own, Number.POSITIVE_INFINITY));
  if (better.length === 0 && own.length > 0) return loop(domain);
  const hosts = better.flatMap(({ name, addresses, dnssec: ofAddress }) => {
    const common = { name, port: target.port, route: "mx", learnedFromMx: !exchangers.implicit } as const;
    const dnssec = ofAddress && { ...exchangers.dnssec, ...ofAddress };
    return addresses.map((address): Host => ({ ...common, address, implicitTls: false, ...(dnssec && { dnssec }) }));
  });
  return hosts.length > 0 ? hosts : withoutHosts(exchangers, better, target.ipVersions);
}

async function exchangersOf(deps: HostFinderDeps, domain: DomainName): Promise<Exchangers | Unresolved> {
  const mx = await deps.resolver.lookup(domain, "MX");
  if (mx.kind === "failed") return problem("deferred", "dns-failed", mx.detail);
  const dnssec = { mx: mx.dnssec, mxOwner: mx.canonical };
  if (mx.kind === "none") {
    if (!mx.exists) return problem("failed", "no-such-domain", `The domain ${domain} does not exist`);
    return { domain, names: [{ name: domain, preference: 0 }], implicit: true, partial: false, dnssec };
  }
  if (mx.records.every(isNull)) return problem("failed", "null-mx", `The domain ${domain} accepts no mail (RFC 7505)`);
  const valid = mx.records.flatMap(({ preference, exchange }) => {
    const name = hostName(exchange);
    return name === undefined ? [] : [{ name, preference }];
  });
  const names = shuffled(valid, deps.random).toSorted((a, b) => a.preference - b.preference);
  const partial = valid.length < mx.records.length || names.length > MOST_MX;
  return { domain, names: names.slice(0, MOST_MX), implicit: false, partial, dnssec };
}

/** RFC 7505 §3: one record that names the root. Beside others it is a mistake and says nothing. */
function isNull({ exchange }: MailExchanger): boolean {
  return exchange === ".";
}

/** No address at all: final only if every look-up that could change it has been answered with no. */
function withoutHosts(
  { domain, implicit, partial }: Exchangers,
  found: readonly (Found & { readonly name: string })[],
  ipVersions: readonly (4 | 6)[],
): Unresolved {
  const failure = found.find((host) => host.failure !== undefined)?.failure;
  if (failure !== undefined) return problem("deferred", "dns-failed", failure);
  if (implicit) {
    const proven = found.every(({ exists }) => !exists) || (ipVersions.includes(4) && ipVersions.includes(6));
    return problem(proven ? "failed" : "deferred", "host-not-found", `The domain ${domain} has no mail host`);
  }
  const names = found.map(({ name }) => name).join(", ");
  if (partial || names === "" || found.some(({ exists }) => exists))
    return problem("deferred", "host-not-found", `No mail host of ${domain} has a usable address in DNS`);
  return problem("failed", "host-not-found", `The mail hosts of ${domain} do not exist (${names.slice(0, 300)})`);
}

async function addressesOf({ resolver, random, settings }: HostFinderDeps, name: DomainName): Promise<Found> {
  const found = await findAddresses(resolver, name, settings().ipVersions);
  return { ...found, addresses: found.byVersion.flatMap((addresses) => shuffled(addresses, random)) };
}

function loop(domain: string): Problem<"failed"> {
  return problem("failed", "loop", `The mail for ${domain} would come back to this gateway: its MX names us`);
}

function isHosts(found: readonly Host[] | Unresolved): found is readonly Host[] {
  return Array.isArray(found);
}

/** Fisher-Yates: hosts of equal preference share the load (RFC 5321 §5.1). */
function shuffled<T>(items: readonly T[], random: Random): T[] {
  const mixed = [...items];
  for (let last = mixed.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random.fraction() * (last + 1));
    const [a, b] = [mixed[last], mixed[other]];
    if (a !== undefined && b !== undefined) [mixed[last], mixed[other]] = [b, a];
  }
  return mixed;
}
