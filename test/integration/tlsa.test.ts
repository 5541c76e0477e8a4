import { afterEach, describe, expect, it } from "vitest";
import { createHostFinder } from "../../src/connect/mx.ts";
import { createResolver } from "../../src/connect/resolver.ts";
import { createDaneFinder } from "../../src/connect/tlsa.ts";
import type { NextHop } from "../../src/mail/next-hop.ts";
import type { DaneFacts } from "../../src/mail/published.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import {
  type DnsFault,
  type DnsPeer,
  type DnsPeerOptions,
  type DnsRecords,
  startDnsServer,
} from "../peers/dns-server.ts";

const endings: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

const DIGEST = "ab".repeat(32);
const EE: DnsRecords = { TLSA: [`3 1 1 ${DIGEST}`] };
const MX: NextHop = { kind: "mx" };
const at = (address: string): DnsRecords => (address.includes(":") ? { AAAA: [address] } : { A: [address] });

/** Names below `signed` are signed, all others are not. */
const ZONES: Record<string, DnsRecords> = {
  "acme.signed": { MX: ["10 mx.acme.signed"] },
  "mx.acme.signed": at("192.0.2.1"),
  "_25._tcp.mx.acme.signed": EE,
};

interface Rig {
  readonly zones?: Record<string, DnsRecords>;
  readonly faults?: Record<string, DnsFault>;
  /** Of the resolver; false: over a path that is not trusted. */
  readonly trustAd?: boolean;
  readonly hop?: NextHop;
  readonly domain?: string;
  readonly options?: DnsPeerOptions;
}

/** The facts of each host of the domain, in order, and the DNS server that was asked. */
async function dane(rig: Rig = {}): Promise<{ facts: readonly DaneFacts[]; peer: DnsPeer }> {
  const peer = await startDnsServer({ ...ZONES, ...rig.zones }, { signed: ["signed"], ...rig.options });
  Object.assign(peer.faults, rig.faults);
  const silent = Object.values(peer.faults).some((fault) => /silence|garbage|wrong/.test(fault));
  const resolvers = [
    { transport: "udp", address: peer.address, port: peer.port, trustAd: rig.trustAd ?? true } as const,
  ];
  let timeoutMs = 5_000;
  const settings = () => ({ resolvers, timeoutMs });
  const resolver = createResolver({ clock: systemClock, random: systemRandom, settings });
  endings.push(resolver.close, peer.close);
  const find = createHostFinder({
    resolver,
    random: systemRandom,
    settings: () => ({ port: 25, ipVersions: [4, 6] }),
    isOwn: () => false,
  });
  const domain = rig.domain ?? "acme.signed";
  const hosts = await find(rig.hop ?? MX, domain);
  if ("kind" in hosts) throw new Error(hosts.detail);
  if (silent) timeoutMs = 60; // what comes now is the silence
  const findDane = createDaneFinder({ resolver });
  return { facts: await Promise.all(hosts.map((host) => findDane(host, domain))), peer };
}

const tlsaQueries = (peer: DnsPeer) => peer.queries.filter(({ type }) => type === "TLSA").map(({ name }) => name);
const usable = (base: string, ...names: string[]) => ({ kind: "usable", base, names: [base, ...names] });

describe("TLSA records of a host", () => {
  it("are found where MX, addresses and TLSA are signed [RFC 7672 §2.2]", async () => {
    const { facts, peer } = await dane();
    expect(facts).toEqual([
      {
        kind: "usable",
        base: "mx.acme.signed",
        names: ["mx.acme.signed", "acme.signed"],
        records: [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.from(DIGEST, "hex") }],
      },
    ]);
    expect(tlsaQueries(peer)).toEqual(["_25._tcp.mx.acme.signed"]);
  });

  it("are those of its IPv6 address too", async () => {
    const { facts } = await dane({ zones: { "mx.acme.signed": at("2001:db8::1") } });
    expect(facts).toMatchObject([usable("mx.acme.signed", "acme.signed")]);
  });

  it("may stand behind an alias that is signed [RFC 7671 §7]", async () => {
    const { facts } = await dane({
      zones: { "_25._tcp.mx.acme.signed": { CNAME: "_dane.acme.signed" }, "_dane.acme.signed": EE },
    });
    expect(facts).toMatchObject([usable("mx.acme.signed", "acme.signed")]);
  });

  it("are judged host by host", async () => {
    const { facts } = await dane({
      zones: {
        "acme.signed": { MX: ["1 mx.acme.signed", "2 mx.open.example", "3 bare.acme.signed", "4 odd.acme.signed"] },
        "mx.open.example": at("192.0.2.2"),
        "_25._tcp.mx.open.example": EE,
        "bare.acme.signed": at("192.0.2.3"),
        "odd.acme.signed": at("192.0.2.4"),
        "_25._tcp.odd.acme.signed": { TLSA: [`1 1 1 ${DIGEST}`] },
      },
    });
    expect(facts).toMatchObject([
      { kind: "usable" },
      { kind: "none", why: "insecure" },
      { kind: "none", why: "absent" },
      { kind: "unusable", base: "odd.acme.signed" },
    ]);
  });
});

describe("no TLSA is asked for", () => {
  const alias = { "acme.signed": { MX: ["1 alias.open.example"] }, "alias.open.example": { CNAME: "mx.acme.signed" } };
  it.each<[string, string, Rig]>([
    [
      "where the MX is not signed [RFC 7672 §2.2.1]",
      "insecure",
      { zones: { "acme.signed": { ...ZONES["acme.signed"], secure: false } } },
    ],
    [
      "where the denial of an MX is not signed",
      "insecure",
      { domain: "own.example", zones: { "own.example": at("192.0.2.5") } },
    ],
    [
      "where the addresses are not signed [RFC 7672 §2.2.2]",
      "insecure",
      { zones: { "mx.acme.signed": { ...at("192.0.2.1"), secure: false } } },
    ],
    ["where an alias that is not signed leads to the addresses [RFC 7672 §2.2.2]", "insecure", { zones: alias }],
    [
      "over a path that is not trusted, whatever its AD bit says [RFC 4035 §4.9.3]",
      "untrusted-resolver",
      { trustAd: false },
    ],
    ["for an address literal", "absent", { domain: "[192.0.2.1]" }],
    [
      "for an address in next_hop",
      "absent",
      { hop: { kind: "host", host: "2001:db8::1", port: 25, implicitTls: false } },
    ],
    ["for localhost", "absent", { hop: { kind: "host", host: "localhost", port: 25, implicitTls: false } }],
  ])("%s", async (_, why, rig) => {
    const { facts, peer } = await dane(rig);
    for (const one of facts) expect(one).toEqual({ kind: "none", why });
    expect(facts.length).toBeGreaterThan(0);
    expect(tlsaQueries(peer)).toEqual([]);
  });
});

describe("nothing is published", () => {
  it.each<[string, string, Record<string, DnsRecords>]>([
    [
      "where the name is proven not to exist [RFC 7672 §2.2.3]",
      "absent",
      { "_25._tcp.mx.acme.signed": undefined as never },
    ],
    ["where it is proven to have no such record [RFC 7672 §2.2.3]", "absent", { "_25._tcp.mx.acme.signed": {} }],
    [
      "where the records are not signed [RFC 7672 §2.1.1]",
      "insecure",
      { "_25._tcp.mx.acme.signed": { ...EE, secure: false } },
    ],
    ["where their denial is not signed", "insecure", { "_25._tcp.mx.acme.signed": { secure: false } }],
    [
      "where an alias leads to records that are not signed",
      "insecure",
      { "_25._tcp.mx.acme.signed": { CNAME: "_dane.open.example" }, "_dane.open.example": EE },
    ],
  ])("%s", async (_, why, zones) => {
    const { facts } = await dane({ zones });
    expect(facts).toEqual([{ kind: "none", why }]);
  });
});

describe("a TLSA look-up that fails is never a no: the host waits", () => {
  const TLSA = "_25._tcp.mx.acme.signed/TLSA";
  it.each<[string, DnsFault]>([
    ["SERVFAIL, which is also the answer for bogus data [RFC 7672 §2.1.2, RFC 4035 §5.5]", "servfail"],
    ["REFUSED [RFC 7672 §2.1.2]", "refused"],
    ["a time-out [RFC 7672 §2.1.2]", "silence"],
    ["another query's id [RFC 5452 §9.1]", "wrong-id"],
    ["another question [RFC 5452 §9.1]", "wrong-question"],
    ["an answer from another port [RFC 5452 §9.1]", "wrong-port"],
    ["garbage", "garbage"],
    ["truncation, and TCP hangs up [RFC 7766 §5]", "truncated-then-hang-up"],
    ["truncation over TCP too", "truncated-always"],
    ["a referral [RFC 2308 §2.2]", "referral"],
    ["BADVERS [RFC 6891 §6.1.3]", "bad-version"],
  ])("%s", async (_, fault) => {
    const { facts } = await dane({ faults: { [TLSA]: fault } });
    expect(facts).toEqual([{ kind: "unknown", detail: expect.stringContaining("_25._tcp.mx.acme.signed") }]);
  });

  it("truncation alone costs nothing: TCP has the whole answer [RFC 7766 §5]", async () => {
    const { facts } = await dane({ faults: { [TLSA]: "truncated" } });
    expect(facts).toMatchObject([{ kind: "usable" }]);
  });

  it("a failure at the end of the aliases is no reason to ask at the name itself [RFC 7672 §2.2.2]", async () => {
    const { facts, peer } = await dane({
      zones: {
        "acme.signed": { MX: ["1 alias.signed"] },
        "alias.signed": { CNAME: "mx.acme.signed" },
        "_25._tcp.alias.signed": EE,
      },
      faults: { [TLSA]: "servfail" },
    });
    expect(facts).toMatchObject([{ kind: "unknown" }]);
    expect(tlsaQueries(peer)).not.toContain("_25._tcp.alias.signed");
  });
});

describe("a resolver that stands in for the one whose word counts", () => {
  const forged: Record<string, DnsRecords> = {
    "acme.signed": { MX: ["1 mx.evil.example"] },
    "mx.evil.example": at("192.0.2.66"),
  };
  it.each<[string, DnsFault]>([
    ["silent", "silence"],
    ["broken", "servfail"],
  ])("cannot say that nothing is published while that one is %s", async (_, fault) => {
    const [trusted, other] = [await startDnsServer(ZONES), await startDnsServer(forged)];
    trusted.faults["*"] = fault;
    const resolvers = [other, trusted].map(
      ({ address, port }) => ({ transport: "udp", address, port, trustAd: port === trusted.port }) as const,
    );
    const resolver = createResolver({
      clock: systemClock,
      random: systemRandom,
      settings: () => ({ resolvers, timeoutMs: 300 }),
    });
    endings.push(resolver.close, trusted.close, other.close);
    const find = createHostFinder({
      resolver,
      random: systemRandom,
      settings: () => ({ port: 25, ipVersions: [4] }),
      isOwn: () => false,
    });
    const hosts = await find(MX, "acme.signed");
    if ("kind" in hosts) throw new Error(hosts.detail);
    const facts = await Promise.all(hosts.map((host) => createDaneFinder({ resolver })(host, "acme.signed")));
    expect(facts).toEqual([{ kind: "unknown", detail: expect.stringContaining("trust_ad") }]);
    expect(trusted.queries.length, "it is asked first").toBeGreaterThan(0);
  });
});

describe("a host that is an alias [RFC 7672 §2.2.2]", () => {
  const zones: Record<string, DnsRecords> = {
    "acme.signed": { MX: ["1 alias.acme.signed"] },
    "alias.acme.signed": { CNAME: "mx.host.signed" },
    "mx.host.signed": at("192.0.2.1"),
    "out.acme.signed": { CNAME: "mx.open.example" },
    "mx.open.example": at("192.0.2.2"),
  };
  const ALIAS = "_25._tcp.alias.acme.signed";
  const TARGET = "_25._tcp.mx.host.signed";

  it.each([
    ["in one answer", true],
    ["one link an answer", false],
  ])("has its records where the aliases end, with %s", async (_, chase) => {
    const { facts, peer } = await dane({ zones: { ...zones, [TARGET]: EE, [ALIAS]: EE }, options: { chase } });
    expect(facts).toMatchObject([usable("mx.host.signed", "acme.signed")]);
    expect(tlsaQueries(peer)).toEqual([TARGET]);
  });

  it("has them at its own name when there are none at the end", async () => {
    const { facts, peer } = await dane({ zones: { ...zones, [ALIAS]: EE } });
    expect(facts).toMatchObject([usable("alias.acme.signed", "acme.signed")]);
    expect(tlsaQueries(peer)).toEqual([TARGET, ALIAS]);
  });

  it("has none when there are none at either", async () => {
    expect((await dane({ zones })).facts).toEqual([{ kind: "none", why: "absent" }]);
  });

  it("is not asked about at its own name when those at the end cannot be used", async () => {
    const { facts } = await dane({ zones: { ...zones, [TARGET]: { TLSA: [`0 0 1 ${DIGEST}`] }, [ALIAS]: EE } });
    expect(facts).toEqual([{ kind: "unusable", base: "mx.host.signed" }]);
  });

  it("has them at its own name only when a signed alias leaves the signed zones", async () => {
    const out = { ...zones, "acme.signed": { MX: ["1 out.acme.signed"] }, "_25._tcp.out.acme.signed": EE };
    const { facts, peer } = await dane({ zones: { ...out, "_25._tcp.mx.open.example": EE } });
    expect(facts).toMatchObject([usable("out.acme.signed", "acme.signed")]);
    expect(tlsaQueries(peer)).toEqual(["_25._tcp.out.acme.signed"]);
  });

  it("waits when it cannot be told whether the alias that leaves them is signed", async () => {
    const out = { ...zones, "acme.signed": { MX: ["1 out.acme.signed"] } };
    const { facts } = await dane({ zones: out, faults: { "out.acme.signed/CNAME": "servfail" } });
    expect(facts).toMatchObject([{ kind: "unknown" }]);
  });
});

describe("reference names for DANE-TA [RFC 7672 §3.2.2]", () => {
  const records: Record<string, DnsRecords> = {
    "hosted.signed": { CNAME: "acme.signed" },
    "own.signed": at("192.0.2.5"),
    "_25._tcp.own.signed": EE,
    "also.signed": { CNAME: "own.signed" },
    "alone.signed": { CNAME: "bare.signed" },
    "bare.signed": at("192.0.2.6"),
    "_25._tcp.alone.signed": EE,
    "_465._tcp.mx.acme.signed": EE,
    "_2525._tcp.mx.acme.signed": EE,
    "smart.signed": { CNAME: "mx.acme.signed" },
  };
  const host = (name: string): NextHop => ({ kind: "host", host: name, port: 465, implicitTls: true });
  it.each<[string, Rig, object]>([
    ["the host and the domain", {}, usable("mx.acme.signed", "acme.signed")],
    [
      "and what the domain is an alias of",
      { domain: "hosted.signed" },
      usable("mx.acme.signed", "hosted.signed", "acme.signed"),
    ],
    ["the domain alone, where it is its own host", { domain: "own.signed" }, usable("own.signed")],
    ["that, and the alias that led to it", { domain: "also.signed" }, usable("own.signed", "also.signed")],
    ["the alias alone, where the records stand there", { domain: "alone.signed" }, usable("alone.signed")],
    ["the name in next_hop, at its port", { hop: host("mx.acme.signed") }, usable("mx.acme.signed")],
    [
      "that, and the alias that is written there",
      { hop: host("smart.signed") },
      usable("mx.acme.signed", "smart.signed"),
    ],
    [
      "the domain in next_hop, at its port, and not the recipient's",
      { hop: { kind: "mx-of", domain: "acme.signed", port: 2525 }, domain: "x.example" },
      usable("mx.acme.signed", "acme.signed"),
    ],
  ])("%s", async (_, rig, expected) => {
    const { facts } = await dane({ ...rig, zones: records });
    expect(facts).toMatchObject([expected]);
  });
});

describe("records that cannot be used [RFC 7672 §2.2, §3.1.3]", () => {
  const OWNER = "_25._tcp.mx.acme.signed";
  it.each<[string, string[]]>([
    ["PKIX-TA", [`0 0 1 ${DIGEST}`]],
    ["PKIX-EE", [`1 1 1 ${DIGEST}`]],
    ["an unknown matching type", [`3 1 7 ${DIGEST}`]],
    ["a digest of the wrong length", ["3 1 1 abcd"]],
    ["a record of nothing", ["\\# "]],
    ["a record of one octet", ["\\# 03"]],
    ["a record of two octets", ["\\# 0301"]],
    ["a record without data", ["\\# 030101"]],
    ["several of them", ["\\# 03", `1 1 1 ${DIGEST}`, "\\# 0301"]],
  ])("%s: TLS is still demanded", async (_, TLSA) => {
    const { facts } = await dane({ zones: { [OWNER]: { TLSA } } });
    expect(facts).toEqual([{ kind: "unusable", base: "mx.acme.signed" }]);
  });

  it("take nothing from one that can", async () => {
    const TLSA = ["\\# 03", `1 1 1 ${DIGEST}`, `3 1 1 ${DIGEST}`, "\\# 0301"];
    const { facts } = await dane({ zones: { [OWNER]: { TLSA } } });
    expect(facts).toMatchObject([{ kind: "usable", records: [{ usage: 3, selector: 1, matchingType: 1 }] }]);
  });
});
