/**
 * The addresses of one host name. A failed look-up of one IP version hides neither the other's addresses
 * nor the fact that it failed.
 */
import type { DomainName } from "../mail/domain-name.ts";
import type { HostDnssec } from "../mail/host.ts";
import type { Lookup, Resolver } from "./resolver.ts";

export interface Found {
  /** In the order in which they are tried. */
  readonly addresses: readonly string[];
  /** Why a look-up failed; then more addresses may exist than are known. */
  readonly failure?: string;
  /** False when DNS says that there is no such name. */
  readonly exists: boolean;
  /** Absent where no look-up was answered, or none was made. */
  readonly dnssec?: Pick<HostDnssec, "address" | "expanded">;
}

/** `byVersion` follows `ipVersions`. */
export async function findAddresses(
  resolver: Pick<Resolver, "lookup">,
  name: DomainName,
  ipVersions: readonly (4 | 6)[],
): Promise<Omit<Found, "addresses"> & { readonly byVersion: readonly (readonly string[])[] }> {
  const lookups = await Promise.all(
    ipVersions.map((version): Promise<Lookup<string>> => resolver.lookup(name, version === 4 ? "A" : "AAAA")),
  );
  const failed = lookups.find((lookup) => lookup.kind === "failed");
  return {
    byVersion: lookups.map((lookup) => (lookup.kind === "found" ? lookup.records.filter(isHostAddress) : [])),
    ...(failed?.kind === "failed" && { failure: failed.detail }),
    // NXDOMAIN speaks of every type; one "yes" contradicts it.
    exists: lookups.some((lookup) => lookup.kind === "found" || (lookup.kind === "none" && lookup.exists)),
    ...vouchedFor(lookups),
  };
}

/** A zone is signed or it is not: one secure answer is enough, and asking for TLSA then can only add to the demand. */
function vouchedFor(lookups: readonly Lookup<string>[]): Pick<Found, "dnssec"> {
  const answered = lookups.filter((lookup) => lookup.kind !== "failed");
  const found = (["secure", "unknown", "insecure", "untrusted"] as const)
    .map((status) => answered.find(({ dnssec }) => dnssec === status))
    .find((lookup) => lookup !== undefined);
  return found === undefined ? {} : { dnssec: { address: found.dnssec, expanded: found.canonical } };
}

/** Connecting to the unspecified address reaches ourselves (RFC 1122 §3.2.1.3). */
function isHostAddress(address: string): boolean {
  return address !== "0.0.0.0" && address !== "::";
}
