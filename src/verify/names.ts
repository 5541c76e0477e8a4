/**
 * Whether a certificate carries a name that was asked for (RFC 6125, RFC 9525). Only dNSName entries count: common
 * names never do. Must never match by string suffix: names are compared label by label.
 */
import { isBelow } from "../mail/domain-name.ts";
import type { NamePattern } from "../mail/tls-requirement.ts";

/** The dNSName that satisfies one of the patterns, as it stands in the certificate; undefined when none does. */
export function matchingName(certified: readonly string[], patterns: readonly NamePattern[]): string | undefined {
  return certified.find((name) => patterns.some((pattern) => carries(canonical(name), pattern)));
}

function carries(name: string, pattern: NamePattern): boolean {
  const wildcard = name.startsWith("*.");
  const base = wildcard ? name.slice(2) : name;
  if (!isHostName(base)) return false; // a `*` anywhere but as the whole leftmost label (RFC 6125 §6.4.3)
  if (wildcard && !base.includes(".")) return false; // `*.de` names nobody
  if ("below" in pattern) {
    const parent = canonical(pattern.below);
    return isBelow(base, parent) || (wildcard && base === parent);
  }
  const host = canonical(pattern.host);
  if (!wildcard) return host === base;
  // A wildcard stands for exactly one label.
  return isHostName(host) && host.slice(host.indexOf(".") + 1) === base;
}

function canonical(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** A-labels only: whoever writes U-labels or control characters into a dNSName is not understood. */
function isHostName(name: string): boolean {
  return /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(name);
}
