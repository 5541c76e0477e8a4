/** The resolvers to ask, written or those of the machine, and whether their word on DNSSEC is believed. */
import { isIP } from "node:net";
import type { ResolverAddress } from "../connect/settings.ts";
import type { Files } from "./files.ts";

/** `dns.trust_ad` */
export type TrustAd = "auto" | "always" | "never";

/** Those written; where none are, those of /etc/resolv.conf. */
export function resolversOf(
  written: readonly ResolverAddress[],
  trustAd: TrustAd,
  files: Files,
): readonly ResolverAddress[] {
  const { resolvers, mayBelieve } =
    written.length > 0 ? { resolvers: written, mayBelieve: isPathOurs } : resolversOfMachine(files);
  return resolvers.map((resolver) => {
    const believed = trustAd === "auto" ? mayBelieve(resolver) && !isDocker(resolver) : trustAd === "always";
    return believed ? { ...resolver, trustAd: true } : resolver;
  });
}

/** Nobody stands between us and it: the AD bit is no stronger than the path it came by (RFC 4035 §4.9.3). */
function isPathOurs({ transport, address }: ResolverAddress): boolean {
  return transport === "tls" || /^(?:::ffff:)?127\./i.test(address) || address === "::1";
}

/** Docker's own server passes on what others say, AD bit included, and does not say whom it asked. */
function isDocker({ transport, address }: ResolverAddress): boolean {
  return transport === "udp" && /^(?:::ffff:)?127\.0\.0\.11$/i.test(address);
}

/**
 * In the order of /etc/resolv.conf; the local one where the file names none, as the C library does. Who runs the
 * machine vouches for them, and for the path to them, by `options trust-ad` alone (resolv.conf(5)).
 */
function resolversOfMachine(files: Files): { resolvers: ResolverAddress[]; mayBelieve: () => boolean } {
  const file = files.read("/etc/resolv.conf");
  const lines = (file.ok ? file.text : "").split("\n");
  const addresses = lines
    .flatMap((line) => /^nameserver[ \t]+(\S+)/.exec(line)?.[1] ?? [])
    .filter((address) => isIP(address) !== 0);
  const found = addresses.length > 0 ? addresses : ["127.0.0.1"];
  const trusted = lines.some((line) => /^options[ \t]/.test(line) && line.split(/\s+/).includes("trust-ad"));
  return {
    resolvers: found.map((address) => ({ transport: "udp", address, port: 53 })),
    mayBelieve: () => trusted,
  };
}
