/** What the SMTP server side needs to be told; config/ fills it. Plain data. */
import type { NamePattern } from "../mail/tls-requirement.ts";
import type { TlsProfile } from "../mail/tls-profile.ts";

/** A network in CIDR form, already checked: base address and prefix length. */
export interface Network {
  readonly address: string;
  readonly prefix: number;
}

/** A certificate of ours; `names` are its DNS names, for the choice by SNI. */
export interface OwnCertificate {
  /** PEM, chain included. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  readonly names: readonly string[];
}

/** Who may stand in MAIL FROM: our own domains (or the null sender), anyone, or these patterns (globs, lower case). */
export type SenderRule = "own" | "any" | readonly string[];

export interface ClientEntry {
  readonly network: Network;
  /** Laid over the listener's. */
  readonly tls?: "offer" | "require";
  /** Laid over the listener's; its minimum version is checked at MAIL. */
  readonly profile?: TlsProfile;
  readonly senders?: SenderRule;
  /** Repairs bare LF before anything is hashed; bare CR is refused all the same. */
  readonly normalizeBareLf: boolean;
  /** Epoch ms; the entry no longer counts from then on. */
  readonly endsAt?: number;
}

/** One line of the users file. */
export interface User {
  readonly name: string;
  /** `scrypt:N:r:p:SALT:HASH`, base64. */
  readonly password: string;
  readonly senders: SenderRule;
}

export interface ListenerSettings {
  readonly name: string;
  readonly direction: "outbound";
  readonly address: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly tls: "offer" | "require" | "implicit";
  readonly profile: TlsProfile;
  /** Never empty; the first is the one for clients without SNI. */
  readonly certificates: readonly OwnCertificate[];
  readonly greetDelayMs: number;
  readonly clients: readonly ClientEntry[];
  /** For AUTH and certificates "own" by default, for `clients` "any". Absent: those defaults. */
  readonly senders?: SenderRule;
  readonly auth?: { readonly users: readonly User[] };
  readonly clientCertificates?: {
    /** PEM certificates. */
    readonly ca: readonly string[];
    readonly crl: readonly string[];
    readonly names: readonly NamePattern[];
    /** SHA-256 of the certificate, 64 lower-case hex digits. */
    readonly fingerprints: readonly string[];
    /** Must stand in the header of every message, too: name → value. */
    readonly header: Readonly<Record<string, string>>;
  };
  /** May use XCLIENT and XFORWARD. */
  readonly xclient: readonly Network[];
  /** Connections from here must begin with PROXY v1 or v2. */
  readonly proxyProtocol: readonly Network[];
}

export interface Limits {
  /** Octets. */
  readonly messageSize: number;
  readonly recipients: number;
  readonly connections: number;
  readonly connectionsPerClient: number;
  /** 0 = no limit. */
  readonly messagesPerMinutePerClient: number;
  readonly receivedHeaders: number;
  readonly idleTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly dataTimeoutMs: number;
}

export interface AcceptSettings {
  readonly hostname: string;
  /** A-labels of our own domains, aliases among them. */
  readonly ownDomains: readonly string[];
  /** Those of `tls_only_alias`: senders, no recipients yet. */
  readonly tlsOnlyAliases: readonly string[];
  readonly limits: Limits;
  readonly listeners: readonly ListenerSettings[];
}
