/** Evidence as a good handshake shows it, to be bent by each row. */
import type { PeerCertificate, PeerEvidence } from "../../../src/mail/peer-evidence.ts";
import type { Session } from "../../../src/mail/session.ts";
import type { PeerCheck, TlsRequirement, TlsVersion } from "../../../src/mail/tls-requirement.ts";

export const NOW = Date.UTC(2026, 10, 25);
export const DAY = 86_400_000;
export const CERTIFICATE_DIGEST = "aa".repeat(32);
export const KEY_DIGEST = "bb".repeat(32);

export function leaf(bent: Partial<PeerCertificate> = {}): PeerCertificate {
  return {
    subject: "CN=mx.acme.example",
    names: ["mx.acme.example"],
    issuer: "CN=Acme CA",
    notBefore: NOW - DAY,
    notAfter: NOW + DAY,
    keyType: "ec",
    keyBits: 256,
    sha256: CERTIFICATE_DIGEST,
    spkiSha256: KEY_DIGEST,
    der: Buffer.of(),
    ...bent,
  };
}

export function evidence(bent: Partial<PeerEvidence> = {}): PeerEvidence {
  return { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", chain: [leaf()], trustId: "acme", ...bent };
}

export function mandatory(...checks: PeerCheck[]): TlsRequirement {
  return atLeast("TLSv1.2", ...checks);
}

export function atLeast(minVersion: TlsVersion, ...checks: PeerCheck[]): TlsRequirement {
  return { level: "mandatory", minVersion, checks };
}

export const pkix: PeerCheck = { by: "pkix", trustId: "acme", names: [{ host: "mx.acme.example" }] };

export function session(bent: Partial<Session> = {}): Session {
  return {
    host: "mx.acme.example",
    address: "192.0.2.1",
    port: 25,
    localAddress: undefined,
    extensions: new Set(),
    reused: false,
    authenticate: () => Promise.resolve("accepted"),
    send: () => Promise.resolve({ recipients: new Map() }),
    ...bent,
  };
}
