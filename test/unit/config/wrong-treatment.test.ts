/** The table of wrong configurations goes on: header fields, DKIM keys, S/MIME. */
import { generateKeyPairSync } from "node:crypto";
import { describe, it } from "vitest";
import { createAuthority } from "../../peers/certificates.ts";
import { gateway, type Held, partner, type Tree } from "./memory.ts";
import { expectProblem, type Row } from "./rows.ts";

const D = "domains: [acme.example]\n";
const out = (text: string): Tree => gateway(`outbound:\n  ${text}\n`);
const removing = (...names: string[]): Tree => out(`headers: {remove: [${names.map((n) => `"${n}"`).join(", ")}]}`);

const treatment: Row[] = [
  ["a word for headers that is none", out("headers: strips"), "sealpost.yaml:5:12", "its words", "did you mean strip?"],
  ["headers as a flag", out("headers: true"), "sealpost.yaml:5:12", "its words", "strip or keep"],
  ["headers: Received misspelt", out("headers: {received: remove}"), "sealpost.yaml:5:23", "its words", "anonymize"],
  ["a message_id that is none", out("headers: {message_id: strip}"), "sealpost.yaml:5:25", "its words", "rewrite"],
  ["a key of headers that is none", out("headers: {add: [a]}"), "sealpost.yaml:5:13", 'unknown key "add"', "received"],
  ["a field with its colon", removing("X-Mailer:"), "sealpost.yaml:5:22", "not the name of a header field", "X-Name"],
  ["a blank in a field name", removing("X Mailer"), "sealpost.yaml:5:22", "not the name of a header field", "X-Name"],
  ["a star in the middle", removing("X-*-Id"), "sealpost.yaml:5:22", "not the name of a header field", '"X-Name-*"'],
  ["a star alone", removing("*"), "sealpost.yaml:5:22", "not the name of a header field", '"X-Name-*"'],
  ["a field of 8-bit", removing("X-Größe"), "sealpost.yaml:5:22", "not the name of a header field", "X-Name"],
  ["From removed", removing("X-A", "FROM"), "sealpost.yaml:5:29", "from is needed", "name other fields"],
  ["Message-ID removed", removing("Message-ID"), "sealpost.yaml:5:22", "message-id is needed", "message_id: rewrite"],
  ["Received removed", removing("received"), "sealpost.yaml:5:22", "received is needed", "received: strip"],
  ["a part of MIME removed", removing("Content-Description"), "sealpost.yaml:5:22", "content-* is needed", "other"],
  ["signatures removed", removing("dkim-*"), "sealpost.yaml:5:22", "dkim-signature is needed", "name other fields"],
  ["a pattern that takes Date along", removing("d*"), "sealpost.yaml:5:22", "date is needed", "name other fields"],
  ["a pattern that takes MIME along", removing("cont*"), "sealpost.yaml:5:22", "content-* is needed", "other fields"],
  ["dkim as a flag", out("dkim: true"), "sealpost.yaml:5:9", 'not "true"', "write sign, require or none"],
  ["a word for dkim that is none", out("dkim: never"), "sealpost.yaml:5:9", "its words", "sign, require or none"],
  ["the words of encrypt for sign", out("smime: {sign: if-known}"), "sealpost.yaml:5:17", "its words", "if-possible"],
  ["the words of sign for encrypt", out("smime: {encrypt: if-possible}"), "sealpost.yaml:5:20", "words", "if-known"],
  ["smime as a word", out("smime: always"), "sealpost.yaml:5:10", "a map is expected", "sign, encrypt, format"],
  [
    "a format without a signature",
    out("smime: {format: opaque, encrypt: always}"),
    "sealpost.yaml:5:11",
    "format has no effect with sign: never",
    "write sign: if-possible or always",
  ],
  [
    "triple_wrap without a signature",
    out("smime: {triple_wrap: true, encrypt: always}"),
    "sealpost.yaml:5:11",
    "no effect with sign: never",
    "write sign:",
  ],
  [
    "a partner's triple_wrap without encryption",
    partner(`${D}outbound:\n  smime: {triple_wrap: true}\n`, "outbound: {smime: {sign: if-possible}}\n"),
    "partners/acme.yaml:3:11",
    "no effect with encrypt: never",
    "write encrypt: if-known or always",
  ],
  [
    "an exception's format where its partner says never",
    partner(
      `${D}outbound: {smime: {sign: never}}\nexceptions:\n  - {until: 2026-12-31, approved_by: a, reason: r, outbound: {smime: {format: opaque}}}\n`,
    ),
    "partners/acme.yaml:4:71",
    "format has no effect",
    "remove it",
  ],
];

const pem = (type: "rsa" | "ed25519" | "ec", bits = 2048): string => {
  const { privateKey } =
    type === "rsa"
      ? generateKeyPairSync("rsa", { modulusLength: bits })
      : type === "ec"
        ? generateKeyPairSync("ec", { namedCurve: "P-256" })
        : generateKeyPairSync("ed25519");
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
};
const ED = pem("ed25519");
const signing = (entries: string, key: Held = ED): Tree => ({
  ...gateway(
    `domains:\n  - domain: [example.org, example.com]\n    next_hop: "[127.0.0.1]:2600"\n    dkim:\n${entries}`,
  ),
  "k.pem": key,
});
const one = (text: string, key: Held = ED): Tree => signing(`      - {${text}}\n`, key);
const encrypted = generateKeyPairSync("ed25519")
  .privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
  .toString();

const keys: Row[] = [
  ["a missing key file", one("selector: s, key: gone.pem"), "sealpost.yaml:8:28", "does not exist", "create it"],
  ["a key without selector", one("key: k.pem"), "sealpost.yaml:8:9", "selector: is missing", "write a label"],
  [
    "a selector that YAML takes for a number",
    one("selector: 2026, key: k.pem"),
    "sealpost.yaml:8:20",
    "2026",
    "quotes",
  ],
  ["a selector with blanks", one("selector: a b, key: k.pem"), "sealpost.yaml:8:20", "not a selector", "s2026r"],
  ["a selector with an underscore", one("selector: a_b, key: k.pem"), "sealpost.yaml:8:20", "not a selector", "label"],
  [
    "the whole name of the record",
    one("selector: s1._domainkey.example.org, key: k.pem"),
    "sealpost.yaml:8:20",
    "is the name of a record",
    "alone: s1",
  ],
  [
    "a selector too long for the domain",
    one(`selector: ${Array.from({ length: 4 }, () => "a".repeat(60)).join(".")}, key: k.pem`),
    "sealpost.yaml:8:20",
    "too long below example.org",
    "shorter",
  ],
  [
    "a selector twice",
    signing("      - {selector: s, key: k.pem}\n      - {selector: S, key: k.pem}\n"),
    "sealpost.yaml:9:20",
    "selector s is written twice",
    "of its own",
  ],
  [
    "dates the wrong way round",
    one("selector: s, key: k.pem, not_before: 2027-01-01, not_after: 2026-12-31"),
    "sealpost.yaml:8:70",
    "not_after is before not_before",
    "a later day",
  ],
  [
    "a date of no calendar",
    one("selector: s, key: k.pem, not_before: 2026-02-30"),
    "sealpost.yaml:8:47",
    "date",
    "day",
  ],
  [
    "a key that others may read",
    one("selector: s, key: k.pem", { text: ED, mode: 0o644 }),
    "sealpost.yaml:8:28",
    "others may read",
    "chmod 600 k.pem",
  ],
  [
    "a key that the group may read",
    one("selector: s, key: k.pem", { text: ED, mode: 0o640 }),
    "sealpost.yaml:8:28",
    "others may read",
    "allow_group_read: true",
  ],
  [
    "a key of somebody else",
    one("selector: s, key: k.pem", { text: ED, owner: "other" }),
    "sealpost.yaml:8:28",
    "another user",
    "chown",
  ],
  ["an EC key", one("selector: s, key: k.pem", pem("ec")), "sealpost.yaml:8:28", 'no "ec" keys', "dkim generate"],
  ["a short RSA key", one("selector: s, key: k.pem", pem("rsa", 1024)), "sealpost.yaml:8:28", "1024 bits", "generate"],
  ["an encrypted key", one("selector: s, key: k.pem", encrypted), "sealpost.yaml:8:28", "is encrypted", "decrypted"],
  [
    "a key that is none",
    one("selector: s, key: k.pem", "x"),
    "sealpost.yaml:8:28",
    "no private key in PEM",
    "PEM file",
  ],
  [
    "a certificate for a key",
    one("selector: s, key: k.pem", createAuthority("Row").certificate),
    "sealpost.yaml:8:28",
    "holds no private key, but: certificate",
    "name the file",
  ],
];

const smime = (text: string, files: Tree = {}): Tree => ({ ...gateway(`smime:\n  ${text}\n`), ...files });
const ldap = (text: string, files: Tree = {}): Tree => smime(`ldap: {base: "dc=x", ${text}}`, files);
const safe = 'url: "ldaps://ldap.example.org"';

const directory: Row[] = [
  ["a trust bundle that is missing", smime("trust: [ca.pem]"), "sealpost.yaml:5:11", "does not exist", "create it"],
  ["an empty trust list", smime("trust: []"), "sealpost.yaml:5:10", "an empty list", "write system"],
  ["a word for unreachable", smime("revocation: {unreachable: ignore}"), "sealpost.yaml:5:29", "its words", "accept"],
  [
    "unreachable where nothing is checked",
    smime("revocation: {check: false, unreachable: wait}"),
    "sealpost.yaml:5:30",
    "no effect with check: false",
    "write check: true",
  ],
  [
    "allow_private where nothing is checked",
    smime("revocation: {check: false, allow_private: true}"),
    "sealpost.yaml:5:30",
    "no effect with check: false",
    "remove it",
  ],
  ["a directory without base", smime(`ldap: {${safe}}`), "sealpost.yaml:5:9", "ldap.base: is missing", "ou=people"],
  ["a base that is no name", smime(`ldap: {base: example.org, ${safe}}`), "sealpost.yaml:5:16", "not a dist", "ou="],
  ["a directory over http", ldap('url: "http://x.example"'), "sealpost.yaml:5:29", "not the address", "ldaps://"],
  ["a directory's bare name", ldap("url: x.example"), "sealpost.yaml:5:29", "not the address", "ldaps://"],
  ["a port out of range", ldap('url: "ldaps://x.example:70000"'), "sealpost.yaml:5:29", "not the address", "ldaps://"],
  ["a base in the address", ldap('url: "ldaps://x.example/dc=x??sub"'), "sealpost.yaml:5:29", "no further", "as base"],
  [
    "a directory in the clear",
    ldap('url: "ldap://ldap.example.org"'),
    "sealpost.yaml:5:29",
    "asks the directory in the clear",
    "write ldaps://, or starttls: true",
  ],
  ["starttls within TLS", ldap(`${safe}, starttls: true`), "sealpost.yaml:5:57", "no effect with ldaps", "remove it"],
  [
    "a ca without TLS",
    ldap(`url: "ldap://127.0.0.1", ca: c`, { c: createAuthority("Row").certificate }),
    "sealpost.yaml:5:49",
    "no effect without TLS",
    "ldaps",
  ],
  [
    "a filter without brackets",
    ldap(`${safe}, filter: "mail={address}"`),
    "sealpost.yaml:5:65",
    "not a filter",
    "(mail",
  ],
  ["a filter left open", ldap(`${safe}, filter: "((mail={address})"`), "sealpost.yaml:5:65", "not a filter", "(mail"],
  ["two filters", ldap(`${safe}, filter: "(mail={address})(a=b)"`), "sealpost.yaml:5:65", "not a filter", "(mail="],
  [
    "a filter for everybody",
    ldap(`${safe}, filter: "(mail=*)"`),
    "sealpost.yaml:5:65",
    "for every recipient",
    "{address}",
  ],
  ["a filter with an unknown name", ldap(`${safe}, filter: "(m={mail})"`), "sealpost.yaml:5:65", "{mail}", "{address}"],
  ["an attribute that is none", ldap(`${safe}, attributes: "a b"`), "sealpost.yaml:5:69", "not the name", "userCert"],
  [
    "a name without a password",
    ldap(`${safe}, bind_dn: "cn=x"`),
    "sealpost.yaml:5:57",
    "bind_dn has no effect without password_file",
    "password_file beside it",
  ],
  [
    "a password without a name",
    ldap(`${safe}, password_file: p`, { p: "x\n" }),
    "sealpost.yaml:5:57",
    "password_file has no effect without bind_dn",
    "bind_dn beside it",
  ],
  [
    "a password that others may read",
    ldap(`${safe}, bind_dn: "cn=x", password_file: p`, { p: { text: "x\n", mode: 0o644 } }),
    "sealpost.yaml:5:89",
    "others may read",
    "chmod 600 p",
  ],
  ["a day too many", gateway("alarms: {certificate_days: [0]}\n"), "sealpost.yaml:4:29", "a whole number", "1 to 3650"],
];

describe.each([
  ["header fields, DKIM and S/MIME of an outbound", treatment],
  ["keys that sign with DKIM", keys],
  ["certificates of recipients and the directory", directory],
])("%s", (_, rows) => {
  it.each(rows)("%s", (...row) => expectProblem(row));
});
