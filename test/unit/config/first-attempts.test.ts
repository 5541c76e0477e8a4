/** What administrators of other mail servers write at first: each with its place and a remedy that works when followed. */
import { describe, expect, it } from "vitest";
import { BASE, gateway, partner, problems, type Tree } from "./memory.ts";

const D = "domains: [acme.example]\n";
const listener = (keys: string): Tree => ({
  "sealpost.yaml": `hostname: relay.example.org\nlisteners:\n  - {${keys}}\n`,
});
const level = (name: string) => partner(`${D}outbound: {tls: {level: ${name}}}\n`);
const exception = (change: string) =>
  partner(`${D}exceptions:\n  - {until: 2026-12-31, approved_by: anna@example.org, reason: "x", ${change}}\n`);

type Row = readonly [title: string, tree: Tree, place: string, message: string, remedy: string];

const relays: Row[] = [
  [
    "all of IPv4 as IPv6",
    listener('clients: ["::ffff:0:0/96"]'),
    "sealpost.yaml:3:16",
    "an open relay",
    "your own servers",
  ],
  ["half of IPv6, IPv4 in it", listener('clients: ["::ffff:0:0/90"]'), "sealpost.yaml:3:16", "bits set", "/90"],
  [
    "XCLIENT from everybody",
    listener("clients: [10.0.0.1], xclient: 0.0.0.0/0"),
    "sealpost.yaml:3:36",
    "open relay",
    "of your own",
  ],
  [
    "PROXY from everybody",
    listener('clients: [10.0.0.1], proxy_protocol: ["::/0"]'),
    "sealpost.yaml:3:44",
    "open relay",
    "proxies",
  ],
  [
    "own senders of a client, no domains",
    listener("clients: [{network: 10.0.0.1, senders: own}]"),
    "sealpost.yaml:3:45",
    "without any domains",
    "senders: any",
  ],
];

const empty: Row[] = [
  ["no sender at all", listener("clients: [10.0.0.1], senders: []"), "sealpost.yaml:3:36", "an empty list", "own, any"],
  ["no route", partner(`${D}outbound: {next_hop: []}\n`), "partners/acme.yaml:2:22", "an empty list", "next_hop: mx"],
  [
    "no authority",
    partner(`${D}outbound: {tls: {level: secure, ca: []}}\n`),
    "partners/acme.yaml:2:37",
    "an empty list",
    "ca: PATH",
  ],
  ["no trust", gateway("tls: {trust: []}\n"), "sealpost.yaml:4:14", "an empty list", "system"],
  ["no schedule", gateway("queue: {retry: []}\n"), "sealpost.yaml:4:16", "an empty list", "retry: [1m"],
  ["no IP version", gateway("delivery: {ip_versions: []}\n"), "sealpost.yaml:4:25", "an empty list", "[4, 6]"],
  ["no message fits", gateway("limits: {message_size: 0B}\n"), "sealpost.yaml:4:24", "not a size above zero", "50MiB"],
  [
    "an exception that permits nothing",
    exception("outbound: {}"),
    "partners/acme.yaml:3:5",
    "changes nothing",
    "outbound: {tls",
  ],
];

const words: Row[] = [
  [
    "Postfix's half-dane",
    level("half-dane"),
    "partners/acme.yaml:2:25",
    '"half-dane" is not a level',
    "mta_sts: ignore",
  ],
  ["a level in capitals", level("Verify"), "partners/acme.yaml:2:25", "not a level", "did you mean verify?"],
  ["Exchange's EncryptionOnly", level("EncryptionOnly"), "partners/acme.yaml:2:25", "not a level", "write encrypt"],
  [
    "Exchange's DomainValidation",
    level("DomainValidation"),
    "partners/acme.yaml:2:25",
    "not a level",
    "secure with match",
  ],
  [
    "an address in brackets",
    listener('clients: [10.0.0.1], address: "[::1]"'),
    "sealpost.yaml:3:36",
    "not an IP address",
    "without brackets",
  ],
  [
    "a host to listen on",
    listener("clients: [10.0.0.1], address: localhost"),
    "sealpost.yaml:3:36",
    "not an IP address",
    "127.0.0.1",
  ],
  [
    "a name that YAML takes for a number",
    partner(`${D}name: 42\n`),
    "partners/acme.yaml:2:7",
    "a text is expected",
    "put it in quotes",
  ],
  [
    "an address among the domains",
    partner("domains: [anna@acme.example]\n"),
    "partners/acme.yaml:1:11",
    "an address",
    "the domain alone",
  ],
  [
    "no space behind a colon",
    { "sealpost.yaml": `postmaster:a@b.example\n${BASE}` },
    "sealpost.yaml:1:1",
    "no space behind the colon",
    "write postmaster: a@b.example",
  ],
  [
    "no space behind a colon in braces",
    partner(`${D}outbound: {tls: {level:secure}}\n`),
    "partners/acme.yaml:2:18",
    "unknown key",
    "write level: secure, with a space",
  ],
  [
    "no space behind a colon below a key",
    partner(`${D}outbound:\n  tls:\n    level:secure\n`),
    "partners/acme.yaml:4:5",
    "a map is expected",
    "write level: secure, with a space",
  ],
  [
    "Postfix's main.cf",
    { "sealpost.yaml": `relayhost [10.0.0.1]\n${BASE}` },
    "sealpost.yaml:1:1",
    "no colon behind",
    "relayhost: [10.0.0.1]",
  ],
];

const rows = [...relays, ...empty, ...words];

describe("each has one problem", () => {
  it.each(rows)("%s", async (_, tree, place, message, remedy) => {
    const found = await problems(tree);
    expect(found).toHaveLength(1);
    const [at = "", cure] = found[0]?.split(" → ") ?? [];
    expect(at.startsWith(`${place} `) && at.includes(message), at).toBe(true);
    expect(cure).toContain(remedy);
  });
});

it.each(["acme.YAML", "acme.yml", "acme.Yml"])("a partner file %s is never passed over in silence", async (name) => {
  const found = await problems({ ...gateway(""), [`partners/${name}`]: D });
  expect(found).toEqual([`partners/${name}:1:1 only files whose names end in .yaml are read → rename it to acme.yaml`]);
});

it("backups of editors are no partners", async () => {
  expect(await problems({ ...gateway(""), "partners/acme.yaml~": D, "partners/acme.yaml.bak": "x" })).toEqual([]);
});
