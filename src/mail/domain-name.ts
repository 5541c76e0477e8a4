/**
 * A domain name, parsed once: A-labels, lower case, no trailing dot.
 * Policy, routing, log and RCPT all use this one form, so a name cannot mean two things.
 */
import { domainToASCII } from "node:url";

declare const domainName: unique symbol;
/** RFC 5321 §2.3.5, as A-labels (RFC 5890) in lower case. Only `parseDomainName` makes one. */
export type DomainName = string & { readonly [domainName]: true };

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/**
 * Reads a domain in Unicode or A-label form; one trailing dot is dropped. Underscores are let through, as DNS does.
 * Returns undefined for anything that is not a host name of labels, among them IPv4 addresses: `domainToASCII`
 * (UTS 46) is no validator, it accepts `aa..bb` and rewrites `0x7f.1` to an address.
 */
export function parseDomainName(text: string): DomainName | undefined {
  const trimmed = text.endsWith(".") ? text.slice(0, -1) : text;
  if (trimmed.length === 0 || trimmed.length > 1024) return undefined;
  if (/[\x00-\x20\x7f-\x9f]/.test(trimmed)) return undefined; // domainToASCII drops tabs and line ends silently
  const plain = /^[\x21-\x7e]+$/.test(trimmed);
  // Plain ASCII without xn-- labels needs no mapping, and must not be rewritten into an address.
  const ascii = plain && !/(^|\.)xn--/i.test(trimmed) ? trimmed.toLowerCase() : domainToASCII(trimmed);
  if (ascii.length === 0 || ascii.length > 253) return undefined;
  const labels = ascii.split(".");
  if (!labels.every((label) => LABEL.test(label))) return undefined;
  if (/^\d+$/.test(labels.at(-1) ?? "")) return undefined; // an address or a fragment of one (RFC 3696 §2)
  return ascii as DomainName;
}

/** The domain itself and each of its parents, longest first: a.b.c → a.b.c, b.c, c. */
export function* ancestry(domain: DomainName): Generator<string> {
  for (let rest: string = domain; ; rest = rest.slice(rest.indexOf(".") + 1)) {
    yield rest;
    if (!rest.includes(".")) return;
  }
}

/** True for a name strictly below `parent`, at any depth. Compares whole labels, never string suffixes. */
export function isBelow(domain: string, parent: string): boolean {
  return domain.length > parent.length + 1 && domain.endsWith(`.${parent}`);
}
