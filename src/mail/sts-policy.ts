/**
 * An MTA-STS policy as it was fetched (RFC 8461 §3.2), and the port of the place where policies are kept: one per
 * policy domain, whatever MX hosts it shares with others.
 */
import type { DomainName } from "./domain-name.ts";

export type StsMode = "enforce" | "testing" | "none";

export interface StsPolicy {
  readonly mode: StsMode;
  /** As written: `mx.acme.example` or `*.acme.example`, A-labels in lower case. Empty only at mode none. */
  readonly mx: readonly string[];
  /** 0 to 31557600. */
  readonly maxAgeSeconds: number;
}

/** Instants are epoch ms. */
export interface KeptStsPolicy {
  readonly domain: DomainName;
  /** Of the TXT record that announced it. */
  readonly id: string;
  readonly mode: StsMode;
  readonly mx: readonly string[];
  readonly fetchedAt: number;
  readonly expiresAt: number;
  /** When it is to be fetched again. */
  readonly refreshAt: number;
  /** Last asked for by a delivery. */
  readonly usedAt: number;
}

/** Shared by all processes of a gateway; outlives restarts. Every function rejects when the store fails. */
export interface StsPolicyCache {
  /** Expired ones are not handed out. */
  readonly get: (domain: DomainName, now: number) => Promise<KeptStsPolicy | undefined>;
  /** Replaces what is kept for the domain. */
  readonly put: (policy: KeptStsPolicy) => Promise<void>;
  /** Notes that a delivery asked for it. */
  readonly used: (domain: DomainName, now: number) => Promise<void>;
  /**
   * Hands out policies that are due for a refresh, each to one caller only, and drops those that have expired.
   * What was handed out is due again by itself some time later, unless `put` replaces it.
   */
  readonly claimDue: (now: number, limit: number) => Promise<readonly KeptStsPolicy[]>;
}

/** `host`: A-labels. RFC 8461 §4.1: `*.` stands for exactly one label, the leftmost. */
export function mxMatches(pattern: string, host: string): boolean {
  const name = (host.endsWith(".") ? host.slice(0, -1) : host).toLowerCase();
  const wanted = pattern.toLowerCase();
  if (!wanted.startsWith("*.")) return name === wanted && name !== "";
  const dot = name.indexOf(".");
  return dot > 0 && name.slice(dot + 1) === wanted.slice(2);
}
