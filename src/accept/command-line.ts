/**
 * Reads the arguments of MAIL, RCPT, EHLO, XCLIENT and XFORWARD (RFC 5321 §4.1.1). Strict, linear, and without
 * interpreting anything: no source route, `%` or `!` is ever followed. Lines come without CRLF and control characters.
 */
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";

/** Keyword in upper case → value; undefined for one without `=`. */
export type Parameters = ReadonlyMap<string, string | undefined>;

export interface PathCommand {
  /** What stood between `<` and `>`; empty for the null reverse-path. */
  readonly path: string;
  readonly parameters: Parameters;
}

/** RFC 5321 §4.5.3.1.3, brackets included. */
const LONGEST_PATH = 256;

export function parsePathCommand(line: string, verb: "MAIL FROM" | "RCPT TO"): PathCommand | SmtpReply {
  const begin = verb === "MAIL FROM" ? /^MAIL FROM: ?</i : /^RCPT TO: ?</i; // one space: clients do, and it harms nobody
  const opening = begin.exec(line)?.[0];
  if (opening === undefined) return reply(501, "5.4", `Syntax: ${verb}:<address> [parameters]`);
  const end = endOfPath(line, opening.length);
  if (end < 0) return badPath(verb);
  const path = line.slice(opening.length, end);
  if (Buffer.byteLength(path) + 2 > LONGEST_PATH) return badPath(verb);
  const parameters = parseParameters(line.slice(end + 1));
  return "code" in parameters ? parameters : { path, parameters: parameters.read };
}

/** Position of the `>` that ends the path; quoted strings may hold others. -1 when there is none. */
function endOfPath(line: string, from: number): number {
  let quoted = false;
  for (let at = from; at < line.length; at++) {
    const character = line[at];
    if (quoted && character === "\\") at++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === "<") return -1;
    else if (!quoted && character === ">") return at;
  }
  return -1;
}

export function badPath(verb: "MAIL FROM" | "RCPT TO"): SmtpReply {
  return verb === "MAIL FROM"
    ? reply(553, "1.7", "The sender address is not a valid address")
    : reply(553, "1.3", "The recipient address is not a valid address");
}

/** ` KEY=value KEY` (RFC 5321 §4.1.2, esmtp-param). */
function parseParameters(text: string): { read: Parameters } | SmtpReply {
  const read = new Map<string, string | undefined>();
  const trimmed = text.trimEnd();
  if (trimmed === "") return { read };
  if (!trimmed.startsWith(" ")) return reply(501, "5.4", "Parameters must be separated by a space");
  for (const word of trimmed.slice(1).split(" ")) {
    const equals = word.indexOf("=");
    const key = (equals < 0 ? word : word.slice(0, equals)).toUpperCase();
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    if (!/^[A-Z0-9][A-Z0-9-]*$/.test(key) || value === "") return reply(501, "5.4", "Bad parameter syntax");
    if (read.has(key)) return reply(501, "5.4", `The parameter ${key} is given twice`);
    read.set(key, value);
  }
  return { read };
}

/** The name of a HELO or EHLO: one printable ASCII word, of a length a domain may have. Undefined: refuse it. */
export function parseHelo(line: string): string | undefined {
  return /^\S+ +([\x21-\x7e]{1,255}) *$/.exec(line)?.[1];
}

const XTEXT = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*$/;

/** RFC 3461 §4. */
export function isXtext(text: string): boolean {
  return XTEXT.test(text);
}

/** Undefined when it is no xtext, or decodes to control characters or anything that is not UTF-8. */
export function decodeXtext(text: string): string | undefined {
  if (!isXtext(text)) return undefined;
  const bytes = text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const decoded = Buffer.from(bytes, "latin1").toString("utf8");
  return /[\x00-\x1f\x7f-\x9f\ufffd]/.test(decoded) ? undefined : decoded;
}

/** `XCLIENT ADDR=… NAME=…`: keyword → decoded value, undefined for `[UNAVAILABLE]` and `[TEMPUNAVAIL]`. */
export function parseAttributes(line: string, known: readonly string[]): Parameters | undefined {
  const words = line.trim().split(/ +/).slice(1);
  const read = new Map<string, string | undefined>();
  for (const word of words) {
    const [, key = "", raw = ""] = /^([A-Za-z]+)=(.*)$/.exec(word) ?? [];
    const name = key.toUpperCase();
    if (!known.includes(name) || read.has(name)) return undefined;
    const value = decodeXtext(raw);
    if (value === undefined) return undefined;
    read.set(name, /^\[(UNAVAILABLE|TEMPUNAVAIL)\]$/i.test(value) ? undefined : value);
  }
  return read.size === 0 ? undefined : read;
}
