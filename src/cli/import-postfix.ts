/**
 * `sealpost import postfix-tls-policy FILE`: partner files out of Postfix's policies, all or none, and a report of what
 * has no equal. Writes over nothing; what was written loads, or is taken away again.
 */
import { readFile, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Settings } from "../config/settings.ts";
import { isBelow } from "../mail/domain-name.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { makeFiles } from "./new-files.ts";
import { type Import, type PartnerDraft, partnersFrom } from "./postfix-partners.ts";
import { readPostfixPolicies } from "./postfix-policy.ts";
import { loadSettings, printProblems, shownPath } from "./settings.ts";
import { count, printable, table } from "./text.ts";

export interface ImportOptions {
  /** Folder of partner files; that beside sealpost.yaml when absent. */
  readonly out?: string;
  readonly dryRun?: boolean;
}

export async function importPostfix(
  deps: CliDeps,
  common: Common,
  source: string,
  { out, dryRun = false }: ImportOptions,
): Promise<ExitCode> {
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const path = resolve(deps.cwd, source);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => ({ code: error.code }));
  if (typeof text !== "string")
    return refuse(deps, EXIT.usage, [`${source} cannot be read (${text.code ?? "error"}).`]);
  const imported = partnersFrom(readPostfixPolicies(text), {
    level: settings.policy.default.tls.level,
    minVersion: settings.policy.default.tls.minVersion,
    isTaken: takenBy(settings),
    absolute: (file) => resolve(dirname(path), file),
  });
  const folder = out === undefined ? join(dirname(settings.file), "partners") : resolve(deps.cwd, out);
  const drafts = { folder, partners: imported.partners, isLoaded: out === undefined };
  const problem = dryRun ? undefined : await write(deps, common, drafts);
  if (problem !== undefined) return problem;
  report(deps, common, imported, { folder, dryRun });
  return imported.notes.some(({ leftOut }) => leftOut) ? EXIT.no : EXIT.good;
}

function takenBy({ policy }: Settings): (domain: string) => boolean {
  const exact = new Set([
    ...policy.ownDomains.map(({ domain }) => domain),
    ...policy.partners.flatMap(({ domains }) => domains),
  ]);
  const below = new Set(policy.partners.flatMap(({ subdomainsOf }) => subdomainsOf));
  return (domain) => {
    if (domain.startsWith(".")) return below.has(domain.slice(1));
    return exact.has(domain) || [...below].some((parent) => isBelow(domain, parent));
  };
}

interface Drafts {
  readonly folder: string;
  readonly partners: readonly PartnerDraft[];
  /** The configuration reads this folder, so they are tried at once. */
  readonly isLoaded: boolean;
}

/** Undefined when all of them are there. */
async function write(
  deps: CliDeps,
  common: Common,
  { folder, partners, isLoaded }: Drafts,
): Promise<ExitCode | undefined> {
  const files = partners.map(({ id, yaml }) => ({ path: join(folder, `${id}.yaml`), content: yaml, secret: false }));
  const made = await makeFiles(files);
  if (!made.ok) {
    const why = made.why === "exists" ? "is there already" : `cannot be written (${made.code})`;
    return refuse(deps, EXIT.no, [`${shownPath(deps, made.path)} ${why}; nothing was written.`]);
  }
  const now = isLoaded ? await deps.loadConfig(common.config) : undefined;
  if (now === undefined || now.ok) return undefined;
  for (const { path } of files) await rm(path, { force: true });
  printProblems(deps, now.problems, "red");
  return refuse(deps, EXIT.configuration, [
    "With these files the configuration has problems; they were taken away again.",
  ]);
}

function report(
  deps: CliDeps,
  common: Common,
  { partners, notes }: Import,
  { folder, dryRun }: { readonly folder: string; readonly dryRun: boolean },
): void {
  const pathOf = ({ id }: PartnerDraft): string => shownPath(deps, join(folder, `${id}.yaml`));
  if (common.json) {
    const written = partners.map((one) => ({
      file: pathOf(one),
      domains: one.domains,
      level: one.level,
      yaml: one.yaml,
    }));
    printJson(deps, { dryRun, partners: written, notes });
    return;
  }
  if (dryRun) for (const one of partners) deps.stdout.write(`--- ${pathOf(one)}\n${one.yaml}\n`);
  const rows = partners.map((one) => [one.level, one.domains.join(", "), pathOf(one)]);
  for (const line of table([["LEVEL", "DOMAINS", "FILE"], ...rows])) deps.stdout.write(`${line}\n`);
  deps.stdout.write(
    `\n${count(partners.length, "partner file")} ${dryRun ? "would be" : partners.length === 1 ? "is" : "are"} written.\n`,
  );
  for (const { line, key, text, leftOut } of notes) {
    deps.stdout.write(`line ${line}, ${printable(key)}: ${leftOut ? "left out: " : ""}${printable(text)}\n`);
  }
}
