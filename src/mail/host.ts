/** A host to try: one address of one name, in order of preference, and how far DNSSEC vouches for the way to it. */
import type { DomainName } from "./domain-name.ts";

export interface Host {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly route: "mx" | "next-hop";
  /** `name` comes from an MX look-up, at the recipient's domain or at a next_hop domain. */
  readonly learnedFromMx: boolean;
  /** The name written in next_hop, if any. */
  readonly nextHopName?: string;
  readonly implicitTls: boolean;
  readonly auth?: { readonly user: string; readonly password: string };
  /** Absent where no DNS was asked: address literals and localhost. */
  readonly dnssec?: HostDnssec;
}

/** What DANE asks of the way to a host (RFC 7672 §2.2). */
export interface HostDnssec {
  /**
   * The MX RRset that names the host, or its denial where a domain without MX is its own host;
   * "secure" for the name of a host in next_hop, which did not come from DNS.
   */
  readonly mx: DnssecStatus;
  /** The domain that was asked for its MX, at the end of its aliases; absent where none was. */
  readonly mxOwner?: DomainName;
  /** The addresses of the host, with the aliases that lead to them. */
  readonly address: DnssecStatus;
  /** `name` at the end of its aliases; the same name where it is no alias. */
  readonly expanded: DomainName;
}

/** How far an answer of DNS is vouched for (RFC 4035 §4.3). Bogus answers are none: their look-up failed. */
export type DnssecStatus =
  | "secure"
  /** Not signed: a resolver whose word is to be believed says so. */
  | "insecure"
  /** No resolver's word is to be believed here (`dns.trust_ad`): counts as insecure. */
  | "untrusted"
  /** The resolver whose word is to be believed gave no answer, and another one did: nobody can tell now. */
  | "unknown";
