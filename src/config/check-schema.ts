/**
 * A located tree held against its schema: every issue becomes a problem with its place, and what is free of problems
 * is still handed on, so that the later checks can report theirs in the same run. Never reports one cause twice.
 */
import type * as z from "zod";
import type { Origin } from "../decide/policy.ts";
import { keyAt, type Located, type LocatedMap, originAt, type Path, partAt, plain, without } from "./located.ts";
import { nearest, type Problems, shown } from "./problems.ts";
import { spaced } from "./schema/values.ts";

export interface Checked<T> {
  readonly value: T;
  /** What is left of the tree: paths into `value` are paths into this. */
  readonly tree: LocatedMap;
  /** What was left out: `listeners`, `outbound.tls`; see `isBroken`. */
  readonly broken: ReadonlySet<string>;
}

interface Issue {
  readonly code: string;
  readonly message: string;
  readonly path: Path;
  readonly keys?: readonly string[];
}

/** Undefined when nothing usable is left. `lists` are the top-level lists whose entries are judged one by one. */
export function checkSchema<T extends z.ZodType>(
  schema: T,
  tree: Located,
  lists: readonly string[],
  problems: Problems,
): Checked<z.output<T>> | undefined {
  if (tree.kind !== "map") {
    const empty = tree.kind === "scalar" && tree.value === null;
    problems.add(tree.origin, empty ? "the file is empty" : "the file is not a map of keys", "write KEY: VALUE lines");
    return undefined;
  }
  const first = schema.safeParse(plain(tree));
  if (first.success) return { value: first.data, tree, broken: new Set() };
  const issues = first.error.issues.flatMap((issue) => flatten(issue, []));
  report(tree, issues, problems);
  const rest = prune(tree, issues, lists);
  const second = schema.safeParse(plain(rest));
  const broken = new Set(issues.flatMap((issue) => unitsOf(issue).map(dotted)));
  return second.success ? { value: second.data, tree: rest, broken } : undefined;
}

/** Issues of unions are those of the branch that was meant. */
function flatten(issue: z.core.$ZodIssue, above: Path): Issue[] {
  const path = [...above, ...issue.path.map((step) => (typeof step === "symbol" ? String(step) : step))];
  if (issue.code === "unrecognized_keys") return [{ code: issue.code, message: issue.message, path, keys: issue.keys }];
  if (issue.code !== "invalid_union") return [{ code: issue.code, message: issue.message, path }];
  const branches = issue.errors.map((branch) => branch.flatMap((below) => flatten(below, path)));
  const meant = branches.filter((branch) => !branch.some((below) => isOtherKind(below, path)));
  if (meant.length > 0) return meant.reduce((best, branch) => (branch.length < best.length ? branch : best));
  const words = branches.find((branch) => branch.some((below) => below.code === "invalid_value"));
  const said = branches.find((branch) => branch.some((below) => below.message.includes("\n")));
  return words ?? said ?? [{ code: "invalid_type", message: issue.message, path }];
}

function isOtherKind(issue: Issue, path: Path): boolean {
  return issue.path.length === path.length && (issue.code === "invalid_type" || issue.code === "invalid_value");
}

function report(tree: LocatedMap, issues: readonly Issue[], problems: Problems): void {
  const meant = new Set<string>();
  for (const issue of issues) {
    for (const key of issue.keys ?? []) {
      const known = issue.message.split("\n");
      const near = nearest(key, known);
      if (near !== undefined) meant.add(dotted([...issue.path, near]));
      const origin = keyAt(tree, [...issue.path, key]) ?? originAt(tree, issue.path);
      const keys = `known here: ${known.join(", ")}`;
      const remedy = spaced(key) ?? (near === undefined ? `remove it; ${keys}` : `did you mean ${near}?`);
      problems.add(origin, `unknown key ${shown(key)}`, remedy);
    }
  }
  for (const issue of issues) {
    const missing = partAt(tree, issue.path) === undefined;
    // A mistyped key was told above; that the right one is missing is the same mistake.
    if (issue.keys !== undefined || (missing && meant.has(dotted(issue.path)))) continue;
    const [message = "", remedy = "write a value of the kind the documentation names"] = issue.message.split("\n");
    problems.add(placeOf(tree, issue), `${dotted(issue.path)}: ${message}`, remedy);
  }
}

function placeOf(tree: LocatedMap, issue: Issue): Origin {
  if (issue.code === "invalid_key") return keyAt(tree, issue.path) ?? originAt(tree, issue.path);
  return originAt(tree, issue.path);
}

/** `listeners[0].port` */
export function dotted(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return text === "" ? step : `${text}.${step}`;
  }, "");
}

/** True when something of `unit`, or all that holds it, was left out. */
export function isBroken(broken: ReadonlySet<string>, ...units: readonly string[]): boolean {
  return [...broken].some((gone) =>
    units.some((unit) => gone === unit || gone.startsWith(`${unit}.`) || unit.startsWith(`${gone}.`)),
  );
}

/** What is left out for an issue: a key of the file, or one of a top-level map. */
function unitsOf({ path, keys }: Issue): Path[] {
  const full = keys === undefined ? [path] : keys.map((key) => [...path, key]);
  return full.map((whole) => whole.slice(0, typeof whole[1] === "string" ? 2 : 1));
}

function prune(tree: LocatedMap, issues: readonly Issue[], lists: readonly string[]): LocatedMap {
  const gone = new Map<string, Set<string | number>>();
  const tops = new Set<string>();
  for (const issue of issues) {
    const [top, index] = issue.path;
    const units =
      typeof top === "string" && typeof index === "number" && lists.includes(top) ? [[top, index]] : unitsOf(issue);
    for (const [key, below] of units) {
      if (below === undefined) tops.add(String(key));
      else gone.set(String(key), (gone.get(String(key)) ?? new Set()).add(below));
    }
  }
  const rest = without(tree, tops);
  const entries = new Map(rest.entries);
  for (const [key, below] of gone) {
    const entry = entries.get(key);
    if (entry !== undefined) entries.set(key, { ...entry, value: thinned(entry.value, below) });
  }
  return { ...rest, entries };
}

function thinned(value: Located, gone: ReadonlySet<string | number>): Located {
  if (value.kind === "list") return { ...value, items: value.items.filter((_, index) => !gone.has(index)) };
  return value.kind === "map" ? without(value, [...gone].map(String)) : value;
}
