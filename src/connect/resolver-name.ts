/** How a resolver is named in texts and keys: as it would be written in the configuration. */
import type { ResolverAddress } from "./settings.ts";

export function nameOf({ transport, address, port, name }: ResolverAddress): string {
  const at = `${address.includes(":") ? `[${address}]` : address}:${port}`;
  return transport === "tls" ? `tls://${at}${name === undefined ? "" : `#${name}`}` : at;
}
