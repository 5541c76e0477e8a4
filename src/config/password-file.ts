/** A file that holds one password on one line. Its content never stands in a message. */
import type { Origin } from "../decide/policy.ts";
import type { Building } from "./building.ts";

/** Undefined, and reported, when it cannot be had. */
export function readPassword({ access, problems }: Building, at: Origin, file: string, groupMay: boolean) {
  const content = access.secret(at, file, groupMay)?.replace(/\r?\n$/, "");
  if (content === undefined) return undefined;
  if (content !== "" && !/[\r\n\0]/.test(content)) return content;
  problems.add(at, `${file} does not hold one line with a password`, "write the password alone into it");
  return undefined;
}
