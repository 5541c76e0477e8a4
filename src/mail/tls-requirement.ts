/**
 * What one outbound session must prove before MAIL FROM. Requirements only add up: `both` drops nothing,
 * so no source can weaken what another demands.
 */
import type { TlsaRecord } from "./published.ts";

/** Postfix's level names; `none` exists for next_hop_tls and exceptions only. */
export type TlsLevel = "none" | "may" | "encrypt" | "authenticated" | "dane-only" | "verify" | "secure" | "fingerprint";

export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** Certificates the handshake was judged by; `id` is a digest of the content, so equal sets have equal ids. */
export interface TrustSet {
  readonly id: string;
  /** PEM certificates; "system" stands for the CA store of the machine. */
  readonly ca: "system" | readonly string[];
  /** PEM revocation lists; when present every certificate of a chain is checked against them. */
  readonly crl: readonly string[];
}

/** True for the CA store of the machine, with revocation lists (`system+…`) or without. */
export function isSystemTrust(trustId: string): boolean {
  return trustId === "system" || trustId.startsWith("system+");
}

export interface Pin {
  /** SHA-256, 64 lower-case hex digits. */
  readonly sha256: string;
  readonly of: "certificate" | "public-key";
  /** Epoch ms; no longer counted from then on. */
  readonly notAfter?: number;
}

/** A name the certificate may carry: `host` exactly, or any name below `below` (at any depth). */
export type NamePattern = { readonly host: string } | { readonly below: string };

/** One thing a session must prove; all checks of a requirement must pass. */
export type PeerCheck =
  | { readonly by: "pkix"; readonly trustId: string; readonly names: readonly NamePattern[] }
  | { readonly by: "fingerprint"; readonly pins: readonly Pin[] }
  /** Usable TLSA records, any one of which must match; `names` are for usage 2 (RFC 7672 §3). */
  | { readonly by: "dane"; readonly records: readonly TlsaRecord[]; readonly names: readonly string[] };

export type TlsRequirement =
  | { readonly level: "opportunistic" }
  | { readonly level: "mandatory"; readonly minVersion: TlsVersion; readonly checks: readonly PeerCheck[] };

export const opportunistic: TlsRequirement = { level: "opportunistic" };

const VERSIONS: readonly TlsVersion[] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/** True when `version` is at least `minimum`; an unknown version never is. */
export function isAtLeast(version: string, minimum: TlsVersion): boolean {
  return VERSIONS.indexOf(version as TlsVersion) >= VERSIONS.indexOf(minimum);
}

/** Both at once: every check of each, and the higher minimum version. */
export function both(a: TlsRequirement, b: TlsRequirement): TlsRequirement {
  if (a.level === "opportunistic") return b;
  if (b.level === "opportunistic") return a;
  const minVersion = isAtLeast(a.minVersion, b.minVersion) ? a.minVersion : b.minVersion;
  return { level: "mandatory", minVersion, checks: [...a.checks, ...b.checks] };
}
