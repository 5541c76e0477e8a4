/** Collects what is wrong, one problem per place, so that one cause is told once. Never throws, never stops early. */
import type { Origin } from "../decide/policy.ts";
import type { Problem } from "./settings.ts";

/** What is wrong and what to write instead, before it has a place. */
export interface Flaw {
  readonly message: string;
  readonly remedy: string;
}

export interface Problems {
  readonly add: (origin: Origin, message: string, remedy: string) => void;
  readonly warn: (origin: Origin, message: string, remedy: string) => void;
  /** In order of file, line and column. */
  readonly errors: () => readonly Problem[];
  readonly warnings: () => readonly Problem[];
}

export function createProblems(): Problems {
  const errors = new Map<string, Problem>();
  const warnings = new Map<string, Problem>();
  const put = (map: Map<string, Problem>) => (origin: Origin, message: string, remedy: string) => {
    const { file, line, column } = origin;
    const place = `${file}:${line}:${column}`;
    if (!map.has(place)) map.set(place, { file, line, column, message: printable(message), remedy: printable(remedy) });
  };
  return {
    add: put(errors),
    warn: put(warnings),
    errors: () => [...errors.values()].sort(byPlace),
    warnings: () => [...warnings.values()].sort(byPlace),
  };
}

function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

/** The known word nearest to a mistyped one, when it is near enough to be meant. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined;
  const wanted = word.toLowerCase().replaceAll("-", "_");
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(wanted, candidate.toLowerCase().replaceAll("-", "_"));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours between two short words. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    [before, above] = [above, row];
  }
  return above[b.length] ?? 0;
}

/** A value as it appears in a message: quoted, shortened, without control characters. */
export function shown(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return `"${printable(short)}"`;
}

function printable(text: string): string {
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, "?");
}
