/**
 * Keys of a `tls` map that have no effect at the level stated there (contract section 1). Looks only at what one file
 * writes: what is inherited is never dead.
 */
import { BESIDE_PUBLISHED } from "../decide/message-demand.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";
import type { Located } from "./located.ts";
import type { Problems } from "./problems.ts";

const PROVEN: readonly TlsLevel[] = ["verify", "secure", "authenticated"];
const PUBLISHED: readonly TlsLevel[] = ["may", "encrypt", "verify", "authenticated"];
const ENCRYPTED: readonly TlsLevel[] = [
  "may",
  "encrypt",
  "verify",
  "secure",
  "fingerprint",
  "authenticated",
  "dane-only",
];

/** Where each key means something; a key not listed always does. */
const EFFECTIVE: Readonly<Record<string, readonly TlsLevel[]>> = {
  fingerprints: ["fingerprint"],
  match: PROVEN,
  ca: PROVEN,
  crl: PROVEN,
  dane: PUBLISHED,
  mta_sts: PUBLISHED,
  tls_required_no: BESIDE_PUBLISHED,
  profile: ENCRYPTED,
  min_version: ENCRYPTED,
  ciphers: ENCRYPTED,
  client_certificate: ENCRYPTED,
  servername: ENCRYPTED,
};

/** `written`: the map as one file has it; `level`: the one that holds there. True when nothing was dead. */
export function reportDeadKeys(written: Located | undefined, level: TlsLevel, problems: Problems): boolean {
  if (written?.kind !== "map") return true;
  let alive = true;
  for (const [name, { key }] of written.entries) {
    const levels = Object.hasOwn(EFFECTIVE, name) ? EFFECTIVE[name] : undefined;
    if (levels !== undefined && !levels.includes(level)) {
      const others = levels === ENCRYPTED ? "a level with TLS" : `level: ${levels.join(" or ")}`;
      problems.add(key, `${name} has no effect at level ${level}`, `remove it, or write ${others}`);
      alive = false;
    } else if ((name === "min_version" || name === "ciphers") && written.entries.has("profile")) {
      problems.add(key, `${name} has no effect beside profile`, `remove ${name}, or remove profile`);
      alive = false;
    }
  }
  return alive;
}
