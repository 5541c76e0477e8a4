/**
 * What a message demands of its way beside what is configured: found when it came in, sealed and kept with it, so that no
 * later configuration can take it away. (REQUIRETLS stands in the envelope, where RFC 8689 puts it.)
 */
import type { TlsLevel, TlsVersion } from "./tls-requirement.ts";

export interface MessageDemands {
  /** Header `TLS-Required: No` (RFC 8689 §3). Disregarded where the envelope has REQUIRETLS. */
  readonly tlsRequiredNo?: true;
  /** Sent from an address of a `tls_only_alias`. */
  readonly alias?: true;
  /** Rules that matched, in the order of the file. */
  readonly rules?: readonly MatchedRule[];
}

export interface MatchedRule {
  readonly name: string;
  /** Recipients that it matched; absent: all. */
  readonly positions?: readonly number[];
  /** What each session must prove in addition. */
  readonly tls?: DemandedTls;
}

export interface DemandedTls {
  readonly level: TlsLevel;
  readonly minVersion?: TlsVersion;
}
