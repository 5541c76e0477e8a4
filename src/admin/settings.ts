/** What the admin listener needs to be told; config/ fills it. Plain data. */

export interface AdminSettings {
  /** Loopback only until it can speak TLS. */
  readonly address: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Made at first start, 0600. */
  readonly tokenFile: string;
  /** `queue show --content`. */
  readonly contentAccess: boolean;
}
