/**
 * What one host must prove before MAIL FROM: the level of the policy, and what the destination publishes. Pure.
 * The two are joined and neither ever takes from the other; what is unknown, or missing where it is demanded, waits.
 */
import type { DaneFacts } from "../mail/published.ts";
import { requirementOf, type Target } from "./decide.ts";
import type { TlsPolicy } from "./policy.ts";
import { type Demand, joined, type Published, publishedRequirement, type Waits } from "./published-requirement.ts";

/** What is to be looked up; levels that state the whole demand ask for nothing. */
export function honoured({ level, dane, mtaSts }: TlsPolicy): { readonly dane: boolean; readonly mtaSts: boolean } {
  switch (level) {
    case "none":
    case "secure":
    case "fingerprint":
      return { dane: false, mtaSts: false };
    case "dane-only":
      return { dane: true, mtaSts: false };
    case "may":
    case "encrypt":
    case "verify":
    case "authenticated":
      return { dane: dane === "honour", mtaSts: mtaSts !== "ignore" };
  }
}

export function demandOf(tls: TlsPolicy, target: Target, published: Published): Demand | Waits {
  const configured: Demand = { requirement: requirementOf(tls, target), by: [] };
  switch (tls.level) {
    case "none":
    case "secure":
    case "fingerprint":
      return configured;
    case "may":
    case "encrypt":
    case "verify":
      return joined(configured, publishedRequirement(target.host, published, tls));
    case "dane-only":
      return daneOnly(target.host, published.dane) ?? publishedRequirement(target.host, published, tls);
    case "authenticated": {
      const demand = publishedRequirement(target.host, published, tls);
      if ("waits" in demand || provesPeer(demand)) return demand;
      return joined(configured, demand); // nothing published names the peer: a certificate must
    }
  }
}

/** RFC 7672 §2.2, mandatory DANE: why the host cannot be used; undefined when its records are usable, or unknown. */
function daneOnly(host: string, dane: DaneFacts | undefined): Waits | undefined {
  switch (dane?.kind) {
    case "usable":
    case "unknown":
      return undefined;
    case "unusable":
      return { waits: "tlsa-invalid", detail: `None of the TLSA records of ${host} can be used, and DANE is demanded` };
    case "none":
      return { waits: "dane-required", detail: `DANE is demanded, and ${WITHOUT[dane.why](host)}` };
    case undefined:
      return { waits: "dane-required", detail: `DANE is demanded, and ${host} was not asked for it` };
  }
}

const WITHOUT: Readonly<Record<Extract<DaneFacts, { kind: "none" }>["why"], (host: string) => string>> = {
  absent: (host) => `${host} has no TLSA records`,
  insecure: (host) => `DNS on the way to ${host} is not signed`,
  "untrusted-resolver": () => "no resolver whose DNSSEC validation is to be believed is configured (dns.trust_ad)",
};

function provesPeer({ requirement }: Demand): boolean {
  return requirement.level === "mandatory" && requirement.checks.length > 0;
}

/** Whether the session uses TLS at all; `if-offered` proves nothing and may go on in clear. */
export function tlsUse(
  { level }: TlsPolicy,
  { requirement }: Pick<Demand, "requirement">,
): "never" | "if-offered" | "required" {
  // A message may demand TLS where the policy uses none.
  if (requirement.level !== "opportunistic") return "required";
  return level === "none" ? "never" : "if-offered";
}
