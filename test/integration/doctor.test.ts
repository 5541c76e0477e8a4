/** `sealpost doctor` on a machine of a test: a resolver, a next hop and files, each good and each wrong. */
import { chmod, mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Finding } from "../../src/cli/finding.ts";
import type { Gateway } from "../../src/gateway.ts";
import { createAuthority, type Subject } from "../peers/certificates.ts";
import { type DnsPeer, startDnsServer } from "../peers/dns-server.ts";
import { createMailAuthority } from "../peers/mail-authority.ts";
import { type MxServer, startMx } from "../peers/mx-server.ts";
import { cliDeps, run } from "./cli-deps.ts";

const DAY = 86_400_000;
const ca = createAuthority("Test CA", { notAfter: new Date(Date.now() + 900 * DAY) });

let folder: string;
let dns: DnsPeer;
let hop: MxServer;
let gateway: Gateway | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-doctor-"));
  await mkdir(join(folder, "config", "partners"), { recursive: true });
  dns = await startDnsServer(
    {
      ".": { SOA: true, secure: true },
      "relay.own.test": { A: ["127.0.0.1"] },
      "1.0.0.127.in-addr.arpa": { PTR: ["Relay.own.test"] },
    },
    { signed: ["own.test"] },
  );
  const issued = ca.issue({ names: ["inner.own.test"] });
  hop = await startMx({ tls: { certificate: issued.chain, key: issued.key } });
  await certify({ names: ["relay.own.test"], notAfter: inDays(90) });
  await configure();
});
afterEach(async () => {
  await gateway?.stop("test over");
  gateway = undefined;
  await Promise.all([dns.close(), hop.close()]);
  await rm(folder, { recursive: true, force: true });
});

const inDays = (days: number) => new Date(Date.now() + days * DAY);

async function certify(subject: Subject, root = ca.certificate): Promise<string> {
  const issued = ca.issue(subject);
  await writeFile(join(folder, "config", "own.crt"), issued.chain + root);
  await writeFile(join(folder, "config", "own.key"), issued.key, { mode: 0o600 });
  return issued.spkiSha256;
}

async function configure(over: Readonly<Record<string, string>> = {}): Promise<void> {
  const keys = {
    hostname: "relay.own.test",
    postmaster: "postmaster@own.test",
    data_dir: "../data",
    dns: `{resolvers: ["127.0.0.1:${dns.port}"], timeout: 1s}`,
    tls: "{certificates: [{certificate: own.crt, key: own.key}]}",
    listeners: "[{name: smarthost, address: 127.0.0.1, port: 0, clients: [127.0.0.0/8]}]",
    queue: "{key_file: ../certs/queue.key, reserve: 1MiB}",
    admin: "{address: 127.0.0.1, port: 0, token_file: ../data/admin.token}",
    delivery: "{ip_versions: [4], connect_timeout: 2s, command_timeout: 2s}",
    outbound: `{next_hop: "[127.0.0.1]:${hop.port}", tls: {level: encrypt}}`,
    ...over,
  };
  const text = Object.entries(keys).map(([key, value]) => `${key}: ${value}\n`);
  await writeFile(join(folder, "config", "sealpost.yaml"), text.join(""));
}

async function start(): Promise<void> {
  const started = await cliDeps(folder).startGateway({
    configFile: join(folder, "config", "sealpost.yaml"),
    write: () => undefined,
  });
  if (!started.ok) throw new Error(started.lines.join("\n"));
  gateway = started.gateway;
}

const doctor = (...words: string[]) => run(folder, ["doctor", "-c", join(folder, "config", "sealpost.yaml"), ...words]);

async function found(): Promise<{ code: number; findings: Finding[]; of: (check: string) => Finding[] }> {
  const { code, out, error } = await doctor("--json");
  expect(error).toBe("");
  const findings = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Finding);
  expect(code).toBe(findings.some(({ state }) => state === "bad") ? 1 : 0);
  // Whatever is not good says what to do.
  expect(findings.filter(({ state, remedy }) => (state === "good") !== (remedy === undefined))).toEqual([]);
  return { code, findings, of: (check) => findings.filter((finding) => finding.check === check) };
}

it("finds nothing wrong where all is well, and sends no mail", async () => {
  await configure({ outbound: `{next_hop: "[127.0.0.1]:${hop.port}", headers: keep, dkim: none}` });
  await start();
  const { code, findings } = await found();
  expect(findings.filter(({ state }) => state !== "good")).toEqual([]);
  expect(code).toBe(0);
  const checks = [
    "resolver",
    "name",
    "reverse name",
    "port 25",
    "tlsa",
    "next hop",
    "clock",
    "authorities",
    "certificate",
    "chain",
    "names",
    "disk",
    "modes",
    "queue",
  ];
  expect([...new Set(findings.map(({ check }) => check))]).toEqual(checks);
  expect(hop.verbs()).toBe("EHLO STARTTLS EHLO QUIT");
});

it("speaks to nobody but the resolver and the next hop that are configured", async () => {
  await doctor();
  expect(hop.connections()).toBe(1);
  expect([...new Set(dns.queries.map(({ name }) => name))].toSorted()).toEqual(
    [".", "1.0.0.127.in-addr.arpa", "_25._tcp.relay.own.test", "relay.own.test"].toSorted(),
  );
});

it("tells people in words, a state first, plain where nobody sees colour", async () => {
  await configure({ queue: "{key_file: ../certs/queue.key, reserve: 900000GiB}" });
  const { code, out } = await doctor();
  expect(code).toBe(1);
  expect(out).toMatch(/^good {2}resolver +The resolver 127\.0\.0\.1:\d+ answers and validates DNSSEC\.\n/);
  expect(out).toMatch(/\nbad {3}disk +\S+ GiB are free at [^]*\n {20}Make room now/);
  expect(out).toMatch(/\n\d+ checks: \d+ good, 2 warn, 1 bad\n$/);
  expect(out).not.toContain("\u001b");
});

it.each([
  ["does not validate", () => (dns.zones["."] = { SOA: true, secure: false }), "warn", /does not validate/],
  ["refuses", () => (dns.faults["*"] = "refused"), "bad", /answered REFUSED/],
  ["is silent", () => (dns.faults["*"] = "silence"), "bad", /did not answer/],
])("says so of a resolver that %s", async (_, break_, state, text) => {
  break_();
  expect((await found()).of("resolver")).toMatchObject([{ state, text: expect.stringMatching(text) as string }]);
});

it("calls a resolver without DNSSEC bad when a partner is dane-only", async () => {
  dns.zones["."] = { SOA: true, secure: false };
  await writeFile(
    join(folder, "config", "partners", "acme.yaml"),
    "domains: [acme.test]\noutbound: {next_hop: mx, tls: {level: dane-only}}\n",
  );
  expect((await found()).of("resolver")).toMatchObject([{ state: "bad" }]);
});

it("only warns of one resolver that is silent beside another that answers", async () => {
  await configure({ dns: `{resolvers: ["127.0.0.1:${dns.port}", "127.0.0.9:9"], timeout: 200ms}` });
  expect((await found()).of("resolver").map(({ state }) => state)).toEqual(["good", "warn"]);
});

it.each([
  ["has no address", () => (dns.zones["relay.own.test"] = {}), "name", "bad"],
  ["cannot be looked up", () => (dns.faults["relay.own.test"] = "servfail"), "name", "warn"],
  ["has no PTR", () => (dns.zones["1.0.0.127.in-addr.arpa"] = {}), "reverse name", "warn"],
  ["has another PTR", () => (dns.zones["1.0.0.127.in-addr.arpa"] = { PTR: ["dsl.isp.test"] }), "reverse name", "warn"],
])("says so of our name when it %s", async (_, break_, check, state) => {
  break_();
  expect((await found()).of(check)).toMatchObject([{ state }]);
});

it("compares our TLSA records with our certificate [RFC 7672 §3.1]", async () => {
  const spki = await certify({ names: ["relay.own.test"] });
  const publish = (record: string) => (dns.zones["_25._tcp.relay.own.test"] = { TLSA: [record], ttl: 0 });
  publish(`3 1 1 ${spki}`);
  expect((await found()).of("tlsa")).toMatchObject([
    { state: "good", text: expect.stringContaining("3 1 1") as string },
  ]);
  publish(`2 1 1 ${ca.spkiSha256}`);
  expect((await found()).of("tlsa")).toMatchObject([
    { state: "good", text: expect.stringContaining("2 1 1") as string },
  ]);
  publish(`3 1 1 ${"ab".repeat(32)}`);
  expect((await found()).of("tlsa")).toMatchObject([
    { state: "bad", remedy: expect.stringContaining("sealpost tlsa") as string },
  ]);
  publish(`1 1 1 ${spki}`);
  expect((await found()).of("tlsa")).toMatchObject([{ state: "bad" }]);
  dns.faults["_25._tcp.relay.own.test"] = "servfail";
  expect((await found()).of("tlsa")).toMatchObject([{ state: "warn" }]);
});

it("looks at the names by which MX records send mail to us, too", async () => {
  await certify({ names: ["relay.own.test", "mx.own.test"] });
  await configure({ domains: "[{domain: own.test}]" });
  dns.zones["own.test"] = { MX: ["10 mx.own.test", "20 mx.provider.test"] };
  dns.zones["mx.own.test"] = { A: ["127.0.0.1"] };
  const { of } = await found();
  expect(of("tlsa").map(({ text }) => text)).toEqual([
    expect.stringContaining("relay.own.test"),
    expect.stringContaining("mx.own.test"),
  ]);
});

it("compares each DKIM key with what DNS publishes [RFC 6376 §3.6]", async () => {
  const words = "dkim generate own.test --algorithm ed25519 --selector s1 --json".split(" ");
  const made = await run(folder, [...words, "-c", join(folder, "config", "sealpost.yaml")]);
  const { yaml, name, value } = JSON.parse(made.out) as { yaml: string; name: string; value: string };
  const hops = `next_hop: "[127.0.0.1]:${hop.port}", next_hop_tls: encrypt`;
  const domains = (dates: string) => `[{domain: own.test, ${hops}, dkim: [${yaml.replace("}", `${dates}}`)}]}]`;
  await configure({ domains: domains("") });
  const missing = expect.stringContaining("no record at s1._domainkey.own.test") as string;
  expect((await found()).of("dkim")).toMatchObject([{ state: "bad", text: missing }]);
  await configure({ domains: domains(", not_before: 2035-01-01") });
  expect((await found()).of("dkim")).toMatchObject([
    { state: "warn", text: expect.stringContaining("it signs from 2035-01-01 on") as string },
    { state: "warn", text: "Mail from own.test goes without a DKIM signature." },
  ]);
  await configure({ domains: domains("") });
  const publish = (text: string) => (dns.zones[name] = { TXT: [text], ttl: 0 });
  publish(value.replace(/p=.*/, "p="));
  expect((await found()).of("dkim")).toMatchObject([
    { state: "bad", remedy: expect.stringContaining(`Publish at ${name}: v=DKIM1; k=ed25519; p=`) as string },
  ]);
  publish(`${value}; t=y`);
  expect((await found()).of("dkim")).toMatchObject([{ state: "warn" }]);
  publish(value);
  expect((await found()).of("dkim")).toMatchObject([{ state: "good" }]);
  dns.faults[name] = "servfail";
  expect((await found()).of("dkim")).toMatchObject([{ state: "warn" }]);
});

it("says which of our domains send without a DKIM signature, unless that is wanted", async () => {
  await configure({
    domains: `[{domain: own.test, next_hop: "[127.0.0.1]:${hop.port}"}]`,
    outbound: `{next_hop: "[127.0.0.1]:${hop.port}"}`,
  });
  expect((await found()).of("dkim")).toMatchObject([{ state: "warn", remedy: "sealpost dkim generate own.test" }]);
  await configure({
    domains: `[{domain: own.test, next_hop: "[127.0.0.1]:${hop.port}"}]`,
    outbound: `{next_hop: "[127.0.0.1]:${hop.port}", dkim: none}`,
  });
  expect((await found()).of("dkim")).toEqual([]);
});

it("says that nothing is stripped or signed where no domain of our own is named", async () => {
  const outbound = `{next_hop: "[127.0.0.1]:${hop.port}"}`;
  await configure({ outbound });
  expect((await found()).of("domains")).toMatchObject([{ state: "warn", remedy: "Write them under domains." }]);
  await configure({ outbound, domains: `[{domain: own.test, next_hop: "[127.0.0.1]:${hop.port}"}]` });
  expect((await found()).of("domains")).toEqual([]);
});

it("looks at the dates of partners' S/MIME certificates", async () => {
  const folderOf = join(folder, "certs", "smime", "partners");
  await mkdir(folderOf, { recursive: true });
  const bea = createMailAuthority("Mail CA").issue({ emails: ["bea@acme.test"], notAfter: inDays(20) });
  await writeFile(join(folderOf, "bea@acme.test.pem"), bea.pem);
  expect((await found()).of("smime partners")).toMatchObject([
    { state: "warn", text: expect.stringContaining("of bea@acme.test") as string },
  ]);
});

it.each([
  [40.5, "good"],
  [29.5, "warn"],
  [13.5, "warn"],
  [6.5, "bad"],
  [0.5, "bad"],
])("counts the days of our certificate: %f left is %s", async (days, state) => {
  await certify({ names: ["relay.own.test"], notAfter: inDays(days) }, "");
  expect((await found()).of("certificate")).toMatchObject([
    { state, text: expect.stringContaining(`${Math.floor(days)} day`) as string },
  ]);
});

it("warns of a chain that ends nowhere, and of a certificate of another name", async () => {
  await certify({ names: ["old.own.test"] }, "");
  const { of } = await found();
  expect(of("chain")).toMatchObject([{ state: "warn", text: expect.stringContaining("no root") as string }]);
  expect(of("names")).toMatchObject([{ state: "warn" }]);
});

it("warns of the self-signed certificate of the first start", async () => {
  await configure({ tls: "{}" });
  expect((await found()).of("chain")).toMatchObject([
    { state: "warn", text: expect.stringContaining("self-signed") as string },
  ]);
});

it.each([
  ["closed", () => hop.close(), /connect/],
  ["without STARTTLS", () => Promise.resolve(hop.change({ starttls: "absent" })), /STARTTLS/],
])("says so of a next hop that is %s", async (_, break_, text) => {
  await break_();
  expect((await found()).of("next hop")).toMatchObject([{ state: "bad", text: expect.stringMatching(text) as string }]);
});

it("tells of files from the future that the clock was set back", async () => {
  const later = new Date(Date.now() + DAY);
  await utimes(join(folder, "config", "own.crt"), later, later);
  expect((await found()).of("clock")).toMatchObject([{ state: "bad" }]);
});

it("finds secrets that others may read, and a queue without its key", async () => {
  await start();
  await gateway?.stop("test");
  gateway = undefined;
  await chmod(join(folder, "data", "admin.token"), 0o644);
  const { of } = await found();
  expect(of("modes")).toMatchObject([{ state: "bad", text: expect.stringContaining("admin.token") as string }]);
  await rm(join(folder, "certs", "queue.key"));
  const after = await found();
  expect(after.of("modes").map(({ text }) => text)).toContainEqual(expect.stringContaining("queue.key"));
  expect(after.of("queue")).toMatchObject([{ state: "bad" }]);
});

it("tells a stopped gateway from one that was never started", async () => {
  expect((await found()).of("queue")).toMatchObject([
    { state: "warn", text: expect.stringContaining("first start") as string },
  ]);
  await start();
  await gateway?.stop("test");
  gateway = undefined;
  expect((await found()).of("queue")).toMatchObject([
    { state: "warn", text: expect.stringContaining("can be opened") as string },
  ]);
});

it("names a source address that is not of this machine", async () => {
  await configure({ delivery: "{ip_versions: [4], source_address: [192.0.2.99]}", outbound: "{}" });
  dns.zones["99.2.0.192.in-addr.arpa"] = { PTR: ["relay.own.test"] };
  expect((await found()).of("port 25")).toMatchObject([{ state: "bad" }]);
});

it("ends with 78 when the configuration is wrong", async () => {
  await configure({ no_such_key: "1" });
  const ran = await doctor();
  expect(ran).toMatchObject({ code: 78, out: "" });
});
