/** Loads a configuration from files held in memory, under /etc/sealpost, at a fixed day. Sees no disk. */
import { isUtf8 } from "node:buffer";
import { dirname, resolve } from "node:path";
import type { Files } from "../../../src/config/files.ts";
import { loadConfig } from "../../../src/config/load.ts";
import type { Loaded, Problem, Settings } from "../../../src/config/settings.ts";
import type { OutboundPolicy, PartnerPolicy } from "../../../src/decide/policy.ts";

export const ROOT = "/etc/sealpost/config";
export const NOW = Date.UTC(2026, 10, 24, 12);

/** Text, or a file with its mode (0600 by default) and owner. */
export type Held =
  | string
  | Buffer
  | { readonly text?: string | Buffer; readonly mode?: number; readonly owner?: "us" | "root" | "other" };
/** By path relative to the folder of sealpost.yaml. */
export type Tree = Readonly<Record<string, Held>>;

/** What every row starts from: loads without a problem. */
export const BASE = [
  "hostname: relay.example.org",
  "listeners:",
  "  - {name: smarthost, clients: [127.0.0.0/8]}",
  "",
].join("\n");

export function memoryFiles(tree: Tree): Files {
  const held = new Map(Object.entries(tree).map(([path, file]) => [resolve(ROOT, path), file]));
  const bytes: Files["bytes"] = (path) => {
    const file = held.get(path);
    if (file === undefined) return { ok: false, why: foldersOf(held.keys()).has(path) ? "not-a-file" : "missing" };
    const { text, mode = 0o600, owner = "us" } = isBare(file) ? { text: file } : file;
    return text === undefined
      ? { ok: false, why: "not-readable" }
      : { ok: true, bytes: Buffer.from(text), mode, owner };
  };
  return {
    bytes,
    read: (path) => {
      const found = bytes(path);
      if (!found.ok) return found;
      const { mode, owner } = found;
      return isUtf8(found.bytes)
        ? { ok: true, text: found.bytes.toString(), mode, owner }
        : { ok: false, why: "not-text" };
    },
    list: (folder) => {
      if (!foldersOf(held.keys()).has(folder)) return "missing";
      const below = [...held.keys()].filter((path) => path.startsWith(`${folder}/`));
      return [...new Set(below.map((path) => path.slice(folder.length + 1).split("/")[0] ?? ""))].sort();
    },
  };
}

function isBare(file: Held): file is string | Buffer {
  return typeof file === "string" || Buffer.isBuffer(file);
}

function foldersOf(paths: Iterable<string>): ReadonlySet<string> {
  const folders = new Set<string>();
  for (const path of paths) for (let up = dirname(path); up !== "/"; up = dirname(up)) folders.add(up);
  return folders;
}

export function load(tree: Tree, env: Record<string, string> = {}, generation = 1): Promise<Loaded> {
  const deps = {
    files: memoryFiles(tree),
    env,
    clock: { now: () => NOW },
    selfSigned: () => Promise.resolve({ certificate: "CERT", key: "KEY", names: ["relay.example.org"] }),
  };
  return loadConfig(`${ROOT}/sealpost.yaml`, deps, generation);
}

/** Settings of a configuration that must be good. */
export async function settings(tree: Tree, env: Record<string, string> = {}): Promise<Settings> {
  const loaded = await load(tree, env);
  if (!loaded.ok) throw new Error(described(loaded.problems).join("\n"));
  return loaded.settings;
}

export async function warnings(tree: Tree): Promise<string[]> {
  const loaded = await load(tree);
  return loaded.ok ? described(loaded.warnings) : [];
}

export async function problems(tree: Tree, env: Record<string, string> = {}): Promise<string[]> {
  const loaded = await load(tree, env);
  return loaded.ok ? [] : described(loaded.problems);
}

/** `file:line:column message → remedy`, the file relative to the folder of sealpost.yaml. */
export function described(problems: readonly Problem[]): string[] {
  return problems.map(
    ({ file, line, column, message, remedy }) =>
      `${file.replace(`${ROOT}/`, "")}:${line}:${column} ${message} → ${remedy}`,
  );
}

/** sealpost.yaml with `more` below what every row starts from. */
export function gateway(more: string): Tree {
  return { "sealpost.yaml": BASE + more };
}

/** One partner file beside a plain sealpost.yaml. */
export function partner(text: string, more = ""): Tree {
  return { ...gateway(more), "partners/acme.yaml": text };
}

export async function partnerPolicy(tree: Tree): Promise<PartnerPolicy> {
  const [found] = (await settings(tree)).policy.partners;
  if (found === undefined) throw new Error("no partner");
  return found;
}

export async function outboundOf(tree: Tree): Promise<OutboundPolicy> {
  return (await partnerPolicy(tree)).outbound;
}
