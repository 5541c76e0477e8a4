/** The schema of `smime`: whom certificates are believed from, where those of recipients are, and if they still hold. */
import * as z from "zod";
import { parseDomainName } from "../../mail/domain-name.ts";
import { isIP } from "node:net";
import { duration, flag, mapOf, oneOrMany, path, positiveDuration, someOf, text, word } from "./values.ts";

export const trust = z.union([z.literal("system"), someOf(path, "write system, or the bundles to trust")]);

export interface DirectoryUrl {
  readonly href: string;
  readonly tls: boolean;
  /** A-label, or address without brackets. */
  readonly host: string;
}

const LDAP_URL = /^(ldaps?):\/\/([^/?#@:[\]\s]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?(.*)$/i;

const url = text("the address of a directory", 'write "ldaps://directory.example.org"', (value) => {
  const [, scheme = "", written = "", port, rest = ""] = LDAP_URL.exec(value) ?? [];
  const bare = written.replace(/^\[|\]$/g, "").toLowerCase();
  const host = isIP(bare) === 0 ? parseDomainName(bare) : bare;
  if (host === undefined || (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))) return undefined;
  if (rest !== "" && rest !== "/") {
    return {
      message: "the address of a directory goes no further than its port",
      remedy: "write what stands behind it as base and filter",
    };
  }
  const protocol = scheme.toLowerCase();
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return { href: `${protocol}://${name}${port === undefined ? "" : `:${port}`}`, tls: protocol === "ldaps", host };
});

/** RFC 4515: one filter in brackets that close, with the recipient in it. */
const filter = text("a filter", 'write "(mail={address})"', (value) => {
  if (!/^\(.+\)$/.test(value) || !isBalanced(value)) return undefined;
  const [, unknown] = /\{(?!(?:address|domain)\})([^}]*)\}?/.exec(value) ?? [];
  const remedy = "write {address} or {domain} where the recipient's goes";
  if (unknown !== undefined) return { message: `{${unknown}} stands for nothing`, remedy };
  if (/\{(?:address|domain)\}/.test(value)) return value;
  return { message: "the filter finds the same for every recipient", remedy };
});

/** Every bracket closes, and the first one does so at the end only. */
function isBalanced(value: string): boolean {
  let depth = 0;
  for (let at = 0; at < value.length; at++) {
    if (value[at] === "(") depth += 1;
    if (value[at] === ")") depth -= 1;
    if (depth < 1) return at === value.length - 1;
  }
  return false;
}

const attribute = text("the name of an attribute", 'write "userCertificate;binary"', (value) =>
  /^[A-Za-z][A-Za-z0-9-]{0,99}(?:;[A-Za-z0-9-]{1,50}){0,5}$/.test(value) ? value : undefined,
);

/** RFC 4514: `TYPE=VALUE`s. */
const name = text("a distinguished name", 'write "ou=people,dc=example,dc=org"', (value) =>
  /^[A-Za-z0-9.-]+ *=/.test(value) && !/[\x00-\x1f\x7f]/.test(value) ? value : undefined,
);

const directory = mapOf({
  url,
  starttls: flag.default(false),
  base: name,
  filter: filter.prefault("(mail={address})"),
  attributes: someOf(attribute, 'write "userCertificate;binary"').prefault([
    "userCertificate;binary",
    "userSMIMECertificate;binary",
  ]),
  bind_dn: name.optional(),
  password_file: path.optional(),
  allow_group_read: flag.optional(),
  ca: oneOrMany(path).optional(),
  cache: duration.prefault("15m"),
  timeout: positiveDuration.prefault("5s"),
});
export type DirectoryEntry = z.output<typeof directory>;

export const smime = mapOf({
  trust: trust.prefault("system"),
  partners: path.prefault("../certs/smime/partners"),
  ldap: directory.nullable().default(null),
  revocation: mapOf({
    check: flag.default(true),
    unreachable: word("accept", "wait", "refuse").optional(),
    allow_private: flag.optional(),
  }).prefault({}),
});
export type SmimeEntry = z.output<typeof smime>;
