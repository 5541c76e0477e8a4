/** `smime.ldap`: the directory that is asked for certificates, and how it may be spoken to. */
import type { LdapCertificateSettings } from "../mail/smime-settings.ts";
import type { Building } from "./building.ts";
import { readBundles } from "./key-pairs.ts";
import { keyAt, type Located, originAt, type Path } from "./located.ts";
import { readPassword } from "./password-file.ts";
import { isLoopback } from "./scalars.ts";
import type { DirectoryEntry } from "./schema/smime.ts";

const PATH: Path = ["smime", "ldap"];

export function readDirectory(building: Building, tree: Located, entry: DirectoryEntry): LdapCertificateSettings {
  const { url, starttls, base, filter, attributes, cache, timeout } = entry;
  checkTransport(building, tree, entry);
  const ca = entry.ca === undefined ? [] : readBundles(building, tree, [...PATH, "ca"], entry.ca);
  return {
    url: url.href,
    startTls: starttls,
    bind: bindOf(building, tree, entry),
    ca: ca ?? [],
    base,
    filter,
    attributes,
    cacheMs: cache,
    timeoutMs: timeout,
  };
}

/** Whoever answers instead of the directory would say whom our mail is encrypted to. */
function checkTransport({ problems }: Building, tree: Located, { url, starttls, ca }: DirectoryEntry): void {
  const at = (key: string) => keyAt(tree, [...PATH, key]) ?? originAt(tree, PATH);
  if (url.tls) {
    if (starttls) problems.add(at("starttls"), "starttls has no effect with ldaps://", "remove it");
    return;
  }
  if (starttls) return;
  const here = url.host === "localhost" || isLoopback(url.host);
  if (!here) {
    const remedy = "write ldaps://, or starttls: true";
    problems.add(originAt(tree, [...PATH, "url"]), "ldap:// asks the directory in the clear", remedy);
  } else if (ca !== undefined) {
    problems.add(at("ca"), "ca has no effect without TLS", "remove it, or write ldaps:// or starttls: true");
  }
}

function bindOf(building: Building, tree: Located, entry: DirectoryEntry): LdapCertificateSettings["bind"] {
  const { bind_dn: dn, password_file: file, allow_group_read: groupMay } = entry;
  const { problems } = building;
  if (dn === undefined && file === undefined) return null;
  if (dn === undefined || file === undefined) {
    const [is, other] = dn === undefined ? ["password_file", "bind_dn"] : ["bind_dn", "password_file"];
    // RFC 4513 §5.1.2: a name without a password is an anonymous bind that looks like a real one.
    const message = `${is} has no effect without ${other}`;
    problems.add(keyAt(tree, [...PATH, is]) ?? originAt(tree, PATH), message, `write ${other} beside it, or remove it`);
    return null;
  }
  const at = originAt(tree, [...PATH, "password_file"]);
  const password = readPassword(building, at, file, groupMay ?? building.groupMay);
  return password === undefined ? null : { dn, password };
}
