/**
 * The nodes of a YAML document to a located tree: environment replaced, aliases followed, keys unique strings. Bounded
 * in depth, nodes and aliases, so that no document grows while it is read. Never throws.
 */
import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair, Scalar } from "yaml";
import type { Origin } from "../decide/policy.ts";
import { type Environment, expand, resolvePlain } from "./environment.ts";
import type { Entry, Located, Scalar as Value } from "./located.ts";
import { shown } from "./problems.ts";

export const DEPTH = 50;
const NODES = 100_000;
const ALIASES = 100;
const CORE_TAGS = /^(?:!|tag:yaml\.org,2002:(?:str|int|float|bool|null|seq|map))$/;

export interface Reading {
  readonly env: Environment;
  /** The place of an offset into the text. */
  readonly at: (offset: number) => Origin;
  readonly report: (offset: number, message: string, remedy: string) => void;
}

interface Walk extends Reading {
  readonly anchors: Map<string, Node>;
  nodes: number;
  aliases: number;
  failed: boolean;
}

/** Undefined when something was reported. */
export function treeOf(contents: unknown, reading: Reading): Located | undefined {
  const walk: Walk = { ...reading, anchors: new Map(), nodes: 0, aliases: 0, failed: false };
  const tree = build(walk, contents, 0, 0);
  return walk.failed ? undefined : tree;
}

function fail(walk: Walk, offset: number, message: string, remedy: string): void {
  walk.failed = true;
  walk.report(offset, message, remedy);
}

/** `around`: offset of what holds the node, for nodes that have none. */
function build(walk: Walk, node: unknown, depth: number, around: number): Located {
  const start = (node as Node | null)?.range?.[0] ?? around;
  const origin = walk.at(start);
  const nothing: Located = { kind: "scalar", origin, value: null };
  walk.nodes += 1;
  if (walk.nodes > NODES || depth > DEPTH) {
    if (!walk.failed) fail(walk, start, "too deep or too large", `nest at most ${DEPTH} levels, aliases included`);
    return nothing;
  }
  if (isAlias(node)) return follow(walk, node, depth) ?? nothing;
  const tag = (node as Node | null)?.tag;
  if (tag !== undefined && !CORE_TAGS.test(tag)) {
    fail(walk, start, `the tag ${shown(tag)} means nothing here`, "remove it, or put the value in quotes");
  }
  if (isScalar(node) || isSeq(node) || isMap(node)) remember(walk, node, node.anchor);
  if (isScalar(node)) return { kind: "scalar", origin, value: valueOf(walk, node, start) };
  if (isSeq(node))
    return { kind: "list", origin, items: node.items.map((item) => build(walk, item, depth + 1, start)) };
  return isMap(node) ? { kind: "map", origin, entries: entriesOf(walk, node.items, depth) } : nothing;
}

function remember(walk: Walk, node: Node, anchor: string | undefined): void {
  if (anchor !== undefined) walk.anchors.set(anchor, node);
}

/** Anchors count from where they stand on, as YAML has it. */
function follow(walk: Walk, alias: Alias, depth: number): Located | undefined {
  const start = alias.range?.[0] ?? 0;
  const target = walk.anchors.get(alias.source);
  walk.aliases += 1;
  if (target !== undefined && walk.aliases <= ALIASES) return build(walk, target, depth + 1, start);
  const text = `*${alias.source}`;
  if (target === undefined) {
    const message = `YAML reads ${shown(text)} as an alias, and there is no anchor of that name`;
    fail(walk, start, message, `put it in quotes: "${text}"`);
  } else fail(walk, start, `more than ${ALIASES} aliases`, "write the values out");
  return undefined;
}

function valueOf(walk: Walk, node: Scalar, start: number): Value {
  const value: unknown = node.value;
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value !== "string") return null;
  const expanded = expand(value, walk.env);
  if (typeof expanded === "string") {
    return node.type === Scalar.PLAIN && expanded !== value ? resolvePlain(expanded) : expanded;
  }
  fail(walk, start, expanded.message, expanded.remedy);
  return null;
}

function entriesOf(walk: Walk, pairs: readonly Pair[], depth: number): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const pair of pairs) {
    const start = (pair.key as Node | null)?.range?.[0] ?? 0;
    const key = isScalar(pair.key) ? String(pair.key.value) : undefined;
    if (key === undefined) fail(walk, start, "a list or map cannot be a key", "put it in quotes if it is a name");
    else if (key === "__proto__") fail(walk, start, `unknown key ${shown(key)}`, "remove it");
    else if (key === "<<") {
      fail(walk, start, "merge keys are not read", "write the keys out; partners inherit from sealpost.yaml");
    } else if (entries.has(key)) fail(walk, start, `${shown(key)} is written twice`, "remove one of them");
    else entries.set(key, { key: walk.at(start), value: build(walk, pair.value, depth + 1, start) });
  }
  return entries;
}
