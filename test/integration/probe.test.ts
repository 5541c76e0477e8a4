/**
 * `sealpost probe` against real sockets: a resolver, mail hosts good and bad, with the gateway stopped and running. What
 * the hosts recorded says that nothing of a message was ever begun.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { handIn } from "../../src/cli/demo-partners.ts";
import type { Gateway } from "../../src/gateway.ts";
import type { ProbeReport } from "../../src/report/probe-report.ts";
import { createAuthority } from "../peers/certificates.ts";
import { type DnsPeer, type DnsRecords, startDnsServer } from "../peers/dns-server.ts";
import { type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import { cliDeps, run } from "./cli-deps.ts";

const ca = createAuthority("Test CA");
const good = ca.issue({ names: ["mx1.acme.test"] });
const other = createAuthority("Strange CA").issue({ names: ["mx2.acme.test"] });

let folder: string;
let dns: DnsPeer;
let peers: MxServer[];
let port: number;
let gateway: Gateway | undefined;
let log: Record<string, unknown>[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-probe-"));
  await mkdir(join(folder, "config", "partners"), { recursive: true });
  await writeFile(join(folder, "config", "ca.crt"), ca.certificate);
  dns = await startDnsServer({}, { signed: ["acme.test"] });
  peers = [];
  log = [];
  port = 0;
});
afterEach(async () => {
  await gateway?.stop("test over");
  gateway = undefined;
  await Promise.all([dns.close(), ...peers.map((peer) => peer.close())]);
  await rm(folder, { recursive: true, force: true });
});

const tls = (issued: { chain: string; key: string }) => ({ certificate: issued.chain, key: issued.key });

/** Hosts of one port on addresses of their own, mx1 with the best preference. */
async function acme(...hosts: MxOptions[]): Promise<MxServer[]> {
  const started: MxServer[] = [];
  for (const [at, options] of hosts.entries()) {
    const peer = await startMx(options, `127.0.0.${at + 2}`, port);
    ({ port } = peer);
    started.push(peer);
    peers.push(peer);
    dns.zones[`mx${at + 1}.acme.test`] = { A: [peer.address] };
  }
  dns.zones["acme.test"] = { MX: hosts.map((_, at) => `${at + 1}0 mx${at + 1}.acme.test`) };
  return started;
}

async function configure(outbound: string, partner = ""): Promise<void> {
  const text = `hostname: relay.own.test
postmaster: postmaster@own.test
data_dir: ../data
dns: {resolvers: ["127.0.0.1:${dns.port}"], timeout: 1s}
listeners: [{name: smarthost, address: 127.0.0.1, port: 0, clients: [127.0.0.0/8]}]
queue: {key_file: ../certs/queue.key, retry: [1h], reserve: 1MiB}
admin: {address: 127.0.0.1, port: 0, token_file: ../data/admin.token}
delivery: {port: ${port === 0 ? 25 : port}, ip_versions: [4], connect_timeout: 2s, command_timeout: 2s}
outbound: ${outbound}
`;
  await writeFile(join(folder, "config", "sealpost.yaml"), text);
  if (partner !== "") await writeFile(join(folder, "config", "partners", "acme.yaml"), partner);
}

async function start(): Promise<Gateway> {
  const started = await cliDeps(folder).startGateway({
    configFile: join(folder, "config", "sealpost.yaml"),
    write: (line) => void log.push(JSON.parse(line) as Record<string, unknown>),
  });
  if (!started.ok) throw new Error(started.lines.join("\n"));
  gateway = started.gateway;
  return gateway;
}

const sealpost = (...words: string[]) => run(folder, [...words, "-c", join(folder, "config", "sealpost.yaml")]);

async function probed(...words: string[]): Promise<{ code: number; report: ProbeReport }> {
  const { code, out, error } = await sealpost("probe", "acme.test", "--json", ...words);
  expect(error).toBe("");
  return { code, report: JSON.parse(out) as ProbeReport };
}

/** Nothing but greeting, STARTTLS and goodbye. */
function nothingBegun(): void {
  for (const peer of peers) {
    expect(peer.verbs()).toMatch(/^(?:(?:EHLO|STARTTLS|QUIT)(?: |$))*$/);
    expect(peer.messages).toEqual([]);
  }
}

const SECURE = `{tls: {level: secure, ca: ca.crt, match: [.acme.test]}}`;
const PARTNER = `domains: [acme.test]
outbound:
  tls:
    level: secure
    ca: ../ca.crt
    match: [mx1.acme.test]
`;

describe("probe", () => {
  it("tells of every host what it showed and how it was judged, and begins no mail", async () => {
    await acme({ tls: tls(good) }, { tls: tls(other) }, { starttls: "absent" });
    await configure("{tls: {level: encrypt}}", PARTNER);
    const { code, report } = await probed();
    expect(code).toBe(0);
    expect(report).toMatchObject({
      domain: "acme.test",
      ok: true,
      level: "secure",
      partner: "acme",
      source: "partner",
    });
    expect(report.levelOrigin).toMatchObject({ line: 4 });
    expect(report.hosts).toMatchObject([
      {
        host: "mx1.acme.test",
        address: "127.0.0.2",
        withinAttempt: true,
        starttls: "offered",
        dnssec: { mx: "secure", address: "secure" },
        dane: { status: "absent" },
        mtaSts: { status: "absent" },
        tls: {
          version: "TLSv1.3",
          sni: "mx1.acme.test",
          chain: [{ subject: "CN=mx1.acme.test", names: ["mx1.acme.test"], issuer: "CN=Test CA", sha256: good.sha256 }],
        },
        verdict: { authenticatedBy: "private-ca", matched: "mx1.acme.test" },
      },
      {
        host: "mx2.acme.test",
        problem: { reason: "certificate-not-trusted", rule: { demand: "level secure", origin: { line: 5 } } },
      },
      {
        host: "mx3.acme.test",
        starttls: "not-offered",
        problem: { reason: "starttls-not-supported", rule: { origin: { line: 4 } } },
      },
    ]);
    expect(report.hosts[0]).not.toHaveProperty("problem");
    expect(report.hosts[0]).not.toHaveProperty("transcript");
    nothingBegun();
  });

  it("says no when mail would wait: exit 1, with what one attempt would report", async () => {
    await acme({ tls: tls(other) }, { starttls: "absent" });
    await configure(SECURE);
    const { code, report } = await probed();
    expect(code).toBe(1);
    expect(report).toMatchObject({ ok: false, problem: { kind: "deferred", reason: "certificate-not-trusted" } });
    expect(report.problem?.remedy).toMatch(/\.$/);
    nothingBegun();
  });

  it("marks the TLSA records that match, and authenticates by them [RFC 7672 §3]", async () => {
    await acme({ tls: tls(other) });
    dns.zones["_25._tcp.mx1.acme.test"] = {};
    dns.zones[`_${port}._tcp.mx1.acme.test`] = { TLSA: [`3 1 1 ${good.spkiSha256}`, `3 1 1 ${other.spkiSha256}`] };
    await configure("{tls: {level: dane-only}}");
    const { code, report } = await probed();
    expect(code).toBe(0);
    const [host] = report.hosts;
    expect(host?.dane).toMatchObject({ status: "usable", base: "mx1.acme.test" });
    const matching = host?.dane?.records.filter(({ matches }) => matches).map(({ text }) => text);
    expect(matching).toEqual([`3 1 1 ${other.spkiSha256}`]);
    expect(host?.verdict).toMatchObject({ authenticatedBy: "dane-ee" });
    dns.zones[`_${port}._tcp.mx1.acme.test`] = { TLSA: [`3 1 1 ${good.spkiSha256}`] };
    const after = await probed("--level", "encrypt");
    expect(after.report).toMatchObject({
      ok: false,
      problem: { reason: "tlsa-invalid", rule: { demand: expect.stringMatching(/^DANE/) as string } },
      hosts: [{ dane: { records: [{ matches: false }] } }],
    });
    nothingBegun();
  });

  it("tells why the name servers keep mail waiting, and touches no host [RFC 7672 §2.1]", async () => {
    const [mx] = await acme({ tls: tls(good) });
    dns.faults["mx1.acme.test/A"] = "servfail";
    await configure(SECURE);
    const { code, report } = await probed();
    expect(code).toBe(1);
    expect(report).toMatchObject({
      problem: { reason: "dns-failed" },
      hosts: [],
      unresolved: [{ nextHop: "acme.test" }],
    });
    expect(mx?.connections()).toBe(0);
  });

  it("says that a domain does not exist, or takes no mail [RFC 7505]", async () => {
    await configure(SECURE.replace("secure", "encrypt").replace("ca: ca.crt, match: [.acme.test]", ""));
    expect((await probed()).report).toMatchObject({ problem: { kind: "failed", reason: "no-such-domain" } });
    dns.zones["acme.test"] = { MX: ["0 ."], ttl: 0 };
    dns.zones["null.test"] = { MX: ["0 ."] };
    const ran = await sealpost("probe", "null.test");
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.out).toContain("Mail fails: null-mx");
  });

  it("takes one host and another level, as if the policy had it", async () => {
    await acme({ tls: tls(good) }, { tls: tls(other) });
    await configure(SECURE);
    const one = await probed("--host", "mx2.acme.test", "--level", "encrypt");
    expect(one.code).toBe(0);
    expect(one.report).toMatchObject({ level: "encrypt", hosts: [{ host: "mx2.acme.test" }] });
    expect(one.report).not.toHaveProperty("levelOrigin");
    expect((await probed("--host", "127.0.0.3")).report.hosts).toMatchObject([{ host: "mx2.acme.test" }]);
    const none = await probed("--host", "mx9.acme.test");
    expect(none).toMatchObject({ code: 1, report: { hosts: [], problem: { reason: "host-not-found" } } });
  });

  it("goes on in clear at level may after a failed handshake, as a second attempt would [RFC 7435 §3]", async () => {
    await acme({ starttls: "refused" });
    await configure("{tls: {level: may}}");
    const { code, report } = await probed();
    expect(code).toBe(0);
    expect(report.hosts).toMatchObject([{ starttls: "not-offered", verdict: { trusted: false } }]);
    nothingBegun();
  });

  it("goes through the next hop that the policy names", async () => {
    const [mx] = await acme({ tls: tls(good) });
    dns.zones["acme.test"] = {};
    await configure(`{next_hop: "[127.0.0.2]:${port}", tls: {level: encrypt}}`);
    const { code, report } = await probed();
    expect(code).toBe(0);
    expect(report.hosts).toMatchObject([{ route: "next-hop", address: "127.0.0.2" }]);
    expect(mx?.connections()).toBe(1);
  });

  it("shows the dialogue with --transcript, in order", async () => {
    await acme({ tls: tls(good) });
    await configure(SECURE);
    const { report } = await probed("--transcript");
    const lines = (report.hosts[0]?.transcript ?? []).map(({ from, text }) => `${from} ${text}`);
    expect(lines[0]).toMatch(/^peer 220 /);
    expect(lines).toEqual(expect.arrayContaining(["us EHLO relay.own.test", "peer 250 STARTTLS", "us STARTTLS"]));
    const handshake = lines.findIndex((line) => line.startsWith("tls TLSv1.3 TLS_"));
    expect(handshake).toBeGreaterThan(lines.indexOf("us STARTTLS"));
    expect(lines.indexOf("us EHLO relay.own.test", handshake)).toBeGreaterThan(handshake);
  });

  it("is readable, plain where nobody sees colour, and harmless whatever a peer says", async () => {
    await acme({ tls: tls(good) }, { greeting: "554 go away \u001b[2J" });
    await configure("{tls: {level: encrypt}}", PARTNER);
    const { code, out } = await sealpost("probe", "acme.test", "--transcript");
    expect(code).toBe(0);
    expect(out).toMatch(/^acme\.test\n {2}level +secure, by partner acme {2}\(config\/partners\/acme\.yaml:4:5\)\n/);
    expect(out).toMatch(/mx1\.acme\.test \(127\.0\.0\.2 port \d+\) {2}passes\n/);
    expect(out).toMatch(/ {2}DNSSEC +MX secure, addresses secure\n {2}TLSA +none published\n/);
    expect(out).toMatch(/ {2}verdict +authenticated by private-ca: mx1\.acme\.test\n/);
    expect(out).toMatch(/ {2}verdict +connection-failed: /);
    expect(out).toMatch(/ {2}to do +\S/);
    expect(out).toMatch(/\nMail can go: mx1\.acme\.test would take it\.\n$/);
    expect(out).not.toContain("\u001b");
  });

  it.each([
    ["a domain that is none", ["probe", "acme..test"]],
    ["a level that is none", ["probe", "acme.test", "--level", "dane"]],
    ["a host that is none", ["probe", "acme.test", "--host", "mx 1"]],
    ["--release with another level", ["probe", "acme.test", "--release", "--level", "may"]],
    ["--release with one host", ["probe", "acme.test", "--release", "--host", "mx1.acme.test"]],
  ])("refuses %s: exit 64", async (_, words) => {
    await configure(SECURE);
    const ran = await sealpost(...words);
    expect(ran).toMatchObject({ code: 64, out: "" });
    expect(ran.error).not.toBe("");
  });
});

async function waiting(): Promise<{ domain: string; state: string; attempts: number }[]> {
  const { out } = await sealpost("queue", "list", "--json");
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { domain: string; state: string; attempts: number });
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !(await condition()); ) {
    if (performance.now() > end) throw new Error("timed out");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("probe with a running gateway", () => {
  it("asks the gateway, whose policy is in force, and is logged there", async () => {
    await acme({ tls: tls(other) });
    await configure(SECURE);
    await start();
    await configure("{tls: {level: encrypt}}"); // on disk, and not yet reloaded
    const { code, report } = await probed();
    expect(code).toBe(1);
    expect(report).toMatchObject({ level: "secure", problem: { reason: "certificate-not-trusted" } });
    expect(log.find(({ event }) => event === "admin.action")).toMatchObject({
      action: "probe",
      detail: "acme.test: certificate-not-trusted",
    });
    nothingBegun();
  });

  it("sends what waits with --release, once it is green", async () => {
    const [mx] = await acme({ tls: tls(other) });
    await configure(SECURE);
    const { listeners } = await start();
    await handIn(listeners[0]!, "anna@own.test", "bea@acme.test");
    await until(async () => (await waiting()).some(({ state, attempts }) => state === "waiting" && attempts === 1));
    const red = await sealpost("probe", "acme.test", "--release");
    expect(red).toMatchObject({ code: 1 });
    expect((await waiting()).map(({ attempts }) => attempts)).toEqual([1]);
    mx?.change({ tls: tls(good) });
    const green = await sealpost("probe", "acme.test", "--release");
    expect(green).toMatchObject({ code: 0 });
    expect(green.out).toContain("1 delivery is due now.");
    await until(() => mx?.messages.length === 1);
    await until(async () => (await waiting()).length === 0);
  });

  it("without the right to the token says so: exit 69", async () => {
    await acme({ tls: tls(good) });
    await configure(SECURE);
    await start();
    await rm(join(folder, "data", "admin.token"));
    const ran = await sealpost("probe", "acme.test");
    expect(ran).toMatchObject({ code: 69, out: "" });
  });

  it("is refused over HTTP when it is not understood: 400", async () => {
    await configure(SECURE.replace("secure", "verify"));
    const { admin } = await start();
    const token = (await readFile(join(folder, "data", "admin.token"), "utf8")).trim();
    const ask = (body: string) =>
      fetch(`http://127.0.0.1:${admin.port}/api/v1/probe`, {
        method: "POST",
        body,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      });
    for (const body of ['{"domain":"acme..test"}', '{"domain":"acme.test","mail":"x"}', '{"domain":7}', "[]"])
      expect((await ask(body)).status).toBe(400);
    expect((await ask('{"domain":"acme.test"}')).status).toBe(200);
  });
});

describe("explain", () => {
  it("shows what is published, as DNS has it, and asks nobody with --offline", async () => {
    const [mx] = await acme({ tls: tls(good) });
    const records: DnsRecords = { TLSA: [`3 1 1 ${good.spkiSha256}`] };
    dns.zones[`_${port}._tcp.mx1.acme.test`] = records;
    await configure(SECURE);
    const { code, out } = await sealpost("explain", "bea@acme.test");
    expect(code).toBe(0);
    expect(out).toMatch(
      / {2}published +mx1\.acme\.test \(127\.0\.0\.2 port \d+\)\n +DNSSEC: MX secure, addresses secure\n/,
    );
    expect(out).toContain(`TLSA: 3 1 1 ${good.spkiSha256}`);
    expect(out).toMatch(/ {2}besides +nothing that the destination publishes\n/);
    expect(mx?.connections()).toBe(0);
    const json = JSON.parse((await sealpost("explain", "bea@acme.test", "--json")).out) as object;
    expect(json).toMatchObject({ published: { hosts: [{ dane: { status: "usable" } }] } });
    const before = dns.queries.length;
    const offline = await sealpost("explain", "bea@acme.test", "--offline");
    expect(offline).toMatchObject({ code: 0 });
    expect(offline.out).not.toContain("published");
    expect(dns.queries.length).toBe(before);
  });
});
