/**
 * S/MIME certificates as people are told of them: whose, what for, and what is wrong, by the function that chooses among
 * them for mail. Neither chain nor revocation is looked at: that is done when mail is sent.
 */
import type { X509Certificate } from "node:crypto";
import { basename } from "node:path";
import type { Settings } from "../config/settings.ts";
import { nameText } from "../mail/certificate.ts";
import { parseDomainName } from "../mail/domain-name.ts";
import { type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import type { SmimeSettings } from "../mail/smime-settings.ts";
import type { SmimeRecipientSettings } from "../mail/treatment.ts";
import { type Candidate, readCandidate } from "../transform/smime/candidate.ts";
import { ANY_PURPOSE, EMAIL_PROTECTION, isWeak } from "../transform/smime/chain.ts";
import { type Offered, rankCertificates } from "../transform/smime/choose-certificate.ts";
import { chainOf, isSelfSigned } from "./doctor-certificates.ts";
import { day } from "./fact.ts";

export interface KnownCertificate {
  readonly kind: "own" | "partner" | "harvested";
  /** Addresses, and domains with an @ before them. */
  readonly holders: readonly string[];
  readonly certificate: Candidate;
  readonly usableFor: readonly ("sign" | "encrypt")[];
  /** Clauses without their subject. */
  readonly problems: readonly string[];
  readonly file?: string;
}

export function knownCertificates(settings: Settings, now: number): KnownCertificate[] {
  const signers = new Map<string, KnownCertificate>();
  for (const { domain, smime } of settings.policy.ownDomains) {
    for (const { address, certificate: pem } of smime) {
      const certificate = firstOf(pem);
      if (certificate === undefined) continue;
      const holders = [...new Set([...(signers.get(pem)?.holders ?? []), address ?? `@${domain}`])];
      signers.set(pem, { kind: "own", holders, certificate, ...judgeSigner(certificate, now) });
    }
  }
  const { recipients, harvested } = settings.smime;
  return [
    ...signers.values(),
    ...recipients.flatMap((one) => recipientOf("partner", one, now)),
    ...harvested.flatMap((one) => recipientOf("harvested", one, now)),
  ];
}

function recipientOf(kind: "partner" | "harvested", one: SmimeRecipientSettings, now: number): KnownCertificate[] {
  const certificate = firstOf(one.certificate);
  if (certificate === undefined) return [];
  const holders = holdersOf(one);
  return [{ kind, holders, certificate, file: one.file, ...judgeRecipient(certificate, holders, now) }];
}

/** As the gateway offers them to the choice: what was harvested speaks only for whom it names itself. */
export function offersOf({ recipients, harvested }: SmimeSettings): readonly Offered[] {
  const read = ({ certificate: pem, file }: SmimeRecipientSettings) => {
    const certificate = firstOf(pem);
    return certificate === undefined ? [] : [{ certificate, source: basename(file) }];
  };
  return [
    ...recipients.flatMap((one) => read(one).map((offer) => ({ ...one, ...offer, pinned: true }))),
    ...harvested.flatMap((one) => read(one).map((offer) => ({ ...offer, addresses: [], domains: [], pinned: false }))),
  ];
}

export function holdersOf({ addresses, domains }: Pick<SmimeRecipientSettings, "addresses" | "domains">): string[] {
  return [...addresses, ...domains.map((domain) => `@${domain}`)];
}

/** The certificate itself; what comes along stands behind it. */
export function firstOf(pem: string): Candidate | undefined {
  const [first] = chainOf(pem);
  return first === undefined ? undefined : readCandidate(first.raw);
}

type Judgement = Pick<KnownCertificate, "usableFor" | "problems">;

/** As mail to the first of its holders would be told. */
export function judgeRecipient(certificate: Candidate, holders: readonly string[], now: number): Judgement {
  const [mailbox] = holders.flatMap((holder) => mailboxOf(holder) ?? []);
  if (mailbox === undefined) return { usableFor: [], problems: ["names nobody"] };
  const offered = { ...offerOf(certificate, holders), source: "", pinned: true };
  const [rejected] = rankCertificates([offered], mailbox, now).rejected;
  return rejected === undefined
    ? { usableFor: ["encrypt"], problems: [] }
    : { usableFor: [], problems: [rejected.why] };
}

function mailboxOf(holder: string): Mailbox | undefined {
  return parseMailbox(holder.startsWith("@") ? `anybody${holder}` : holder);
}

function offerOf(
  certificate: Candidate,
  holders: readonly string[],
): Pick<Offered, "certificate" | "addresses" | "domains"> {
  return {
    certificate,
    addresses: holders.filter((holder) => !holder.startsWith("@")),
    domains: holders.flatMap((holder) => (holder.startsWith("@") ? (parseDomainName(holder.slice(1)) ?? []) : [])),
  };
}

/** RFC 5280 §4.2.1.3. */
const DIGITAL_SIGNATURE = 0;

function judgeSigner(certificate: Candidate, now: number): Judgement {
  const { notBefore, notAfter, usage, purposes, x509 } = certificate;
  const forMail = purposes === undefined || purposes.includes(EMAIL_PROTECTION) || purposes.includes(ANY_PURPOSE);
  const problems = [
    ...(now > notAfter ? [`ended on ${day(notAfter)}`] : []),
    ...(now < notBefore ? [`is not valid before ${day(notBefore)}`] : []),
    ...(usage?.has(DIGITAL_SIGNATURE) === false ? ["may not be used for signatures"] : []),
    ...(forMail ? [] : ["is not for e-mail"]),
    ...(isWeak(certificate) ? ["has a key that is too short"] : []),
  ];
  const remark = isSelfSigned(x509) ? ["is self-signed"] : [];
  return { usableFor: problems.length === 0 ? ["sign"] : [], problems: [...problems, ...remark] };
}

/** What people and programs are told of one. */
export function described({ x509, subject, key, notAfter }: Candidate): {
  subject: string;
  issuer: string;
  notAfter: string;
  keyType: string;
  sha256: string;
} {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  const size = modulusLength ?? namedCurve;
  const keyType = `${key.asymmetricKeyType ?? "unknown"}${size === undefined ? "" : ` ${size}`}`;
  return { subject, issuer: nameText(x509.issuer), notAfter: day(notAfter), keyType, sha256: fingerprintOf(x509) };
}

/** As it is read out by telephone. */
function fingerprintOf({ fingerprint256 }: X509Certificate): string {
  return fingerprint256;
}
