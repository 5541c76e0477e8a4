/**
 * The configured rules as data: what config/ makes of the YAML files and decide/ answers questions from.
 * Plain data throughout (PEM text, no handles), so that a snapshot can cross processes.
 */
import type { NextHop } from "../mail/next-hop.ts";
import type { DemandedTls } from "../mail/demands.ts";
import type { DkimKeySettings, SmimePolicy, SmimeSignerSettings, Treatment } from "../mail/treatment.ts";
import type { TlsProfile } from "../mail/tls-profile.ts";
import type { NamePattern, Pin, TlsLevel, TlsVersion, TrustSet } from "../mail/tls-requirement.ts";

export type { NextHop };

/** Where a demand was written, for `explain` and error messages. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A `match` entry: names that depend on the route are resolved at each attempt; `set:` is expanded by config/. */
export type MatchEntry = "hostname" | "nexthop" | "dot-nexthop" | NamePattern;

export interface KeyPair {
  /** PEM, chain included. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
}

export interface TlsPolicy {
  readonly level: TlsLevel;
  readonly match: readonly MatchEntry[];
  /** `trust`, or the partner's own `ca` and `crl`. */
  readonly trust: TrustSet;
  readonly fingerprints: readonly Pin[];
  readonly minVersion: TlsVersion;
  readonly profile: TlsProfile;
  readonly clientCertificate?: KeyPair;
  readonly servername?: string;
  /** Whether what the destination publishes is demanded, at levels that do not state the whole demand. */
  readonly dane: "honour" | "ignore";
  /** `require`: an announced policy that cannot be had makes mail wait. */
  readonly mtaSts: "honour" | "ignore" | "require";
  /** Whether the sender's `TLS-Required: No` lifts what the destination publishes (RFC 8689 §3); it never touches the level. */
  readonly tlsRequiredNo: "ignore" | "honour";
}

export interface ExceptionRecord {
  readonly approvedBy: string;
  readonly reason: string;
  /** Epoch ms at which it has ended (the first instant after the inclusive date, UTC). */
  readonly endsAt: number;
  readonly origin: Origin;
  /** The destinations it is for, in sealpost.yaml; absent in a partner file, where it is for the partner. */
  readonly domains?: readonly NamePattern[];
}

/** One destination's whole outbound policy, inheritance already applied. */
export interface OutboundPolicy {
  /** Id of the partner file; null for the default and for our own domains. */
  readonly partner: string | null;
  readonly source: "default" | "partner" | "exception" | "own-domain";
  readonly exception?: ExceptionRecord;
  /** false: `outbound.unlisted: refuse` and no partner file names the destination. */
  readonly permitted: boolean;
  readonly nextHop: readonly NextHop[];
  readonly tls: TlsPolicy;
  readonly treatment: Treatment;
  /** ms */
  readonly lifetimeMs: number;
  /** report: mail goes as level `may` would let it, and the log says for what `enforce` would have kept it. */
  readonly mode: "enforce" | "report";
  /** Epoch ms at which report mode has ended (the first instant after the inclusive date, UTC); with mode report only. */
  readonly reportEndsAt?: number;
  /** What is tried when the lifetime has passed, in order; the failure notice comes after the last. */
  readonly onExpiry: readonly LadderStep[];
  /** Where each stated key comes from, by dotted path below outbound: `tls.level`, `next_hop`. */
  readonly origins: Readonly<Record<string, Origin>>;
}

/** One step of `on_expiry` before `bounce`. Each starts a new lifetime. */
export type LadderStep =
  /** Every demand stays. */
  | { readonly kind: "next-hop"; readonly nextHop: readonly NextHop[]; readonly lifetimeMs: number }
  /** Over TLS of level `encrypt` at least, encrypted to every recipient; counts as an exception. */
  | { readonly kind: "smime"; readonly approvedBy: string; readonly lifetimeMs: number };

/** Contract section 6. Globs with `*` and `?`; conditions are AND, entries of a list OR. */
export interface Rule {
  readonly name: string;
  readonly when: {
    /** Envelope sender; the null sender is the empty text. */
    readonly sender?: readonly string[];
    /** Addresses of the From field. */
    readonly from?: readonly string[];
    readonly recipient?: readonly string[];
    readonly subject?: readonly string[];
    /** Field name in lower case → globs of its decoded value. */
    readonly header?: Readonly<Record<string, readonly string[]>>;
    readonly direction?: "outbound" | "inbound";
  };
  readonly effects: {
    readonly tls?: DemandedTls;
    /** One sentence; the message is refused with it. */
    readonly refuse?: string;
    readonly smime?: Partial<SmimePolicy>;
    /** Looked up by the rule's name at each attempt: it may hold a password. */
    readonly nextHop?: readonly NextHop[];
    readonly removeSubjectTag?: true;
  };
  readonly origin: Origin;
}

export interface PartnerPolicy {
  readonly id: string;
  readonly name: string;
  /** Address of ours that gets alarms and copies of delay notices. */
  readonly owner?: string;
  /** As `mailboxKey` writes them. */
  readonly addresses: readonly string[];
  /** A-labels. */
  readonly domains: readonly string[];
  /** A-labels; each stands for every name below it: `.acme.example` → `acme.example`. */
  readonly subdomainsOf: readonly string[];
  readonly outbound: OutboundPolicy;
  /** In file order; the first whose time it is replaces `outbound`. */
  readonly exceptions: readonly OutboundPolicy[];
}

export interface OwnDomain {
  readonly domain: string;
  /** Its `next_hop` with `next_hop_tls`. */
  readonly outbound: OutboundPolicy;
  readonly language?: "de" | "en";
  /** Keys that sign for it; several sign at once. */
  readonly dkim: readonly DkimKeySettings[];
  readonly smime: readonly SmimeSignerSettings[];
  /** A-label: mail from an address of it goes at level `authenticated`, or waits. */
  readonly tlsOnlyAlias?: string;
}

export interface Policy {
  /** Counts reloads; attempts log the one they were judged by. */
  readonly generation: number;
  readonly default: OutboundPolicy;
  /** Exceptions of sealpost.yaml, laid over the default. */
  readonly defaultExceptions: readonly OutboundPolicy[];
  readonly partners: readonly PartnerPolicy[];
  readonly ownDomains: readonly OwnDomain[];
  /** In the order of the file. */
  readonly rules: readonly Rule[];
  readonly bounceLifetimeMs: number;
}
