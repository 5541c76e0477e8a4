/**
 * Addresses of clients and the networks they belong to. IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) count as
 * the IPv4 address they carry, so one client is one client on a dual-stack listener.
 */
import { isIPv4, isIPv6, SocketAddress } from "node:net";
import type { Network } from "./settings.ts";

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** 4 or 16 bytes; undefined for anything that is not an address. A zone (`%eth0`) is dropped. */
export function addressBytes(text: string): readonly number[] | undefined {
  if (isIPv4(text)) return text.split(".").map(Number);
  const bare = text.replace(/%.*$/, "");
  if (!isIPv6(bare)) return undefined;
  const bytes = ipv6Bytes(bare);
  return MAPPED.every((byte, index) => bytes[index] === byte) ? bytes.slice(12) : bytes;
}

function ipv6Bytes(text: string): number[] {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const tail = dotted?.[2]?.split(".").map(Number) ?? [];
  const rest = dotted === null ? text : (dotted[1] ?? "").replace(/([^:]):$/, "$1");
  const [left = "", right] = rest.split("::");
  const words = (part: string): number[] =>
    part
      .split(":")
      .filter((word) => word !== "")
      .flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 0xff]);
  const head = words(left);
  const end = [...(right === undefined ? [] : words(right)), ...tail];
  return [...head, ...Array.from({ length: 16 - head.length - end.length }, () => 0), ...end];
}

/** The form that log, policy and limits use: IPv4 dotted where it is one, else RFC 5952 without zone. */
export function normalAddress(text: string): string {
  const bytes = addressBytes(text);
  if (bytes === undefined) return text.toLowerCase();
  if (bytes.length === 4) return bytes.join(".");
  return new SocketAddress({ address: text.replace(/%.*$/, ""), family: "ipv6" }).address;
}

export function isInNetwork(address: string, network: Network): boolean {
  const bytes = addressBytes(address);
  const base = addressBytes(network.address);
  if (bytes === undefined || base === undefined || bytes.length !== base.length) return false;
  // A mapped network is written with the IPv6 prefix: ::ffff:10.0.0.0/104 is 10.0.0.0/8.
  const prefix = base.length === 4 && network.address.includes(":") ? network.prefix - 96 : network.prefix;
  return sharedBits(bytes, base) >= prefix;
}

export function isInAny(address: string, networks: readonly Network[]): boolean {
  return networks.some((network) => isInNetwork(address, network));
}

function sharedBits(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] ?? 0) ^ (b[index] ?? 0);
    if (difference !== 0) return index * 8 + Math.clz32(difference) - 24;
  }
  return a.length * 8;
}

/** What counts as one client: an IPv4 address, or the /64 that one IPv6 customer has. */
export function clientKey(address: string): string {
  return block(address, 4, 8);
}

/** What guesses of passwords are counted by: /24 and /64. */
export function addressBlock(address: string): string {
  return block(address, 3, 8);
}

function block(address: string, ipv4Bytes: number, ipv6Bytes: number): string {
  const bytes = addressBytes(address);
  if (bytes === undefined) return address;
  return bytes.slice(0, bytes.length === 4 ? ipv4Bytes : ipv6Bytes).join(bytes.length === 4 ? "." : ":");
}
