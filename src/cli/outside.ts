/**
 * What a command may ask of the world outside of this process. main.ts wires it to the rooms that deliver mail, so that
 * a command hears what a delivery would hear. Nothing here sends mail, and nothing asks hosts that neither the
 * configuration nor the one who types has named.
 */
import type { OutboundPolicy } from "../decide/policy.ts";
import type { DomainName } from "../mail/domain-name.ts";
import type { DkimKeySettings } from "../mail/treatment.ts";
import type { ProbeReport, ProbeRequest, Published } from "../report/probe-report.ts";
import type { RecordProblem } from "../transform/dkim/record.ts";

export interface Outside {
  /** What each configured resolver says to `. SOA`. */
  readonly resolvers: () => Promise<readonly ResolverState[]>;
  readonly addresses: (name: DomainName) => Promise<Answer>;
  /** The names of an address (PTR), lower case. */
  readonly names: (address: string) => Promise<Answer>;
  /** The names in the MX records of a domain. */
  readonly exchangers: (domain: DomainName) => Promise<Answer>;
  /** What DNS publishes for a host of ours, against the certificate (PEM with chain) that it shows. */
  readonly ownTlsa: (host: DomainName, port: number, pem: string) => Promise<OwnTlsaState>;
  /** What DNS publishes for each key that has not ended. */
  readonly dkimRecords: (keys: readonly DkimKeySettings[]) => Promise<readonly DkimRecordState[]>;
  readonly probe: (request: ProbeRequest) => Promise<ProbeReport>;
  /** The same for mail of one policy, whatever destination it is for. */
  readonly probeHops: (domain: string, outbound: OutboundPolicy) => Promise<ProbeReport>;
  /** What the destination of mail for a domain publishes, without connecting to its hosts. */
  readonly published: (domain: string, outbound: OutboundPolicy) => Promise<Published>;
  readonly close: () => Promise<void>;
}

export interface DkimRecordState {
  readonly key: DkimKeySettings;
  /** `SELECTOR._domainkey.DOMAIN` */
  readonly name: string;
  readonly verdict: "ok" | RecordProblem;
}

export interface ResolverState {
  readonly resolver: string;
  readonly answered: boolean;
  /** It says that it has validated the answer. */
  readonly ad: boolean;
  /** Its word for that is believed here (`dns.trust_ad`). */
  readonly believed: boolean;
  /** Why it did not answer; a clause without its subject. */
  readonly detail?: string;
}

export type Answer =
  | { readonly kind: "found"; readonly values: readonly string[] }
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly detail: string };

export type OwnTlsaState =
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly detail: string }
  /** Records are there, or may be, and nobody counts them: the zone is not signed, or our resolver cannot tell. */
  | { readonly kind: "insecure" }
  | { readonly kind: "unusable" }
  | { readonly kind: "match"; readonly matched: string }
  | { readonly kind: "mismatch"; readonly detail: string };
