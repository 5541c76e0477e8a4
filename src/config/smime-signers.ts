/**
 * `smime` of `domains`: the folder with the keys that sign, one file for each sender, `_gateway` for all others. Files
 * are judged before anything is told to sign with them. Never puts key material into a message.
 */
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { ancestry } from "../mail/domain-name.ts";
import { isAddressLiteral, type Mailbox, mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import type { SmimeSignerSettings } from "../mail/treatment.ts";
import { readCandidate } from "../transform/smime/candidate.ts";
import { readSigner } from "../transform/smime/keys.ts";
import type { Building } from "./building.ts";
import { type Located, originAt, type Path } from "./located.ts";
import { readPassword } from "./password-file.ts";
import { type Flaw, shown } from "./problems.ts";
import { dayOf } from "./scalars.ts";
import type { OwnDomainEntry, SignerEntry } from "./schema/own-domains.ts";
import { isMailPurpose } from "./smime-recipients.ts";

/** A signer with the domain of its address; null: it signs for all. */
export interface Signer {
  readonly domain: string | null;
  readonly settings: SmimeSignerSettings;
}

/** Our own domains, as far as they are known. */
export interface OwnEntries {
  readonly entries: readonly OwnDomainEntry[];
  /** False: some were left out for what is wrong in them, so nobody is told that a domain is missing. */
  readonly complete: boolean;
}

interface SignerFolder extends OwnEntries {
  readonly entry: SignerEntry;
  /** Those whose keys may lie there: of every entry that names the folder. */
  readonly domains: readonly string[];
}

const READ = /\.(?:p12|pfx|pem)$/i;
const SILENT = /^\.|~$|^[^.]+$|\.(?:crt|cer|der|csr|key|pub|password|md|txt|old|bak)$/i;
const GATEWAY = "_gateway";
const RENAME = "name it ADDRESS.p12 or ADDRESS.pem, or _gateway.p12 for all other senders";

const REQUEST = "sealpost smime request";
/** Of the entry at `path`. */
export function readSigners(building: Building, tree: Located, path: Path, own: OwnEntries): readonly Signer[] {
  const entry = own.entries[Number(path[1])]?.smime ?? undefined;
  if (entry === undefined) return [];
  const { access, problems } = building;
  const at = originAt(tree, [...path, "smime", "directory"]);
  const folder = access.absolute(at, entry.directory);
  const names = access.list(at, entry.directory);
  if (names === "missing") {
    const remedy = "create it, or correct the path, which is relative to this file";
    problems.add(at, `${shown(entry.directory)} is no folder`, remedy);
    return [];
  }
  const sharing = own.entries.filter((one) => one.smime && access.absolute(at, one.smime.directory) === folder);
  const domains = sharing.flatMap((one) => one.domain);
  const place = { building, tree, path: [...path, "smime"], folder, names };
  const files = holders(place);
  if (files.length === 0)
    problems.warn(at, `${shown(entry.directory)} holds no key to sign with`, `put one there, and ${RENAME}`);
  return files.flatMap(({ name, holder }) => readOne(place, { ...own, entry, domains }, name, holder) ?? []);
}

/** The files that hold keys, each holder once; of others than those that belong there, a word. */
function holders({ building, folder, names }: Place): { readonly name: string; readonly holder: Holder }[] {
  const { problems } = building;
  const seen = new Map<string, string>();
  return names.flatMap((name) => {
    if (SILENT.test(name)) return [];
    const at = { file: join(folder, name), line: 1, column: 1 };
    const holder = READ.test(name) ? holderOf(name) : undefined;
    if (holder === undefined) {
      problems.warn(at, "nobody signs with this file", `${RENAME}; or put it elsewhere`);
      return [];
    }
    const key = holder === GATEWAY ? holder : mailboxKey(holder);
    const before = seen.get(key);
    seen.set(key, name);
    if (before === undefined) return [{ name, holder }];
    problems.add(at, `${before} is there already for ${key}`, "remove one of the two");
    return [];
  });
}

interface Place {
  readonly building: Building;
  readonly tree: Located;
  readonly path: Path;
  /** Absolute. */
  readonly folder: string;
  readonly names: readonly string[];
}

type Holder = Mailbox | typeof GATEWAY;

function holderOf(name: string): Holder | undefined {
  const stem = name.replace(READ, "");
  return stem.toLowerCase() === GATEWAY ? GATEWAY : parseMailbox(stem);
}

function readOne(place: Place, own: SignerFolder, name: string, holder: Holder): Signer | undefined {
  const { building } = place;
  const { entry, domains } = own;
  const at = { file: join(place.folder, name), line: 1, column: 1 };
  const fail = ({ message, remedy }: Flaw): undefined => {
    building.problems.add(at, message, remedy);
  };
  const domain = holder === GATEWAY ? null : domainOf(holder, own);
  if (domain === undefined || (domain !== null && !domains.includes(domain))) {
    if (!own.complete) return undefined;
    const message = `the address is in none of the domains that name this folder: ${domains.join(", ")}`;
    return fail({ message, remedy: "write its domain below domains, or move the file to the folder of that domain" });
  }
  const groupMay = entry.allow_group_read ?? building.groupMay;
  const content = building.access.secretBytes(at, name, groupMay);
  if (content === undefined) return undefined;
  const password = passwordFor(place, entry, name, groupMay);
  if (password === null) return undefined;
  const read = readSigner(content, password);
  if ("problem" in read) return fail({ message: read.problem, remedy: read.remedy });
  const { certificate, chain, key } = read;
  const address = holder === GATEWAY ? undefined : mailboxKey(holder);
  const flaw = misfit(certificate, address);
  if (flaw !== undefined) return fail(flaw);
  warnOfDates(building, at, certificate);
  return { domain, settings: { ...(address !== undefined && { address }), certificate, chain, key } };
}

/** The nearest of our domains, itself or above. */
function domainOf({ domain }: Mailbox, { entries }: OwnEntries): string | undefined {
  if (isAddressLiteral(domain)) return undefined;
  const ours = new Set<string>(entries.flatMap((one) => one.domain));
  return [...ancestry(domain)].find((name) => ours.has(name));
}

/** That of `ADDRESS.password` beside the file, else that of `password_file`; null when it is not to be had, which was told. */
function passwordFor(place: Place, entry: SignerEntry, name: string, groupMay: boolean): string | undefined | null {
  const { building, tree, path, folder, names } = place;
  const own = name.replace(READ, ".password");
  if (names.includes(own)) {
    const at = { file: join(folder, own), line: 1, column: 1 };
    return readPassword(building, at, own, groupMay) ?? null;
  }
  if (entry.password_file === undefined) return undefined;
  const at = originAt(tree, [...path, "password_file"]);
  return readPassword(building, at, entry.password_file, groupMay) ?? null;
}

/** What keeps recipients from believing a signature (RFC 8550 §3, §4.4.4). */
function misfit(pem: string, address: string | undefined): Flaw | undefined {
  const candidate = readCandidate(new X509Certificate(pem).raw);
  if (candidate === undefined) return { message: "the certificate cannot be read", remedy: "export the file anew" };
  const { emails, purposes } = candidate;
  if (!isMailPurpose(purposes))
    return { message: "the certificate is not for mail", remedy: `have one issued that is: ${REQUEST}` };
  if (address === undefined || emails.includes(address)) return undefined;
  if (emails[0] === undefined) {
    return { message: `the certificate does not name ${address}`, remedy: `have one issued that does: ${REQUEST}` };
  }
  const message = `the certificate is for ${emails.join(", ")}, not for ${address}`;
  return { message, remedy: `name the file after ${emails[0]}` };
}

function warnOfDates(
  { problems, now }: Building,
  at: { file: string; line: number; column: number },
  pem: string,
): void {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  if (validToDate.getTime() <= now) {
    problems.warn(at, `the certificate ended on ${dayOf(validToDate.getTime())} and no longer signs`, "renew it");
  } else if (validFromDate.getTime() > now) {
    problems.warn(at, `the certificate begins on ${dayOf(validFromDate.getTime())}`, "check the clock, or wait");
  }
}
