/**
 * Takes one address out of what is kept: out of the fields that are addresses, and out of any text, however it is
 * written there. Too much of a text is taken rather than too little; another address is never touched. Pure.
 */
import { domainToUnicode } from "node:url";
import { formatDomain, isAddressLiteral, type Mailbox, mailboxKey, parseMailbox } from "../mail/mailbox.ts";

const GONE = "erased";
/** Their values are whole addresses, and nothing else. */
const ADDRESSES: ReadonlySet<string> = new Set(["sender", "recipient", "recipients"]);
/** Sentences about the recipients of an entry, who may be named in them without their domain. */
const SENTENCES: ReadonlySet<string> = new Set(["text", "detail"]);
/** A shorter local part is rather a word than a name. */
const SHORTEST_NAME = 3;

/** The same data without the address; the same object where it is not in it. */
export function withoutAddress(fields: object, address: string): object {
  const mailbox = parseMailbox(address);
  if (mailbox === undefined) return fields;
  const eraser = createEraser(mailbox);
  const named = erase(fields, "", eraser.address, eraser.text);
  if (named === fields) return fields;
  return erase(named, "", (one) => one, eraser.sentence) as object;
}

/** A word of its own: no part of a longer one, nor of another address. */
const NO_NAME_BEFORE = "(?<![\\p{L}\\p{N}@]|[\\p{L}\\p{N}][.+_-])";
const NO_NAME_BEHIND = "(?![\\p{L}\\p{N}@]|[.+_-][\\p{L}\\p{N}])";

type Change = (value: string) => string;

function erase(value: unknown, key: string, address: Change, text: (value: string, key: string) => string): unknown {
  if (typeof value === "string") return ADDRESSES.has(key) ? address(value) : text(value, key);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => erase(item, key, address, text));
    return items.every((item, at) => item === value[at]) ? value : items;
  }
  const entries = Object.entries(value).map(([name, item]) => [name, item, erase(item, name, address, text)] as const);
  if (entries.every(([, before, after]) => before === after)) return value;
  return Object.fromEntries(entries.map(([name, , after]) => [name, after]));
}

function createEraser(mailbox: Mailbox) {
  const key = mailboxKey(mailbox);
  const whole = new RegExp(formsOf(mailbox).map(escaped).join("|"), "giu");
  const name = nameOf(mailbox);
  const alone =
    name.length < SHORTEST_NAME ? undefined : new RegExp(`${NO_NAME_BEFORE}${escaped(name)}${NO_NAME_BEHIND}`, "giu");
  const isOurs = (text: string): boolean => {
    const parsed = parseMailbox(text);
    return parsed !== undefined && mailboxKey(parsed) === key;
  };
  return {
    address: (value: string): string => (isOurs(value) ? GONE : value),
    text: (value: string): string =>
      value.replace(whole, (found: string, at: number) =>
        isWhole(value.slice(Math.max(0, at - 3), at), value.slice(at + found.length, at + found.length + 3))
          ? GONE
          : found,
      ),
    sentence: (value: string, of: string): string =>
      alone !== undefined && SENTENCES.has(of) ? value.replace(alone, GONE) : value,
  };
}

/** As clients, peers and DSN parameters write it: quoted or not, in xtext (RFC 3461 §4), percent-encoded, as a U-label. */
function formsOf(mailbox: Mailbox): string[] {
  const name = nameOf(mailbox);
  const domain = formatDomain(mailbox.domain);
  const unicode = isAddressLiteral(mailbox.domain) ? domain : domainToUnicode(domain);
  const quoted = `"${name.replace(/["\\]/g, "\\$&")}"`;
  const locals = new Set([mailbox.localPart, name, quoted, `"${name}"`, xtext(name), encodeURIComponent(name)]);
  const domains = new Set([domain, unicode === "" ? domain : unicode]);
  return [...locals].flatMap((local) =>
    [...domains].flatMap((one) => ["@", "%40", "+40"].map((at) => local + at + one)),
  );
}

function nameOf({ localPart }: Mailbox): string {
  return localPart.startsWith('"') ? localPart.slice(1, -1).replace(/\\(.)/g, "$1") : localPart;
}

function xtext(text: string): string {
  return [...Buffer.from(text, "utf8")]
    .map((octet) => {
      const plain = octet >= 0x21 && octet <= 0x7e && octet !== 0x2b && octet !== 0x3d;
      return plain ? String.fromCharCode(octet) : `+${octet.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}

/** What merely ends or begins like it is another one; an encoded angle bracket is an end. */
function isWhole(before: string, behind: string): boolean {
  const begins = /[+%=]3c$/i.test(before) || !/[\p{L}\p{N}._+-]$/u.test(before);
  return begins && !/^(?:[\p{L}\p{N}_-]|\.[\p{L}\p{N}])/u.test(behind);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
