/** Loads a configuration from files held in memory, under /etc/sealpost, at a fixed day. Sees no disk. */
import { resolve } from "node:path";
import type { Files } from "../../../src/config/files.ts";
import { loadConfig } from "../../../src/config/load.ts";
import type { Loaded, Problem, Settings } from "../../../src/config/settings.ts";
import type { OutboundPolicy, PartnerPolicy } from "../../../src/decide/policy.ts";

export const ROOT = "/etc/sealpost/config";
export const NOW = Date.UTC(2026, 10, 24, 12);

/** Text, or a file with its mode (0600 by default) and owner. */
export type Held =
  | string
  | { readonly text?: string; readonly mode?: number; readonly owner?: "us" | "root" | "other" };
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
  return {
    read: (path) => {
      const file = held.get(path);
      if (file === undefined) return { ok: false, why: "missing" };
      if (typeof file === "string") return { ok: true, text: file, mode: 0o600, owner: "us" };
      if (file.text === undefined) return { ok: false, why: "not-readable" };
      return { ok: true, text: file.text, mode: file.mode ?? 0o600, owner: file.owner ?? "us" };
    },
    list: (folder) =>
      [...held.keys()]
        .filter((path) => path.startsWith(`${folder}/`))
        .map((path) => path.slice(folder.length + 1))
        .sort(),
  };
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
