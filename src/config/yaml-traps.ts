/** What the YAML parser refused, in words for people who meant something else: place, what YAML made of it, the cure. */
import type { YAMLParseError } from "yaml";
import { shown } from "./problems.ts";

export interface SyntaxFlaw {
  /** Into the text. */
  readonly offset: number;
  readonly message: string;
  readonly remedy: string;
}

/** Errors after which the rest of the file is read wrongly: later ones are consequences. */
const DERAILING: ReadonlySet<string> = new Set([
  "BAD_INDENT",
  "TAB_AS_INDENT",
  "MISSING_CHAR",
  "MULTIPLE_DOCS",
  "BLOCK_AS_IMPLICIT_KEY",
]);

/** One flaw per line, up to the first one that derails the parser. */
export function syntaxFlaws(text: string, errors: readonly YAMLParseError[]): SyntaxFlaw[] {
  const flaws: SyntaxFlaw[] = [];
  let lastLine = -1;
  for (const error of errors) {
    const { begin, line } = lineAround(text, error.pos[0]);
    if (begin !== lastLine) flaws.push(flawOf(error, line, begin));
    lastLine = begin;
    if (DERAILING.has(error.code)) break;
  }
  return flaws;
}

function lineAround(text: string, offset: number): { readonly begin: number; readonly line: string } {
  const at = Math.min(offset, text.length);
  const begin = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", at);
  return { begin, line: text.slice(begin, end < 0 ? text.length : end).replace(/\r$/, "") };
}

function flawOf(error: YAMLParseError, line: string, begin: number): SyntaxFlaw {
  const [offset] = error.pos;
  const column = offset - begin;
  const known = bracketed(line, column, begin) ?? reference(line, begin);
  if (known !== undefined) return known;
  return (error.code === "MULTILINE_IMPLICIT_KEY" && keyless(line, begin)) || byCode(error, line, column);
}

/** `[host]:25` and `[tls]*`: YAML takes the brackets for a list and chokes on the rest. */
function bracketed(line: string, column: number, begin: number): SyntaxFlaw | undefined {
  const close = line.lastIndexOf("]", column);
  const open = close < 0 ? -1 : line.lastIndexOf("[", close);
  if (open < 0 || column - close > 1) return undefined;
  const tail = /^[^\s,}\]#]*/.exec(line.slice(close + 1))?.[0] ?? "";
  if (tail === "") return undefined;
  const whole = line.slice(open, close + 1) + tail;
  return {
    offset: begin + open,
    message: `YAML reads ${shown(line.slice(open, close + 1))} as a list`,
    remedy: `put it in quotes: "${whole}"`,
  };
}

/** `{address: ${NAME}}`: the braces belong to YAML inside a flow map. */
function reference(line: string, begin: number): SyntaxFlaw | undefined {
  const open = line.indexOf("${");
  const first = line.search(/[[{]/);
  if (open < 0 || first > open) return undefined;
  const whole = /^\$\{[^}]*\}?/.exec(line.slice(open))?.[0] ?? "${";
  return {
    offset: begin + open,
    message: `YAML reads the braces of ${shown(whole)} as a map`,
    remedy: `put it in quotes: "${whole}"; a number or true and false: on a line of its own, without braces around it`,
  };
}

/** `hostname:relay.example.org` and `hostname relay.example.org`: no key at all for YAML. */
function keyless(line: string, begin: number): SyntaxFlaw | undefined {
  const [, indent = "", key, colon, rest] = /^(\s*(?:- )?)([A-Za-z_]\w*)(:|[ \t]+)(\S.*)$/.exec(line) ?? [];
  if (key === undefined || colon === undefined || rest === undefined) return undefined;
  return {
    offset: begin + indent.length,
    message: colon === ":" ? "no space behind the colon" : `no colon behind ${shown(key)}`,
    remedy: `write ${key}: ${rest}`,
  };
}

/** Message and remedy by the parser's code; `word` is what stands at the place. */
const BY_CODE: Readonly<Record<string, (word: string) => readonly [string, string]>> = {
  BAD_SCALAR_START: (word) => [`a value cannot begin with ${shown(word.slice(0, 1))}`, `put it in quotes: "${word}"`],
  BAD_ALIAS: (word) => [`YAML reads ${shown(word)} as an alias`, `put it in quotes: "${word}"`],
  TAB_AS_INDENT: () => ["a tab as indentation", "indent with spaces"],
  MULTIPLE_DOCS: () => ["a second YAML document begins here", "remove the line ---; one file is one document"],
  BLOCK_AS_IMPLICIT_KEY: () => [
    "YAML reads the value as a map, because of a colon followed by a space",
    "put the value in quotes, or begin a new line",
  ],
  BAD_INDENT: () => [
    "the indentation fits no line above, or a bracket is not closed",
    "align the keys of one map; close each [ and {",
  ],
};

function byCode({ code, message, pos }: YAMLParseError, line: string, column: number): SyntaxFlaw {
  const word = /^[^\s,\]}]*/.exec(line.slice(column))?.[0] ?? "";
  const [said, remedy] = BY_CODE[code]?.(word) ?? [
    `not YAML: ${message}`,
    "close quotes and brackets; put the value in quotes if it holds any of : # [ ] { } , & * ! | > % @ `",
  ];
  return { offset: pos[0], message: said, remedy };
}
