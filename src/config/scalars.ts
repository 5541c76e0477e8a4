/**
 * The written forms of single values: durations, sizes, dates, digests, networks, names. Pure parsers, text in, value
 * or undefined out; the schema says in words what was expected.
 */
import { isIP, isIPv4, isIPv6 } from "node:net";
import type { Network } from "../accept/settings.ts";
import { parseDomainName } from "../mail/domain-name.ts";
import { formatMailbox, parseMailbox } from "../mail/mailbox.ts";
import type { NamePattern } from "../mail/tls-requirement.ts";

export const DAY_MS = 86_400_000;

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: DAY_MS,
  w: 7 * DAY_MS,
  y: 365 * DAY_MS,
};

/** `30s 5m 4h 5d 2y` in ms; at most ten years. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,9})(ms|s|m|h|d|w|y)$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : DURATION_MS[unit];
  if (digits === undefined || factor === undefined) return undefined;
  const value = Number(digits) * factor;
  return value <= 3650 * DAY_MS ? value : undefined;
}

const SIZES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
  kB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
};

/** `50MiB` in octets. */
export function parseSize(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,6}) ?(B|[KMGT]iB|[kMG]B)$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : SIZES[unit];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

/** `2027-06-30`: epoch ms of the first instant after that day, UTC, since dates here are inclusive. */
export function parseLastDay(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const start = Date.parse(`${text}T00:00:00Z`);
  // Date.parse lets some months run over (02-30); the day must come back as it was written.
  if (Number.isNaN(start) || dayOf(start) !== text) return undefined;
  return start + DAY_MS;
}

/** YYYY-MM-DD in UTC. */
export function dayOf(instant: number): string {
  return new Date(instant).toISOString().slice(0, 10);
}

/** SHA-256 as hex, colons optional: 64 lower-case digits. */
export function parseDigest(text: string): string | undefined {
  const hex = text.replaceAll(":", "").toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hex)) return undefined;
  return !text.includes(":") || /^(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$/.test(text) ? hex : undefined;
}

/** `10.0.0.0/8`, `::1`: an address alone is a network of one. The address must be the first of its network. */
export function parseNetwork(text: string): Network | undefined {
  const [, address, digits] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = address === undefined ? 0 : isIP(address);
  if (address === undefined || family === 0) return undefined;
  const width = family === 4 ? 32 : 128;
  const prefix = digits === undefined ? width : Number(digits);
  if (prefix > width || (digits ?? "").length > String(prefix).length) return undefined;
  return { address: address.toLowerCase(), prefix };
}

/** All of IPv4 or of IPv6. IPv4 may also be written as IPv6 (RFC 4291 §2.5.5.2): ::ffff:0:0/96. */
export function isEverybody({ address, prefix }: Network): boolean {
  return prefix === 0 || (isIPv6(address) && prefix <= 96 && addressBits(address) >> 32n === 0xffffn);
}

/** The address with all bits behind the prefix cleared, as it should have been written; the same text when it was. */
export function networkBase({ address, prefix }: Network): string {
  const bits = addressBits(address);
  const width = isIPv4(address) ? 32n : 128n;
  const host = (1n << (width - BigInt(prefix))) - 1n;
  if ((bits & host) === 0n) return address;
  return formatBits(bits & ~host, width);
}

function addressBits(address: string): bigint {
  if (isIPv4(address)) return address.split(".").reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
  const v4 = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  if (v4?.[1] !== undefined && v4[2] !== undefined) {
    const low = addressBits(v4[2]);
    return addressBits(`${v4[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`);
  }
  const [head = "", tail] = address.split("::");
  const groups = (text: string | undefined) => (text === undefined || text === "" ? [] : text.split(":"));
  const [front, back] = [groups(head), groups(tail)];
  const gap = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => "0");
  return [...front, ...gap, ...back].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

function formatBits(bits: bigint, width: bigint): string {
  const step = width === 32n ? 8n : 16n;
  const parts: string[] = [];
  for (let shift = width - step; shift >= 0n; shift -= step) {
    const part = (bits >> shift) & ((1n << step) - 1n);
    parts.push(part.toString(step === 8n ? 10 : 16));
  }
  return step === 8n ? parts.join(".") : parts.join(":").replace(/(?:^|:)0(?::0)+(?::|$)/, "::");
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(address: string): boolean {
  return (isIPv4(address) && address.startsWith("127.")) || (isIPv6(address) && addressBits(address) === 1n);
}

/** A domain, or all names below one: `.acme.example` and `*.acme.example`. A-labels. */
export function parseNamePattern(text: string): NamePattern | undefined {
  const below = /^(?:\*?\.)(.+)$/.exec(text)?.[1];
  const name = parseDomainName(below ?? text);
  if (name === undefined) return undefined;
  return below === undefined ? { host: name } : { below: name };
}

/** `local@domain` with the domain as A-label, or an address literal. */
export function parseAddress(text: string): string | undefined {
  const mailbox = parseMailbox(text);
  return mailbox && formatMailbox(mailbox);
}
