/**
 * Edits the text of a partner file so that what was only reported is enforced. Only octets that say so change: comments,
 * order and all else stay as they are. What it cannot edit safely it leaves to a person. Pure; the caller loads the
 * result before it trusts it.
 */
import { isMap, isScalar, type Pair, parseDocument, type Scalar, type YAMLMap } from "yaml";
import type { Flaw } from "./problems.ts";

export interface Promoted {
  readonly text: string;
  /** Lines of the file that go and come. */
  readonly removed: readonly string[];
  readonly added: readonly string[];
  /** Nothing in the file said so: report mode was inherited. */
  readonly inherited: boolean;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export function promoteText(source: string): Promoted | Flaw {
  const mark = source.startsWith("\ufeff") ? 1 : 0;
  const text = source.slice(mark);
  const top = mapIn(text);
  if (top === undefined) return BY_HAND;
  const outbound = pairOf(top, "outbound")?.value;
  const nearest = [...(isMap(outbound) ? [outbound] : []), top].find((map) => pairOf(map, "mode") !== undefined);
  const edits = nearest === undefined ? inserted(text, top) : switched(text, nearest);
  if (edits === undefined) return BY_HAND;
  const changed = edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((rest, { start, end, text: put }) => rest.slice(0, start) + put + rest.slice(end), text);
  return { text: source.slice(0, mark) + changed, ...difference(text, changed), inherited: nearest === undefined };
}

const BY_HAND: Flaw = {
  message: "the file is written in a way that is better edited by hand",
  remedy: "write mode: enforce, remove report_until, and run sealpost reload",
};

function mapIn(text: string): YAMLMap | undefined {
  try {
    const { contents, errors } = parseDocument(text, { schema: "core", version: "1.2", merge: false });
    return errors.length === 0 && isMap(contents) ? contents : undefined;
  } catch {
    return undefined; // nested so deeply that the parser gives up
  }
}

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  return map.items.find((pair) => isScalar(pair.key) && pair.key.value === key);
}

/** Where a node stands: its first octet and the one behind its last. */
function placeOf(node: unknown): { readonly start: number; readonly end: number } | undefined {
  const range = (node as { range?: [number, number, number] | null } | null)?.range;
  return range === undefined || range === null ? undefined : { start: range[0], end: range[1] };
}

function isPlainReport(node: unknown): node is Scalar {
  return isScalar(node) && node.value === "report" && node.anchor === undefined && node.tag === undefined;
}

/** mode: report becomes enforce, and its end goes with it. */
function switched(text: string, map: YAMLMap): readonly Edit[] | undefined {
  const mode = pairOf(map, "mode")?.value;
  const place = placeOf(mode);
  const until = pairOf(map, "report_until");
  if (!isPlainReport(mode) || place === undefined) return undefined;
  const change = { ...place, text: "enforce" };
  if (until === undefined) return [change];
  const [from, to] = [placeOf(until.key)?.start, placeOf(until.value)?.end];
  if (from === undefined || to === undefined) return undefined;
  const gone = map.flow === true ? outOfFlow(text, from, to) : wholeLine(text, from, to);
  return gone && [change, { ...gone, text: "" }];
}

/** Nothing else may stand on its line, but a comment about it. */
function wholeLine(text: string, from: number, to: number): Omit<Edit, "text"> | undefined {
  const start = text.lastIndexOf("\n", from - 1) + 1;
  const next = text.indexOf("\n", to);
  const end = next === -1 ? text.length : next + 1;
  const isAlone = text.slice(start, from).trim() === "" && /^\s*(?:#.*)?$/.test(text.slice(to, end).trimEnd());
  return isAlone ? { start, end } : undefined;
}

/** With the comma that parted it from its neighbour. */
function outOfFlow(text: string, from: number, to: number): Omit<Edit, "text"> | undefined {
  const after = /^[ \t]*,[ \t]*/.exec(text.slice(to, to + 100));
  if (after !== null) return { start: from, end: to + after[0].length };
  const before = text.slice(0, from).trimEnd();
  return before.endsWith(",") ? { start: before.length - 1, end: to } : undefined;
}

/** A line of its own behind what says whose file this is. */
function inserted(text: string, top: YAMLMap): readonly Edit[] | undefined {
  if (top.flow === true) return undefined;
  const heads = top.items.filter(({ key }) => isScalar(key) && HEADS.has(String(key.value)));
  const [first] = top.items;
  const indentEnd = placeOf(first?.key)?.start;
  const end = placeOf(heads.at(-1)?.value)?.end;
  if (indentEnd === undefined || end === undefined) return undefined;
  const indent = text.slice(text.lastIndexOf("\n", indentEnd - 1) + 1, indentEnd);
  const lineEnd = text.indexOf("\n", text.slice(0, end).trimEnd().length);
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const line = `${indent}mode: enforce${eol}`;
  const at = lineEnd === -1 ? text.length : lineEnd + 1;
  return [{ start: at, end: at, text: lineEnd === -1 ? `${eol}${line}` : line }];
}

const HEADS: ReadonlySet<string> = new Set(["name", "domains", "addresses", "contact", "owner"]);

function difference(before: string, after: string): Pick<Promoted, "removed" | "added"> {
  const [old, now] = [before.split(/\r?\n/), after.split(/\r?\n/)];
  const beginning = old.findIndex((line, at) => line !== now[at]);
  const same = [...old].toReversed().findIndex((line, at) => line !== now.at(-1 - at));
  const length = Math.min(same === -1 ? 0 : same, Math.min(old.length, now.length) - Math.max(beginning, 0));
  const from = Math.max(beginning, 0);
  return { removed: old.slice(from, old.length - length), added: now.slice(from, now.length - length) };
}
