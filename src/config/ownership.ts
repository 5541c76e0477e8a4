/** Which file speaks for a domain, a pattern or an address: one only. */
import { basename } from "node:path";
import type { Origin } from "../decide/policy.ts";
import type { NamePattern } from "../mail/tls-requirement.ts";
import type { Problems } from "./problems.ts";

export interface Ownership {
  /** False, and reported, when the name was claimed before. */
  readonly claim: (name: NamePattern | string, origin: Origin) => boolean;
  /** Where it was claimed. */
  readonly of: (name: NamePattern) => Origin | undefined;
}

export function createOwnership(problems: Problems): Ownership {
  const claimed = new Map<string, Origin>();
  return {
    claim: (name, origin) => {
      const text = written(name);
      const before = claimed.get(text);
      if (before === undefined) {
        claimed.set(text, origin);
        return true;
      }
      const where = `${basename(before.file)}:${before.line}`;
      const remedy = before.file === origin.file ? "remove one of them" : "keep it in one file only";
      problems.add(origin, `${text} is also in ${where}`, remedy);
      return false;
    },
    of: (name) => claimed.get(written(name)),
  };
}

function written(name: NamePattern | string): string {
  if (typeof name === "string") return name;
  return "host" in name ? name.host : `.${name.below}`;
}
