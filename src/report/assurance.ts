/**
 * What a session was worth by the German supervisory authorities' guidance on e-mail (DSK, "Maßnahmen zum Schutz
 * personenbezogener Daten bei der Übermittlung per E-Mail", 16 June 2021, sections 4.2.2 and 4.2.3):
 *
 *   none       in clear, or encrypted only because the peer happened to offer it, or older than TLS 1.2
 *   mandatory  ("obligatorisch") clear text was excluded beforehand: the policy demanded TLS, 1.2 or newer was used
 *   qualified  ("qualifiziert") besides: the peer was authenticated as demanded, by a name that was agreed and not
 *              learned from unsigned DNS, or by a pin; and version, suite, group and key are among those that
 *              BSI TR-02102-2 recommends, which all have forward secrecy
 *
 * It never says more than can be shown: what the handshake did not tell counts as not fulfilled.
 */
import type { TlsPolicy } from "../decide/policy.ts";
import type { FullDemand } from "../decide/published-requirement.ts";
import type { PeerEvidence } from "../mail/peer-evidence.ts";
import type { Session, Verdict } from "../mail/session.ts";
import { isAtLeast } from "../mail/tls-requirement.ts";
import type { TlsFields } from "./events.ts";

/** What the judgement is made of; `verdict` is absent when the session was not admitted. */
export interface Judged {
  readonly tls: TlsPolicy;
  /** Absent when the host was passed over. */
  readonly demand: FullDemand | undefined;
  readonly session: Pick<Session, "evidence"> | undefined;
  readonly verdict: Verdict | undefined;
  /** The host's name comes from an MX look-up that DNSSEC does not vouch for. */
  readonly learnedFromMx: boolean;
}

export function assuranceOf({ tls, demand, session, verdict, learnedFromMx }: Judged): TlsFields["assurance"] {
  const evidence = session?.evidence;
  if (evidence === undefined || verdict === undefined) return "none";
  if (demand?.requirement.level !== "mandatory" || !isAtLeast(evidence.version, "TLSv1.2")) return "none";
  const agreed = namesPeer(demand) || !(learnedFromMx && dependsOnMxName(tls));
  return verdict.authenticatedBy !== undefined && agreed && isRecommended(evidence) ? "qualified" : "mandatory";
}

/** What is published names the host: by signed DNS, or by a policy whose own host is certified. */
function namesPeer({ by, requirement }: FullDemand): boolean {
  if (by.includes("mta-sts")) return true;
  return requirement.level === "mandatory" && requirement.checks.some((check) => check.by === "dane");
}

/** At `verify` the names may be those of an MX look-up, unless others are written. */
function dependsOnMxName(tls: TlsPolicy): boolean {
  if (tls.level !== "verify") return false;
  return tls.match.length === 0 || tls.match.includes("hostname");
}

/** BSI TR-02102-2, 2026-01, sections 3.3 and 3.4, by IANA name; CBC suites need Encrypt-then-MAC, which is not shown. */
const SUITES: ReadonlySet<string> = new Set([
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_AES_128_CCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
  "TLS_ECDHE_ECDSA_WITH_AES_256_CCM",
]);

/** As IANA names them, and as OpenSSL does where it differs. */
const GROUPS: ReadonlySet<string> = new Set([
  "secp256r1",
  "prime256v1",
  "secp384r1",
  "secp521r1",
  "brainpoolP256r1",
  "brainpoolP384r1",
  "brainpoolP512r1",
  "brainpoolP256r1tls13",
  "brainpoolP384r1tls13",
  "brainpoolP512r1tls13",
  "ffdhe3072",
  "ffdhe4096",
]);

/** Bits of the certificate's key that TR-02102-2 section 3.6 asks for, by type. */
const LEAST_KEY_BITS: Readonly<Record<string, number>> = { rsa: 3000, "rsa-pss": 3000, ec: 250 };

export function isRecommended({ cipher, group, chain }: PeerEvidence): boolean {
  if (!SUITES.has(cipher) || group === undefined || !GROUPS.has(group)) return false;
  const [leaf] = chain;
  const least = leaf === undefined ? undefined : LEAST_KEY_BITS[leaf.keyType];
  return least !== undefined && (leaf?.keyBits ?? 0) >= least;
}
