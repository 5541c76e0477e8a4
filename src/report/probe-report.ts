/**
 * What a probe found, as it goes over the admin listener and to a terminal: plain JSON, instants in ISO 8601. What a
 * peer or DNS said is theirs and untrusted.
 */
import type { Origin } from "../decide/policy.ts";
import type { DnssecStatus } from "../mail/host.ts";
import type { PeerReply, Reason } from "../mail/outcome.ts";
import type { DialogueLine, Verdict } from "../mail/session.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";

export interface ProbeRequest {
  /** A-label, or an address literal in brackets. */
  readonly domain: string;
  /** Only this host of the domain, by name or address. */
  readonly host?: string;
  /** Instead of the level that the policy has. */
  readonly level?: TlsLevel;
  readonly transcript: boolean;
}

export interface ProbeReport extends Published {
  readonly domain: string;
  readonly at: string;
  /** Mail could go now: one attempt would find a host that proves what is demanded. */
  readonly ok: boolean;
  /** What one attempt would report while mail waits, or fails. Absent when `ok`. */
  readonly problem?: ProbeProblem;
  readonly level: TlsLevel;
  /** Where the level was written; absent for the product's own default, and where the request named it. */
  readonly levelOrigin?: Origin;
  readonly partner: string | null;
  readonly source: string;
  readonly hosts: readonly ProbedHost[];
}

export interface ProbeProblem {
  readonly kind: "deferred" | "failed";
  readonly reason: Reason;
  readonly detail: string;
  /** One sentence on what to do. */
  readonly remedy: string;
  readonly smtp?: PeerReply;
  /** The demand that was not met; absent where no demand is behind it. */
  readonly rule?: Rule;
}

export interface Rule {
  /** In words of the configuration or the standard, as `level secure` or `DANE`. */
  readonly demand: string;
  /** Where it was written; absent for what the destination publishes and for the product's own default. */
  readonly origin?: Origin;
}

/** What a destination publishes, by host and address, in the order in which they are tried. */
export interface Published {
  readonly hosts: readonly PublishedHost[];
  /** Next hops without any host, and why. */
  readonly unresolved: readonly { readonly nextHop: string; readonly reason: Reason; readonly detail: string }[];
}

export interface PublishedHost {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly route: "mx" | "next-hop";
  /** Absent where no DNS was asked. */
  readonly dnssec?: { readonly mx: DnssecStatus; readonly address: DnssecStatus; readonly canonical: string };
  /** Absent where the policy does not ask for it. */
  readonly dane?: PublishedDane;
  readonly mtaSts?: PublishedSts;
}

export interface PublishedDane {
  readonly status: "usable" | "unusable" | "absent" | "insecure" | "untrusted-resolver" | "unknown";
  /** TLSA base domain. */
  readonly base?: string;
  /** Those that can be used. */
  readonly records: readonly PublishedTlsa[];
  readonly detail?: string;
}

export interface PublishedTlsa {
  /** `3 1 1 ab12…`, as in a zone file. */
  readonly text: string;
  /** The certificates that were shown match it; absent where none were seen. */
  readonly matches?: boolean;
}

export interface PublishedSts {
  readonly status: "enforce" | "testing" | "none" | "absent" | "unavailable" | "unknown";
  readonly domain?: string;
  readonly id?: string;
  readonly mx?: readonly string[];
  readonly expires?: string;
  /** The host is in the policy. */
  readonly listed?: boolean;
  readonly detail?: string;
}

export interface ProbedHost extends PublishedHost {
  /** One attempt gets as far as this host when those before it fail. */
  readonly withinAttempt: boolean;
  /** `implicit`: TLS from the start; `not-tried`: the policy does not use it; `unknown`: the session did not get there. */
  readonly starttls: "offered" | "not-offered" | "implicit" | "not-tried" | "unknown";
  readonly tls?: ProbedTls;
  /** How the session was judged: admitted, or why not. */
  readonly verdict?: Verdict;
  readonly problem?: ProbeProblem;
  readonly transcript?: readonly DialogueLine[];
}

export interface ProbedTls {
  readonly version: string;
  readonly cipher: string;
  readonly group?: string;
  readonly sni?: string;
  /** As the peer sent them, leaf first. */
  readonly chain: readonly ProbedCertificate[];
  /** Why the chain does not verify under the trusted authorities. */
  readonly chainError?: string;
}

export interface ProbedCertificate {
  readonly subject: string;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly keyType: string;
  readonly keyBits?: number;
  readonly sha256: string;
  readonly spkiSha256: string;
}
