/** Who certifies resolvers asked over TLS: those of `tls.trust`. Trusts nobody beyond it; made once per set. */
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import type { DnsSettings } from "./settings.ts";

/** The context for the set in force; undefined where none is told, which leaves Node's own. */
export function createDnsAuthorities(trust: () => DnsSettings["trust"]): () => SecureContext | undefined {
  let made: { readonly id: string; readonly context: SecureContext } | undefined;
  return () => {
    const set = trust();
    if (set === undefined) return undefined;
    if (made?.id !== set.id) {
      const ca = set.ca === "system" ? systemAuthorities() : set.ca;
      made = { id: set.id, context: createSecureContext({ ca: [...ca], minVersion: "TLSv1.2" }) };
    }
    return made.context;
  };
}

function systemAuthorities(): readonly string[] {
  const system = getCACertificates("system");
  return system.length > 0 ? system : getCACertificates("bundled");
}
