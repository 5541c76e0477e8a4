/**
 * What a destination publishes of TLS, made into what a session with one of its hosts must prove: a table to audit.
 * DANE comes before MTA-STS, host by host (RFC 8461 §2); what is unknown waits. It only ever adds to what is configured.
 */
import type { DomainName } from "../mail/domain-name.ts";
import type { Reason } from "../mail/outcome.ts";
import type { DaneFacts, MtaStsFacts } from "../mail/published.ts";
import { mxMatches } from "../mail/sts-policy.ts";
import {
  both,
  opportunistic,
  type PeerCheck,
  type TlsLevel,
  type TlsRequirement,
  type TlsVersion,
} from "../mail/tls-requirement.ts";

/** Absent: not asked, since the policy does not honour it or states the whole demand itself. */
export interface Published {
  readonly dane?: DaneFacts;
  readonly mtaSts?: MtaStsFacts;
}

/** What the configuration has to say on it. */
export interface Terms {
  readonly minVersion: TlsVersion;
  /** By whom certificates are judged: `trust`, or the partner's own `ca`. */
  readonly trust: { readonly id: string };
  readonly mtaSts: "honour" | "ignore" | "require";
}

export interface Demand {
  readonly requirement: TlsRequirement;
  /** Whose publications are in it. */
  readonly by: readonly ("dane" | "mta-sts")[];
  /** SNI that goes with it: the TLSA base domain (RFC 7672 §8.1). */
  readonly servername?: DomainName;
}

/** With what the message itself demands, and all whose demands are in it beside the policy's own. */
export type FullDemand = Omit<Demand, "by"> & {
  readonly by: readonly (Demand["by"][number] | "message" | "rule")[];
};

/** What is demanded of every host, and by whom beside the policy. */
export interface Demanded {
  /** What is published is not, by the sender's wish. */
  readonly lifted: boolean;
  readonly level: TlsLevel;
  readonly by: readonly ("message" | "rule")[];
}

/** This host is passed over; the mail waits if no other one can be tried. */
export interface Waits {
  readonly waits: Reason;
  /** One sentence for people. */
  readonly detail: string;
}

const NOTHING: Demand = { requirement: opportunistic, by: [] };

/** `host`: the name connected to. */
export function publishedRequirement(host: string, { dane, mtaSts }: Published, terms: Terms): Demand | Waits {
  switch (dane?.kind) {
    case "unknown": // a look-up failed: wait, never downgrade. RFC 7672 §2.1.1, §2.2
      return { waits: "dnssec-invalid", detail: dane.detail };
    case "usable": // wins over MTA-STS. RFC 8461 §2
      return {
        requirement: mandatory(terms, { by: "dane", records: dane.records, names: dane.names }),
        by: ["dane"],
        servername: dane.base,
      };
    case "unusable": // encrypt, unauthenticated: RFC 7672 §2.2; MTA-STS may add to it, since nothing here fails
      return joined(
        { requirement: mandatory(terms), by: ["dane"], servername: dane.base },
        byMtaSts(host, mtaSts, terms),
      );
    case "none":
    case undefined:
      return byMtaSts(host, mtaSts, terms);
  }
}

function byMtaSts(host: string, facts: MtaStsFacts | undefined, terms: Terms): Demand | Waits {
  switch (facts?.kind) {
    case "unknown": // whether a policy is announced is not known: wait
      return { waits: "dns-failed", detail: facts.detail };
    case "unavailable": // counts as none, RFC 8461 §3.3, unless the operator says otherwise
      return terms.mtaSts === "require" ? { waits: facts.result, detail: facts.detail } : NOTHING;
    case "policy":
      return facts.mode === "enforce" ? enforced(host, facts, terms) : NOTHING; // testing only logs, RFC 8461 §5
    case "none":
    case undefined:
      return NOTHING;
  }
}

/** RFC 8461 §4.1, §4.2: the host is one the policy names, and its certificate is valid and carries the host's name. */
function enforced(
  host: string,
  { mx, domain }: { mx: readonly string[]; domain: string },
  terms: Terms,
): Demand | Waits {
  if (mx.some((pattern) => mxMatches(pattern, host))) {
    const check = { by: "pkix", trustId: terms.trust.id, names: [{ host }] } as const;
    return { requirement: mandatory(terms, check), by: ["mta-sts"] };
  }
  const detail = `${host} is not among the hosts that the MTA-STS policy of ${domain} permits (${mx.join(", ")})`;
  return { waits: "mx-not-in-policy", detail };
}

/** Both demands at once; one that waits, waits. */
export function joined(a: Demand, b: Demand | Waits): Demand | Waits {
  if ("waits" in b) return b;
  return { ...a, ...b, requirement: both(a.requirement, b.requirement), by: [...a.by, ...b.by] };
}

function mandatory({ minVersion }: Terms, ...checks: PeerCheck[]): TlsRequirement {
  return { level: "mandatory", minVersion, checks };
}
