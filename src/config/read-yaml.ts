/**
 * YAML text to a located tree: core schema, unique string keys, no custom tags, no merge keys, bounded depth, size and
 * aliases. What YAML itself trips over (`*.acme.example`, `[host]:25`, tabs) is told with its place and the cure.
 * Never throws, whatever the text.
 */
import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  Scalar,
} from "yaml";
import type { Origin } from "../decide/policy.ts";
import { type Environment, expand, resolvePlain } from "./environment.ts";
import type { Entry, Located } from "./located.ts";
import { type Problems, shown } from "./problems.ts";
import { syntaxFlaws } from "./yaml-traps.ts";

const DEPTH = 50;
const NODES = 100_000;
const ALIASES = 100;
const CORE_TAGS = /^(?:!|tag:yaml\.org,2002:(?:str|int|float|bool|null|seq|map))$/;

export interface Source {
  readonly file: string;
  readonly text: string;
}

/** The tree, or undefined when something in the text was reported to `problems`. */
export function readYaml(source: Source, env: Environment, problems: Problems): Located | undefined {
  const { file } = source;
  const text = source.text.startsWith("\ufeff") ? source.text.slice(1) : source.text;
  const lines = new LineCounter();
  const at = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const document = parse(text, lines);
  if (document === undefined) {
    problems.add({ file, line: 1, column: 1 }, "nested too deeply for YAML", `nest at most ${DEPTH} levels`);
    return undefined;
  }
  const flaws = syntaxFlaws(text, document.errors);
  for (const { offset, message, remedy } of flaws) problems.add(at(offset), message, remedy);
  if (flaws.length > 0) return undefined;
  const walk = createWalk(env, (offset, message, remedy) => problems.add(at(offset), message, remedy));
  const tree = walk.build(document.contents, at);
  return walk.failed() ? undefined : tree;
}

/** undefined: the parser recurses, and thousands of levels exhaust its stack. */
function parse(text: string, lineCounter: LineCounter): ReturnType<typeof parseDocument> | undefined {
  try {
    return parseDocument(text, {
      lineCounter,
      schema: "core",
      version: "1.2",
      strict: true,
      uniqueKeys: false, // compares each key with every other; the walk below does it in one pass
      merge: false,
      prettyErrors: false,
      logLevel: "error", // "silent" would also hide a second document
    });
  } catch {
    return undefined;
  }
}

type Report = (offset: number, message: string, remedy: string) => void;

function createWalk(env: Environment, report: Report) {
  const anchors = new Map<string, Node>();
  let nodes = 0;
  let aliases = 0;
  let failed = false;
  const fail: Report = (offset, message, remedy) => {
    failed = true;
    report(offset, message, remedy);
  };
  const nothing = (origin: Origin): Located => ({ kind: "scalar", origin, value: null });

  const build = (node: unknown, at: (offset: number) => Origin, depth = 0, offset = 0): Located => {
    const start = (node as Node | null)?.range?.[0] ?? offset;
    const origin = at(start);
    if (++nodes > NODES || depth > DEPTH) {
      if (!failed) fail(start, "too deep or too large", `nest at most ${DEPTH} levels, aliases included`);
      return nothing(origin);
    }
    if (isAlias(node)) return follow(node, at, depth);
    tagged(node, start);
    remember(node);
    if (isScalar(node)) return { kind: "scalar", origin, value: scalar(node, start) };
    if (isSeq(node)) {
      return { kind: "list", origin, items: node.items.map((item) => build(item, at, depth + 1, start)) };
    }
    if (isMap(node)) return { kind: "map", origin, entries: entriesOf(node.items, at, depth) };
    return nothing(origin);
  };

  const follow = (alias: Alias, at: (offset: number) => Origin, depth: number): Located => {
    const start = alias.range?.[0] ?? 0;
    const target = anchors.get(alias.source);
    if (target === undefined) {
      const text = `*${alias.source}`;
      fail(
        start,
        `YAML reads ${shown(text)} as an alias, and there is no anchor of that name`,
        `put it in quotes: "${text}"`,
      );
    } else if (++aliases > ALIASES) fail(start, `more than ${ALIASES} aliases`, "write the values out");
    else return build(target, at, depth + 1);
    return nothing(at(start));
  };

  const remember = (node: unknown): void => {
    if ((isScalar(node) || isSeq(node) || isMap(node)) && node.anchor !== undefined) anchors.set(node.anchor, node);
  };

  const tagged = (node: unknown, start: number): void => {
    const tag = (node as Node | null)?.tag;
    if (tag === undefined || CORE_TAGS.test(tag)) return;
    fail(start, `the tag ${shown(tag)} means nothing here`, "remove it, or put the value in quotes");
  };

  const scalar = (node: Scalar, start: number) => {
    const value: unknown = node.value;
    if (typeof value === "string") {
      const expanded = expand(value, env);
      if (typeof expanded !== "string") fail(start, expanded.message, expanded.remedy);
      else return node.type === Scalar.PLAIN && expanded !== value ? resolvePlain(expanded) : expanded;
      return "";
    }
    return typeof value === "number" || typeof value === "boolean" ? value : null;
  };

  const entriesOf = (pairs: readonly Pair[], at: (offset: number) => Origin, depth: number) => {
    const entries = new Map<string, Entry>();
    for (const pair of pairs) {
      const start = (pair.key as Node | null)?.range?.[0] ?? 0;
      const key = isScalar(pair.key) ? String(pair.key.value) : undefined;
      if (key === undefined) fail(start, "a list or map cannot be a key", "put it in quotes if it is a name");
      else if (key === "__proto__") fail(start, `unknown key ${shown(key)}`, "remove it");
      else if (key === "<<")
        fail(start, "merge keys are not read", "write the keys out; partners inherit from sealpost.yaml");
      else if (entries.has(key)) fail(start, `${shown(key)} is written twice`, "remove one of them");
      else entries.set(key, { key: at(start), value: build(pair.value, at, depth + 1, start) });
    }
    return entries;
  };

  return { build, failed: () => failed };
}
