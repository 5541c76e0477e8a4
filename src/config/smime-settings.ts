/** `smime` of sealpost.yaml, and the certificates of recipients that lie in its folders. */
import { join } from "node:path";
import type { SmimeSettings } from "../mail/smime-settings.ts";
import type { Building } from "./building.ts";
import type { Checked } from "./check-schema.ts";
import { readBundles } from "./key-pairs.ts";
import { keyAt, type Located, originAt } from "./located.ts";
import type { Gateway } from "./schema/gateway.ts";
import type { SmimeEntry } from "./schema/smime.ts";
import { readDirectory } from "./directory-settings.ts";
import { readRecipients } from "./smime-recipients.ts";

export function buildSmime(building: Building, { value, tree }: Checked<Gateway>, dataDir: string): SmimeSettings {
  const { trust, partners, ldap, revocation } = value.smime;
  const { access, problems } = building;
  const roots = trust === "system" ? trust : readBundles(building, tree, ["smime", "trust"], trust);
  const at = originAt(tree, ["smime", "partners"]);
  const listed = access.list(at, partners);
  if (listed === "missing" && keyAt(tree, ["smime", "partners"]) !== undefined) {
    problems.warn(at, `${partners} does not exist yet`, "put certificates there with: sealpost smime import FILE");
  }
  const harvest = join(dataDir, "smime/harvested");
  const harvested = access.list(tree.origin, harvest);
  checkRevocation(building, tree, revocation);
  return {
    trust: roots ?? "system",
    recipients: listed === "missing" ? [] : readRecipients(building, access.absolute(at, partners), listed),
    harvested: harvested === "missing" ? [] : readRecipients(building, harvest, harvested, { harvested: true }),
    ldap: ldap === null ? null : readDirectory(building, tree, ldap),
    revocation: {
      check: revocation.check,
      unreachable: revocation.unreachable ?? "accept",
      allowPrivate: revocation.allow_private ?? false,
    },
  };
}

function checkRevocation({ problems }: Building, tree: Located, { check }: SmimeEntry["revocation"]): void {
  if (check) return;
  for (const key of ["unreachable", "allow_private"]) {
    const at = keyAt(tree, ["smime", "revocation", key]);
    if (at !== undefined) problems.add(at, `${key} has no effect with check: false`, "remove it, or write check: true");
  }
}
