/**
 * What a message itself demands of each session, beside the policy of its recipient: REQUIRETLS, a TLS-only alias, the
 * rules that it matched. Pure. It only ever adds; the one thing that it may lift is what a domain publishes, where the
 * policy honours the sender's wish (`TLS-Required: No`, RFC 8689 §3).
 */
import type { Delivery, MessageFacts } from "../mail/delivery.ts";
import type { DemandedTls } from "../mail/demands.ts";
import { both, type TlsLevel } from "../mail/tls-requirement.ts";
import type { Target } from "./decide.ts";
import { demandOf, honoured } from "./demand.ts";
import type { TlsPolicy } from "./policy.ts";
import {
  type Demand,
  type Demanded,
  type FullDemand,
  joined,
  type Published,
  type Waits,
} from "./published-requirement.ts";

/** What each session for one delivery must prove. */
export interface Demands {
  readonly tls: TlsPolicy;
  readonly added: readonly (DemandedTls & { readonly by: "message" | "rule" })[];
  /** What is published is not demanded of what the policy alone demands. */
  readonly lifted: boolean;
}

const AUTHENTICATED = { level: "authenticated", by: "message" } as const;

export function demandsOn({ message, recipients }: Delivery, tls: TlsPolicy): Demands {
  const { envelope, demands } = message;
  const isFor = (positions: readonly number[] | undefined): boolean =>
    positions === undefined || recipients.some(({ position }) => positions.includes(position));
  const rules = (demands?.rules ?? []).flatMap(({ tls: demanded, positions }) =>
    demanded !== undefined && isFor(positions) ? [{ ...demanded, by: "rule" as const }] : [],
  );
  const own = envelope.mail.requireTls || demands?.alias === true ? [AUTHENTICATED] : [];
  const isHonoured = tls.tlsRequiredNo === "honour" && BESIDE_PUBLISHED.includes(tls.level);
  return { tls, added: [...own, ...rules], lifted: asksTlsRequiredNo(message) && isHonoured };
}

/** RFC 8689 §4.1: where both are there, REQUIRETLS counts and the header does not. */
export function asksTlsRequiredNo({ envelope, demands }: MessageFacts): boolean {
  return demands?.tlsRequiredNo === true && !envelope.mail.requireTls;
}

/** Levels that what is published comes on top of. Of others it is no part, or the whole: those are never lifted. */
export const BESIDE_PUBLISHED: readonly TlsLevel[] = ["may", "encrypt", "verify"];

const RANK: readonly TlsLevel[] = ["none", "may", "encrypt"];

/** As it is told, whatever a host publishes: the strictest level, the policy's where a message demands no more. */
export function demandedBy({ tls, added, lifted }: Demands): Demanded {
  const rank = (level: TlsLevel): number => (RANK.includes(level) ? RANK.indexOf(level) : RANK.length);
  const level = added.reduce((most, one) => (rank(one.level) > rank(most) ? one.level : most), tls.level);
  return { level, by: [...new Set(added.map(({ by }) => by))], lifted };
}

/** What is enough in report mode: what level `may` needs, and all that the message itself demands. */
export function reportDemands({ tls, ...demands }: Demands): Demands {
  return { ...demands, tls: tls.level === "none" ? tls : { ...tls, level: "may", match: [], fingerprints: [] } };
}

/** What has to be looked up for all of them. */
export function asksFor(all: readonly Demands[]): { readonly dane: boolean; readonly mtaSts: boolean } {
  const asked = all.flatMap(policiesOf).map(honoured);
  return { dane: asked.some(({ dane }) => dane), mtaSts: asked.some(({ mtaSts }) => mtaSts) };
}

function policiesOf({ tls, added, lifted }: Demands): readonly TlsPolicy[] {
  return [...(lifted ? [] : [tls]), ...added.filter((one) => !isMet(one, tls)).map((one) => asPolicy(one, tls))];
}

export function fullDemand({ tls, added, lifted }: Demands, target: Target, published: Published): FullDemand | Waits {
  let demand: Demand | Waits = demandOf(tls, target, lifted ? {} : published);
  for (const one of added) {
    if ("waits" in demand) return demand;
    const { requirement } = demand;
    if (one.minVersion !== undefined) {
      const least = { level: "mandatory", minVersion: one.minVersion, checks: [] } as const;
      demand = { ...demand, requirement: both(requirement, least) };
    }
    if (!isMet(one, tls)) demand = joined(demand, demandOf(asPolicy(one, tls), target, published));
  }
  if ("waits" in demand) return demand;
  return { ...demand, by: [...new Set([...demand.by, ...added.map(({ by }) => by)])] };
}

/** Levels that meet `authenticated` where a message demands it (contract section 4). */
const NAMES_PEER: readonly TlsLevel[] = ["authenticated", "verify", "secure", "fingerprint", "dane-only"];

function isMet({ level }: DemandedTls, tls: TlsPolicy): boolean {
  return level === tls.level || (level === "authenticated" && NAMES_PEER.includes(tls.level));
}

/** The demanded level with the partner's trust, without names and pins that were agreed for another level. */
function asPolicy({ level }: DemandedTls, tls: TlsPolicy): TlsPolicy {
  return { ...tls, level, match: [], fingerprints: [] };
}
