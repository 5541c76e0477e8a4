/**
 * `sealpost import postfix-tls-policy FILE`: partner files from Postfix's smtp_tls_policy_maps. Every domain gets what
 * Postfix demanded of it, or more; what cannot be said here keeps its mail until a person has said it. Nothing that is
 * there is overwritten, and nothing is written that would not load.
 */
import { basename, dirname, join, resolve } from "node:path";
import { diskFiles, type Files } from "../config/files.ts";
import { lostFile } from "../config/file-access.ts";
import { loadConfig } from "../config/load.ts";
import { DAY_MS, dayOf } from "../config/scalars.ts";
import type { Problem, Settings } from "../config/settings.ts";
import { isBelow } from "../mail/domain-name.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, refuse } from "./deps.ts";
import { tellImport } from "./import-report.ts";
import { makeFiles } from "./new-files.ts";
import { type Arranged, arrange, type PartnerDraft } from "./postfix/arrange.ts";
import { closed, type Standard } from "./postfix/demand.ts";
import { lineDemand } from "./postfix/line.ts";
import { partnerText } from "./postfix/partner-text.ts";
import { readTable } from "./postfix/table.ts";
import { readRoutes, type Route } from "./postfix/transport.ts";
import { loadSettings, printProblems } from "./settings.ts";

export interface ImportOptions {
  readonly file: string;
  readonly transport?: string;
  readonly out?: string;
  readonly dryRun?: boolean;
}

/** A file as it will be written. */
export interface ImportedFile {
  readonly path: string;
  readonly text: string;
  readonly draft: PartnerDraft;
}

/** Ends with 1 when a line was left out, or a file needs completing. */
export async function importPostfix(deps: CliDeps, common: Common, options: ImportOptions): Promise<ExitCode> {
  const table = textOf(deps, options.file);
  const transport = options.transport === undefined ? { ok: true as const, text: "" } : textOf(deps, options.transport);
  for (const read of [table, transport]) if (!read.ok) return refuse(deps, EXIT.no, [read.why]);
  if (!table.ok || !transport.ok) return EXIT.no;
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const folder = join(dirname(resolve(deps.cwd, common.config)), "partners");
  const out = options.out === undefined ? folder : resolve(deps.cwd, options.out);
  const { routes, left } = readRoutes(transport.text);
  const source = resolve(deps.cwd, options.file);
  const arranged = arranging(table.text, routes, { settings, out, source });
  const naming = { table: basename(options.file), until: dayOf(deps.clock.now() + 30 * DAY_MS) };
  const checked = await loadable(deps, { common, folder, drafts: arranged.drafts, naming });
  if ("problems" in checked) {
    printProblems(deps, checked.problems, "red");
    return refuse(deps, EXIT.configuration, ["Nothing was written."]);
  }
  const files = checked.files.map((file) => ({ ...file, path: join(out, basename(file.path)) }));
  if (options.dryRun !== true) {
    const made = await makeFiles(files.map(({ path, text }) => ({ path, content: text, secret: false })));
    if (!made.ok) {
      const why = made.why === "exists" ? "is there already" : `cannot be written (${made.code})`;
      return refuse(deps, EXIT.configuration, [`${made.path} ${why}: nothing was written.`]);
    }
  }
  const report = {
    files,
    left: arranged.left,
    routesLeft: left,
    dryRun: options.dryRun === true,
    inForce: out === folder,
  };
  tellImport(deps, common, report);
  const complete = arranged.left.length === 0 && files.every(({ draft }) => draft.demand.verdict !== "closed");
  return complete ? EXIT.good : EXIT.no;
}

type Read = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly why: string };

function textOf(deps: CliDeps, file: string): Read {
  const read = diskFiles.read(resolve(deps.cwd, file));
  if (read.ok) return read;
  return { ok: false, why: `${lostFile(file, read.why).message}.` };
}

interface Surroundings {
  readonly settings: Settings;
  /** The policy table. */
  readonly source: string;
  /** Where the files will be. */
  readonly out: string;
}

function arranging(table: string, routes: readonly Route[], { settings, out, source }: Surroundings): Arranged {
  const { level, minVersion, profile } = settings.policy.default.tls;
  const standard: Standard = { level, minVersion, profile: profile.name, ciphers: profile.ciphers };
  const absolute = (path: string): string => resolve(dirname(source), path);
  const isFile = (path: string): boolean => diskFiles.read(path).ok;
  const there = diskFiles.list(out);
  return arrange({
    entries: readTable(table),
    routes,
    demandOf: (entry, key) => lineDemand(entry.value, { key, standard, isFile, absolute }),
    taken: (pattern) => takenBy(settings, pattern) ?? fileThere(pattern, there === "missing" ? [] : there),
  });
}

/** Which file speaks for it already. An exact name would beat the pattern that it lies under, and so the partner's policy. */
function takenBy({ policy, accept }: Settings, pattern: string): string | undefined {
  const name = pattern.replace(/^\./, "");
  const isExact = name === pattern;
  if (isExact && accept.ownDomains.includes(name)) {
    return "is a domain of our own: write its next_hop_tls below domains in sealpost.yaml";
  }
  const partner = policy.partners.find(
    ({ domains, subdomainsOf }) =>
      (isExact ? domains : subdomainsOf).includes(name) || subdomainsOf.some((parent) => isBelow(name, parent)),
  );
  if (partner !== undefined) return `${partner.id}.yaml speaks for it`;
  const excepted = policy.defaultExceptions.flatMap(({ exception }) => exception?.domains ?? []);
  if (!excepted.some((one) => ("host" in one ? one.host : `.${one.below}`) === pattern)) return undefined;
  return "sealpost.yaml has an exception for it: write the file by hand, and the exception into it";
}

function fileThere(pattern: string, there: readonly string[] | "not-readable"): string | undefined {
  const name = `${pattern.startsWith(".") ? `_below${pattern}` : pattern}.yaml`;
  return there.includes(name) ? `${name} is there already` : undefined;
}

interface Checking {
  readonly common: Common;
  readonly folder: string;
  readonly drafts: readonly PartnerDraft[];
  readonly naming: { readonly table: string; readonly until: string };
}

/** Loads the configuration as it will be. A file with a problem is closed, and says which; it loads in that form. */
async function loadable(
  deps: CliDeps,
  { common, folder, drafts, naming }: Checking,
): Promise<{ readonly files: readonly ImportedFile[] } | { readonly problems: readonly Problem[] }> {
  const files = drafts.map((draft) => fileOf(draft, folder, naming));
  const problems = await problemsWith(deps, common, files);
  if (problems.length === 0) return { files };
  const mended = files.map((file) => {
    const own = problems.filter((problem) => problem.file === file.path).map(({ message }) => message);
    const { demand } = file.draft;
    return own.length === 0
      ? file
      : fileOf({ ...file.draft, demand: closed(own.join("; "), demand.notes) }, folder, naming);
  });
  const still = await problemsWith(deps, common, mended);
  return still.length === 0 ? { files: mended } : { problems: still };
}

function fileOf(draft: PartnerDraft, folder: string, naming: Checking["naming"]): ImportedFile {
  return { path: join(folder, `${draft.id}.yaml`), text: partnerText(draft, naming), draft };
}

async function problemsWith(
  deps: CliDeps,
  common: Common,
  files: readonly ImportedFile[],
): Promise<readonly Problem[]> {
  const loaded = await loadConfig(resolve(deps.cwd, common.config), {
    files: overlaid(new Map(files.map(({ path, text }) => [path, text]))),
    env: deps.env,
    clock: deps.clock,
    // Nothing is made for a look.
    selfSigned: () => Promise.resolve({ certificate: "", key: "", names: [] }),
  });
  return loaded.ok ? [] : loaded.problems;
}

/** The disk with some files more. */
function overlaid(more: ReadonlyMap<string, string>): Files {
  const bytesOf = (path: string) => {
    const text = more.get(path);
    return text === undefined ? undefined : ({ ok: true, mode: 0o644, owner: "us", text } as const);
  };
  return {
    read: (path) => bytesOf(path) ?? diskFiles.read(path),
    bytes: (path) => {
      const found = bytesOf(path);
      return found === undefined ? diskFiles.bytes(path) : { ...found, bytes: Buffer.from(found.text) };
    },
    list: (folder) => {
      const names = [...more.keys()].filter((path) => dirname(path) === folder).map((path) => basename(path));
      const there = diskFiles.list(folder);
      if (there === "not-readable" || names.length === 0) return there;
      return [...new Set([...(there === "missing" ? [] : there), ...names])].toSorted();
    },
  };
}
