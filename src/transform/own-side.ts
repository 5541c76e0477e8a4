/**
 * Who is on our own side, by name and address, and which Received fields (RFC 5321 §4.4) therefore tell of it. Reads
 * what servers really write. In doubt a field of the top is ours: leaving a name of the inside standing is the worse mistake.
 */
import { BlockList, isIP } from "node:net";
import { parseDomainName } from "../mail/domain-name.ts";
import { readClauses } from "./received-clauses.ts";

export interface OwnSide {
  /** Of the gateway. */
  readonly hostname: string;
  /** A-labels. */
  readonly domains: readonly string[];
  /** `domains`, and what is customary inside: whatever is one of these or below is ours. */
  readonly parents: ReadonlySet<string>;
  /** As others know us: `domains` and the gateway's own name, nothing below. */
  readonly publicNames: ReadonlySet<string>;
  /** Whether an address is one of those that may hand mail in. */
  readonly isClientAddress: (address: string) => boolean;
}

/** Stands for a name in an anonymised field (RFC 2606 §2); so the field is known again when it comes back. */
export const HIDDEN_NAME = "hidden.invalid";

/** Reserved for inside use (RFC 6762 §3 and app. G, RFC 8375, ICANN's .internal), or customary. */
const INSIDE_SUFFIXES: ReadonlySet<string> = new Set([
  "local",
  "lan",
  "internal",
  "corp",
  "home.arpa",
  "home",
  "localdomain",
  "localhost",
  "intranet",
  "intern",
  "private",
]);

/** Made once per configuration: a header may have tens of thousands of names to be looked up. */
export function ownSide(own: Omit<OwnSide, "parents" | "publicNames">): OwnSide {
  const { hostname, domains } = own;
  return {
    ...own,
    parents: new Set([...domains, ...INSIDE_SUFFIXES]),
    publicNames: new Set([...domains, hostname.toLowerCase()]),
  };
}

/**
 * Whether an address is in one of the networks that may hand mail in. One that is everybody's (prefix 0) tells nothing
 * of the inside.
 */
export function insideAddresses(
  networks: readonly { readonly address: string; readonly prefix: number }[],
): OwnSide["isClientAddress"] {
  const inside = new BlockList();
  for (const { address, prefix } of networks)
    if (prefix > 0) inside.addSubnet(address, prefix, isIP(address) === 6 ? "ipv6" : "ipv4");
  return (address) => inside.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** What servers write where they know no name. */
const NO_NAME = "unknown";

/** `name`: octets as latin1, which may be UTF-8 (RFC 6531). */
export function isOwnName(name: string, own: OwnSide): boolean {
  const domain = comparable(name);
  if (domain === HIDDEN_NAME || own.publicNames.has(domain) || isSingleLabel(domain)) return true;
  return isAtOrBelow(domain, own.parents);
}

function comparable(name: string): string {
  const plain = Buffer.from(name, "latin1").toString().toLowerCase().replace(/\.$/, "");
  return parseDomainName(plain) ?? plain;
}

function isSingleLabel(domain: string): boolean {
  return domain !== NO_NAME && /^[a-z0-9_-]+$/.test(domain);
}

/** A single label, or below a name for inside use: it leads nowhere outside. `domain`: lower case, no dot at its end. */
export function isReservedName(domain: string): boolean {
  return isSingleLabel(domain) || isAtOrBelow(domain, INSIDE_SUFFIXES);
}

/** A name or address (RFC 5321 §4.1.3, with or without brackets) of our side, but for those that others know us by. */
export function tellsOfInside(host: string, own: OwnSide): boolean {
  if (isOwnAddress(host.replace(/^\[(?:ipv6:)?|\]$/gi, ""), own)) return true;
  return isOwnName(host, own) && !own.publicNames.has(comparable(host));
}

/** RFC 1035 §2.3.4, as text. */
const LONGEST_NAME = 253;

/** Looks up the ends that may be names, no others: what has dots without end would cost the square of its length. */
function isAtOrBelow(name: string, parents: ReadonlySet<string>): boolean {
  if (parents.has(name)) return true;
  for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1)) {
    const end = name.slice(dot + 1);
    if (end.length > LONGEST_NAME) return false;
    if (parents.has(end)) return true;
  }
  return false;
}

/** RFC 1918, 6598, 3927, 4193, 4291, and "this host"; an IPv4 address in IPv6 counts as itself. */
const PRIVATE = privateNetworks([
  ["0.0.0.0", 8, "ipv4"],
  ["10.0.0.0", 8, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["::", 127, "ipv6"],
  ["fc00::", 7, "ipv6"],
  ["fe80::", 10, "ipv6"],
  ["fec0::", 10, "ipv6"],
]);

function privateNetworks(networks: readonly (readonly [string, number, "ipv4" | "ipv6"])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix, family] of networks) list.addSubnet(address, prefix, family);
  return list;
}

/** False for what is no address. A zone (`%5`) is dropped. */
export function isOwnAddress(text: string, own: OwnSide): boolean {
  const address = text.replace(/%.*$/, "");
  const family = isIP(address);
  if (family === 0) return false;
  return PRIVATE.check(address, family === 6 ? "ipv6" : "ipv4") || own.isClientAddress(address);
}

/** ours: `by` or `from` is of our side. unnamed: it says neither, as those that qmail writes. */
function sideOf(value: string, own: OwnSide): "ours" | "other" | "unnamed" {
  const { names, addresses } = readClauses(value);
  if (names.some((name) => isOwnName(name, own)) || addresses.some((one) => isOwnAddress(one, own))) return "ours";
  return names.length + addresses.length > 0 ? "other" : "unnamed";
}

/**
 * How many of the Received fields (unfolded, topmost first) are of our own side: up to the first that is not. One that
 * names nobody belongs to the host that wrote the next one below it.
 */
export function countOwnReceived(values: readonly string[], own: OwnSide): number {
  let count = 0;
  for (const [index, value] of values.entries()) {
    const side = sideOf(value, own);
    if (side === "other") return count;
    if (side === "ours") count = index + 1;
  }
  return values.length;
}

/**
 * RFC 8601 §2.2: `[CFWS] authserv-id [CFWS authres-version] ;`. Results without an id, as Exchange writes them, are
 * nobody's but ours.
 */
export function isOwnAuthenticationResult(value: string, own: OwnSide): boolean {
  const id = authservId(value);
  return id === undefined || isOwnName(id, own) || isOwnAddress(id.replace(/^\[|\]$/g, ""), own);
}

export function authservId(value: string): string | undefined {
  return /^[^\s;="]+(?![^\s;"])/.exec(withoutComments(value).trimStart())?.[0];
}

/** RFC 7208 §9.1: who checked stands in `receiver=`, and first in the comment. */
export function isOwnSpfResult(value: string, own: OwnSide): boolean {
  const receiver = /\breceiver=\s*"?([^\s;"()]+)/i.exec(value)?.[1];
  const writer = /\(\s*([^\s:()]+):/.exec(value)?.[1];
  return [receiver, writer].some((name) => name !== undefined && isOwnName(name, own));
}

function withoutComments(value: string): string {
  let depth = 0;
  return value.replace(/\\.|[()]|[^\\()]+|\\/g, (piece) => {
    if (piece === "(") depth++;
    else if (piece !== ")" || depth === 0) return depth === 0 ? piece : "";
    else depth--;
    return "";
  });
}
