/**
 * Reads once what a handshake showed; the only file that touches a TLSSocket. It judges nothing: chain errors are
 * recorded as Node tells them. Never use on a resumed session: Node then shows no certificates (and none fails all).
 */
import type { X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import { readCertificate, sha256 as digest } from "../mail/certificate.ts";
import type { PeerEvidence } from "../mail/peer-evidence.ts";
import type { TlsVersion } from "../mail/tls-requirement.ts";

/** The certificates that the handshake was judged by. */
export interface Anchors {
  readonly trustId: string;
  /** SHA-256 of the DER of each, lower-case hex. */
  readonly sha256: ReadonlySet<string>;
}

/** Call after the handshake, before the socket is closed. */
export function readEvidence(socket: TLSSocket, anchors: Anchors): PeerEvidence {
  const chainError = chainErrorOf(socket, anchors); // first: reading the sent chain empties what this one reads
  const sent = sentChain(socket);
  const group = groupOf(socket);
  const sni = sniOf(socket);
  return {
    version: socket.getProtocol() as TlsVersion,
    cipher: socket.getCipher().standardName,
    ...(group !== undefined && { group }),
    ...(sni !== undefined && { sni }),
    chain: sent.map(readCertificate),
    trustId: anchors.trustId,
    ...(chainError !== undefined && { chainError }),
  };
}

/** What the peer sent, leaf first. Not getPeerCertificate(true): that adds issuers of our own store. */
function sentChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let next = socket.getPeerX509Certificate(); next !== undefined; next = next.issuerCertificate) chain.push(next);
  return chain;
}

/**
 * OpenSSL keeps only the last error of a path, and dates come last: an expired certificate of a stranger reads
 * CERT_HAS_EXPIRED like one of our own authority. So a date error only stands if the path ends at an anchor.
 */
function chainErrorOf(socket: TLSSocket, anchors: Anchors): string | undefined {
  if (socket.authorized) return undefined;
  const error: unknown = socket.authorizationError;
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  if (code !== "CERT_HAS_EXPIRED" && code !== "CERT_NOT_YET_VALID") return code;
  return pathMeetsAnchor(socket, anchors) ? code : "UNABLE_TO_VERIFY_LEAF_SIGNATURE";
}

/** Here the issuers that Node adds from our own store are what is looked for. A root is its own issuer. */
function pathMeetsAnchor(socket: TLSSocket, { sha256 }: Anchors): boolean {
  const seen = new Set<string>();
  let next: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true);
  for (; next?.raw !== undefined && !seen.has(digest(next.raw)); next = next.issuerCertificate) {
    if (sha256.has(digest(next.raw))) return true;
    seen.add(digest(next.raw));
  }
  return false;
}

function groupOf(socket: TLSSocket): string | undefined {
  const info = socket.getEphemeralKeyInfo();
  return info !== null && "name" in info && typeof info.name === "string" ? info.name : undefined;
}

function sniOf(socket: TLSSocket): string | undefined {
  const { servername } = socket as { servername?: string | false | null };
  return typeof servername === "string" && servername !== "" ? servername : undefined;
}
