/**
 * A mailbox, parsed once, by the grammar of RFC 5321 §4.1.2. Everything downstream uses this form.
 * Source routes, `%` and `!` are never interpreted.
 */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { type DomainName, parseDomainName } from "./domain-name.ts";

/** `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3), by its bare address in lower case. */
export interface AddressLiteral {
  readonly address: string;
}

export interface Mailbox {
  /** As it stood between `<` and `@`, quotes included. */
  readonly localPart: string;
  readonly domain: DomainName | AddressLiteral;
}

const DOT_STRING = /^[^\s"(),:;<>@[\\\]\x00-\x20\x7f.]+(?:\.[^\s"(),:;<>@[\\\]\x00-\x20\x7f.]+)*$/;
const QUOTED_STRING = /^"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"$/;

/** Parses `local@domain` without angle brackets. Undefined for anything outside the grammar. */
export function parseMailbox(text: string): Mailbox | undefined {
  const at = text.lastIndexOf("@");
  if (at < 1) return undefined;
  const localPart = text.slice(0, at);
  if (Buffer.byteLength(localPart) > 64) return undefined; // RFC 5321 §4.5.3.1.1
  if (!DOT_STRING.test(localPart) && !QUOTED_STRING.test(localPart)) return undefined;
  const domain = parseMailDomain(text.slice(at + 1));
  return domain === undefined ? undefined : { localPart, domain };
}

export function parseMailDomain(text: string): DomainName | AddressLiteral | undefined {
  return text.startsWith("[") ? parseAddressLiteral(text) : parseDomainName(text);
}

/** Reads `[192.0.2.1]` and `[IPv6:…]`. */
export function parseAddressLiteral(text: string): AddressLiteral | undefined {
  if (!text.startsWith("[") || !text.endsWith("]")) return undefined;
  const inner = text.slice(1, -1);
  if (isIPv4(inner)) return { address: inner };
  const v6 = /^ipv6:(.+)$/i.exec(inner)?.[1];
  return v6 !== undefined && isIPv6(v6) && !v6.includes("%") ? { address: v6.toLowerCase() } : undefined;
}

export function isAddressLiteral(domain: DomainName | AddressLiteral): domain is AddressLiteral {
  return typeof domain !== "string";
}

/** `example.org`, `[192.0.2.1]` or `[IPv6:2001:db8::1]`. */
export function formatDomain(domain: DomainName | AddressLiteral): string {
  if (!isAddressLiteral(domain)) return domain;
  return isIP(domain.address) === 6 ? `[IPv6:${domain.address}]` : `[${domain.address}]`;
}

/** The bare address as it goes into MAIL, RCPT and the log: `local@domain`. */
export function formatMailbox(mailbox: Mailbox): string {
  return `${mailbox.localPart}@${formatDomain(mailbox.domain)}`;
}

/** One text for all forms of a mailbox, to look it up by: `"Anna"@x.example` is `anna@x.example` (RFC 5321 §4.1.2). */
export function mailboxKey({ localPart, domain }: Mailbox): string {
  const meant = localPart.startsWith('"') ? localPart.slice(1, -1).replace(/\\(.)/g, "$1") : localPart;
  return `${meant}@${formatDomain(domain)}`.toLowerCase();
}

/** The reverse-path as text; the null sender is the empty string. */
export function formatReversePath(path: Mailbox | null): string {
  return path === null ? "" : formatMailbox(path);
}

/** True when the address needs SMTPUTF8 (RFC 6531). The domain is always an A-label here. */
export function needsSmtpUtf8(mailbox: Mailbox): boolean {
  return /[^\x00-\x7f]/.test(mailbox.localPart);
}
