/**
 * What a destination publishes of TLS, as far as we know it. "unknown" is a value of its own: a look-up that failed
 * is never taken for "nothing is published".
 */
import type { DomainName } from "./domain-name.ts";

/** RFC 6698 §2.1, as it stands in DNS. */
export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  /** Empty: the record was malformed. */
  readonly data: Buffer;
}

/** DANE for one host at one port (RFC 7672 §2.2). */
export type DaneFacts =
  /** A look-up failed or was bogus: this host waits. */
  | { readonly kind: "unknown"; readonly detail: string }
  | {
      readonly kind: "usable";
      /** TLSA base domain: SNI, and a reference name for usage 2 (RFC 7672 §2.2.3, §8.1). */
      readonly base: DomainName;
      /** Reference names for usage 2: base domain, next-hop domain, and what that is an alias of (RFC 7672 §3.2.2). */
      readonly names: readonly string[];
      /** Those that can be used, after digest agility (RFC 7671 §9). Never empty. */
      readonly records: readonly TlsaRecord[];
    }
  /** Secure records, none of which can be used: TLS is demanded, unauthenticated. */
  | { readonly kind: "unusable"; readonly base: DomainName }
  /** `insecure`: some answer on the way was not signed, or the resolver's word for it is not to be believed. */
  | { readonly kind: "none"; readonly why: "absent" | "insecure" | "untrusted-resolver" };

/** MTA-STS for one policy domain (RFC 8461). */
export type MtaStsFacts =
  /** The `_mta-sts` look-up failed: wait. */
  | { readonly kind: "unknown"; readonly detail: string }
  | { readonly kind: "none" }
  /** Announced, but it cannot be had and none is cached: counts as none (§3.3) unless it is required here. */
  | {
      readonly kind: "unavailable";
      readonly result: "sts-policy-fetch-error" | "sts-policy-invalid" | "sts-webpki-invalid";
      readonly detail: string;
    }
  | {
      readonly kind: "policy";
      readonly domain: DomainName;
      readonly id: string;
      readonly mode: "enforce" | "testing" | "none";
      /** As written: `mx.acme.example` or `*.acme.example`, A-labels in lower case. */
      readonly mx: readonly string[];
      /** Epoch ms. */
      readonly expiresAt: number;
    };
