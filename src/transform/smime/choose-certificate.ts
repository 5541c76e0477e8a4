/**
 * Which certificates mail to one mailbox is encrypted for, and why the others are not: dates, key usage, purpose,
 * address. Pure; chain and revocation are asked for by the caller, in the order given here.
 *
 * Certificates of the very address come before those of its whole domain (a gateway's). Of several with the same
 * subject one only is used, the newest that holds: the others are what it replaced. Certificates with different
 * subjects may be of different keys in use, so the mail is encrypted for each of them, the newest first.
 */
import { type DomainName } from "../../mail/domain-name.ts";
import { isAddressLiteral, type Mailbox, mailboxKey } from "../../mail/mailbox.ts";
import { type Candidate, KEY_USAGE } from "./candidate.ts";
import { ANY_PURPOSE, day, EMAIL_PROTECTION, isWeak } from "./chain.ts";

export interface Offered {
  readonly certificate: Candidate;
  /** Mailboxes that it is for by the word of who placed it. As `mailboxKey` writes them. */
  readonly addresses: readonly string[];
  /** Domains that it is for as a whole. A-labels. */
  readonly domains: readonly string[];
  /** For messages: a file, or the directory. */
  readonly source: string;
  /** Placed by hand: trusted as it is for `addresses` and `domains`, and like any other for what else it names. */
  readonly pinned: boolean;
}

export interface Rejected {
  readonly source: string;
  /** Completes "the certificate of … from SOURCE …". */
  readonly why: string;
}

export interface Ranked {
  /** Each an order in which one is to be found that holds; one of each group is used. */
  readonly address: readonly (readonly Offered[])[];
  readonly domain: readonly (readonly Offered[])[];
  readonly rejected: readonly Rejected[];
}

const MOST_GROUPS = 4;
const MOST_OF_A_GROUP = 4;

export function rankCertificates(offered: readonly Offered[], mailbox: Mailbox, now: number): Ranked {
  const matching = offered.flatMap((one) => matchOf(one, mailbox) ?? []);
  // By the word of who placed it first: the same one may lie there under several names.
  const sorted = matching.toSorted((a, b) => Number(b.one.pinned) - Number(a.one.pinned));
  const concerned = distinct(sorted).map((found) => ({ ...found, why: unfit(found.one, now) }));
  const fit = (wanted: Match): Offered[] =>
    concerned.filter(({ match, why }) => match === wanted && why === undefined).map(({ one }) => one);
  return {
    address: grouped(fit("address")),
    domain: grouped(fit("domain")),
    rejected: concerned.flatMap(({ one, why }) => (why === undefined ? [] : [{ source: one.source, why }])),
  };
}

type Match = "address" | "domain";

interface Matching {
  readonly one: Offered;
  readonly match: Match;
}

function matchOf(one: Offered, mailbox: Mailbox): Matching | undefined {
  const key = mailboxKey(mailbox);
  if (one.addresses.includes(key)) return { one, match: "address" };
  // By its own word alone, for which a trusted CA must vouch, whoever placed it.
  if (one.certificate.emails.includes(key)) return { one: { ...one, pinned: false }, match: "address" };
  return !isAddressLiteral(mailbox.domain) && speaksFor(one, mailbox.domain) ? { one, match: "domain" } : undefined;
}

/**
 * RFC 3183 §4.1 has a name for who decrypts for a whole domain. Any CA gives it to whoever reads mail under it, so it
 * counts where it was placed by hand for that name, and never from a directory or a stranger's mail.
 */
function speaksFor({ pinned, addresses, domains }: Offered, domain: DomainName): boolean {
  return domains.includes(domain) || (pinned && addresses.includes(`domain-confidentiality-authority@${domain}`));
}

function unfit({ certificate, pinned }: Offered, now: number): string | undefined {
  const { notBefore, notAfter, usage, purposes, key, authority, understood } = certificate;
  if (now > notAfter) return `ended on ${day(notAfter)}`;
  if (now < notBefore) return `is not valid before ${day(notBefore)}`;
  const needed = NEEDED[key.asymmetricKeyType ?? ""];
  if (needed === undefined)
    return `has a key that nothing can be encrypted for (${key.asymmetricKeyType ?? "unknown"})`;
  if (isWeak(certificate)) return "has a key that is too short";
  if (usage?.has(needed) === false) return "may be used for signatures only";
  const forMail = purposes === undefined || purposes.includes(EMAIL_PROTECTION) || purposes.includes(ANY_PURPOSE);
  if (!forMail) return "is not for e-mail";
  if (authority && !pinned) return "is that of a CA";
  return understood ? undefined : "is restricted in a way that is not understood here";
}

/** RFC 8550 §4.4.2: what key transport and key agreement need. */
const NEEDED: Readonly<Record<string, number>> = { rsa: KEY_USAGE.keyEncipherment, ec: KEY_USAGE.keyAgreement };

/** By subject; the newest first, in and among the groups. */
function grouped(fit: readonly Offered[]): Offered[][] {
  const groups = new Map<string, Offered[]>();
  for (const one of fit.toSorted((a, b) => b.certificate.notBefore - a.certificate.notBefore)) {
    const group = groups.get(one.certificate.subject) ?? [];
    if (group.length < MOST_OF_A_GROUP) group.push(one);
    groups.set(one.certificate.subject, group);
  }
  return [...groups.values()].slice(0, MOST_GROUPS);
}

/** The same certificate from several sources counts by the first. */
function distinct(found: readonly Matching[]): readonly Matching[] {
  const seen = new Set<string>();
  return found.filter(({ one, match }) => {
    const id = `${match} ${one.certificate.x509.fingerprint256}`;
    const known = seen.has(id);
    seen.add(id);
    return !known;
  });
}
