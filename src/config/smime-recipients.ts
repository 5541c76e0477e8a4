/**
 * The folder with the certificates of those whom we write to. A bad file in it belongs to somebody else's mail program:
 * it is told and left out, and stops nothing. Takes no private key along.
 */
import { X509Certificate } from "node:crypto";
import { basename, join } from "node:path";
import { parseDomainName } from "../mail/domain-name.ts";
import { mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import type { SmimeRecipientSettings } from "../mail/treatment.ts";
import { type Candidate, KEY_USAGE, readCandidate } from "../transform/smime/candidate.ts";
import { ANY_PURPOSE, EMAIL_PROTECTION } from "../transform/smime/chain.ts";
import type { Building } from "./building.ts";
import { checkBundle } from "./certificates.ts";
import { lostFile } from "./file-access.ts";
import { type Flaw, shown } from "./problems.ts";
import { dayOf } from "./scalars.ts";

const READ = /\.(?:crt|cer|pem|der)$/i;
const SILENT = /^\.|~$|^[^.]+$|\.(?:md|txt|csr|old|bak|sha256)$/i;
const IMPORT = "put it there with: sealpost smime import FILE";

/** `names`: what stands in the folder. `harvested`: not by hand, so that a file's name says nothing, nor is asked to. */
export function readRecipients(
  building: Building,
  folder: string,
  names: readonly string[],
  { harvested } = { harvested: false },
): readonly SmimeRecipientSettings[] {
  const found = names.flatMap((name) => {
    const file = join(folder, name);
    if (SILENT.test(name)) return [];
    if (READ.test(name)) return readFile(building, file, harvested);
    warn(building, file, {
      message: "is not read: its name ends in none of .crt, .cer, .pem and .der",
      remedy: IMPORT,
    });
    return [];
  });
  warnOfEnded(building, found);
  return found;
}

function warn({ problems }: Building, file: string, { message, remedy }: Flaw): void {
  problems.warn({ file, line: 1, column: 1 }, message, remedy);
}

function readFile(building: Building, file: string, harvested: boolean): readonly SmimeRecipientSettings[] {
  const read = building.access.look(file);
  if (!read.ok) {
    if (read.why !== "not-a-file") warn(building, file, lostFile(basename(file), read.why));
    return [];
  }
  const certificates = certificatesOf(read.bytes);
  if ("message" in certificates) {
    warn(building, file, certificates);
    return [];
  }
  const leaves = certificates.filter(({ authority }) => !authority);
  const own = leaves.length > 0 ? leaves : certificates.slice(0, 1);
  const between = certificates.filter((one) => one.authority && !own.includes(one)).map(pemOf);
  return own.flatMap((one) => {
    const holders = namesFor(file, one, harvested);
    const names = "message" in holders ? holders : (misused(one) ?? holders);
    if ("message" in names) {
      warn(building, file, names);
      return [];
    }
    const { addresses, domains, others } = names;
    if (others.length > 0) warn(building, file, unvouched(others));
    return [{ certificate: [pemOf(one), ...between].join(""), addresses, domains, file }];
  });
}

function pemOf({ x509 }: Candidate): string {
  return x509.toString();
}

function certificatesOf(content: Buffer): readonly Candidate[] | Flaw {
  const unread: Flaw = { message: "holds no certificate that can be read", remedy: IMPORT };
  if (content[0] === 0x30) {
    const one = readCandidate(content);
    return one === undefined ? unread : [one];
  }
  const bundle = checkBundle(content.toString("latin1"));
  if ("message" in bundle) return bundle;
  const read = bundle.certificates.map((pem) => readCandidate(new X509Certificate(pem).raw));
  const known = read.filter((one) => one !== undefined);
  return known.length < read.length ? unread : known;
}

export interface Placed extends Pick<SmimeRecipientSettings, "addresses" | "domains"> {
  /** What else it names: its own word alone, for which a trusted CA must vouch. */
  readonly others: readonly string[];
}

/**
 * Whose a certificate is by the word of who placed it. `written` is the address or @domain that its file is named after:
 * it counts for that, and for what the certificate names in the same domain. Without one the first name's domain counts.
 */
export function placedFor(emails: readonly string[], written: string | undefined): Placed {
  const [first = ""] = written === undefined ? emails : [written];
  const named = emails.filter((one) => domainOf(one) === domainOf(first));
  const others = emails.filter((one) => !named.includes(one));
  if (written === undefined) return { addresses: named, domains: [], others };
  const domain = written.startsWith("@") ? parseDomainName(written.slice(1)) : undefined;
  if (domain !== undefined) return { addresses: named, domains: [domain], others };
  // Of no domain that the certificate knows: more likely the wrong file than another address of the same person.
  const added = emails.length > 0 && named.length === 0 ? [] : [written];
  return { addresses: [...new Set([...named, ...added])], domains: [], others };
}

function namesFor(file: string, { emails, authority }: Candidate, harvested: boolean): Placed | Flaw {
  const stem = stemOf(file);
  if (authority && emails.length === 0) {
    const message = "is the certificate of an authority, which encrypts no mail";
    return { message, remedy: "ask for the certificate of the recipient" };
  }
  if (harvested && emails.length > 0) return { addresses: emails, domains: [], others: [] };
  if (stem.startsWith("@")) {
    const domain = parseDomainName(stem.slice(1));
    if (domain !== undefined) return placedFor(emails, `@${domain}`);
    return { message: `${shown(stem.slice(1))} is no domain`, remedy: "name the file @DOMAIN.pem for all of a domain" };
  }
  const mailbox = parseMailbox(stem);
  const written = mailbox && mailboxKey(mailbox);
  const placed = placedFor(emails, written);
  if (placed.addresses.length > 0) return placed;
  if (written === undefined) {
    const remedy = "name the file ADDRESS.pem, or @DOMAIN.pem for all of a domain";
    return { message: "the certificate names no mail address", remedy };
  }
  const message = `the certificate is for ${emails.join(", ")}: nothing is encrypted to ${written} with it`;
  return { message, remedy: `name the file ${emails[0]}.pem, or ask for the certificate of ${written}` };
}

function unvouched(others: readonly string[]): Flaw {
  const message = `nothing is encrypted with it to ${others.join(", ")}, which it names too, unless a trusted CA issued it`;
  return { message, remedy: "put a copy beside it that is named after that address, if it is really its holder's" };
}

function stemOf(file: string): string {
  return basename(file).replace(READ, "");
}

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

/** RFC 8550 §4.4.2 and §4.4.4: what it may not be used for. */
function misused({ purposes, usage }: Candidate): Flaw | undefined {
  const remedy = "ask for the certificate that mail is encrypted to";
  if (!isMailPurpose(purposes)) return { message: "the certificate is not for mail", remedy };
  const encrypts = usage === undefined || usage.has(KEY_USAGE.keyEncipherment) || usage.has(KEY_USAGE.keyAgreement);
  return encrypts ? undefined : { message: "the certificate signs only and cannot be encrypted to", remedy };
}

/** RFC 8550 §4.4.4: where a certificate says what it is for, mail is among it. */
export function isMailPurpose(purposes: Candidate["purposes"]): boolean {
  return purposes === undefined || purposes.includes(EMAIL_PROTECTION) || purposes.includes(ANY_PURPOSE);
}

/** One that has ended is no word worth where another is there for all of its names. */
function warnOfEnded(building: Building, found: readonly SmimeRecipientSettings[]): void {
  const dated = found.map((one) => ({ one, endsAt: new X509Certificate(one.certificate).validToDate.getTime() }));
  const holders = ({ addresses, domains }: SmimeRecipientSettings): string[] => [...addresses, ...domains];
  const served = new Set(dated.filter(({ endsAt }) => endsAt > building.now).flatMap(({ one }) => holders(one)));
  for (const { one, endsAt } of dated) {
    const lost = endsAt > building.now ? undefined : holders(one).find((holder) => !served.has(holder));
    if (lost === undefined) continue;
    const message = `the certificate ended on ${dayOf(endsAt)}: nothing is encrypted to ${lost}`;
    warn(building, one.file, { message, remedy: "ask for the next one, and put it beside" });
  }
}
