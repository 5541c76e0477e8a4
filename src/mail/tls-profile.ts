/** What a TLS handshake may negotiate: named profiles of listeners and of deliveries (contract section 4). Data only. */
import type { TlsVersion } from "./tls-requirement.ts";

export interface TlsProfile {
  /** With its edition: `intermediate@2026`. */
  readonly name: string;
  readonly minVersion: TlsVersion;
  /** OpenSSL cipher string with the suites in order, TLS 1.3 ones included. */
  readonly ciphers: string;
  /** OpenSSL group list, `:`-separated. */
  readonly groups: string;
  /** OpenSSL signature algorithm list, `:`-separated. */
  readonly signatureAlgorithms: string;
}
