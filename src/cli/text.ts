/**
 * Text for people: tables, ages, sizes, colour on a terminal only. What came from others is made harmless first, for
 * a terminal obeys the control characters in it.
 */
import { stripVTControlCharacters, styleText } from "node:util";
import type { Output } from "./deps.ts";

type Style = Parameters<typeof styleText>[0];

/** Control characters and direction marks are shown, not obeyed. */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Styles text for this output; NO_COLOR (no-color.org) and anything but a terminal leave it plain. */
export function painter(output: Output, env: Readonly<Record<string, string | undefined>>) {
  const plain = output.isTTY !== true || (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  return (style: Style, text: string): string => (plain ? text : styleText(style, text, { validateStream: false }));
}

export type Paint = ReturnType<typeof painter>;

/** Columns as wide as their widest cell, two spaces between; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, width(cell));
  return rows.map((row) =>
    row
      .map((cell, at) => (at === row.length - 1 ? cell : cell + " ".repeat((widths[at] ?? 0) - width(cell) + 2)))
      .join("")
      .trimEnd(),
  );
}

function width(cell: string): number {
  return stripVTControlCharacters(cell).length;
}

/** Cut to the terminal's width; elsewhere nothing is cut. */
export function fitted(text: string, output: Output): string {
  const columns = output.isTTY === true ? (output.columns ?? 80) : Number.POSITIVE_INFINITY;
  return text.length <= columns ? text : `${text.slice(0, Math.max(columns - 1, 1))}…`;
}

/** Breaks at spaces; every line after the first is indented. */
export function wrapped(text: string, output: Output, indent: number): string {
  const columns = Math.max(output.isTTY === true ? (output.columns ?? 80) : 100, indent + 30);
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${" ".repeat(indent)}`);
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** `3d`, `4h`, `12m`, `5s`; a time in the past is `now`. */
export function duration(ms: number): string {
  for (const [unit, length] of UNITS) if (ms >= length) return `${Math.floor(ms / length)}${unit}`;
  return "now";
}

/** The same without loss, as it is written in the configuration: `36h` rather than `1d`. */
export function exactDuration(ms: number): string {
  for (const [unit, length] of UNITS) if (ms >= length && ms % length === 0) return `${ms / length}${unit}`;
  return `${ms}ms`;
}

export function size(octets: number): string {
  if (octets < 1_024) return `${octets} B`;
  const kib = octets / 1_024;
  if (kib < 1_024) return `${kib.toFixed(kib < 10 ? 1 : 0)} KiB`;
  const mib = kib / 1_024;
  return mib < 1_023.95 ? `${mib.toFixed(1)} MiB` : `${(mib / 1_024).toFixed(1)} GiB`;
}

export function count(number: number, noun: string): string {
  return `${number} ${number === 1 ? noun : plural(noun)}`;
}

function plural(noun: string): string {
  return /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}
