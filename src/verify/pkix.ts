/**
 * Certificate path and names (RFC 5280, RFC 6125): judges what the handshake recorded, and the dates anew.
 * Pure. The order of the failures is the contract's: not trusted, expired, wrong name.
 */
import type { PeerEvidence } from "../mail/peer-evidence.ts";
import { isSystemTrust, type NamePattern } from "../mail/tls-requirement.ts";
import type { CheckResult, Failure } from "./check-result.ts";
import { matchingName } from "./names.ts";

export interface PkixCheck {
  readonly trustId: string;
  readonly names: readonly NamePattern[];
}

/** OpenSSL's codes for dates; any other code means that the path cannot be trusted. */
const DATES: readonly string[] = ["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"];

/** `now` in epoch ms. */
export function checkPkix(evidence: PeerEvidence, check: PkixCheck, now: number): CheckResult {
  const { chainError, trustId } = evidence;
  const [leaf] = evidence.chain;
  if (leaf === undefined) return notTrusted("The server showed no certificate");
  if (trustId !== check.trustId) return notTrusted("The session was opened under other certification authorities");
  if (chainError !== undefined && !DATES.includes(chainError)) {
    return notTrusted(`The server's certificate, issued by "${leaf.issuer}", is not trusted here (${chainError})`);
  }
  // Only the leaf is dated anew: a peer may send expired cross-certificates that the path does not use.
  if (now < leaf.notBefore) return expired(`The server's certificate is not valid before ${instant(leaf.notBefore)}`);
  if (now > leaf.notAfter) return expired(`The server's certificate expired on ${instant(leaf.notAfter)}`);
  if (chainError !== undefined) return expired(`A certificate in the server's chain is out of date (${chainError})`);
  const matched = matchingName(leaf.names, check.names);
  if (matched !== undefined) return { by: isSystemTrust(trustId) ? "pkix" : "private-ca", matched };
  const carried = leaf.names.length > 0 ? leaf.names.slice(0, 5).join(", ") : "no host name";
  const detail = `The server's certificate names ${carried}, but ${describe(check.names)} is demanded`;
  return { failure: "certificate-host-mismatch", detail };
}

function notTrusted(detail: string): Failure {
  return { failure: "certificate-not-trusted", detail };
}

function expired(detail: string): Failure {
  return { failure: "certificate-expired", detail };
}

function instant(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

function describe(names: readonly NamePattern[]): string {
  const words = names.map((name) => ("host" in name ? name.host : `.${name.below}`));
  return words.length > 0 ? words.join(" or ") : "a name that this route cannot prove";
}
