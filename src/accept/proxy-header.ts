/**
 * Reads a PROXY protocol header, version 1 or 2, from the first bytes of a connection (HAProxy, proxy-protocol.txt).
 * Pure and bounded; who may send one at all is decided before (settings: proxyProtocol).
 */
import { isIP, isIPv4, isIPv6 } from "node:net";

export type ProxyHeader =
  | { readonly kind: "incomplete" }
  | { readonly kind: "bad" }
  /** `source` is absent where the proxy speaks for itself (LOCAL, UNKNOWN): the connection's own address stands. */
  | { readonly kind: "read"; readonly length: number; readonly source?: { address: string; port: number } };

const V2_SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const V1_SIGNATURE = Buffer.from("PROXY ", "latin1");
/** Section 2.1: the longest line is 107 characters with its CRLF. */
const V1_LONGEST = 107;
/** Addresses and TLVs; more than any proxy sends, so that a silent flood ends. */
const V2_LONGEST = 4096;

export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsAlike(bytes, V2_SIGNATURE)) return bytes.length < 16 ? { kind: "incomplete" } : readVersion2(bytes);
  if (startsAlike(bytes, V1_SIGNATURE)) return readVersion1(bytes);
  return { kind: "bad" };
}

function startsAlike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.subarray(0, length).equals(signature.subarray(0, length));
}

function readVersion1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_LONGEST).indexOf("\r\n");
  if (end < 0) return bytes.length >= V1_LONGEST ? { kind: "bad" } : { kind: "incomplete" };
  const line = bytes.toString("latin1", 0, end);
  const length = end + 2;
  if (/^PROXY UNKNOWN( |$)/.test(line)) return { kind: "read", length };
  const parts = line.split(" ");
  if (parts.length !== 6) return { kind: "bad" };
  const [, family, source = "", destination = "", sourcePort = "", destinationPort = ""] = parts;
  const isAddress = family === "TCP4" ? isIPv4 : family === "TCP6" ? isIPv6 : undefined;
  if (isAddress === undefined || !isAddress(source) || !isAddress(destination)) return { kind: "bad" };
  if (source.includes("%") || !isPort(sourcePort) || !isPort(destinationPort)) return { kind: "bad" };
  return { kind: "read", length, source: { address: source.toLowerCase(), port: Number(sourcePort) } };
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function readVersion2(bytes: Buffer): ProxyHeader {
  const versionAndCommand = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const length = 16 + bytes.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2 || length > V2_LONGEST) return { kind: "bad" };
  if (bytes.length < length) return { kind: "incomplete" };
  const command = versionAndCommand & 0x0f;
  if (command === 0) return { kind: "read", length }; // LOCAL: a health check of the proxy's own
  if (command !== 1) return { kind: "bad" };
  const body = bytes.subarray(16, length);
  if (family === 0x11) return withAddress(body, 4, length);
  if (family === 0x21) return withAddress(body, 16, length);
  return family === 0x00 ? { kind: "read", length } : { kind: "bad" };
}

/** Section 2.2: source address, destination address, source port, destination port. */
function withAddress(body: Buffer, size: 4 | 16, length: number): ProxyHeader {
  if (body.length < size * 2 + 4) return { kind: "bad" };
  const raw = body.subarray(0, size);
  const address = size === 4 ? raw.join(".") : (raw.toString("hex").match(/.{4}/g) ?? []).join(":");
  if (isIP(address) === 0) return { kind: "bad" };
  return { kind: "read", length, source: { address, port: body.readUInt16BE(size * 2) } };
}
