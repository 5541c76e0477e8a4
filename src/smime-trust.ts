/**
 * Whether one certificate holds: it leads to a trusted root, or was placed by hand; and nobody up to that root was
 * revoked. Who is not reached is never taken to have said yes, unless the configuration says so.
 */
import type { CheckRevocation, RevocationAnswer } from "./connect/revocation.ts";
import type { RevocationSettings } from "./mail/smime-settings.ts";
import type { OutageAlarms } from "./outage-alarms.ts";
import type { Candidate } from "./transform/smime/candidate.ts";
import { findChain, type Trust } from "./transform/smime/chain.ts";
import type { Offered } from "./transform/smime/choose-certificate.ts";

export type Holding =
  | { readonly kind: "holds" }
  | { readonly kind: "rejected"; readonly why: string }
  /** Nobody answered, and mail is to wait for them. */
  | { readonly kind: "unknown"; readonly why: string };

export interface TrustDeps {
  readonly checkRevocation: CheckRevocation;
  readonly outages: OutageAlarms;
}

export async function judgeTrust(
  { certificate, pinned }: Offered,
  trust: Trust,
  settings: RevocationSettings,
  deps: TrustDeps,
): Promise<Holding> {
  const chain = await findChain(certificate, trust);
  if (chain.kind === "untrusted") {
    // By hand, the operator vouches; and without its issuer nobody can be asked about it.
    return pinned ? { kind: "holds" } : { kind: "rejected", why: chain.why };
  }
  if (!settings.check) return { kind: "holds" };
  const links = chain.path.slice(0, -1).map((one, at) => ({ one, issuer: chain.path[at + 1] as Candidate }));
  const verdicts = await Promise.all(links.map((link) => judgeLink(link, settings, deps)));
  return (
    verdicts.find(({ kind }) => kind === "rejected") ??
    verdicts.find(({ kind }) => kind === "unknown") ?? { kind: "holds" }
  );
}

interface Link {
  readonly one: Candidate;
  readonly issuer: Candidate;
}

async function judgeLink({ one, issuer }: Link, settings: RevocationSettings, deps: TrustDeps): Promise<Holding> {
  const { der, authority, ocsp, crl } = one;
  const answer = await deps.checkRevocation({ certificate: der, issuer: issuer.x509, authority, ocsp, crl });
  tellOutage(answer, issuer, settings, deps.outages);
  const whose = authority ? `leads to ${one.subject}, which ` : "";
  if (answer.kind === "good") return { kind: "holds" };
  if (answer.kind === "revoked") return { kind: "rejected", why: `${whose}was ${answer.detail}` };
  if (answer.kind === "silent") {
    // Waiting would be in vain, for there is nobody to wait for.
    if (settings.unreachable !== "refuse") return { kind: "holds" };
    return { kind: "rejected", why: `${whose}does not say who tells whether it was revoked` };
  }
  if (settings.unreachable === "accept") return { kind: "holds" };
  const why = `${whose}may have been revoked, which nobody tells (${answer.detail})`;
  return { kind: settings.unreachable === "wait" ? "unknown" : "rejected", why };
}

const EFFECT = {
  accept: "they are used all the same",
  wait: "mail to their holders is not accepted until somebody does",
  refuse: "they are not used",
} as const;

function tellOutage(
  answer: RevocationAnswer,
  { subject }: Candidate,
  { unreachable }: RevocationSettings,
  outages: OutageAlarms,
): void {
  if (answer.kind === "unreachable") {
    const effect = EFFECT[unreachable];
    const detail = `Nobody tells whether certificates of ${subject} were revoked (${answer.detail})`;
    outages.down(subject, `${detail}; ${effect}: see that this gateway reaches them by HTTP`);
  } else if (answer.kind !== "silent") {
    outages.up(subject, `It is told again whether certificates of ${subject} were revoked`);
  }
}
