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
import type { Building } from "./building.ts";
import { checkBundle } from "./certificates.ts";
import { lostFile } from "./file-access.ts";
import type { Flaw } from "./problems.ts";
import { dayOf } from "./scalars.ts";

const READ = /\.(?:crt|cer|pem|der)$/i;
const SILENT = /^\.|~$|^[^.]+$|\.(?:md|txt|csr|old|bak|sha256)$/i;
const IMPORT = "put it there with: sealpost smime import FILE";
const EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4";
const ANY_PURPOSE = "2.5.29.37.0";

/** `names`: what stands in the folder. */
export function readRecipients(
  building: Building,
  folder: string,
  names: readonly string[],
): readonly SmimeRecipientSettings[] {
  const found = names.flatMap((name) => {
    const file = join(folder, name);
    if (READ.test(name)) return readFile(building, file);
    if (!SILENT.test(name))
      warn(building, file, {
        message: "is not read: its name does not end in .crt, .cer, .pem or .der",
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

function readFile(building: Building, file: string): readonly SmimeRecipientSettings[] {
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
  const own = certificates.filter(({ authority }) => !authority);
  const judged = (own.length > 0 ? own : certificates).map((one) => ({ one, names: namesFor(file, one) }));
  const flaws = judged.flatMap(({ one, names }) => ("message" in names ? [names] : (misused(one) ?? [])));
  if (flaws[0] !== undefined) warn(building, file, flaws[0]);
  return judged.flatMap(({ one, names }) =>
    "message" in names || misused(one) !== undefined ? [] : [{ certificate: one.x509.toString(), ...names, file }],
  );
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

type Names = Pick<SmimeRecipientSettings, "addresses" | "domains">;

/** `@acme.example.pem` speaks for a domain; any other name says nothing but where the certificate names no address. */
function namesFor(file: string, { emails, authority }: Candidate): Names | Flaw {
  const stem = basename(file).replace(READ, "");
  if (authority && emails.length === 0)
    return {
      message: "is the certificate of an authority, which encrypts no mail",
      remedy: "ask for the certificate of the recipient",
    };
  if (stem.startsWith("@")) {
    const domain = parseDomainName(stem.slice(1));
    if (domain !== undefined) return { addresses: emails, domains: [domain] };
    return { message: `${stem.slice(1)} is no domain`, remedy: "name the file @DOMAIN.pem for all of a domain" };
  }
  const mailbox = parseMailbox(stem);
  const written = mailbox && mailboxKey(mailbox);
  if (emails.length === 0) {
    if (written !== undefined) return { addresses: [written], domains: [] };
    const remedy = "name the file ADDRESS.pem, or @DOMAIN.pem for all of a domain";
    return { message: "the certificate names no mail address", remedy };
  }
  if (written === undefined || emails.includes(written)) return { addresses: emails, domains: [] };
  const remedy = `name the file ${emails[0]}.pem, or ask for the certificate of ${written}`;
  return { message: `the certificate is for ${emails.join(", ")}, not for ${written}`, remedy };
}

/** RFC 8550 §4.4.2 and §4.4.4: what it may not be used for. */
function misused({ purposes, usage }: Candidate): Flaw | undefined {
  const remedy = "ask for the certificate that mail is encrypted to";
  if (purposes !== undefined && !purposes.includes(EMAIL_PROTECTION) && !purposes.includes(ANY_PURPOSE)) {
    return { message: "the certificate is not for mail", remedy };
  }
  const encrypts = usage === undefined || usage.has(KEY_USAGE.keyEncipherment) || usage.has(KEY_USAGE.keyAgreement);
  return encrypts ? undefined : { message: "the certificate signs only and cannot be encrypted to", remedy };
}

/** One that has ended is no word worth where another is there for all of its names. */
function warnOfEnded(building: Building, found: readonly SmimeRecipientSettings[]): void {
  const dated = found.map((one) => ({ one, endsAt: new X509Certificate(one.certificate).validToDate.getTime() }));
  const holders = ({ addresses, domains }: Names): string[] => [...addresses, ...domains];
  const served = new Set(dated.filter(({ endsAt }) => endsAt > building.now).flatMap(({ one }) => holders(one)));
  for (const { one, endsAt } of dated) {
    const lost = endsAt > building.now ? undefined : holders(one).find((holder) => !served.has(holder));
    if (lost === undefined) continue;
    const message = `the certificate ended on ${dayOf(endsAt)}: nothing is encrypted to ${lost}`;
    warn(building, one.file, { message, remedy: "ask for the next one, and put it beside" });
  }
}
