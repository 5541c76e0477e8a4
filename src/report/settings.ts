/** What the log needs to be told; config/ fills it. Plain data. */

export interface LogSettings {
  readonly level: "debug" | "info" | "warn" | "error";
  /** How addresses appear, in every field: whole, their domain, or a keyed hash. */
  readonly addresses: "full" | "domain" | "hash";
  readonly to: "stdout" | { readonly file: string };
}
