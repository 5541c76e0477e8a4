/** Where mail of one destination goes, as it is configured; connect/ finds the hosts. */

/** One entry of `next_hop`. `host` is an A-label name or a bare address. */
export type NextHop =
  | { readonly kind: "mx" } // the MX of the recipient's domain
  | { readonly kind: "mx-of"; readonly domain: string; readonly port?: number }
  | {
      readonly kind: "host";
      readonly host: string;
      readonly port: number;
      readonly implicitTls: boolean;
      readonly auth?: { readonly user: string; readonly password: string };
    };
