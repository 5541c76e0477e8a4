import net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createResolver } from "../../src/connect/resolver.ts";
import type { DnsSettings, ResolverAddress } from "../../src/connect/settings.ts";
import type { DomainName } from "../../src/mail/domain-name.ts";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { createAuthority } from "../peers/certificates.ts";
import { type DnsPeer, type DnsPeerOptions, type DnsRecords, startDnsServer } from "../peers/dns-server.ts";

const name = (text: string) => text as DomainName;
const authority = createAuthority("DNS test CA");
const endings: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function serve(zones: Record<string, DnsRecords>, options?: DnsPeerOptions): Promise<DnsPeer> {
  const peer = await startDnsServer(zones, options);
  endings.push(peer.close);
  return peer;
}

function resolverFor(peers: readonly (DnsPeer | ResolverAddress)[], clock: Clock = systemClock, timeoutMs = 500) {
  const resolvers = peers.map(
    (peer): ResolverAddress => ("zones" in peer ? { transport: "udp", address: peer.address, port: peer.port } : peer),
  );
  const trust = { id: "test", ca: [authority.certificate], crl: [] };
  const settings: { current: DnsSettings } = { current: { resolvers, timeoutMs, trust } };
  const resolver = createResolver({ clock, random: systemRandom, settings: () => settings.current });
  endings.push(resolver.close);
  return { ...resolver, settings };
}

/** Time that only a test moves; timers stay real. */
function heldClock(): Clock & { advance: (ms: number) => void } {
  let at = 0;
  return { ...systemClock, monotonic: () => at, advance: (ms) => void (at += ms) };
}

const ACME: Record<string, DnsRecords> = {
  "acme.example": { MX: ["10 mx1.acme.example", "20 MX2.Acme.Example"], A: ["192.0.2.1"] },
  "mx1.acme.example": { A: ["192.0.2.10", "192.0.2.11"], AAAA: ["2001:db8::10"] },
};

describe("a look-up", () => {
  it("gives the records of a name [RFC 1035 §4.1]", async () => {
    const resolver = resolverFor([await serve({ ...ACME })]);
    expect(await resolver.lookup(name("acme.example"), "MX")).toEqual({
      kind: "found",
      dnssec: "untrusted",
      canonical: "acme.example",
      records: [
        { preference: 10, exchange: "mx1.acme.example" },
        { preference: 20, exchange: "mx2.acme.example" },
      ],
    });
    expect(await resolver.lookup(name("mx1.acme.example"), "A")).toMatchObject({
      records: ["192.0.2.10", "192.0.2.11"],
    });
    expect(await resolver.lookup(name("mx1.acme.example"), "AAAA")).toMatchObject({ records: ["2001:db8::10"] });
  });

  it("tells a name without the record from a name that does not exist [RFC 2308 §2]", async () => {
    const resolver = resolverFor([await serve({ ...ACME })]);
    const said = { kind: "none", dnssec: "untrusted" };
    expect(await resolver.lookup(name("acme.example"), "AAAA")).toEqual({
      ...said,
      exists: true,
      canonical: "acme.example",
    });
    expect(await resolver.lookup(name("nobody.example"), "A")).toEqual({
      ...said,
      exists: false,
      canonical: "nobody.example",
    });
  });

  it("asks with EDNS0, DO and AD, under ids that differ [RFC 6840 §5.7, RFC 5452 §9.2]", async () => {
    const peer = await serve({ ...ACME });
    const resolver = resolverFor([peer]);
    for (const type of ["A", "AAAA", "MX"] as const) await resolver.lookup(name("acme.example"), type);
    for (const host of ["a", "b", "c"]) await resolver.lookup(name(`${host}.example`), "A");
    expect(peer.queries.every((query) => query.dnssecOk && query.authenticData)).toBe(true);
    expect(new Set(peer.queries.map(({ id }) => id)).size).toBeGreaterThan(3);
  });

  it("asks again over TCP when the answer was truncated [RFC 7766 §5]", async () => {
    const peer = await serve({ "big.example": { A: Array.from({ length: 200 }, (_, i) => `192.0.2.${i}`) } });
    peer.faults["big.example"] = "truncated";
    const found = await resolverFor([peer]).lookup(name("big.example"), "A");
    expect(found).toMatchObject({ kind: "found" });
    expect(found.kind === "found" && found.records).toHaveLength(200);
    expect(peer.queries.map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
  });

  it("asks without EDNS0 a resolver that does not understand it [RFC 6891 §6.2.2]", async () => {
    const peer = await serve({ ...ACME });
    peer.faults["acme.example"] = "no-edns";
    expect(await resolverFor([peer]).lookup(name("acme.example"), "A")).toMatchObject({ kind: "found" });
    expect(peer.queries.map(({ dnssecOk }) => dnssecOk)).toEqual([true, false]);
  });

  it("is asked once for all who ask at the same time", async () => {
    const peer = await serve({ ...ACME });
    const resolver = resolverFor([peer]);
    await Promise.all(Array.from({ length: 20 }, () => resolver.lookup(name("acme.example"), "MX")));
    expect(peer.count("acme.example")).toBe(1);
  });
});

describe("a look-up that fails is never a no", () => {
  it.each([
    ["SERVFAIL", "servfail", /SERVFAIL/],
    ["REFUSED", "refused", /REFUSED/],
    ["silence", "silence", /in time/],
    ["another query's id [RFC 5452 §9.1]", "wrong-id", /in time/],
    ["another question [RFC 5452 §9.1]", "wrong-question", /in time/],
    ["garbage", "garbage", /in time/],
    ["a referral instead of an answer [RFC 2308 §2.2]", "referral", /does not resolve/],
    ["BADVERS behind NOERROR [RFC 6891 §6.1.3]", "bad-version", /extended code 1/],
  ] as const)("%s", async (_, fault, detail) => {
    const peer = await serve({ ...ACME });
    peer.faults["acme.example"] = fault;
    const resolver = resolverFor([peer], systemClock, 40);
    for (const type of ["MX", "AAAA"] as const)
      expect(await resolver.lookup(name("acme.example"), type)).toMatchObject({
        kind: "failed",
        detail: expect.stringMatching(detail),
      });
    delete peer.faults["acme.example"];
    resolver.settings.current = { ...resolver.settings.current, timeoutMs: 5_000 };
    expect(await resolver.lookup(name("acme.example"), "MX"), "a failure is not cached").toMatchObject({
      kind: "found",
    });
  });

  it("a TCP connection that hangs up", async () => {
    const peer = await serve({ ...ACME });
    peer.faults["acme.example"] = "truncated-then-hang-up";
    expect(await resolverFor([peer]).lookup(name("acme.example"), "MX")).toMatchObject({
      kind: "failed",
      detail: expect.stringContaining("hung up"),
    });
  });

  it("a resolver that is not there", async () => {
    const gone = await startDnsServer();
    await gone.close();
    expect(await resolverFor([gone]).lookup(name("acme.example"), "MX")).toMatchObject({
      kind: "failed",
      detail: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("an alias of something that is no host name", async () => {
    const resolver = resolverFor([await serve({ "odd.example": { CNAME: "bad name.example" } }, { chase: false })]);
    expect(await resolver.lookup(name("odd.example"), "A")).toMatchObject({ kind: "failed" });
  });

  it("closing ends it at once", async () => {
    const peer = await serve({ ...ACME });
    peer.faults["*"] = "silence";
    const resolver = resolverFor([peer], systemClock, 60_000);
    const pending = resolver.lookup(name("acme.example"), "MX");
    await expect.poll(() => peer.count("acme.example")).toBe(1);
    resolver.close();
    expect(await pending).toMatchObject({ kind: "failed" });
    expect(await resolver.lookup(name("acme.example"), "A")).toMatchObject({ kind: "failed" });
  });
});

describe("an alias [RFC 1034 §3.6.2]", () => {
  const chain = {
    "a.example": { CNAME: "b.example", ttl: 100 },
    "b.example": { CNAME: "C.example", ttl: 5 },
    "c.example": { A: ["192.0.2.3"], MX: ["5 mx.c.example"], ttl: 100 },
    "dead.example": { CNAME: "nowhere.example" },
    "round.example": { CNAME: "about.example" },
    "about.example": { CNAME: "round.example" },
  };
  it.each([
    ["in one answer", true],
    ["one link an answer", false],
  ])("is followed, %s", async (_, chase) => {
    const resolver = resolverFor([await serve({ ...chain }, { chase })]);
    expect(await resolver.lookup(name("a.example"), "A")).toMatchObject({ kind: "found", records: ["192.0.2.3"] });
    expect(await resolver.lookup(name("a.example"), "MX")).toMatchObject({ records: [{ exchange: "mx.c.example" }] });
    expect(await resolver.lookup(name("a.example"), "AAAA")).toMatchObject({ kind: "none", exists: true });
    expect(await resolver.lookup(name("dead.example"), "A")).toMatchObject({ kind: "none", exists: false });
  });

  it.each([
    ["in one answer", true],
    ["one link an answer", false],
  ])("that leads back to itself fails, %s", async (_, chase) => {
    const peer = await serve({ ...chain }, { chase });
    expect(await resolverFor([peer]).lookup(name("round.example"), "A")).toMatchObject({
      kind: "failed",
      detail: expect.stringContaining("end"),
    });
    expect(peer.queries.length).toBeLessThan(15);
  });

  it("is kept no longer than its shortest link", async () => {
    const clock = heldClock();
    const peer = await serve({ ...chain }, { chase: false });
    const resolver = resolverFor([peer], clock);
    await resolver.lookup(name("a.example"), "A");
    clock.advance(4_900);
    await resolver.lookup(name("a.example"), "A");
    expect(peer.count("a.example")).toBe(1);
    clock.advance(200);
    await resolver.lookup(name("a.example"), "A");
    expect(peer.count("a.example")).toBe(2);
  });
});

describe("several resolvers", () => {
  it.each(["servfail", "refused", "silence", "garbage"] as const)("the next one is asked after %s", async (fault) => {
    const [first, second] = [await serve({}), await serve({ ...ACME })];
    first.faults["*"] = fault;
    expect(await resolverFor([first, second]).lookup(name("acme.example"), "MX")).toMatchObject({ kind: "found" });
  });

  it("the next one is asked when one cannot be reached", async () => {
    const [gone, second] = [await startDnsServer(), await serve({ ...ACME })];
    await gone.close();
    expect(await resolverFor([gone, second]).lookup(name("acme.example"), "MX")).toMatchObject({ kind: "found" });
  });

  it("that all kept silent are asked a second time: a packet may have been lost", async () => {
    const peer = await serve({ ...ACME });
    peer.faults["*"] = "silence";
    const pending = resolverFor([peer], systemClock, 300).lookup(name("acme.example"), "MX");
    await expect.poll(() => peer.queries.length).toBe(1);
    delete peer.faults["*"];
    expect(await pending).toMatchObject({ kind: "found" });
  });

  it("a no of the first one is final", async () => {
    const [first, second] = [await serve({}), await serve({ ...ACME })];
    expect(await resolverFor([first, second]).lookup(name("acme.example"), "MX")).toMatchObject({ kind: "none" });
    expect(second.queries).toEqual([]);
  });

  it("one that kept silent is asked last for a while", async () => {
    const [first, second] = [await serve({ ...ACME }), await serve({ ...ACME })];
    const clock = heldClock();
    first.faults["*"] = "silence";
    const resolver = resolverFor([first, second], clock);
    await resolver.lookup(name("acme.example"), "MX");
    await resolver.lookup(name("acme.example"), "A");
    expect(first.queries).toHaveLength(1);
    delete first.faults["*"];
    clock.advance(31_000);
    await resolver.lookup(name("mx1.acme.example"), "A");
    expect(first.queries).toHaveLength(2);
  });

  it("answers of resolvers that are no longer configured are not used", async () => {
    const [old, current] = [await serve({ "acme.example": { A: ["192.0.2.99"] } }), await serve({ ...ACME })];
    const resolver = resolverFor([old]);
    await resolver.lookup(name("acme.example"), "A");
    const { address, port } = current;
    resolver.settings.current = { resolvers: [{ transport: "udp", address, port }], timeoutMs: 5_000 };
    expect(await resolver.lookup(name("acme.example"), "A")).toMatchObject({ records: ["192.0.2.1"] });
  });
});

describe("the cache", () => {
  it.each([
    ["an answer is kept for its TTL", { ttl: 60, A: ["192.0.2.1"] }, {}, 60],
    ["an answer with TTL 0 is not kept", { ttl: 0, A: ["192.0.2.1"] }, {}, 0],
    ["an answer is kept for an hour at most", { ttl: 86_400, A: ["192.0.2.1"] }, {}, 3600],
    ["a TTL with its upper bit set is 0 [RFC 2181 §8]", { ttl: 0x8000_0001, A: ["192.0.2.1"] }, {}, 0],
    ["a no is kept as its SOA says [RFC 2308 §5]", { MX: ["1 mx.example"] }, { negativeTtl: 30 }, 30],
    ["a no is kept for five minutes at most", { MX: ["1 mx.example"] }, { negativeTtl: 9000 }, 300],
    ["a no without SOA is not kept [RFC 2308 §5]", { MX: ["1 mx.example"] }, { negativeTtl: null }, 0],
  ] as [string, DnsRecords, DnsPeerOptions, number][])("%s", async (_, records, options, seconds) => {
    const clock = heldClock();
    const peer = await serve({ "kept.example": records }, options);
    const resolver = resolverFor([peer], clock);
    const first = await resolver.lookup(name("kept.example"), "A");
    if (seconds > 0) clock.advance(seconds * 1000 - 1);
    expect(await resolver.lookup(name("kept.example"), "A")).toEqual(first);
    expect(peer.count("kept.example")).toBe(seconds > 0 ? 1 : 2);
    clock.advance(1);
    await resolver.lookup(name("kept.example"), "A");
    expect(peer.count("kept.example")).toBe(seconds > 0 ? 2 : 3);
  });

  it("a name that did not exist is found after its time [RFC 2308 §5]", async () => {
    const clock = heldClock();
    const peer = await serve({}, { negativeTtl: 10 });
    const resolver = resolverFor([peer], clock);
    expect(await resolver.lookup(name("new.example"), "A")).toMatchObject({ kind: "none", exists: false });
    peer.zones["new.example"] = { A: ["192.0.2.1"] };
    clock.advance(10_000);
    expect(await resolver.lookup(name("new.example"), "A")).toMatchObject({ kind: "found" });
  });
});

describe("DNS over TLS [RFC 7858]", () => {
  const serveTls = async () => {
    const certificate = authority.issue({ names: ["dns.resolver.example"] });
    const peer = await serve({ ...ACME }, { tls: { cert: certificate.chain, key: certificate.key } });
    return { peer, at: { transport: "tls", address: peer.address, port: peer.tlsPort } as const };
  };
  const named = (at: ResolverAddress): ResolverAddress => ({ ...at, name: "dns.resolver.example" });

  it("is asked when its certificate carries the name", async () => {
    const { peer, at } = await serveTls();
    const resolver = resolverFor([named(at)], systemClock, 3_000);
    expect(await resolver.lookup(name("acme.example"), "MX")).toMatchObject({ kind: "found" });
    expect(peer.queries.map(({ transport }) => transport)).toEqual(["tls"]);
  });

  it.each([
    ["another name", { name: "dns.other.example" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["no name, and the certificate does not carry its address", {}, "ERR_TLS_CERT_ALTNAME_INVALID"],
  ])("is told nothing under %s", async (_, expected, code) => {
    const { peer, at } = await serveTls();
    const resolver = resolverFor([{ ...at, ...expected }], systemClock, 3_000);
    const lookup = await resolver.lookup(name("acme.example"), "MX");
    expect(lookup).toMatchObject({ kind: "failed", detail: expect.stringContaining(code) });
    expect(peer.queries).toEqual([]);
  });

  it.each([
    ["by the authorities configured", { id: "other", ca: [createAuthority("Other CA").certificate], crl: [] }],
    ["by those of the machine", { id: "system", ca: "system", crl: [] } as const],
    ["by Node, where none are configured", undefined],
  ])("is told nothing when its certificate is not trusted %s", async (_, trust) => {
    const { peer, at } = await serveTls();
    const resolver = resolverFor([named(at)], systemClock, 3_000);
    const { resolvers, timeoutMs } = resolver.settings.current;
    resolver.settings.current = { resolvers, timeoutMs, ...(trust && { trust }) };
    expect(await resolver.lookup(name("acme.example"), "MX")).toMatchObject({ kind: "failed" });
    expect(peer.queries).toEqual([]);
  });

  it("carries many queries on one connection, at once and in turn [RFC 7858 §3.4]", async () => {
    const { peer, at } = await serveTls();
    const resolver = resolverFor([named(at)], systemClock, 3_000);
    const both = await Promise.all(
      ["A", "MX"].map((type) => resolver.lookup(name("acme.example"), type as "A" | "MX")),
    );
    expect(both).toMatchObject([{ records: ["192.0.2.1"] }, { records: [{ preference: 10 }, { preference: 20 }] }]);
    expect(await resolver.lookup(name("mx1.acme.example"), "AAAA")).toMatchObject({ records: ["2001:db8::10"] });
    expect(peer.queries).toHaveLength(3);
    expect(peer.tlsConnections()).toBe(1);
  });

  it("is asked on a new connection when the server has closed the old one [RFC 7766 §6.2.4]", async () => {
    const { peer, at } = await serveTls();
    const resolver = resolverFor([named(at)], systemClock, 3_000);
    await resolver.lookup(name("acme.example"), "MX");
    peer.faults["acme.example/A"] = "hang-up";
    expect(await resolver.lookup(name("acme.example"), "A")).toMatchObject({ kind: "failed" });
    expect(peer.count("acme.example", "A")).toBe(2);
    peer.hangUp();
    expect(await resolver.lookup(name("mx1.acme.example"), "A")).toMatchObject({ kind: "found" });
  });

  it("keeps a connection for five seconds only", async () => {
    const { peer, at } = await serveTls();
    const timers: { ms: number; run: () => void }[] = [];
    const clock: Clock = {
      ...systemClock,
      after: (ms, run) => {
        timers.push({ ms, run });
        return () => undefined;
      },
    };
    const resolver = resolverFor([named(at)], clock, 3_000);
    await resolver.lookup(name("acme.example"), "MX");
    for (const { run } of timers.filter(({ ms }) => ms === 5_000)) run();
    await resolver.lookup(name("acme.example"), "A");
    expect(peer.tlsConnections()).toBe(2);
  });

  it("a connection that fell silent is not used again", async () => {
    const { peer, at } = await serveTls();
    const resolver = resolverFor([named(at)], systemClock, 5_000);
    const patient = resolver.settings.current;
    await resolver.lookup(name("acme.example"), "MX");
    peer.faults["acme.example/A"] = "silence";
    resolver.settings.current = { ...patient, timeoutMs: 300 };
    expect(await resolver.lookup(name("acme.example"), "A")).toMatchObject({ kind: "failed" });
    resolver.settings.current = patient;
    expect(await resolver.lookup(name("mx1.acme.example"), "A")).toMatchObject({ kind: "found" });
    expect(peer.tlsConnections()).toBe(3);
  });

  it("a server that says nothing costs the time-out only", async () => {
    const silent = net.createServer((socket) => socket.on("error", () => undefined).resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    endings.push(() => void silent.close());
    const { port } = silent.address() as net.AddressInfo;
    const resolver = resolverFor(
      [{ transport: "tls", address: "127.0.0.1", port, name: "x.example" }],
      systemClock,
      60,
    );
    expect(await resolver.lookup(name("acme.example"), "MX")).toMatchObject({
      kind: "failed",
      detail: expect.stringContaining("in time"),
    });
  });
});

describe("how far an answer is vouched for", () => {
  const zones: Record<string, DnsRecords> = {
    "safe.signed": { A: ["192.0.2.1"] },
    "half.signed": { CNAME: "open.example" },
    "open.example": { A: ["192.0.2.2"] },
    "other.example": { CNAME: "safe.signed" },
    "twice.signed": { CNAME: "once.signed" },
    "once.signed": { CNAME: "safe.signed" },
  };
  const signed = { signed: ["signed"] };
  const believed = (peer: DnsPeer): ResolverAddress => ({ ...unbelieved(peer), trustAd: true });
  const unbelieved = ({ address, port }: DnsPeer): ResolverAddress => ({ transport: "udp", address, port });

  it.each([
    ["in one answer", true],
    ["one link an answer", false],
  ])("a chain of aliases is as secure as its weakest link, %s [RFC 4035 §3.2.3]", async (_, chase) => {
    const resolver = resolverFor([believed(await serve({ ...zones }, { ...signed, chase }))]);
    expect(await resolver.lookup(name("safe.signed"), "A")).toMatchObject({
      dnssec: "secure",
      canonical: "safe.signed",
    });
    expect(await resolver.lookup(name("twice.signed"), "A")).toMatchObject({
      dnssec: "secure",
      canonical: "safe.signed",
    });
    expect(await resolver.lookup(name("twice.signed"), "MX")).toMatchObject({
      kind: "none",
      dnssec: "secure",
      canonical: "safe.signed",
    });
    expect(await resolver.lookup(name("half.signed"), "A")).toMatchObject({
      dnssec: "insecure",
      canonical: "open.example",
    });
    expect(await resolver.lookup(name("other.example"), "A")).toMatchObject({
      dnssec: "insecure",
      canonical: "safe.signed",
    });
    expect(await resolver.lookup(name("half.signed"), "CNAME"), "the link itself").toMatchObject({
      dnssec: "secure",
      records: ["open.example"],
    });
  });

  it("a name that does not exist is as secure as the denial [RFC 4035 §5.4]", async () => {
    const resolver = resolverFor([believed(await serve({ ...zones }, signed))]);
    expect(await resolver.lookup(name("no.signed"), "A")).toMatchObject({ kind: "none", dnssec: "secure" });
    expect(await resolver.lookup(name("no.example"), "A")).toMatchObject({ kind: "none", dnssec: "insecure" });
  });

  it("the AD bit of a resolver that is not believed counts for nothing [RFC 4035 §4.9.3]", async () => {
    const resolver = resolverFor([unbelieved(await serve({ ...zones }, signed))]);
    expect(await resolver.lookup(name("safe.signed"), "A")).toMatchObject({ dnssec: "untrusted" });
    expect(await resolver.lookup(name("no.signed"), "A")).toMatchObject({ dnssec: "untrusted" });
  });

  it("one that is believed is asked first", async () => {
    const [other, trusted] = [await serve({ ...zones }), await serve({ ...zones }, signed)];
    const resolver = resolverFor([unbelieved(other), believed(trusted)]);
    expect(await resolver.lookup(name("safe.signed"), "A")).toMatchObject({ dnssec: "secure" });
    expect(other.queries).toEqual([]);
  });

  it("a stand-in's answer is unknown, and not kept for long", async () => {
    const clock = heldClock();
    const [other, trusted] = [await serve({ ...zones }, signed), await serve({ ...zones }, signed)];
    const resolver = resolverFor([unbelieved(other), believed(trusted)], clock);
    trusted.faults["*"] = "servfail";
    expect(await resolver.lookup(name("safe.signed"), "A")).toMatchObject({ kind: "found", dnssec: "unknown" });
    delete trusted.faults["*"];
    clock.advance(30_001);
    expect(await resolver.lookup(name("safe.signed"), "A")).toMatchObject({ dnssec: "secure" });
  });

  it("what was learned before the resolver was believed is not used", async () => {
    const peer = await serve({ ...zones }, signed);
    const resolver = resolverFor([unbelieved(peer)]);
    await resolver.lookup(name("safe.signed"), "A");
    resolver.settings.current = { ...resolver.settings.current, resolvers: [believed(peer)] };
    expect(await resolver.lookup(name("safe.signed"), "A")).toMatchObject({ dnssec: "secure" });
  });

  it("the strings of a TXT record are joined [RFC 8461 §3.1]", async () => {
    const peer = await serve({ "_mta-sts.a.example": { TXT: [["v=STSv1; ", "id=20261122;"], "other"] } });
    expect(await resolverFor([peer]).lookup(name("_mta-sts.a.example"), "TXT")).toMatchObject({
      records: ["v=STSv1; id=20261122;", "other"],
    });
  });
});
