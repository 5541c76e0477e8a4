/** What the SMTP client side needs to be told; config/ fills it. Plain data. */

export interface ResolverAddress {
  readonly transport: "udp" | "tls";
  readonly address: string;
  readonly port: number;
  /** For tls: the name its certificate must carry. */
  readonly name?: string;
}

export interface DnsSettings {
  /** Never empty: config/ reads /etc/resolv.conf where none is written. */
  readonly resolvers: readonly ResolverAddress[];
  readonly timeoutMs: number;
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
