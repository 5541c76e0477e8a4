/**
 * Which demand a host did not meet, and where it was written, so that an administrator knows what to change or whom to
 * ask. Asks the gate itself, check by check; decides nothing.
 */
import type { Seen } from "./attempt.ts";
import type { OutboundPolicy } from "./decide/policy.ts";
import type { Reason } from "./mail/outcome.ts";
import type { PeerCheck } from "./mail/tls-requirement.ts";
import type { Rule } from "./report/probe-report.ts";
import { verifyPeer } from "./verify/verify-peer.ts";

/** Undefined where no demand is behind the reason: the network, DNS, the peer's own refusal. */
export function failingRule(
  reason: Reason,
  seen: Seen | undefined,
  outbound: OutboundPolicy,
  now: number,
): Rule | undefined {
  switch (reason) {
    case "dnssec-invalid":
      return { demand: "DANE: nobody may take what is not known for not published (RFC 7672 §2.1)" };
    case "dane-required":
      return written(outbound, "tls.level", `level ${outbound.tls.level}`);
    case "tlsa-invalid":
      return seen?.demand === undefined ? written(outbound, "tls.level", `level ${outbound.tls.level}`) : DANE;
    case "mx-not-in-policy":
      return STS;
    case "sts-policy-fetch-error":
    case "sts-policy-invalid":
    case "sts-webpki-invalid":
      return written(outbound, "tls.mta_sts", "mta_sts: require");
    case "fingerprint-mismatch":
      return written(outbound, "tls.fingerprints", "fingerprints");
    case "tls-parameters-too-weak":
      return written(
        outbound,
        "tls.min_version" in outbound.origins ? "tls.min_version" : "tls.profile",
        `min_version ${outbound.tls.minVersion}, profile ${outbound.tls.profile.name}`,
      );
    case "client-certificate-demanded":
      return written(outbound, "tls.client_certificate", "client_certificate");
    case "starttls-not-supported":
    case "validation-failure":
      return encryption(seen, outbound);
    case "certificate-host-mismatch":
    case "certificate-expired":
    case "certificate-not-trusted":
      return certificate(reason, seen, outbound, now);
    default:
      return undefined;
  }
}

const DANE: Rule = { demand: "DANE, by the TLSA records of the host (RFC 7672)" };
const STS: Rule = { demand: "MTA-STS, by the policy of the domain (RFC 8461)" };
const KEY_OF: Readonly<Partial<Record<Reason, string>>> = {
  "certificate-host-mismatch": "tls.match",
  "certificate-not-trusted": "tls.ca",
};

/** TLS as such: the level, unless that one is content without and what is published is not. */
function encryption(seen: Seen | undefined, outbound: OutboundPolicy): Rule {
  if (outbound.tls.level !== "may") return written(outbound, "tls.level", `level ${outbound.tls.level}`);
  return published(seen) ?? written(outbound, "tls.level", "level may");
}

function published(seen: Seen | undefined): Rule | undefined {
  const [by] = seen?.demand?.by ?? [];
  if (by === undefined) return undefined;
  return by === "dane" ? DANE : STS;
}

/** The first check that the gate does not let pass alone. */
function certificate(reason: Reason, seen: Seen | undefined, outbound: OutboundPolicy, now: number): Rule {
  const byLevel = written(outbound, KEY_OF[reason] ?? "tls.level", `level ${outbound.tls.level}`);
  const { host, session, demand } = seen ?? {};
  const { evidence } = session ?? {};
  if (host === undefined || evidence === undefined || demand?.requirement.level !== "mandatory") return byLevel;
  const { requirement } = demand;
  const fails = (check: PeerCheck) =>
    "failure" in verifyPeer({ host: host.name, evidence, now }, { ...requirement, checks: [check] });
  const at = requirement.checks.findIndex(fails);
  if (requirement.checks[at]?.by === "dane" && demand.by.includes("dane")) return published(seen) ?? byLevel;
  // What is published is joined behind the level's own checks.
  const last = at === requirement.checks.length - 1;
  const levelHasChecks = outbound.tls.level === "verify" && at === 0;
  return demand.by.includes("mta-sts") && last && !levelHasChecks ? STS : byLevel;
}

/** The line of the key, else of the level that it belongs to; neither where both are the product's own. */
function written({ origins }: OutboundPolicy, key: string, demand: string): Rule {
  const origin = origins[key] ?? origins["tls.level"];
  return origin === undefined ? { demand } : { demand, origin };
}
