/** What a probe saw of one host, as the report has it: facts made plain, nothing judged anew. */
import type { HostTrial, Seen } from "./attempt.ts";
import type { OutboundPolicy } from "./decide/policy.ts";
import type { Published } from "./decide/published-requirement.ts";
import { failingRule } from "./failing-rule.ts";
import type { Host } from "./mail/host.ts";
import type { Problem } from "./mail/outcome.ts";
import type { PeerCertificate, PeerEvidence } from "./mail/peer-evidence.ts";
import type { DaneFacts, MtaStsFacts, TlsaRecord } from "./mail/published.ts";
import type { DialogueLine } from "./mail/session.ts";
import { mxMatches } from "./mail/sts-policy.ts";
import type {
  ProbedCertificate,
  ProbedHost,
  ProbedTls,
  ProbeProblem,
  PublishedDane,
  PublishedHost,
  PublishedSts,
} from "./report/probe-report.ts";
import { remedyFor } from "./report/remedy.ts";
import { checkDane } from "./verify/dane.ts";

export interface Probed {
  readonly trial: HostTrial;
  /** Whatever the policy honours of it. */
  readonly published: Published;
  readonly outbound: OutboundPolicy;
  readonly withinAttempt: boolean;
  readonly dialogue: readonly DialogueLine[] | undefined;
  /** Epoch ms */
  readonly now: number;
}

export function probedHost({ trial, published, outbound, withinAttempt, dialogue, now }: Probed): ProbedHost {
  const { seen } = trial;
  const evidence = seen.session?.evidence;
  return {
    ...publishedHost(seen.host, published, evidence && { evidence, now }),
    withinAttempt,
    starttls: starttlsOf(trial, outbound),
    ...(evidence && { tls: tlsOf(evidence) }),
    ...("passed" in trial
      ? { problem: probeProblem(trial.passed, { seen, outbound, now }) }
      : { verdict: seen.verdict ?? { trusted: false } }),
    ...(dialogue && { transcript: dialogue }),
  };
}

export function probeProblem(
  { kind, reason, detail, smtp }: Problem<"deferred" | "failed">,
  {
    seen,
    outbound,
    now,
  }: { readonly seen?: Seen | undefined; readonly outbound: OutboundPolicy; readonly now: number },
): ProbeProblem {
  const rule = failingRule(reason, seen, outbound, now);
  return { kind, reason, detail, remedy: remedyFor(reason), ...(smtp && { smtp }), ...(rule && { rule }) };
}

interface Shown {
  readonly evidence: PeerEvidence;
  readonly now: number;
}

/** `shown`: to mark the records that match. */
export function publishedHost(host: Host, { dane, mtaSts }: Published, shown?: Shown): PublishedHost {
  const { name, address, port, route, dnssec } = host;
  return {
    host: name,
    address,
    port,
    route,
    ...(dnssec && { dnssec: { mx: dnssec.mx, address: dnssec.address, canonical: dnssec.expanded } }),
    ...(dane && { dane: daneOf(dane, shown) }),
    ...(mtaSts && { mtaSts: stsOf(mtaSts, name) }),
  };
}

function daneOf(facts: DaneFacts, shown: Shown | undefined): PublishedDane {
  switch (facts.kind) {
    case "unknown":
      return { status: "unknown", records: [], detail: facts.detail };
    case "none":
      return { status: facts.why, records: [] };
    case "unusable":
      return { status: "unusable", base: facts.base, records: [] };
    case "usable": {
      const { base, names } = facts;
      const records = facts.records.map((record) => {
        if (shown === undefined) return { text: textOf(record) };
        // The gate's own function, with one record at a time: any one of them suffices.
        const result = checkDane(shown.evidence.chain, { records: [record], names }, shown.now);
        return { text: textOf(record), matches: "by" in result };
      });
      return { status: "usable", base, records };
    }
  }
}

function textOf({ usage, selector, matchingType, data }: TlsaRecord): string {
  return `${usage} ${selector} ${matchingType} ${data.toString("hex")}`;
}

function stsOf(facts: MtaStsFacts, host: string): PublishedSts {
  switch (facts.kind) {
    case "unknown":
      return { status: "unknown", detail: facts.detail };
    case "none":
      return { status: "absent" };
    case "unavailable":
      return { status: "unavailable", detail: `${facts.result}: ${facts.detail}` };
    case "policy": {
      const { mode, domain, id, mx, expiresAt } = facts;
      const listed = mode === "none" ? {} : { listed: mx.some((pattern) => mxMatches(pattern, host)) };
      return { status: mode, domain, id, mx, expires: iso(expiresAt), ...listed };
    }
  }
}

function starttlsOf(trial: HostTrial, { tls }: OutboundPolicy): ProbedHost["starttls"] {
  const { host, session } = trial.seen;
  if (session?.evidence !== undefined) return host.implicitTls ? "implicit" : "offered";
  if ("passed" in trial) return trial.passed.reason === "starttls-not-supported" ? "not-offered" : "unknown";
  return tls.level === "none" ? "not-tried" : "not-offered";
}

function tlsOf({ version, cipher, group, sni, chain, chainError }: PeerEvidence): ProbedTls {
  return {
    version,
    cipher,
    ...(group !== undefined && { group }),
    ...(sni !== undefined && { sni }),
    chain: chain.map(certificateOf),
    ...(chainError !== undefined && { chainError }),
  };
}

function certificateOf(certificate: PeerCertificate): ProbedCertificate {
  const { subject, names, issuer, keyType, keyBits, sha256, spkiSha256 } = certificate;
  const dates = { notBefore: iso(certificate.notBefore), notAfter: iso(certificate.notAfter) };
  return { subject, names, issuer, ...dates, keyType, ...(keyBits !== undefined && { keyBits }), sha256, spkiSha256 };
}

/** Dates in a peer's certificate may lie beyond what a Date can hold. */
function iso(at: number): string {
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : "unknown";
}
