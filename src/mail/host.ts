/** A host to try: one address of one name, in order of preference. */
export interface Host {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly route: "mx" | "next-hop";
  /** `name` comes from an MX look-up, at the recipient's domain or at a next_hop domain. */
  readonly learnedFromMx: boolean;
  /** The name written in next_hop, if any. */
  readonly nextHopName?: string;
  readonly implicitTls: boolean;
  readonly auth?: { readonly user: string; readonly password: string };
}
