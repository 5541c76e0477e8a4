/**
 * The text of a Postfix lookup table (postmap(1)) to its entries, and the value of a policy table (postconf(5),
 * smtp_tls_policy_maps) to a level and attributes. Pure. What Postfix would not read is told, never guessed.
 */

export interface Entry {
  /** Where it begins, from 1. */
  readonly line: number;
  /** As it is written, on one line. */
  readonly text: string;
  readonly key: string;
  readonly value: string;
}

/** What stands there and is no entry. */
export interface NoEntry {
  readonly line: number;
  readonly text: string;
  readonly why: string;
}

export interface Attribute {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
}

export interface PolicyValue {
  /** In lower case. */
  readonly level: string;
  readonly attributes: readonly Attribute[];
  /** Not of the form name=value: Postfix lets the mail wait. */
  readonly malformed: readonly string[];
}

export function readTable(text: string): readonly (Entry | NoEntry)[] {
  const seen = new Map<string, number>();
  return logicalLines(text).map(({ line, text: written }) => {
    const whole = written.replaceAll(/\s+/g, " ").trim();
    if (/^\s/.test(written)) return { line, text: whole, why: "begins with a blank, but continues no entry" };
    const { key, value } = keyAndValue(written);
    if (value === "") return { line, text: whole, why: "has no value" };
    if (key.endsWith(":")) return { line, text: whole, why: "has the form of an alias, KEY: VALUE" };
    const first = seen.get(key);
    if (first !== undefined)
      return { line, text: whole, why: `is there already in line ${first}, which Postfix takes` };
    seen.set(key, line);
    return { line, text: whole, key, value };
  });
}

/** Lines that begin with white space continue the one before; blank and comment lines between them change nothing. */
function logicalLines(text: string): readonly { readonly line: number; readonly text: string }[] {
  const lines: { line: number; text: string }[] = [];
  for (const [index, raw] of text
    .replace(/^\ufeff/, "")
    .split("\n")
    .entries()) {
    const written = raw.trimEnd();
    if (/^\s*(?:#|$)/.test(written)) continue;
    const last = lines.at(-1);
    if (/^\s/.test(written) && last !== undefined) last.text += ` ${written.trim()}`;
    else lines.push({ line: index + 1, text: written });
  }
  return lines;
}

/** A key in double quotes may hold blanks (Postfix 3.2). Keys are folded to lower case. */
function keyAndValue(written: string): { readonly key: string; readonly value: string } {
  const quoted = /^"((?:[^"\\]|\\.)*)"(?:\s+(.*))?$/s.exec(written);
  if (quoted !== null) {
    return { key: (quoted[1] ?? "").replaceAll(/\\(.)/g, "$1").toLowerCase(), value: quoted[2]?.trim() ?? "" };
  }
  const [, key = "", value = ""] = /^(\S+)\s*(.*)$/s.exec(written) ?? [];
  return { key: key.toLowerCase(), value };
}

/** Separated by white space or commas; `{ name = value }` keeps both within its braces (Postfix 3.10). */
export function policyValue(value: string): PolicyValue {
  const [level = "", ...rest] = tokens(value);
  const attributes: Attribute[] = [];
  const malformed: string[] = [];
  for (const token of rest) {
    const inside = token.startsWith("{") ? token.slice(1, -1).trim() : token;
    const [, name, written] = /^([A-Za-z0-9_-]+)\s*=\s*(.*)$/s.exec(inside) ?? [];
    if (name === undefined || written === undefined || (token.startsWith("{") && !token.endsWith("}"))) {
      malformed.push(token);
    } else attributes.push({ name: name.toLowerCase(), value: written.trim() });
  }
  return { level: level.toLowerCase(), attributes, malformed };
}

function tokens(value: string): string[] {
  const found: string[] = [];
  let token = "";
  let depth = 0;
  for (const char of value) {
    if (depth === 0 && (char === "," || char.trim() === "")) {
      if (token !== "") found.push(token);
      token = "";
      continue;
    }
    if (char === "{" && (depth > 0 || token === "")) depth += 1;
    if (char === "}" && depth > 0) depth -= 1;
    token += char;
  }
  return token === "" ? found : [...found, token];
}
