/**
 * Judges what a handshake showed against what was demanded. Pure: evidence, requirement and instant in, verdict out.
 * Must never let a session pass because something could not be read: what is absent fails.
 */
import type { PeerEvidence } from "../mail/peer-evidence.ts";
import type { Verdict } from "../mail/session.ts";
import { isAtLeast, type PeerCheck, type TlsRequirement } from "../mail/tls-requirement.ts";
import type { CheckResult, Failure, Proof } from "./check-result.ts";
import { checkDane } from "./dane.ts";
import { checkPins } from "./fingerprint.ts";
import { checkPkix } from "./pkix.ts";

/** The session at hand: absent evidence means clear text. `host` is the name connected to, `now` epoch ms. */
export interface Shown {
  readonly host: string;
  readonly evidence?: PeerEvidence;
  readonly now: number;
}

export function verifyPeer(shown: Shown, requirement: TlsRequirement): Verdict | Failure {
  const { evidence, host, now } = shown;
  if (evidence === undefined) {
    return requirement.level === "opportunistic"
      ? { trusted: false }
      : { failure: "starttls-not-supported", detail: "The session is not encrypted, and encryption is demanded" };
  }
  if (requirement.level === "opportunistic") return { trusted: isTrusted(evidence, host, now) };
  if (!isAtLeast(evidence.version, requirement.minVersion)) {
    const detail = `The session uses ${evidence.version}, and at least ${requirement.minVersion} is demanded`;
    return { failure: "tls-parameters-too-weak", detail };
  }
  let proof: Proof | undefined;
  for (const check of requirement.checks) {
    const result = run(check, evidence, now);
    if ("failure" in result) return result;
    proof ??= result;
  }
  if (proof === undefined) return { trusted: isTrusted(evidence, host, now) };
  return { authenticatedBy: proof.by, matched: proof.matched, trusted: false };
}

function run(check: PeerCheck, evidence: PeerEvidence, now: number): CheckResult {
  switch (check.by) {
    case "pkix":
      return checkPkix(evidence, check, now);
    case "fingerprint":
      return checkPins(evidence.chain[0], check.pins, now);
    case "dane":
      return checkDane(evidence.chain, check, now);
  }
}

/** Not demanded, but level `verify` would have let it pass. */
function isTrusted(evidence: PeerEvidence, host: string, now: number): boolean {
  const asVerify = { trustId: evidence.trustId, names: [{ host }] };
  return "by" in checkPkix(evidence, asVerify, now);
}
