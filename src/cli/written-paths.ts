/**
 * Folders that sealpost.yaml names, read from its text: commands that put files there must work before the configuration
 * is valid, since a folder or key that is named must be there.
 */
import { dirname, resolve } from "node:path";
import { diskFiles } from "../config/files.ts";
import { plain } from "../config/located.ts";
import { createProblems } from "../config/problems.ts";
import { readYaml } from "../config/read-yaml.ts";
import type { CliDeps, Common } from "./deps.ts";

/** What the file says as a plain tree, however wrong it is; undefined where it cannot be read. */
export function writtenConfiguration(deps: CliDeps, { config }: Common): unknown {
  const path = resolve(deps.cwd, config);
  const read = diskFiles.read(path);
  const tree = read.ok ? readYaml({ file: path, text: read.text }, deps.env, createProblems()) : undefined;
  return tree === undefined ? undefined : plain(tree);
}

/** Absolute; paths in the file are relative to it, and so are those that hold where it says nothing. */
export function besideConfiguration(deps: CliDeps, { config }: Common, written: string): string {
  return resolve(dirname(resolve(deps.cwd, config)), written);
}

/** Where certificates of partners are. */
export function partnersFolder(deps: CliDeps, common: Common): string {
  const folder = textAt(writtenConfiguration(deps, common), "smime", "partners");
  return besideConfiguration(deps, common, folder ?? "../certs/smime/partners");
}

/** Where the S/MIME keys of one of our domains are. */
export function signersFolder(deps: CliDeps, common: Common, domain: string): string {
  const domains = (writtenConfiguration(deps, common) as { domains?: unknown } | null | undefined)?.domains;
  const entries: unknown[] = Array.isArray(domains) ? domains : [domains];
  const entry = entries.find((one) => {
    const names = (one as { domain?: unknown } | null | undefined)?.domain;
    return (Array.isArray(names) ? names : [names]).some((name) => String(name).toLowerCase() === domain);
  });
  return besideConfiguration(deps, common, textAt(entry, "smime", "directory") ?? "../certs/smime");
}

function textAt(tree: unknown, ...path: readonly string[]): string | undefined {
  let at = tree;
  for (const key of path) at = (at as Record<string, unknown> | null | undefined)?.[key];
  return typeof at === "string" && at !== "" ? at : undefined;
}
