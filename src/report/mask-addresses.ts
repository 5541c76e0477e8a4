/**
 * Addresses in the log as `log.addresses` says: whole, their domain, or a keyed hash. Works on any text, so that an
 * address which a peer quotes in its reply is covered like one in a field of ours. Time is linear in the text.
 */
import { createHmac } from "node:crypto";
import type { LogSettings } from "./settings.ts";

export type MaskText = (text: string) => string;

/** `key` makes equal addresses equal hashes on this gateway, and on no other. */
export function addressMask(mode: LogSettings["addresses"], key: Buffer): MaskText {
  switch (mode) {
    case "full":
      return (text) => text;
    case "domain":
      return (text) => replaceAddresses(text, (_, domain) => `@${domain}`);
    case "hash":
      return (text) => replaceAddresses(text, (local, domain) => hash(`${local}@${domain}`, key));
  }
}

/** 128 bits, over the address in lower case. */
function hash(address: string, key: Buffer): string {
  const digest = createHmac("sha256", key).update(address.toLowerCase()).digest("hex");
  return `hmac:${digest.slice(0, 32)}`;
}

/** Message-IDs look like addresses, are none, and are what other systems' logs are matched by. */
const NOT_ADDRESSES: ReadonlySet<string> = new Set(["messageId"]);

/** The same data with every text masked; arrays and plain objects are followed, the rest is kept. */
export function maskFields(value: unknown, mask: MaskText): unknown {
  if (typeof value === "string") return mask(value);
  if (Array.isArray(value)) return value.map((item) => maskFields(item, mask));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, NOT_ADDRESSES.has(key) ? item : maskFields(item, mask)]),
  );
}

/** The addresses in a text; one that stands behind a word and a sign (`user='anna@acme.example`) with and without them. */
export function addressesIn(text: string): readonly string[] {
  const found = new Set<string>();
  replaceAddresses(text, (local, domain) => {
    found.add(`${local}@${domain}`);
    const name = local.slice(1 + Math.max(...["'", "=", "/", "`"].map((sign) => local.lastIndexOf(sign))));
    if (name !== "" && !local.startsWith('"')) found.add(`${name}@${domain}`);
    return "";
  });
  return [...found];
}

/** Too much is taken rather than too little: `user='anna@acme.example'` loses `user='`, too. */
function replaceAddresses(text: string, replacement: (local: string, domain: string) => string): string {
  let out = "";
  let done = 0;
  for (let at = text.indexOf("@"); at !== -1; at = text.indexOf("@", Math.max(at + 1, done))) {
    const start = localPartStart(text, at, done);
    if (start === at) continue;
    const end = domainEnd(text, at + 1);
    if (text.startsWith('"@', end)) continue; // inside a quoted local part, whose own sign comes later
    out += text.slice(done, start) + replacement(text.slice(start, at), text.slice(at + 1, end));
    done = end;
  }
  return out + text.slice(done);
}

const ENDS_LOCAL_PART = /[\x00-\x20\x7f"(),:;<>@[\\\]]/;

function localPartStart(text: string, at: number, from: number): number {
  if (at > from && text[at - 1] === '"') {
    const quote = text.lastIndexOf('"', at - 2); // "john doe"@acme.example
    return quote >= from ? quote : at - 1;
  }
  let start = at;
  while (start > from && !ENDS_LOCAL_PART.test(text[start - 1] ?? "")) start -= 1;
  return start;
}

const LONGEST_LITERAL = 64;
const IN_DOMAIN = /[\w.\u0080-\uffff-]/;

function domainEnd(text: string, from: number): number {
  if (text[from] === "[") {
    const close = text.slice(from, from + LONGEST_LITERAL).indexOf("]");
    return close === -1 ? from : from + close + 1;
  }
  let end = from;
  while (end < text.length && IN_DOMAIN.test(text[end] ?? "")) end += 1;
  while (end > from && text[end - 1] === ".") end -= 1; // the sentence's own full stop
  return end;
}
