/**
 * `sealpost smime import FILE…`: certificates of partners, judged and put where the gateway looks for them. What cannot be
 * used to encrypt to its holder is not taken, and what is there stays. Whether a certificate is really its holder's, only
 * people can say: hence the fingerprint.
 */
import { readFile, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { placedFor } from "../config/smime-recipients.ts";
import { parseDomainName } from "../mail/domain-name.ts";
import { mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import { type Candidate, readCandidate } from "../transform/smime/candidate.ts";
import { findGateway } from "./admin-client.ts";
import { certificatesIn } from "./certificate-files.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { canNameFile, keepCertificate, keptCertificates } from "./partner-files.ts";
import { shownPath } from "./settings.ts";
import { described, judgeRecipient } from "./smime-certificates.ts";
import { count, painter, printable } from "./text.ts";
import { partnersFolder } from "./written-paths.ts";

export interface SmimeImportOptions {
  readonly files: readonly string[];
  /** As it was written: an address, or `@domain`. */
  readonly for?: string;
}

/** Ends with 1 when a file brought nothing. */
export async function smimeImport(deps: CliDeps, common: Common, options: SmimeImportOptions): Promise<ExitCode> {
  const holder = options.for === undefined ? undefined : holderOf(options.for);
  if (options.for !== undefined && holder === undefined) {
    const given = JSON.stringify(options.for);
    return refuse(deps, EXIT.usage, [
      `--for ${given} is neither an address nor a domain. Write bea@acme.example or @acme.example.`,
    ]);
  }
  const folder = partnersFolder(deps, common);
  const results: Result[] = [];
  for (const file of options.files) results.push(...(await importFile(deps, { file, folder, holder })));
  for (const result of results) tell(deps, common, result);
  const kept = results.filter(({ ok }) => ok).length;
  if (kept > 0) await announce(deps, common, kept);
  if (results.some((one) => !one.ok && one.failed === true)) return EXIT.configuration;
  return results.every((one) => one.ok || one.skipped === true) ? EXIT.good : EXIT.no;
}

type Result =
  | {
      readonly ok: true;
      readonly certificate: Candidate;
      readonly holders: readonly string[];
      readonly path: string;
      readonly beside: boolean;
    }
  | {
      readonly ok: false;
      /** A sentence without its full stop. */
      readonly why: string;
      /** Nothing is amiss: another one of the file is what was wanted. */
      readonly skipped?: true;
      /** The disk said no. */
      readonly failed?: true;
    };

/** `bea@acme.example` or `@acme.example`, in the one form of each. */
function holderOf(text: string): string | undefined {
  if (text.startsWith("@")) {
    const domain = parseDomainName(text.slice(1));
    return domain === undefined ? undefined : `@${domain}`;
  }
  const mailbox = parseMailbox(text);
  return mailbox === undefined ? undefined : mailboxKey(mailbox);
}

interface Asked {
  readonly file: string;
  readonly folder: string;
  readonly holder: string | undefined;
}

async function importFile(deps: CliDeps, asked: Asked): Promise<Result[]> {
  const { file } = asked;
  const content = await contentOf(resolve(deps.cwd, file));
  if (typeof content === "string") return [{ ok: false, why: `${file} ${content}` }];
  const found = certificatesIn(content);
  if (!found.ok) return [{ ok: false, why: `${file} ${found.message}. ${found.remedy}` }];
  const all = found.certificates.flatMap(({ raw }) => readCandidate(raw) ?? []);
  const leaves = all.filter(({ authority }) => !authority);
  if (leaves.length === 0) {
    const why = all.length === 0 ? "has a key of an unknown kind" : "holds certificates of authorities only";
    return [{ ok: false, why: `${file} ${why}. Ask for the certificate of the recipient` }];
  }
  const judged = leaves.map((certificate) => ({ certificate, ...holdersFor(certificate, asked.holder) }));
  const usable = judged.map(
    ({ certificate, holders, why }) => why ?? judgeRecipient(certificate, holders, deps.clock.now()).problems[0],
  );
  const anyFits = usable.includes(undefined);
  const results: Result[] = [];
  for (const [at, { certificate, holders }] of judged.entries()) {
    const problem = usable[at];
    // Who signs with one key and decrypts with another sends both certificates.
    if (problem !== undefined)
      results.push({ ok: false, why: `${file}: ${certificate.subject} ${problem}`, ...(anyFits && { skipped: true }) });
    else results.push(await keep(deps, asked, { certificate, holders, between: all.filter((one) => one.authority) }));
  }
  return results;
}

const LARGEST_FILE = 64 * 1024 * 1024;

async function contentOf(path: string): Promise<Buffer | string> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) return "is no file";
    return stats.size > LARGEST_FILE ? "is larger than 64 MiB" : await readFile(path);
  } catch {
    return "cannot be read";
  }
}

/** Whom it is for, first the one that its file is named after; the gateway reads it in the same way. */
function holdersFor({ emails }: Candidate, wanted: string | undefined): { holders: readonly string[]; why?: string } {
  if (wanted === undefined) {
    // The file is named after the first, and the word of who imports it is for that one's domain.
    if (emails.length > 0) return { holders: placedFor(emails, undefined).addresses };
    return { holders: [], why: "names no address. Say whose it is: --for ADDRESS, or --for @DOMAIN" };
  }
  const placed = placedFor(emails, wanted);
  const holders = [...new Set([wanted, ...placed.addresses])];
  if (!canNameFile(wanted) && !emails.includes(wanted))
    return { holders, why: `does not name ${wanted}, and no file can be named after that` };
  if (wanted.startsWith("@") || placed.addresses.length > 0) return { holders };
  return { holders, why: `is for ${emails.join(", ")}: nothing would be encrypted to ${wanted} with it` };
}

interface Keeping {
  readonly certificate: Candidate;
  readonly holders: readonly string[];
  /** Of authorities, from the same file. */
  readonly between: readonly Candidate[];
}

async function keep(
  deps: CliDeps,
  { folder, holder = "" }: Asked,
  { certificate, holders, between }: Keeping,
): Promise<Result> {
  const places = (await keptCertificates(folder)).get(certificate.x509.fingerprint256) ?? [];
  // Vouched for by name, it may stand in a second file: a file's name tells whom it is for.
  const known = canNameFile(holder) ? places.find((path) => basename(path) === `${holder}.pem`) : places[0];
  if (known !== undefined) {
    return { ok: false, why: `${certificate.subject} is in ${shownPath(deps, known)} already` };
  }
  const pems = [certificate, ...between].map(({ x509 }) => x509.toString());
  const draft = deps.random.bytes(6).toString("hex");
  const kept = await keepCertificate({ folder, holders, fingerprint: certificate.x509.fingerprint256, pems, draft });
  if ("code" in kept)
    return { ok: false, why: `${shownPath(deps, kept.path)} cannot be written (${kept.code})`, failed: true };
  return { ok: true, certificate, holders, ...kept };
}

function tell(deps: CliDeps, common: Common, result: Result): void {
  if (!result.ok) {
    if (common.json) printJson(deps, { ok: false, problem: result.why, skipped: result.skipped === true });
    else deps.stderr.write(`${result.skipped === true ? "left out: " : ""}${printable(result.why)}.\n`);
    return;
  }
  const { certificate, holders, path, beside } = result;
  const facts = described(certificate);
  if (common.json) return printJson(deps, { ok: true, for: holders, ...facts, file: path });
  const paint = painter(deps.stdout, deps.env);
  deps.stdout.write(
    [
      `${paint("bold", printable(holders.join(", ")))}, in ${shownPath(deps, path)}${beside ? ", beside what was there" : ""}`,
      `  ${printable(facts.subject)}, by ${printable(facts.issuer)}`,
      `  ${facts.keyType}, until ${facts.notAfter}`,
      `  SHA-256 ${facts.sha256}`,
      "",
    ].join("\n"),
  );
}

/** The gateway that runs takes new files by itself, but not at once. */
async function announce(deps: CliDeps, common: Common, kept: number): Promise<void> {
  const paint = painter(deps.stderr, deps.env);
  const say = (line: string): void => void (common.json || deps.stderr.write(`${paint("dim", line)}\n`));
  const which = kept === 1 ? "the fingerprint" : `the fingerprints of ${count(kept, "certificate")}`;
  say(`Compare ${which} with the holder by telephone: who sends a wrong one reads our mail.`);
  const loaded = await deps.loadConfig(common.config);
  if (!loaded.ok) return say("The configuration has problems; when they are mended: sealpost reload");
  const client = await findGateway(loaded.settings);
  if (client === undefined) return say("No gateway runs here; it takes what was imported at its start.");
  const answer = await client.post("/api/v1/reload");
  if (answer.kind === "done") return say("The running gateway encrypts with what was imported from now on.");
  say("The running gateway could not be told. See to it: sealpost reload");
}
