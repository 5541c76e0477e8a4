/** What the SMTP client side needs to be told; config/ fills it. Plain data. */

import type { TrustSet } from "../mail/tls-requirement.ts";

export interface ResolverAddress {
  readonly transport: "udp" | "tls";
  readonly address: string;
  readonly port: number;
  /** For tls: the name its certificate must carry. */
  readonly name?: string;
  /** Its AD bit is believed, by `dns.trust_ad`. Absent: it is not, and its answers count as insecure. */
  readonly trustAd?: boolean;
}

export interface DnsSettings {
  /** Never empty: config/ reads /etc/resolv.conf where none is written. */
  readonly resolvers: readonly ResolverAddress[];
  readonly timeoutMs: number;
  /** Who certifies tls:// resolvers; absent: whom Node trusts. */
  readonly trust?: TrustSet;
}

export interface DeliverySettings {
  /** Our name in EHLO. */
  readonly hostname: string;
  /** Default port of MX hosts. */
  readonly port: number;
  /** Local addresses to connect from, one per address family; empty: the system chooses. */
  readonly sourceAddresses: readonly string[];
  readonly ipVersions: readonly (4 | 6)[];
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly dataTimeoutMs: number;
  /** `queue.messages_per_connection` */
  readonly messagesPerConnection: number;
  /** `queue.idle_connection` */
  readonly idleConnectionMs: number;
}
