/** MTA-STS over real sockets: a DNS server, policy hosts and the store on loopback (RFC 8461 §3). */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { findAddresses } from "../../src/connect/addresses.ts";
import { createMtaSts, type MtaSts, type MtaStsDeps } from "../../src/connect/mta-sts.ts";
import { createResolver, type Resolver } from "../../src/connect/resolver.ts";
import type { DomainName } from "../../src/mail/domain-name.ts";
import type { MtaStsFacts } from "../../src/mail/published.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import type { EmbeddedStore } from "../../src/store/sqlite-queue.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";
import { createAuthority, selfSigned } from "../peers/certificates.ts";
import { type DnsPeer, startDnsServer } from "../peers/dns-server.ts";
import { httpAnswer, type HttpsAnswer, type HttpsPeer, startHttpsServer } from "../peers/https-server.ts";

const HOST = "mta-sts.acme.example";
const POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.acme.example\r\nmax_age: 604800\r\n";
const authority = createAuthority("Test root");
const good = authority.issue({ names: [HOST] });
const belowIntermediate = authority.intermediate("Intermediate").issue({ names: [HOST] });

let dns: DnsPeer;
let web: HttpsPeer;
let store: SqliteStore;
let queue: EmbeddedStore;
let resolver: Resolver;
let sts: MtaSts;

beforeAll(async () => {
  dns = await startDnsServer();
  store = await sqliteStore();
  queue = await store.open();
});
afterAll(async () => {
  await queue.close();
  await store.destroy();
  await dns.close();
});
beforeEach(async () => {
  web = await startHttpsServer(good);
  web.answer = httpAnswer(POLICY);
  for (const name of Object.keys(dns.zones)) delete dns.zones[name];
  for (const name of Object.keys(dns.faults)) delete dns.faults[name];
  dns.queries.length = 0;
  dns.zones["_mta-sts.acme.example"] = { TXT: ["v=STSv1; id=1;"], ttl: 0 };
  dns.zones[HOST] = { A: ["127.0.0.1"] };
  await open();
});
afterEach(async () => {
  await sts.close();
  resolver.close();
  await web.close();
});

/** `clean`: with nothing kept. */
async function open(more: Partial<MtaStsDeps> = {}, clean = true): Promise<void> {
  if (clean) await queue.policies.put({ ...KEPT, expiresAt: 0 });
  resolver = createResolver({
    clock: systemClock,
    random: systemRandom,
    settings: () => ({
      resolvers: [{ transport: "udp", address: dns.address, port: dns.port, trustAd: true }],
      timeoutMs: 500,
    }),
  });
  sts = createMtaSts({
    clock: systemClock,
    lookupTxt: (name) => resolver.lookup(name, "TXT"),
    resolveAddresses: async (name) => {
      const { byVersion, ...rest } = await findAddresses(resolver, name, [4, 6]);
      return { ...rest, addresses: byVersion.flat() };
    },
    trust: () => [authority.certificate],
    cache: queue.policies,
    port: web.port,
    limits: { handshakeMs: 500, overallMs: 1_500 },
    ...more,
  });
}

const ACME = "acme.example" as DomainName;
const KEPT = {
  domain: ACME,
  id: "0",
  mode: "enforce",
  mx: ["old.acme.example"],
  fetchedAt: 0,
  expiresAt: 0,
  refreshAt: 0,
  usedAt: 0,
} as const;
const facts = (domain: string = ACME): Promise<MtaStsFacts> => sts.facts(domain as DomainName);
const reopen = async (more: Partial<MtaStsDeps>, clean = true): Promise<void> => {
  await sts.close();
  resolver.close();
  await open(more, clean);
};

const raw = (head: string, body = POLICY, ending?: HttpsAnswer["ending"]): HttpsAnswer => ({
  text: `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${head}\r\n\r\n${body}`,
  ...(ending && { ending }),
});
const chunked = (...parts: string[]): string =>
  [...parts, ""].map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join("");

describe("the request [RFC 8461 §3.3]", () => {
  it("is one GET with SNI for the policy host, without cookies, caching or compression", async () => {
    expect(await facts()).toMatchObject({
      kind: "policy",
      domain: ACME,
      id: "1",
      mode: "enforce",
      mx: ["mx.acme.example"],
    });
    expect(web.requests).toEqual([
      {
        servername: HOST,
        alpn: "http/1.1",
        method: "GET",
        path: "/.well-known/mta-sts.txt",
        headers: {
          host: HOST,
          accept: "text/plain",
          "accept-encoding": "identity",
          "user-agent": "sealpost",
          connection: "close",
        },
      },
    ]);
  });
});

describe("an answer gives the policy", () => {
  it.each<[string, HttpsAnswer]>([
    [
      "with parameters of its type [§3.2]",
      httpAnswer(POLICY, { headers: { "Content-Type": "Text/Plain; charset=UTF-8" } }),
    ],
    ["in chunks", raw("Transfer-Encoding: chunked", chunked(POLICY.slice(0, 20), POLICY.slice(20)))],
    [
      "with a cookie, which is not kept",
      httpAnswer(POLICY, { headers: { "Content-Type": "text/plain", "Set-Cookie": "a=b" } }),
    ],
    [
      "that says that it is not compressed",
      httpAnswer(POLICY, { headers: { "Content-Type": "text/plain", "Content-Encoding": "identity" } }),
    ],
    ["after an informational one", { text: `HTTP/1.1 103 Early Hints\r\n\r\n${String(httpAnswer(POLICY).text)}` }],
    ["of 64 KiB", httpAnswer(`${POLICY}x: ${"y".repeat(65_536 - POLICY.length - 3)}`)],
    ["on a connection left open", { ...httpAnswer(POLICY), ending: "open" }],
  ])("%s", async (_, answer) => {
    web.answer = answer;
    expect(await facts()).toMatchObject({ kind: "policy", mode: "enforce" });
  });
});

describe("an answer gives no policy [RFC 8461 §3.3, RFC 8460 §4.3]", () => {
  it.each<[string, string, HttpsAnswer | undefined]>([
    [
      "a redirect to a good policy",
      "sts-policy-fetch-error",
      httpAnswer(POLICY, {
        status: "301 Moved",
        headers: { Location: `https://${HOST}/x`, "Content-Type": "text/plain" },
      }),
    ],
    [
      "a redirect for a while",
      "sts-policy-fetch-error",
      httpAnswer("", { status: "307 Temporary", headers: { Location: `https://${HOST}/x` } }),
    ],
    ["404 with a policy", "sts-policy-fetch-error", httpAnswer(POLICY, { status: "404 Not Found" })],
    ["203", "sts-policy-fetch-error", httpAnswer(POLICY, { status: "203 Elsewhere" })],
    ["500", "sts-policy-fetch-error", httpAnswer("", { status: "500 Oops" })],
    ["HTML", "sts-policy-fetch-error", httpAnswer(POLICY, { headers: { "Content-Type": "text/html" } })],
    ["no content type", "sts-policy-fetch-error", httpAnswer(POLICY, { headers: {} })],
    ["text/plainer", "sts-policy-fetch-error", httpAnswer(POLICY, { headers: { "Content-Type": "text/plainer" } })],
    [
      "compression",
      "sts-policy-fetch-error",
      httpAnswer(POLICY, { headers: { "Content-Type": "text/plain", "Content-Encoding": "gzip" } }),
    ],
    ["over 64 KiB", "sts-policy-fetch-error", httpAnswer(`${POLICY}x: ${"y".repeat(65_536)}`)],
    [
      "over 64 KiB in chunks",
      "sts-policy-fetch-error",
      raw("Transfer-Encoding: chunked", chunked(POLICY, "x".repeat(65_536))),
    ],
    ["no length, so that it could be cut off unseen", "sts-policy-fetch-error", raw("X: y")],
    ["less than it says", "sts-policy-fetch-error", raw(`Content-Length: ${POLICY.length + 1}`)],
    ["chunks without end", "sts-policy-fetch-error", raw("Transfer-Encoding: chunked", chunked(POLICY).slice(0, -5))],
    [
      "chunks that are cut",
      "sts-policy-fetch-error",
      raw("Transfer-Encoding: chunked", chunked(POLICY).slice(0, -5), "reset"),
    ],
    ["a wrong length twice", "sts-policy-fetch-error", raw("Content-Length: 5\r\nContent-Length: 900")],
    [
      "an endless header",
      "sts-policy-fetch-error",
      raw(`X: ${"y".repeat(20_000)}\r\nContent-Length: ${POLICY.length}`),
    ],
    [
      "an upgrade to another protocol",
      "sts-policy-fetch-error",
      { text: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" },
    ],
    ["no HTTP", "sts-policy-fetch-error", { text: "220 mx.acme.example ESMTP\r\n" }],
    ["nothing, and closes", "sts-policy-fetch-error", { text: "" }],
    ["nothing, and is reset", "sts-policy-fetch-error", { text: "", ending: "reset" }],
    ["nothing at all", "sts-policy-fetch-error", undefined],
    ["half of it, then nothing", "sts-policy-fetch-error", raw("Content-Length: 900", POLICY, "open")],
    ["no policy", "sts-policy-invalid", httpAnswer("hello")],
    ["an empty one", "sts-policy-invalid", httpAnswer("")],
    ["one without mx", "sts-policy-invalid", httpAnswer(POLICY.replace(/mx: .*\r\n/, ""))],
    [
      "one that is no UTF-8",
      "sts-policy-invalid",
      httpAnswer(Buffer.concat([Buffer.from(`${POLICY}x: `), Buffer.of(0xff)])),
    ],
  ])("%s", async (_, result, answer) => {
    web.answer = answer;
    expect(await facts()).toEqual({ kind: "unavailable", result, detail: expect.stringContaining(HOST) });
    expect(web.connections()).toBe(1);
  });

  it("and drips for longer than the limit", async () => {
    await reopen({ limits: { handshakeMs: 1_000, overallMs: 300 } });
    web.answer = raw("Content-Length: 900", POLICY, "open");
    const start = performance.now();
    expect(await facts()).toMatchObject({ kind: "unavailable", detail: expect.stringContaining("longer than 300 ms") });
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe("the certificate of the policy host [RFC 8461 §3.3]", () => {
  const DAY = 86_400_000;
  it.each([
    ["names it", good],
    ["names it among others", authority.issue({ names: ["acme.example", HOST] })],
    ["names it with a wildcard", authority.issue({ names: ["*.acme.example"] })],
    ["names it in capitals", authority.issue({ names: ["MTA-STS.Acme.Example"] })],
    ["is below an intermediate", belowIntermediate],
    ["has an RSA key", authority.issue({ names: [HOST], keyType: "rsa" })],
  ])("that %s is taken", async (_, certificate) => {
    web.use(certificate);
    expect(await facts()).toMatchObject({ kind: "policy" });
  });

  it.each([
    ["names the domain only", authority.issue({ names: [ACME] })],
    ["names the MX host", authority.issue({ names: ["mx.acme.example"] })],
    ["names it only as common name", authority.issue({ commonName: HOST })],
    ["names it as common name, and another as alternative", authority.issue({ commonName: HOST, names: [ACME] })],
    ["has a wildcard above it", authority.issue({ names: ["*.example"] })],
    ["has a wildcard within a label", authority.issue({ names: ["mta*.acme.example"] })],
    ["has expired", authority.issue({ names: [HOST], notAfter: new Date(Date.now() - DAY / 2) })],
    ["is not valid yet", authority.issue({ names: [HOST], notBefore: new Date(Date.now() + DAY) })],
    ["signed itself", selfSigned({ names: [HOST] })],
    ["is of another authority", createAuthority("Other").issue({ names: [HOST] })],
    ["lacks its intermediate", { ...belowIntermediate, chain: belowIntermediate.certificate }],
    ["is one for clients", authority.issue({ names: [HOST], client: true })],
  ])("that %s is refused, and nothing is asked", async (_, certificate) => {
    web.use(certificate);
    expect(await facts()).toEqual({
      kind: "unavailable",
      result: "sts-webpki-invalid",
      detail: expect.stringContaining(HOST),
    });
    expect(web.requests).toEqual([]);
  });

  it("is judged by the authorities that are configured now", async () => {
    let trust = [createAuthority("Other").certificate];
    await reopen({ trust: () => trust });
    expect(await facts()).toMatchObject({ result: "sts-webpki-invalid" });
    trust = [authority.certificate];
    dns.zones["_mta-sts.acme.example"] = { TXT: ["v=STSv1; id=2;"], ttl: 0 };
    expect(await facts()).toMatchObject({ kind: "policy" });
  });

  it("is judged by the machine's authorities when those are configured", async () => {
    await reopen({ trust: () => "system" });
    expect(await facts()).toMatchObject({ result: "sts-webpki-invalid" });
  });

  it("is not asked for over an old version of TLS [§7.2]", async () => {
    await web.close();
    web = await startHttpsServer(good, { minVersion: "TLSv1", maxVersion: "TLSv1.1" });
    await reopen({ port: web.port });
    expect(await facts()).toMatchObject({ kind: "unavailable", result: "sts-policy-fetch-error" });
  });
});

it("does not trust a host unproven when Node is told not to verify", async () => {
  vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
  web.use(selfSigned({ names: [HOST] }));
  expect(await facts()).toMatchObject({ kind: "unavailable", result: "sts-webpki-invalid" });
  expect(web.requests).toEqual([]);
  vi.unstubAllEnvs();
});

describe("the addresses of the policy host", () => {
  it("are tried in turn", async () => {
    const mute = await startHttpsServer(good, { address: "127.0.0.3", port: web.port, mute: true });
    await reopen({ limits: { handshakeMs: 200, overallMs: 5_000 } });
    dns.zones[HOST] = { A: ["127.0.0.2", "127.0.0.3", "127.0.0.1"] };
    expect(await facts()).toMatchObject({ kind: "policy" });
    expect(mute.connections()).toBe(1);
    await mute.close();
  });

  it("may be IPv6", async () => {
    const six = await startHttpsServer(good, { address: "::1", port: web.port });
    six.answer = httpAnswer(POLICY);
    dns.zones[HOST] = { AAAA: ["::1"] };
    expect(await facts()).toMatchObject({ kind: "policy" });
    expect([six.requests.length, web.requests.length]).toEqual([1, 0]);
    await six.close();
  });

  it("are tried after one with a wrong certificate, too", async () => {
    const wrong = await startHttpsServer(selfSigned({ names: [HOST] }), { address: "127.0.0.2", port: web.port });
    dns.zones[HOST] = { A: ["127.0.0.2", "127.0.0.1"] };
    expect(await facts()).toMatchObject({ kind: "policy" });
    dns.zones["_mta-sts.acme.example"] = { TXT: ["v=STSv1; id=2;"], ttl: 0 };
    dns.zones["_mta-sts.other.example"] = { TXT: ["v=STSv1; id=2;"], ttl: 0 };
    dns.zones["mta-sts.other.example"] = { A: ["127.0.0.2", "127.0.0.9"] };
    expect(await facts("other.example")).toMatchObject({ result: "sts-webpki-invalid" });
    await wrong.close();
  });

  it("are not tried any more once one has proven to be the host", async () => {
    const second = await startHttpsServer(good, { address: "127.0.0.2", port: web.port });
    second.answer = httpAnswer(POLICY);
    web.answer = httpAnswer("", { status: "404 Not Found" });
    dns.zones[HOST] = { A: ["127.0.0.1", "127.0.0.2"] };
    expect(await facts()).toMatchObject({ kind: "unavailable" });
    expect(second.connections()).toBe(0);
    await second.close();
  });

  it.each<[string, () => void]>([
    ["that cannot be looked up", () => Object.assign(dns.faults, { [HOST]: "servfail" })],
    ["that do not exist", () => void delete dns.zones[HOST]],
    ["where nobody listens", () => Object.assign(dns.zones, { [HOST]: { A: ["127.0.0.9"] } })],
  ])("%s make the policy unavailable", async (_, change) => {
    change();
    expect(await facts()).toMatchObject({ kind: "unavailable", result: "sts-policy-fetch-error" });
  });

  it("may lie behind an alias; its own name still counts", async () => {
    dns.zones[HOST] = { CNAME: "hosting.example" };
    dns.zones["hosting.example"] = { A: ["127.0.0.1"] };
    expect(await facts()).toMatchObject({ kind: "policy" });
    web.use(authority.issue({ names: ["hosting.example"] }));
    dns.zones["_mta-sts.acme.example"] = { TXT: ["v=STSv1; id=2;"], ttl: 0 };
    expect(await facts()).toMatchObject({ kind: "policy", id: "1" });
    expect(web.requests).toHaveLength(1);
  });
});

describe("discovery [RFC 8461 §3.1]", () => {
  it.each([true, false])("does not depend on DNSSEC (secure: %s)", async (secure) => {
    dns.zones["_mta-sts.acme.example"] = { TXT: ["v=STSv1; id=1;"], secure };
    dns.zones[HOST] = { A: ["127.0.0.1"], secure };
    expect(await facts()).toMatchObject({ kind: "policy", id: "1" });
  });

  it("follows aliases", async () => {
    dns.zones["_mta-sts.acme.example"] = { CNAME: "_mta-sts.hosting.example" };
    dns.zones["_mta-sts.hosting.example"] = { TXT: ["v=STSv1; id=7;"] };
    expect(await facts()).toMatchObject({ kind: "policy", domain: ACME, id: "7" });
  });

  it.each(["servfail", "silence", "wrong-id", "garbage", "truncated-then-hang-up"] as const)(
    "that fails (%s) is unknown, but for a policy that is kept [§3.3]",
    async (fault) => {
      dns.faults["_mta-sts.acme.example"] = fault;
      expect(await facts()).toMatchObject({ kind: "unknown" });
      await queue.policies.put({ ...KEPT, expiresAt: Date.now() + 60_000 });
      expect(await facts()).toMatchObject({ kind: "policy", id: "0", mx: ["old.acme.example"] });
      expect(web.connections()).toBe(0);
    },
  );
});

describe("a restart", () => {
  it("keeps the policies, and needs neither record nor host for them", async () => {
    const before = await facts();
    await sts.close();
    resolver.close();
    await queue.close();
    queue = await store.open();
    web.answer = undefined;
    delete dns.zones["_mta-sts.acme.example"];
    await open({}, false);
    expect(await facts()).toEqual(before);
    expect(web.requests).toHaveLength(1);
  });

  it("refreshes what came due meanwhile", async () => {
    await queue.policies.put({ ...KEPT, expiresAt: Date.now() + 60_000, usedAt: Date.now() });
    sts.start();
    await expect.poll(() => queue.policies.get(ACME, Date.now())).toMatchObject({ id: "1", mx: ["mx.acme.example"] });
    sts.stop();
  });
});

it("closing cuts a fetch that hangs, and tells nothing of it", async () => {
  const troubles: unknown[] = [];
  await reopen({ onTrouble: (trouble) => troubles.push(trouble), limits: { overallMs: 60_000 } });
  web.answer = undefined;
  const asked = facts();
  await expect.poll(() => web.requests.length).toBe(1);
  await sts.close();
  expect(await asked).toMatchObject({ kind: "unknown" });
  expect(troubles).toEqual([]);
});
