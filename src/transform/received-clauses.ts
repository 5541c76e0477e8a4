/**
 * What a Received field says (RFC 5321 §4.4, RFC 822 §4.3.2): its clauses, and every name and address in `from` and
 * `by` with their comments. Made for what servers write, which is seldom what the RFC says; never throws, linear time.
 */
import { isIP } from "node:net";

export interface Clauses {
  /** Host names of `from` and `by`, those of HELO in comments included. */
  readonly names: readonly string[];
  /** Addresses of both, without brackets and `IPv6:`. */
  readonly addresses: readonly string[];
  readonly hasFrom: boolean;
  /** The words behind `with`, comments left out: `ESMTPS`, `Microsoft SMTP Server`. */
  readonly protocol: string;
  /** What stands behind the last semicolon. */
  readonly date: string;
}

interface Token {
  readonly kind: "word" | "comment";
  /** Of a comment without its outer parentheses. */
  readonly text: string;
}

const KEYWORDS: ReadonlySet<string> = new Set(["from", "by", "via", "with", "id", "for"]);

/** `value`: unfolded, octets as latin1. */
export function readClauses(value: string): Clauses {
  const { tokens, date } = tokenize(value);
  const names: string[] = [];
  const addresses: string[] = [];
  const protocol: string[] = [];
  let clause = "";
  let hasFrom = false;
  for (const { kind, text } of tokens) {
    const word = text.toLowerCase();
    if (kind === "word" && KEYWORDS.has(word)) {
      clause = word;
      hasFrom ||= word === "from";
    } else if (clause === "with" && kind === "word") protocol.push(text);
    else if (kind === "comment" && /^from\s/i.test(text))
      addHost(text.slice(5), names, addresses); // Sendmail: `(from root@localhost) by …`
    else if (clause !== "from" && clause !== "by") continue;
    else if (kind === "word") addHost(text, names, addresses);
    else addComment(text, names, addresses);
  }
  return { names, addresses, hasFrom, protocol: protocol.join(" "), date };
}

/** Far more than any server writes; what follows is not looked at. */
const MOST_HOSTS = 30;

/** A name, an address, or either behind `user@`. */
function addHost(text: string, names: string[], addresses: string[]): void {
  if (names.length + addresses.length >= MOST_HOSTS) return;
  const host = text.slice(text.lastIndexOf("@") + 1).trim();
  const address = addressIn(host);
  if (address !== undefined) addresses.push(address);
  else if (/^[^\s[\]()<>,;"]+$/.test(host)) names.push(host);
}

/** `10.1.1.1`, `[10.1.1.1]`, `[IPv6:fe80::1%5]`, `[10.1.1.1]:25`. */
function addressIn(text: string): string | undefined {
  const inner = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? text;
  const bare = inner.replace(/^ipv6:/i, "").replace(/%.*$/, "");
  return isIP(bare) === 0 ? undefined : bare;
}

/**
 * `mail.example.org [192.0.2.1]`, `HELO pc [10.1.1.1]`, `[10.1.1.1] helo=pc`, `10.20.1.12`, `Postfix, from userid 33`.
 * A word alone is a program, a number without brackets its version: only what cannot be either counts.
 */
function addComment(text: string, names: string[], addresses: string[]): void {
  const words = text.split(/[\s,()"]+/).filter((word) => word !== "");
  let isHelo = false;
  for (const word of words) {
    const helo = /^(?:helo|ehlo|lhlo)(?:=(.*))?$/i.exec(word);
    const said = isHelo ? word : helo?.[1];
    isHelo = helo !== null && helo[1] === undefined;
    if (said !== undefined) addHost(said, names, addresses);
    else if (word.startsWith("[") || words.length === 1) addComplete(word, names, addresses);
    else if (/[a-z]\.?$/i.test(word) && word.includes(".")) addHost(word, names, addresses);
  }
}

function addComplete(word: string, names: string[], addresses: string[]): void {
  const host = word.slice(word.lastIndexOf("@") + 1);
  if (addressIn(host) !== undefined || /\.[^.]*[a-z]\.?$/i.test(host)) addHost(host, names, addresses);
}

/** Words and comments up to the last semicolon outside of comments, and what follows it. */
function tokenize(value: string): { tokens: readonly Token[]; date: string } {
  const tokens: Token[] = [];
  let last: { readonly tokens: number; readonly at: number } | undefined;
  for (let at = 0; at < value.length; ) {
    const character = value[at] ?? "";
    if (character === "(") {
      const end = commentEnd(value, at);
      tokens.push({ kind: "comment", text: value.slice(at + 1, end - 1) });
      at = end;
    } else if (character === ";") last = { tokens: tokens.length, at: ++at };
    else if (/[\s)]/.test(character)) at++;
    else {
      const end = wordEnd(value, at);
      tokens.push({ kind: "word", text: value.slice(at, end) });
      at = end;
    }
  }
  if (last === undefined) return { tokens, date: "" };
  return { tokens: tokens.slice(0, last.tokens), date: value.slice(last.at).trim() };
}

/** Behind the parenthesis that closes the one at `from`; the end where none does (RFC 5322 §3.2.2: they nest). */
function commentEnd(value: string, from: number): number {
  let depth = 0;
  for (let at = from; at < value.length; at++) {
    const character = value[at];
    if (character === "\\") at++;
    else if (character === "(") depth++;
    else if (character === ")" && --depth === 0) return at + 1;
  }
  return value.length + 1;
}

function wordEnd(value: string, from: number): number {
  let quoted = false;
  for (let at = from; at < value.length; at++) {
    const character = value[at] ?? "";
    if (character === '"') quoted = !quoted;
    else if (!quoted && /[\s();]/.test(character)) return at;
  }
  return value.length;
}
