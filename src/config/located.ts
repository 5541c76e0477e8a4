/**
 * A YAML value whose every part knows where it was written. Validation, inheritance and error messages all work on
 * this one tree, so a key that a partner inherits still points to its line in sealpost.yaml. Never loses an origin.
 */
import type { Origin } from "../decide/policy.ts";

export type Scalar = string | number | boolean | null;

export type Located =
  | { readonly kind: "scalar"; readonly origin: Origin; readonly value: Scalar }
  | { readonly kind: "list"; readonly origin: Origin; readonly items: readonly Located[] }
  | LocatedMap;

export interface LocatedMap {
  readonly kind: "map";
  readonly origin: Origin;
  readonly entries: ReadonlyMap<string, Entry>;
}

export interface Entry {
  /** Where the key stands. */
  readonly key: Origin;
  readonly value: Located;
}

export type Path = readonly (string | number)[];

/** Plain data for the schema. Maps have no prototype, so no key can reach one. */
export function plain(tree: Located): unknown {
  switch (tree.kind) {
    case "scalar":
      return tree.value;
    case "list":
      return tree.items.map(plain);
    case "map": {
      const object: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
      for (const [key, entry] of tree.entries) object[key] = plain(entry.value);
      return object;
    }
  }
}

/** The part at a path; where a single value stands for a list, an index leads to the value itself. */
export function partAt(tree: Located, path: Path): Located | undefined {
  let part: Located | undefined = tree;
  for (const step of path) {
    if (part === undefined) return undefined;
    if (part.kind === "map") part = typeof step === "string" ? part.entries.get(step)?.value : part;
    else if (part.kind === "list") part = typeof step === "number" ? part.items[step] : undefined;
    else if (typeof step === "string") return undefined;
  }
  return part;
}

/** Where the value at a path stands, or the nearest thing around it that is written. */
export function originAt(tree: Located, path: Path): Origin {
  for (let length = path.length; length > 0; length--) {
    const part = partAt(tree, path.slice(0, length));
    if (part !== undefined) return part.origin;
  }
  return tree.origin;
}

/** Where the key at the end of a path stands; undefined when it is not written. */
export function keyAt(tree: Located, path: Path): Origin | undefined {
  const last = path.at(-1);
  const parent = partAt(tree, path.slice(0, -1));
  return parent?.kind === "map" && typeof last === "string" ? parent.entries.get(last)?.key : undefined;
}

/** Single values that stand for a list of one: a map here is replaced as lists are, not laid over another. */
const LISTS: ReadonlySet<string> = new Set(["next_hop", "fingerprints", "on_expiry"]);

/** `over` laid over `base`, key by key at every depth; lists and single values are replaced (contract section 1). */
export function overlay(base: Located | undefined, over: Located | undefined): Located | undefined {
  if (base === undefined || over === undefined) return over ?? base;
  if (base.kind !== "map" || over.kind !== "map") return over;
  const entries = new Map(base.entries);
  for (const [key, entry] of over.entries) {
    const below = LISTS.has(key) ? undefined : base.entries.get(key)?.value;
    entries.set(key, { key: entry.key, value: overlay(below, entry.value) ?? entry.value });
  }
  return { kind: "map", origin: over.origin, entries };
}

/** Every key below, by dotted path, with the place it was written at. */
export function originsOf(tree: Located | undefined, prefix = ""): Record<string, Origin> {
  const origins: Record<string, Origin> = {};
  if (tree?.kind !== "map") return origins;
  for (const [key, { key: origin, value }] of tree.entries) {
    origins[prefix + key] = origin;
    Object.assign(origins, originsOf(value, `${prefix}${key}.`));
  }
  return origins;
}

/** The same map without some keys; for what was reported and must not be judged again. */
export function without(tree: LocatedMap, keys: Iterable<string>): LocatedMap {
  const entries = new Map(tree.entries);
  for (const key of keys) entries.delete(key);
  return { ...tree, entries };
}
