/** What one TLS handshake showed of the peer, read once and then only judged. Data, so it can be logged and replayed. */
import type { TlsVersion } from "./tls-requirement.ts";

export interface PeerCertificate {
  /** One line, RFC 4514 order as OpenSSL prints it. */
  readonly subject: string;
  /** dNSName entries of the SubjectAltName, as they stand. */
  readonly names: readonly string[];
  readonly issuer: string;
  /** Epoch ms. */
  readonly notBefore: number;
  /** Epoch ms. */
  readonly notAfter: number;
  /** `rsa`, `ec`, `ed25519` … */
  readonly keyType: string;
  readonly keyBits?: number;
  /** SHA-256 of the DER certificate, 64 lower-case hex digits. */
  readonly sha256: string;
  /** SHA-256 of the DER SubjectPublicKeyInfo, 64 lower-case hex digits. */
  readonly spkiSha256: string;
  /** The DER itself: TLSA records are matched against it. */
  readonly der: Buffer;
}

export interface PeerEvidence {
  readonly version: TlsVersion;
  /** Standard (IANA) name of the suite. */
  readonly cipher: string;
  /** Key-exchange group, if Node tells it. */
  readonly group?: string;
  readonly sni?: string;
  /** As the peer sent them, leaf first; empty when it showed none, which fails every check. */
  readonly chain: readonly PeerCertificate[];
  /** The trust set the handshake judged the chain by. */
  readonly trustId: string;
  /** Why the chain does not verify under that set: Node's code (`CERT_HAS_EXPIRED` …); absent when it does. */
  readonly chainError?: string;
}
