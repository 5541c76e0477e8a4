/**
 * `dkim` of `domains`: the keys that sign, read and judged before anything is told to sign with them. Never puts key
 * material into a message.
 */
import type { KeyObject } from "node:crypto";
import type { DkimAlgorithm, DkimKeySettings } from "../mail/treatment.ts";
import type { Building } from "./building.ts";
import { readPrivateKey } from "./certificates.ts";
import { type Located, originAt, type Path } from "./located.ts";
import { type Flaw, shown } from "./problems.ts";
import { DAY_MS, dayOf } from "./scalars.ts";
import type { DkimEntry } from "./schema/own-domains.ts";

/** RFC 8301 §3.2: less is broken in days, and verifiers need not read more. */
const RSA_BITS = { least: 2048, most: 4096 };

const MAKE_ONE = "make one: sealpost dkim generate";

/** One for each key and domain; a key that has ended comes along, with a warning. `path` leads to the list. */
export function readDkimKeys(
  building: Building,
  tree: Located,
  path: Path,
  { keys, domains }: { readonly keys: readonly DkimEntry[]; readonly domains: readonly string[] },
): readonly DkimKeySettings[] {
  const seen = new Set<string>();
  return keys.flatMap((entry, index) => {
    const here = [...path, index];
    const { selector } = entry;
    if (seen.has(selector)) {
      const remedy = "write each key under a selector of its own";
      building.problems.add(originAt(tree, [...here, "selector"]), `selector ${selector} is written twice`, remedy);
    }
    seen.add(selector);
    checkName(building, originAt(tree, [...here, "selector"]), selector, domains);
    if (!checkDates(building, tree, here, entry)) return [];
    const at = originAt(tree, [...here, "key"]);
    const pem = building.access.secret(at, entry.key, entry.allow_group_read ?? building.groupMay);
    const judged = pem === undefined ? undefined : checkDkimKey(pem);
    if (judged !== undefined && "message" in judged) {
      building.problems.add(at, `${entry.key}: ${judged.message}`, judged.remedy);
      return [];
    }
    const dates = {
      ...(entry.not_before !== undefined && { notBefore: entry.not_before }),
      ...(entry.not_after !== undefined && { endsAt: entry.not_after }),
    };
    return judged === undefined ? [] : domains.map((domain) => ({ domain, selector, ...judged, ...dates }));
  });
}

type At = ReturnType<typeof originAt>;

/** RFC 1035 §2.3.4: the record's name must fit into DNS. */
function checkName({ problems }: Building, at: At, selector: string, domains: readonly string[]): void {
  const long = domains.find((domain) => `${selector}._domainkey.${domain}`.length > 253);
  if (long !== undefined) problems.add(at, `the record's name would be too long below ${long}`, "write a shorter one");
}

function checkDates({ problems, now }: Building, tree: Located, here: Path, entry: DkimEntry): boolean {
  const { not_before: from, not_after: until } = entry;
  if (until === undefined) return true;
  const at = originAt(tree, [...here, "not_after"]);
  if (from !== undefined && from >= until) {
    problems.add(at, "not_after is before not_before: it would never sign", "write a later day, or swap the two");
    return false;
  }
  if (until <= now) {
    const message = `this key ended with ${dayOf(until - DAY_MS)} and no longer signs`;
    problems.warn(at, message, "remove it; leave its record in DNS for another week, for mail under way");
  }
  return true;
}

/** The key as PKCS#8, or what is wrong with it. */
export function checkDkimKey(pem: string): { readonly algorithm: DkimAlgorithm; readonly key: string } | Flaw {
  const key = readPrivateKey(pem);
  if ("message" in key) return key;
  const flaw = flawOf(key);
  if (flaw !== undefined) return flaw;
  const algorithm = key.asymmetricKeyType === "ed25519" ? "ed25519-sha256" : "rsa-sha256";
  return { algorithm, key: key.export({ type: "pkcs8", format: "pem" }).toString() };
}

function flawOf({ asymmetricKeyType: type, asymmetricKeyDetails }: KeyObject): Flaw | undefined {
  if (type === "ed25519") return undefined;
  if (type !== "rsa") {
    return { message: `DKIM knows no ${shown(type)} keys, only RSA and Ed25519`, remedy: MAKE_ONE };
  }
  const bits = asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < RSA_BITS.least) {
    return { message: `an RSA key of ${bits} bits, fewer than ${RSA_BITS.least}`, remedy: MAKE_ONE };
  }
  if (bits <= RSA_BITS.most) return undefined;
  return {
    message: `an RSA key of ${bits} bits; verifiers need not read more than ${RSA_BITS.most}`,
    remedy: MAKE_ONE,
  };
}
