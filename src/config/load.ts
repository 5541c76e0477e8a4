/**
 * sealpost.yaml and the partner files to one validated snapshot, or to every problem there is. Whole or not at all:
 * settings are handed out only when nothing is wrong. Starts nothing and, but for the certificate made at first start,
 * changes nothing.
 */
import { dirname, join, resolve } from "node:path";
import { assemble, type PartnerFile } from "./assemble.ts";
import type { ConfigDeps } from "./building.ts";
import { checkSchema } from "./check-schema.ts";
import { createFileAccess, type FileAccess } from "./file-access.ts";
import type { Located } from "./located.ts";
import { createProblems, type Problems } from "./problems.ts";
import { readYaml } from "./read-yaml.ts";
import { gateway } from "./schema/gateway.ts";
import { partner } from "./schema/partner.ts";
import type { Loaded } from "./settings.ts";

/** `generation` counts reloads, from 1. Never throws for what stands in a file. */
export async function loadConfig(file: string, deps: ConfigDeps, generation = 1): Promise<Loaded> {
  const problems = createProblems();
  const access = createFileAccess(deps.files, problems);
  const path = resolve(file);
  const main = readTree(path, deps, access, problems);
  const partners = readPartners(join(dirname(path), "partners"), deps, access, problems);
  const checked = main && checkSchema(gateway, main, ["listeners", "domains", "exceptions", "rules"], problems);
  const settings = checked && (await assemble(checked, partners, { file: path, deps, generation, access, problems }));
  const errors = problems.errors();
  const warnings = problems.warnings();
  if (settings === undefined || errors.length > 0) return { ok: false, problems: errors };
  return { ok: true, settings: { ...settings, files: access.readFiles(), folders: access.readFolders() }, warnings };
}

function readTree(path: string, deps: ConfigDeps, access: FileAccess, problems: Problems): Located | undefined {
  const text = access.text({ file: path, line: 1, column: 1 }, path);
  return text === undefined ? undefined : readYaml({ file: path, text }, deps.env, problems);
}

function readPartners(folder: string, deps: ConfigDeps, access: FileAccess, problems: Problems): PartnerFile[] {
  const names = deps.files.list(folder);
  if (names === "missing") return [];
  if (names === "not-readable") {
    const remedy = "give the user that runs sealpost the right to read it";
    problems.add({ file: folder, line: 1, column: 1 }, "the folder cannot be read", remedy);
    return [];
  }
  return names.flatMap((name) => {
    const file = join(folder, name);
    if (name.startsWith(".")) return [];
    const [, stem] = /^(.+)\.ya?ml$/i.exec(name) ?? [];
    if (stem !== undefined && !name.endsWith(".yaml")) {
      const remedy = `rename it to ${stem}.yaml`;
      problems.add({ file, line: 1, column: 1 }, "only files whose names end in .yaml are read", remedy);
    }
    if (!name.endsWith(".yaml")) return [];
    const tree = readTree(file, deps, access, problems);
    const checked = tree && checkSchema(partner, tree, ["exceptions"], problems);
    return checked === undefined ? [] : [{ file, checked }];
  });
}
