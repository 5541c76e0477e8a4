/**
 * Header fields of messages and parts, octet for octet, and what their MIME fields say (RFC 2045 §5 and §6, RFC 2231).
 * Reads what real mail writes: comments, odd case, missing quotes, continuations. Every step moves forward, so hostile
 * fields cost linear time. Never guesses: a field that says two things says none.
 */

export interface Field {
  /** Lower case; empty for a line that is no field. */
  readonly name: string;
  /** With its folded lines and line ends. */
  readonly raw: Buffer;
}

export interface ContentType {
  /** `type/subtype` in lower case. */
  readonly type: string;
  /** Names in lower case, values as latin1. A parameter that is given twice with different values is left out. */
  readonly parameters: ReadonlyMap<string, string>;
}

export type Encoding = "identity" | "quoted-printable" | "base64" | "unknown";

/** Undefined: there is no such field. "ambiguous": several that differ. */
type Single = string | undefined | { readonly ambiguous: true };

const LF = 10;
const CR = 13;
const TAB = 9;
const SPACE = 32;
const NAME = /^([!-9;-~]+)[ \t]*:/;

/** All fields before the empty line, which may be missing. */
export function splitFields(header: Buffer): Field[] {
  const fields: Field[] = [];
  let start = 0;
  for (let at = 0; at < header.length; ) {
    const lf = header.indexOf(LF, at);
    const end = lf < 0 ? header.length : lf + 1;
    if (header[at] === CR && header[at + 1] === LF) break;
    const next = header[end];
    if (next !== SPACE && next !== TAB) {
      const raw = header.subarray(start, end);
      fields.push({ name: nameOf(raw), raw });
      start = end;
    }
    at = end;
  }
  return fields;
}

/** Unfolded, as latin1, without the blanks around it. */
export function valueOf({ raw }: Field): string {
  const text = raw.toString("latin1");
  return trimBlanks(text.slice(text.indexOf(":") + 1).replaceAll("\r\n", ""));
}

/** Not `trim`: latin1 has blanks of its own, which are octets of something else here. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && " \t".includes(text[start] ?? "")) start++;
  while (end > start && " \t\r\n".includes(text[end - 1] ?? "")) end--;
  return text.slice(start, end);
}

/** "ambiguous" where several fields do not agree. */
export function contentTypeOf(fields: readonly Field[]): ContentType | "none" | "ambiguous" {
  const value = single(fields, "content-type");
  if (value === undefined) return "none";
  return typeof value === "string" ? readContentType(value) : "ambiguous";
}

export function encodingOf(fields: readonly Field[]): Encoding {
  const value = single(fields, "content-transfer-encoding");
  if (value === undefined) return "identity";
  return typeof value === "string" ? readEncoding(value) : "unknown";
}

/** The word in Content-Transfer-Encoding, lower case; empty when there is none. */
export function encodingWord(value: string): string {
  const start = skipBlanks(value, 0);
  return value.slice(start, tokenEnd(value, start, ";")).toLowerCase();
}

function readEncoding(value: string): Encoding {
  const word = encodingWord(value);
  if (word === "quoted-printable" || word === "base64") return word;
  // The misspelt ones mean what they say; a reader that does not know them decodes nothing either.
  return ["", "7bit", "8bit", "binary", "7-bit", "8-bit"].includes(word) ? "identity" : "unknown";
}

function single(fields: readonly Field[], name: string): Single {
  const values = fields.filter((field) => field.name === name).map(valueOf);
  return values.every((value) => value === values[0]) ? values[0] : { ambiguous: true };
}

function nameOf(raw: Buffer): string {
  if (raw[0] === SPACE || raw[0] === TAB) return "";
  return NAME.exec(raw.toString("latin1", 0, 1000))?.[1]?.toLowerCase() ?? "";
}

/** A type that cannot be read is text/plain (RFC 2045 §5.2). */
export function readContentType(value: string): ContentType {
  const start = skipBlanks(value, 0);
  const typeEnd = tokenEnd(value, start, ";/");
  const slash = skipBlanks(value, typeEnd);
  const parameters = readParameters(value, slash);
  if (value[slash] !== "/") return { type: "text/plain", parameters };
  const subtype = skipBlanks(value, slash + 1);
  const type = `${value.slice(start, typeEnd)}/${value.slice(subtype, tokenEnd(value, subtype, ";/"))}`.toLowerCase();
  return { type: /^[^/]+\/[^/]+$/.test(type) ? type : "text/plain", parameters };
}

function readParameters(value: string, from: number): ReadonlyMap<string, string> {
  const given = new Map<string, Set<string>>();
  for (let at = nextSemicolon(value, from); at < value.length; at = nextSemicolon(value, at)) {
    const start = skipBlanks(value, at + 1);
    const nameEnd = tokenEnd(value, start, ";=");
    const equals = skipBlanks(value, nameEnd);
    at = equals;
    if (value[equals] !== "=" || nameEnd === start) continue;
    const from = skipBlanks(value, equals + 1);
    const quoted = value[from] === '"';
    at = quoted ? quotedEnd(value, from) : tokenEnd(value, from, ";");
    const text = quoted ? unquote(value.slice(from, at)) : value.slice(from, at);
    const name = value.slice(start, nameEnd).toLowerCase();
    given.set(name, (given.get(name) ?? new Set()).add(text));
  }
  return joinContinuations(given);
}

/** RFC 2231 §3 and §4: `name*0=`, `name*1*=`, `name*=charset'language'text`. */
function joinContinuations(given: ReadonlyMap<string, ReadonlySet<string>>): ReadonlyMap<string, string> {
  const found = new Map<string, Set<string>>();
  const add = (name: string, value: string) => found.set(name, (found.get(name) ?? new Set()).add(value));
  for (const [key, values] of given) {
    const star = key.indexOf("*");
    const [name, rest] = star < 0 ? [key, ""] : [key.slice(0, star), key.slice(star)];
    if (rest === "") for (const value of values) add(name, value);
    else if (rest === "*") for (const value of values) add(name, percentDecode(withoutCharset(value)));
    else if (rest === "*0" || rest === "*0*") {
      const [first = "", second] = values;
      add(name, joined(given, name, rest, first));
      if (second !== undefined) add(name, second); // two beginnings: not one value
    }
  }
  return new Map(
    [...found].flatMap(([name, values]) => (values.size === 1 ? [[name, [...values][0] ?? ""] as const] : [])),
  );
}

function joined(given: ReadonlyMap<string, ReadonlySet<string>>, name: string, rest: string, first: string): string {
  const pieces = [rest === "*0*" ? percentDecode(withoutCharset(first)) : first];
  for (let n = 1; ; n++) {
    const plain = given.get(`${name}*${n}`);
    const [piece] = plain ?? given.get(`${name}*${n}*`) ?? [];
    if (piece === undefined) return pieces.join("");
    pieces.push(plain === undefined ? percentDecode(piece) : piece);
  }
}

function withoutCharset(value: string): string {
  const first = value.indexOf("'");
  const second = value.indexOf("'", first + 1);
  return first < 0 || second < 0 ? value : value.slice(second + 1);
}

function percentDecode(value: string): string {
  return value.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Behind white space and comments, which nest (RFC 5322 §3.2.2). */
function skipBlanks(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === "(") depth++;
    else if (depth > 0) {
      if (character === ")") depth--;
      else if (character === "\\") at++;
    } else if (character !== " " && character !== "\t") return at;
  }
  return text.length;
}

/** The next semicolon that stands in no quoted string and no comment. */
function nextSemicolon(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== ";") {
    if (text[at] === '"') at = quotedEnd(text, at);
    else if (text[at] === "(") at = skipBlanks(text, at);
    else at++;
  }
  return at;
}

/** Mail leaves out quotes that its values need, so a token takes anything but blanks, comments and `stops`. */
function tokenEnd(text: string, from: number, stops: string): number {
  let at = from;
  while (at < text.length && !` \t("${stops}`.includes(text[at] ?? "")) at++;
  return at;
}

/** Behind the closing quote, or the end of what was never closed. */
function quotedEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

function unquote(text: string): string {
  const closed = text.length > 1 && text.endsWith('"') && quotedEnd(text, 0) === text.length && isClosed(text);
  return text.slice(1, closed ? -1 : undefined).replace(/\\(.)/g, "$1");
}

/** False when the last quote is escaped: `"a\"`. */
function isClosed(text: string): boolean {
  let backslashes = 0;
  for (let at = text.length - 2; at > 0 && text[at] === "\\"; at--) backslashes++;
  return backslashes % 2 === 0;
}
