/** The table of wrong configurations: each with the one place, the message and the remedy it is told with. */
import { rootCertificates as ROOTS } from "node:tls";
import { describe, expect, it } from "vitest";
import { createAuthority } from "../../peers/certificates.ts";
import { BASE, gateway, partner, problems, type Tree } from "./memory.ts";
import { expectProblem, type Row } from "./rows.ts";

const D = "domains: [acme.example]\n";
const SHA = "a".repeat(64);
const level = (name: string, rest = "") => `${D}outbound:\n  tls:\n    level: ${name}\n${rest}`;
const authority = createAuthority("Row CA");
const issued = authority.issue({
  names: ["relay.example.org"],
  notBefore: new Date("2026-11-01"),
  notAfter: new Date("2027-11-01"),
});
const expired = authority.issue({
  names: ["relay.example.org"],
  notBefore: new Date("2025-01-01"),
  notAfter: new Date("2026-01-01"),
});
const USERS = `anna scrypt:16384:8:1:c2FsdHNhbHQ=:${"A".repeat(43)}= own\n`;

const yaml: Row[] = [
  [
    "a pattern that YAML takes for an alias",
    partner("domains: [*.acme.example]\n"),
    "partners/acme.yaml:1:11",
    "alias",
    'put it in quotes: "*.acme.example"',
  ],
  [
    "the same in a block list",
    partner("domains:\n  - acme.example\n  - *.acme.example\n"),
    "partners/acme.yaml:3:5",
    "alias",
    'put it in quotes: "*.acme.example"',
  ],
  [
    "[host]:25 without quotes",
    partner(`${D}outbound:\n  next_hop: [mx.acme.example]:25\n`),
    "partners/acme.yaml:3:13",
    "as a list",
    'put it in quotes: "[mx.acme.example]:25"',
  ],
  [
    "the same with an address",
    gateway("outbound:\n  next_hop: [127.0.0.1]:2600\n"),
    "sealpost.yaml:5:13",
    "as a list",
    '"[127.0.0.1]:2600"',
  ],
  [
    "the same in a list",
    gateway("outbound:\n  next_hop:\n    - [a.example]:25\n"),
    "sealpost.yaml:6:7",
    "as a list",
    '"[a.example]:25"',
  ],
  [
    "the same in a flow map",
    gateway("outbound:\n  next_hop: {to: [smtp.x]:465, implicit_tls: true}\n"),
    "sealpost.yaml:5:18",
    "as a list",
    '"[smtp.x]:465"',
  ],
  [
    "a value that begins with @",
    gateway("postmaster: @example.org\n"),
    "sealpost.yaml:4:13",
    'cannot begin with "@"',
    '"@example.org"',
  ],
  ["a tab", gateway("outbound:\n\ttls: {level: may}\n"), "sealpost.yaml:5:1", "tab", "indent with spaces"],
  [
    "a key twice",
    gateway("log: {level: info}\nlog: {level: warn}\n"),
    "sealpost.yaml:5:1",
    '"log" is written twice',
    "remove one",
  ],
  [
    "an environment reference in a flow map",
    gateway("admin: {port: ${PORT:-1}}\n"),
    "sealpost.yaml:4:15",
    "braces",
    '"${PORT:-1}"',
  ],
  [
    "a colon in a value",
    gateway("outbound: level: may\n"),
    "sealpost.yaml:4:11",
    "colon followed by a space",
    "quotes",
  ],
  ["an open quote", gateway('postmaster: "x@example.org\n'), "sealpost.yaml:5:1", "not YAML", "close quotes"],
  ["broken indentation", gateway("log:\n    level: info\n  to: stdout\n"), "sealpost.yaml:6:1", "indentation", "align"],
  ["two documents", gateway("---\nlog: {level: info}\n"), "sealpost.yaml:4:1", "second YAML document", "---"],
  ["a custom tag", gateway("postmaster: !!js/function x\n"), "sealpost.yaml:4:27", "tag", "remove it"],
  ["a merge key", gateway("log:\n  <<: {level: info}\n"), "sealpost.yaml:5:3", "merge keys", "write the keys out"],
  ["a list as a key", gateway("? [a]\n: b\n"), "sealpost.yaml:4:3", "cannot be a key", "quotes"],
  ["an empty partner file", partner(""), "partners/acme.yaml:1:1", "empty", "KEY: VALUE"],
  ["a file that is a list", partner("- a\n"), "partners/acme.yaml:1:1", "not a map", "KEY: VALUE"],
  [
    "an environment variable that is not set",
    gateway("admin:\n  port: ${SEALPOST_PORT}\n"),
    "sealpost.yaml:5:9",
    "SEALPOST_PORT is not set",
    "${SEALPOST_PORT:-default}",
  ],
  [
    "a reference that is none",
    gateway("postmaster: x${1}@example.org\n"),
    "sealpost.yaml:4:13",
    "not a reference",
    "${NAME}",
  ],
];

const values: Row[] = [
  [
    "an unknown key",
    gateway("limit: {recipients: 5}\n"),
    "sealpost.yaml:4:1",
    'unknown key "limit"',
    "did you mean limits?",
  ],
  [
    "an unknown key deep down",
    partner(`${D}outbound:\n  tls: {levle: secure}\n`),
    "partners/acme.yaml:3:9",
    'unknown key "levle"',
    "did you mean level?",
  ],
  [
    "a required key mistyped is one mistake",
    { ...gateway("tls:\n  certificates:\n    - {certificat: a, key: b}\n") },
    "sealpost.yaml:6:8",
    'unknown key "certificat"',
    "did you mean certificate?",
  ],
  [
    "a key nobody could mean",
    gateway("frobnicate: 1\n"),
    "sealpost.yaml:4:1",
    'unknown key "frobnicate"',
    "known here: hostname",
  ],
  ["__proto__", gateway("__proto__: {level: may}\n"), "sealpost.yaml:4:1", "unknown key", "remove it"],
  [
    "a number without unit",
    gateway("limits: {idle_timeout: 300}\n"),
    "sealpost.yaml:4:24",
    'limits.idle_timeout: a duration above zero is expected, not "300"',
    "30s",
  ],
  [
    "a size without unit",
    gateway("limits: {message_size: 50M}\n"),
    "sealpost.yaml:4:24",
    '"50M" is not a size',
    "50MiB",
  ],
  [
    "a port out of range",
    gateway("admin: {port: 70000}\n"),
    "sealpost.yaml:4:15",
    "a whole number is expected",
    "0 to 65535",
  ],
  [
    "a list where a word belongs",
    gateway("log: {level: [info]}\n"),
    "sealpost.yaml:4:14",
    "not a list",
    "debug, info, warn or error",
  ],
  ["a word mistyped", gateway("log: {level: wran}\n"), "sealpost.yaml:4:14", 'not "wran"', "did you mean warn?"],
  ["nothing behind a key", gateway("domains:\n"), "sealpost.yaml:4:9", "nothing is written here", "remove the key"],
  [
    "a missing key",
    gateway("exceptions:\n  - {until: 2026-12-31, reason: r, domains: [a.example], outbound: {tls: {level: may}}}\n"),
    "sealpost.yaml:5:5",
    "approved_by: is missing",
    "write a text",
  ],
  [
    "a network with host bits",
    { "sealpost.yaml": "hostname: a.example\nlisteners: [{clients: [10.1.9.7/8]}]\n" },
    "sealpost.yaml:2:24",
    "bits set behind its prefix",
    "10.0.0.0/8",
  ],
  [
    "a network that is none",
    { "sealpost.yaml": "hostname: a.example\nlisteners: [{clients: [10.0.0]}]\n" },
    "sealpost.yaml:2:24",
    "not a network",
    "10.0.0.0/8",
  ],
  [
    "a short digest",
    partner(`${D}outbound: {tls: {level: fingerprint, fingerprints: [abcd]}}\n`),
    "partners/acme.yaml:2:53",
    "SHA-256",
    "64 hex digits",
  ],
  [
    "a digest that YAML takes for a number",
    partner(`${D}outbound: {tls: {level: fingerprint, fingerprints: [${"1".repeat(64)}]}}\n`),
    "partners/acme.yaml:2:53",
    "SHA-256",
    "in quotes",
  ],
  [
    "a date that is none",
    partner(`${D}exceptions: [{until: 2027-02-30, approved_by: a, reason: r, outbound: {headers: keep}}]\n`),
    "partners/acme.yaml:2:22",
    "not a date",
    "YYYY-MM-DD",
  ],
  [
    "a domain that is none",
    partner("domains: [a..example]\n"),
    "partners/acme.yaml:1:11",
    "not a domain name",
    "example.org",
  ],
  [
    "an address that is none",
    partner("addresses: [anna]\n"),
    "partners/acme.yaml:1:13",
    "not a mail address",
    "user@example.org",
  ],
  [
    "an address as next hop without brackets",
    partner(`${D}outbound: {next_hop: "192.0.2.1:25"}\n`),
    "partners/acme.yaml:2:22",
    "an address, which has no MX",
    '"[192.0.2.1]:25"',
  ],
  [
    "a next hop with a wrong port",
    partner(`${D}outbound: {next_hop: "[a.example]:0"}\n`),
    "partners/acme.yaml:2:22",
    "not a port",
    "1 to 65535",
  ],
  [
    "a next hop that is none",
    partner(`${D}outbound: {next_hop: "[a b]:25"}\n`),
    "partners/acme.yaml:2:22",
    "not a next hop",
    "[2001:db8::1]:25",
  ],
  [
    "a profile mistyped",
    gateway("tls: {profile: intermediat}\n"),
    "sealpost.yaml:4:16",
    "no TLS profile",
    "did you mean intermediate?",
  ],
  [
    "a resolver that is none",
    gateway("dns: {resolvers: [dns.example]}\n"),
    "sealpost.yaml:4:19",
    "not a resolver",
    "10.0.0.1:5353",
  ],
  [
    "a set named by a set",
    gateway("match_sets: {a: [.x.example], b: [set:a]}\n"),
    "sealpost.yaml:4:34",
    "names another set",
    "write the names out",
  ],
];

const contradictions: Row[] = [
  [
    "fingerprints at secure",
    partner(level("secure", `    fingerprints: [${SHA}]\n`)),
    "partners/acme.yaml:5:5",
    "fingerprints has no effect at level secure",
    "level: fingerprint",
  ],
  [
    "match at encrypt",
    partner(level("encrypt", "    match: [nexthop]\n")),
    "partners/acme.yaml:5:5",
    "match has no effect at level encrypt",
    "level: verify or secure",
  ],
  [
    "match at the default's level",
    partner(`${D}outbound:\n  tls: {match: [mx.hoster.example]}\n`),
    "partners/acme.yaml:3:9",
    "match has no effect at level encrypt",
    "level: verify",
  ],
  [
    "ca in sealpost.yaml at encrypt",
    gateway("outbound:\n  tls: {ca: ../ca.pem}\n"),
    "sealpost.yaml:5:9",
    "ca has no effect at level encrypt",
    "remove it",
  ],
  [
    "dane at secure",
    partner(level("secure", "    dane: ignore\n")),
    "partners/acme.yaml:5:5",
    "dane has no effect at level secure",
    "remove it",
  ],
  [
    "mta_sts at fingerprint",
    partner(level("fingerprint", `    fingerprints: ${SHA}\n    mta_sts: ignore\n`)),
    "partners/acme.yaml:6:5",
    "mta_sts has no effect at level fingerprint",
    "remove it",
  ],
  [
    "dane at dane-only",
    partner(level("dane-only", "    dane: honour\n")),
    "partners/acme.yaml:5:5",
    "dane has no effect at level dane-only",
    "level: may or encrypt or verify or authenticated",
  ],
  [
    "match at dane-only",
    partner(level("dane-only", "    match: [mx.acme.example]\n")),
    "partners/acme.yaml:5:5",
    "match has no effect at level dane-only",
    "level: verify or secure or authenticated",
  ],
  [
    "dane ignored where the default honours it",
    partner(level("verify", "    dane: ignore\n")),
    "partners/acme.yaml:5:5",
    "dane: ignore is weaker than the default honour",
    "outbound: {tls: {dane: ignore}}",
  ],
  [
    "mta_sts ignored where the default honours it",
    partner(level("encrypt", "    mta_sts: ignore\n")),
    "partners/acme.yaml:5:5",
    "mta_sts: ignore is weaker than the default honour",
    "outbound: {tls: {mta_sts: ignore}}",
  ],
  [
    "mta_sts honoured where the default requires it",
    partner(level("encrypt", "    mta_sts: honour\n"), "outbound: {tls: {mta_sts: require}}\n"),
    "partners/acme.yaml:5:5",
    "mta_sts: honour is weaker than the default require",
    "outbound: {tls: {mta_sts: honour}}",
  ],
  [
    "dane-only at an address",
    partner(`${D}outbound:\n  next_hop: "[192.0.2.1]:25"\n  tls: {level: dane-only}\n`),
    "partners/acme.yaml:3:13",
    "an address has no TLSA records",
    "host name",
  ],
  [
    "authenticated at an address without a name",
    partner(`${D}outbound:\n  next_hop: "[192.0.2.1]:25"\n  tls: {level: authenticated}\n`),
    "partners/acme.yaml:3:13",
    "at level authenticated an address needs a name to match",
    "match",
  ],
  [
    "min_version beside profile",
    partner(level("encrypt", "    profile: modern\n    min_version: TLSv1.3\n")),
    "partners/acme.yaml:6:5",
    "min_version has no effect beside profile",
    "remove min_version",
  ],
  [
    "a profile at none",
    gateway(
      'domains:\n  - domain: example.org\n    next_hop: "[10.0.0.1]:25"\n    next_hop_tls: {level: none, profile: modern}\n',
    ),
    "sealpost.yaml:7:33",
    "profile has no effect at level none",
    "a level with TLS",
  ],
  [
    "a weaker level",
    partner(level("may")),
    "partners/acme.yaml:4:5",
    "level may is weaker than the default encrypt",
    "exceptions: - {until: 2026-12-24, approved_by: YOU@YOUR.DOMAIN",
  ],
  [
    "a weaker level than an authenticated default",
    partner(level("encrypt"), "outbound: {tls: {level: secure}}\n"),
    "partners/acme.yaml:4:5",
    "weaker than the default secure",
    "outbound: {tls: {level: encrypt}}",
  ],
  [
    "a lower version",
    partner(level("encrypt", "    min_version: TLSv1.2\n"), "outbound: {tls: {min_version: TLSv1.3}}\n"),
    "partners/acme.yaml:5:5",
    "TLSv1.2 is weaker than the default TLSv1.3",
    "min_version: TLSv1.2",
  ],
  [
    "TLS 1.1 outside of exceptions",
    gateway("outbound: {tls: {min_version: TLSv1.1}}\n"),
    "sealpost.yaml:4:18",
    "exceptions only",
    "TLSv1.2",
  ],
  [
    "level none for everybody",
    gateway("outbound: {tls: {level: none}}\n"),
    "sealpost.yaml:4:18",
    "none is for next_hop_tls and exceptions only",
    "may or encrypt",
  ],
  ["level dane", partner(level("dane")), "partners/acme.yaml:4:12", '"dane" is not a level', "dane-only"],
  [
    "fingerprint without fingerprints",
    partner(level("fingerprint")),
    "partners/acme.yaml:4:5",
    "without fingerprints",
    "fingerprints: [",
  ],
  [
    "crl without ca",
    partner(level("secure", "    crl: crl.pem\n")),
    "partners/acme.yaml:5:5",
    "crl has no effect without ca",
    "beside it",
  ],
  [
    "a set nobody defined",
    partner(level("secure", "    match: [set:microsoft]\n"), "match_sets: {microsoft-365: [.mx.microsoft]}\n"),
    "partners/acme.yaml:5:13",
    'no match set "microsoft"',
    "match_sets",
  ],
  [
    "a set mistyped",
    partner(level("secure", "    match: set:microsoft-356\n"), "match_sets: {microsoft-365: [.mx.microsoft]}\n"),
    "partners/acme.yaml:5:12",
    "no match set",
    "did you mean set:microsoft-365?",
  ],
  [
    "hostname alone at secure",
    partner(level("secure", "    match: [hostname]\n")),
    "partners/acme.yaml:5:5",
    "never hold at level secure",
    "nexthop",
  ],
  [
    "an address literal without a name to match",
    partner(`${level("secure")}  next_hop: "[192.0.2.1]:25"\n`),
    "partners/acme.yaml:5:13",
    "an address needs a name",
    "match: [",
  ],
  [
    "a password at encrypt",
    {
      ...partner(
        `${D}outbound:\n  next_hop: {to: "[a.example]:465", implicit_tls: true, auth: {user: u, password_file: p}}\n`,
      ),
      "partners/p": "secret\n",
    },
    "partners/acme.yaml:3:13",
    "auth at level encrypt",
    "level: secure",
  ],
  [
    "a password for whatever MX there is",
    {
      ...partner(`${level("secure")}  next_hop: {to: a.example, auth: {user: u, password_file: p}}\n`),
      "partners/p": "secret\n",
    },
    "partners/acme.yaml:5:13",
    "a named host only",
    '"[host]:port"',
  ],
  [
    "a password in two places",
    {
      ...partner(
        `${level("secure")}  next_hop: {to: "[a.example]:25", auth: {user: u, password: x, password_file: p}}\n`,
      ),
      "partners/p": "secret\n",
    },
    "partners/acme.yaml:5:42",
    "exclude each other",
    "password_file",
  ],
  [
    "a ciphers list OpenSSL does not know",
    partner(level("encrypt", "    ciphers: NOT-A-SUITE\n")),
    "partners/acme.yaml:5:5",
    "no cipher list",
    "colons",
  ],
  [
    "a partner of nobody",
    partner("name: ACME\n"),
    "partners/acme.yaml:1:1",
    "without domains and addresses",
    "domains: [",
  ],
  [
    "an empty list of domains",
    partner("name: ACME\ndomains: []\n"),
    "partners/acme.yaml:2:1",
    "without domains and addresses",
    "domains: [",
  ],
  [
    "a domain in two partner files",
    { ...partner(D), "partners/beta.yaml": "domains: acme.example\n" },
    "partners/beta.yaml:1:10",
    "acme.example is also in acme.yaml:1",
    "one file only",
  ],
  [
    "a pattern in two forms",
    { ...partner("domains: [.acme.example]\n"), "partners/beta.yaml": 'domains: ["*.acme.example"]\n' },
    "partners/beta.yaml:1:11",
    ".acme.example is also in acme.yaml:1",
    "one file only",
  ],
  [
    "an address in two files, in another case",
    { ...partner("addresses: [anna@joint.example]\n"), "partners/beta.yaml": "addresses: [Anna@Joint.example]\n" },
    "partners/beta.yaml:1:13",
    "anna@joint.example is also in acme.yaml:1",
    "one file only",
  ],
  [
    "one IDN domain in both forms",
    { ...partner("domains: [bücher.example]\n"), "partners/beta.yaml": "domains: [xn--bcher-kva.example]\n" },
    "partners/beta.yaml:1:11",
    "xn--bcher-kva.example is also in",
    "one file only",
  ],
  [
    "our own domain as a partner",
    partner(D, 'domains: [{domain: acme.example, next_hop: "[127.0.0.1]:2600"}]\n'),
    "partners/acme.yaml:1:11",
    "also in sealpost.yaml:4",
    "one file only",
  ],
  [
    "unlisted in a partner file",
    partner(`${D}outbound: {unlisted: refuse}\n`),
    "partners/acme.yaml:2:12",
    'unknown key "unlisted"',
    "known here",
  ],
  [
    "a .yml file",
    { ...gateway(""), "partners/acme.yml": D },
    "partners/acme.yml:1:1",
    "only files whose names end in .yaml",
    "acme.yaml",
  ],
  [
    "an exception of years",
    partner(`${D}exceptions: [{until: 2027-11-26, approved_by: a, reason: r, outbound: {tls: {level: may}}}]\n`),
    "partners/acme.yaml:2:22",
    "at most 366 days",
    "up to 2027-11-25",
  ],
  [
    "an exception that changes nothing",
    partner(`${D}exceptions: [{until: 2026-12-31, approved_by: a, reason: r}]\n`),
    "partners/acme.yaml:2:14",
    "changes nothing",
    "outbound:",
  ],
  [
    "an exception for a partner in sealpost.yaml",
    partner(
      D,
      "exceptions: [{until: 2026-12-31, approved_by: a, reason: r, domains: [acme.example], outbound: {tls: {level: may}}}]\n",
    ),
    "sealpost.yaml:4:71",
    "acme.yaml speaks for this domain",
    "into acme.yaml",
  ],
  [
    "a dead key in an exception",
    partner(
      `${D}exceptions:\n  - until: 2026-12-31\n    approved_by: a\n    reason: r\n    outbound: {tls: {level: may, match: [nexthop]}}\n`,
    ),
    "partners/acme.yaml:6:34",
    "match has no effect at level may",
    "remove it",
  ],
  [
    "an inherited match that the level makes void",
    partner(level("secure"), "outbound: {tls: {level: verify, match: hostname}}\n"),
    "partners/acme.yaml:4:5",
    "never hold at level secure",
    "match: [nexthop",
  ],
  [
    "an inherited password at the level of an exception",
    {
      ...partner(
        `${D}exceptions:\n  - until: 2026-12-31\n    approved_by: a\n    reason: r\n    outbound: {tls: {level: may}}\n`,
        'outbound: {tls: {level: secure}, next_hop: {to: "[a.example]:25", auth: {user: u, password_file: p}}}\n',
      ),
      p: "secret\n",
    },
    "partners/acme.yaml:6:22",
    "auth at level may",
    "level: secure",
  ],
];

const listeners = (text: string, more = ""): Tree => ({
  "sealpost.yaml": `hostname: relay.example.org\nlisteners:\n${text}${more}`,
});

const rooms: Row[] = [
  [
    "everybody as a client",
    listeners("  - {clients: [0.0.0.0/0]}\n"),
    "sealpost.yaml:3:16",
    "an open relay",
    "your own servers",
  ],
  [
    "a public CA for clients",
    { ...listeners("  - {client_certificates: {ca: ca.pem}}\n"), "ca.pem": PUBLIC() },
    "sealpost.yaml:3:32",
    "public CA",
    "names, fingerprints or header",
  ],
  [
    "client certificates of nobody",
    listeners("  - {client_certificates: {names: [a.example]}}\n"),
    "sealpost.yaml:3:27",
    "without ca and fingerprints",
    "write the ca",
  ],
  [
    "names without ca",
    listeners(`  - {client_certificates: {names: [a.example], fingerprints: [${SHA}]}}\n`),
    "sealpost.yaml:3:28",
    "names has no effect without ca",
    "write the ca",
  ],
  [
    "two listeners on one port",
    listeners("  - {name: a, clients: [127.0.0.1]}\n  - {name: b, clients: [127.0.0.1]}\n"),
    "sealpost.yaml:4:5",
    "127.0.0.1:2525 is taken by a",
    "another port",
  ],
  [
    "a listener on the admin port of all addresses",
    listeners("  - {address: 0.0.0.0, port: 8025, clients: [127.0.0.1]}\n"),
    "sealpost.yaml:3:30",
    "taken by admin",
    "another port",
  ],
  [
    "two listeners of one name",
    listeners("  - {clients: [127.0.0.1]}\n  - {name: smarthost, port: 0, clients: [127.0.0.1]}\n"),
    "sealpost.yaml:4:12",
    "a second listener is named smarthost",
    "name of its own",
  ],
  [
    "no listener",
    { "sealpost.yaml": "hostname: relay.example.org\n" },
    "sealpost.yaml:1:1",
    "nothing would accept mail",
    "listeners: [",
  ],
  [
    "own senders without own domains",
    listeners("  - {clients: [127.0.0.1], senders: own}\n"),
    "sealpost.yaml:3:37",
    "own without any domains",
    "senders: any",
  ],
  [
    "tls of a client at an implicit listener",
    listeners("  - {tls: implicit, clients: [{network: 127.0.0.1, tls: offer}]}\n"),
    "sealpost.yaml:3:52",
    "no effect at a listener with tls: implicit",
    "remove it",
  ],
  [
    "legacy for ever",
    listeners("  - {clients: [{network: 127.0.0.1, profile: legacy}]}\n"),
    "sealpost.yaml:3:46",
    "legacy is permitted for a client entry with until",
    "intermediate",
  ],
  [
    "legacy for a listener",
    listeners("  - {profile: legacy, clients: [127.0.0.1]}\n"),
    "sealpost.yaml:3:15",
    "legacy is permitted",
    "intermediate",
  ],
  [
    "legacy for every listener",
    gateway("tls: {profile: legacy}\n"),
    "sealpost.yaml:4:16",
    "legacy is permitted",
    "intermediate",
  ],
  [
    "legacy for a partner",
    partner(level("encrypt", "    profile: legacy\n")),
    "partners/acme.yaml:5:5",
    "exceptions only",
    "an exception with an end date",
  ],
  [
    "a users file that is missing",
    listeners("  - {auth: {users_file: users}}\n"),
    "sealpost.yaml:3:25",
    '"users" does not exist',
    "correct the path",
  ],
  [
    "a users file that others may read",
    { ...listeners("  - {auth: {users_file: users}}\n"), users: { text: USERS, mode: 0o640 } },
    "sealpost.yaml:3:25",
    "mode 0640",
    "allow_group_read: true",
  ],
  [
    "a line in the users file",
    { ...listeners("  - {auth: {users_file: users}}\n"), users: `# users\n${USERS}bert:secret\n` },
    "users:3:1",
    "not a line of a users file",
    "sealpost users add",
  ],
  [
    "a user twice",
    { ...listeners("  - {auth: {users_file: users}}\n"), users: USERS + USERS },
    "users:2:1",
    "written twice",
    "remove one",
  ],
  [
    "a certificate that is missing",
    { ...gateway("tls:\n  certificates: {certificate: a.crt, key: a.key}\n"), "a.key": issued.key },
    "sealpost.yaml:5:31",
    '"a.crt" does not exist',
    "correct the path",
  ],
  [
    "a key that others may read",
    {
      ...gateway("tls:\n  certificates: [{certificate: a.crt, key: a.key}]\n"),
      "a.crt": issued.chain,
      "a.key": { text: issued.key, mode: 0o644 },
    },
    "sealpost.yaml:5:44",
    "others may read",
    "chmod 600 a.key",
  ],
  [
    "a key of somebody else",
    {
      ...gateway("tls:\n  certificates: [{certificate: a.crt, key: a.key}]\n"),
      "a.crt": issued.chain,
      "a.key": { text: issued.key, owner: "other" },
    },
    "sealpost.yaml:5:44",
    "belongs to another user",
    "chown",
  ],
  [
    "a key of another certificate",
    {
      ...gateway("tls:\n  certificates: [{certificate: a.crt, key: a.key}]\n"),
      "a.crt": issued.chain,
      "a.key": expired.key,
    },
    "sealpost.yaml:5:32",
    "do not belong together",
    "certificate of this key",
  ],
  [
    "an expired certificate of ours",
    {
      ...gateway("tls:\n  certificates: [{certificate: a.crt, key: a.key}]\n"),
      "a.crt": expired.chain,
      "a.key": expired.key,
    },
    "sealpost.yaml:5:32",
    "ended on 2026-01-01",
    "renew it",
  ],
  [
    "a ca that is none",
    { ...partner(level("secure", "    ca: ca.pem\n")), "partners/ca.pem": "nothing\n" },
    "partners/acme.yaml:5:9",
    "no certificate in PEM form",
    "PEM file",
  ],
  [
    "a crl that is none",
    { ...partner(level("secure", "    ca: ca.pem\n    crl: ca.pem\n")), "partners/ca.pem": authority.certificate },
    "partners/acme.yaml:6:10",
    "holds no revocation list",
    "revocation list",
  ],
  [
    "an unreadable trust bundle",
    { ...gateway("tls: {trust: [ca.pem]}\n"), "ca.pem": {} },
    "sealpost.yaml:4:15",
    '"ca.pem" cannot be read',
    "the right to read it",
  ],
  [
    "a queue key beside the queue",
    gateway("queue: {key_file: ../data/queue.key}\n"),
    "sealpost.yaml:4:19",
    "inside data_dir",
    "outside of data_dir",
  ],
  [
    "a queue key that others may read",
    { ...gateway(""), "../certs/queue.key": { text: "k", mode: 0o644 } },
    "sealpost.yaml:1:1",
    "others may read",
    "chmod 600",
  ],
  [
    "a password file of two lines",
    {
      ...partner(`${level("secure")}  next_hop: {to: "[a.example]:25", auth: {user: u, password_file: p}}\n`),
      "partners/p": "a\nb\n",
    },
    "partners/acme.yaml:5:67",
    "one line with a password",
    "alone",
  ],
  [
    "the admin listener for everybody",
    gateway("admin: {address: 0.0.0.0}\n"),
    "sealpost.yaml:4:18",
    "not available yet",
    "127.0.0.1",
  ],
];

function PUBLIC(): string {
  return ROOTS[0] ?? "";
}

describe.each([
  ["YAML's own traps", yaml],
  ["keys and values", values],
  ["dead keys and contradictions", contradictions],
  ["listeners, files and keys", rooms],
])("%s", (_, rows) => {
  it.each(rows)("%s", (...row) => expectProblem(row));
});

describe("all problems at once", () => {
  it("also those beside what is not available yet", async () => {
    const found = await problems({
      ...partner(level("secure", "    ca: gone.pem\n").replace("  tls:", "  mode: report\n  tls:")),
      "sealpost.yaml": `${BASE}queue: {memory: 1GiB, key_file: ../data/key}\n`,
    });
    expect(found.map((line) => line.split(" ")[0])).toEqual([
      "partners/acme.yaml:3:3",
      "partners/acme.yaml:6:9",
      "sealpost.yaml:4:17",
      "sealpost.yaml:4:33",
    ]);
  });
  it("over all files, each at its place, in order", async () => {
    const found = await problems({
      "sealpost.yaml": `${BASE}limits: {recipients: many}\ntls:\n  certificates: {certificate: a, key: b}\ndomains:\n  - {domain: x..y}\n  - {domain: example.org, next_hop: "[h.example]:25", next_hop_tls: {level: encrypt, match: [h.example]}}\n`,
      "partners/a.yaml": `${D}outbound: {tls: {level: may}}\n`,
      "partners/b.yaml": "domains: [*.b.example]\n",
      "partners/c.yaml": `${D}name: [x]\nexceptions:\n  - {until: x, approved_by: a, reason: r}\n  - {until: 2029-01-01, approved_by: a, reason: r, outbound: {headers: keep}}\n`,
    });
    expect(found.map((line) => line.split(" ")[0])).toEqual([
      "partners/a.yaml:2:18",
      "partners/b.yaml:1:11",
      "partners/c.yaml:1:11",
      "partners/c.yaml:2:7",
      "partners/c.yaml:4:13",
      "partners/c.yaml:5:13",
      "sealpost.yaml:4:22",
      "sealpost.yaml:6:31",
      "sealpost.yaml:6:39",
      "sealpost.yaml:8:14",
      "sealpost.yaml:9:86",
    ]);
  });
  it("but partners are not judged by a default that could not be read", async () =>
    expect(await problems(partner(level("may"), "outbound: {tls: {level: secur}}\n"))).toHaveLength(1));
  it("nor by match sets that could not be read", async () =>
    expect(await problems(partner(level("secure", "    match: [set:a]\n"), "match_sets: {a: [..]}\n"))).toHaveLength(
      1,
    ));
  it("and a missing sealpost.yaml is told with its path", async () =>
    expect(await problems({})).toEqual([expect.stringContaining("sealpost.yaml:1:1")]));
});
