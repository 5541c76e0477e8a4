/**
 * `doctor` on what the configuration names outside: resolvers, our own name, our TLSA records, next hops. Asks nobody
 * else, and sends no mail: a next hop is spoken to as a delivery would, up to its verdict.
 */
import type { Settings } from "../config/settings.ts";
import { decisions, describeNextHop } from "../decide/decide.ts";
import type { OutboundPolicy } from "../decide/policy.ts";
import { parseDomainName } from "../mail/domain-name.ts";
import { bad, type Finding, good, warn } from "./finding.ts";
import type { Outside, OwnTlsaState, ResolverState } from "./outside.ts";
import { printable } from "./text.ts";

export async function checkResolvers(outside: Outside, { policy }: Settings): Promise<Finding[]> {
  const states = await outside.resolvers();
  const outbounds = [policy.default, ...policy.partners.map(({ outbound }) => outbound)];
  const needed = outbounds.some(({ tls }) => tls.level === "dane-only");
  const alone = states.filter(({ answered }) => answered).length === 0;
  return states.map((state) => checkResolver(state, { needed, alone }));
}

function checkResolver(state: ResolverState, { needed, alone }: { needed: boolean; alone: boolean }): Finding {
  const { resolver, answered, ad, believed, detail } = state;
  if (!answered) {
    const text = `The resolver ${resolver} ${detail ?? "does not answer"}.`;
    const remedy = "Start it, or correct dns.resolvers: without DNS mail waits.";
    return alone ? bad("resolver", text, remedy) : warn("resolver", text, remedy);
  }
  const worse = needed ? bad : warn;
  if (!ad) {
    const text = `The resolver ${resolver} does not validate DNSSEC: DANE cannot be used${needed ? ", and dane-only waits" : ""}.`;
    return worse(
      "resolver",
      text,
      "Run a validating resolver on this machine, as Unbound, and name it in dns.resolvers.",
    );
  }
  if (believed) return good("resolver", `The resolver ${resolver} answers and validates DNSSEC.`);
  const text = `The resolver ${resolver} validates DNSSEC, but its word is not believed over this path: no DANE.`;
  return worse("resolver", text, "Use a resolver on loopback or over tls://, or set dns.trust_ad for this one.");
}

export async function checkName(outside: Outside, { hostname, delivery }: Settings): Promise<Finding[]> {
  const name = parseDomainName(hostname);
  if (name === undefined || !name.includes("."))
    return [warn("name", `The hostname ${hostname} is no full name.`, "Write hostname: OUR.NAME, as the PTR has it.")];
  const found = await outside.addresses(name);
  if (found.kind === "failed") return [warn("name", `${found.detail}.`, "Mend the resolver first.")];
  if (found.kind === "none") {
    const remedy = "Publish an address record for it, or correct hostname: receivers turn away unknown names.";
    return [bad("name", `Our EHLO name ${name} has no address in DNS.`, remedy)];
  }
  const addresses = delivery.sourceAddresses.length > 0 ? delivery.sourceAddresses : found.values;
  const names = await Promise.all(addresses.map((address) => checkReverse(outside, address, name)));
  return [good("name", `Our EHLO name ${name} is ${found.values.join(", ")}.`), ...names];
}

async function checkReverse(outside: Outside, address: string, name: string): Promise<Finding> {
  const remedy = `Have the PTR record of ${address} changed to ${name}: many receivers turn away what differs.`;
  const found = await outside.names(address);
  switch (found.kind) {
    case "failed":
      return warn("reverse name", `${found.detail}.`, "Mend the resolver first.");
    case "none":
      return warn("reverse name", `The address ${address} has no name in DNS (PTR).`, remedy);
    case "found":
      if (found.values.includes(name)) return good("reverse name", `The address ${address} is named ${name}.`);
      return warn(
        "reverse name",
        `The address ${address} is named ${printable(found.values.join(", "))}, not ${name}.`,
        remedy,
      );
  }
}

const MX_PORT = 25;

/** Our TLSA records at every name by which mail may reach us: the hostname, and MX names that a certificate carries. */
export async function checkOwnTlsa(outside: Outside, settings: Settings): Promise<Finding[]> {
  const { accept, hostname } = settings;
  const certificates = accept.listeners.flatMap((listener) => listener.certificates);
  const [first] = certificates;
  if (first === undefined) return [];
  const carried = new Set([hostname, ...certificates.flatMap(({ names }) => names)]);
  const exchangers = await Promise.all(
    accept.ownDomains.map(async (domain) => {
      const name = parseDomainName(domain);
      const found = name === undefined ? undefined : await outside.exchangers(name);
      return found?.kind === "found" ? found.values.filter((one) => carried.has(one)) : [];
    }),
  );
  const hosts = [...new Set([hostname, ...exchangers.flat()])].flatMap((name) => parseDomainName(name) ?? []);
  const findings = await Promise.all(
    hosts.map(async (host) => {
      const shown = certificates.find(({ names }) => names.includes(host)) ?? first;
      return tlsaFinding(host, await outside.ownTlsa(host, MX_PORT, shown.certificate));
    }),
  );
  return findings;
}

function tlsaFinding(host: string, state: OwnTlsaState): Finding {
  const remedy = "Publish what sealpost tlsa FILE prints: whoever honours DANE delivers no mail to us meanwhile.";
  switch (state.kind) {
    case "none":
      return good("tlsa", `No TLSA records are published for ${host}.`);
    case "failed":
      return warn("tlsa", `${state.detail}.`, "Mend the resolver first.");
    case "insecure":
      return good("tlsa", `${host} is not in a zone whose signature we can rely on, so TLSA records would not count.`);
    case "unusable":
      return bad("tlsa", `None of the TLSA records of ${host} can be used with SMTP.`, remedy);
    case "match":
      return good("tlsa", `The TLSA record ${state.matched} of ${host} matches our certificate.`);
    case "mismatch":
      return bad("tlsa", `No TLSA record of ${host} matches our certificate: ${state.detail}.`, remedy);
  }
}

interface Hop {
  readonly name: string;
  readonly domain: string;
  readonly outbound: OutboundPolicy;
}

/** A configured next hop is ours to speak to; the MX of others are not. */
export async function checkNextHops(outside: Outside, settings: Settings, now: number): Promise<Finding[]> {
  const hops = routesOf(settings, now).flatMap(({ domain, outbound }): Hop[] => {
    const nextHop = outbound.permitted ? outbound.nextHop.filter(({ kind }) => kind !== "mx") : [];
    const name = nextHop.map(describeNextHop).join(", ");
    return nextHop.length === 0 ? [] : [{ name, domain, outbound: { ...outbound, nextHop } }];
  });
  const distinct = new Map(hops.map((hop) => [JSON.stringify([hop.name, hop.outbound.tls]), hop]));
  return Promise.all([...distinct.values()].map((hop) => checkNextHop(outside, hop)));
}

/** What is in force now, exceptions included, with a domain that it is for. */
function routesOf({ policy, hostname }: Settings, now: number): Pick<Hop, "domain" | "outbound">[] {
  const decide = decisions(policy);
  const partners = policy.partners.map(({ domains, subdomainsOf, outbound }) => {
    const domain = parseDomainName(domains[0] ?? "");
    if (domain === undefined) return { domain: subdomainsOf[0] ?? hostname, outbound };
    return { domain, outbound: decide({ localPart: "postmaster", domain }, now) };
  });
  return [{ domain: hostname, outbound: policy.default }, ...policy.ownDomains, ...partners];
}

async function checkNextHop(outside: Outside, { name, domain, outbound }: Hop): Promise<Finding> {
  const report = await outside.probeHops(domain, outbound);
  if (report.ok) return good("next hop", `${name} answers and proves what ${outbound.tls.level} demands.`);
  const { problem } = report;
  return bad("next hop", `${name}: ${printable(problem?.detail ?? "nobody answers")}.`, problem?.remedy ?? "Mend it.");
}
