import { afterEach, describe, expect, it } from "vitest";
import { createHostFinder } from "../../src/connect/mx.ts";
import { createResolver } from "../../src/connect/resolver.ts";
import type { Host } from "../../src/mail/host.ts";
import type { NextHop } from "../../src/mail/next-hop.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { type Random, systemRandom } from "../../src/runtime/random.ts";
import { type DnsFault, type DnsPeer, type DnsRecords, startDnsServer } from "../peers/dns-server.ts";

const endings: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

/** One of these is this gateway. */
const OWN = { name: "relay.example.org", address: "192.0.2.250" };
const MX: NextHop = { kind: "mx" };

interface Rig {
  readonly ipVersions?: readonly (4 | 6)[];
  readonly faults?: Record<string, DnsFault>;
  readonly fraction?: () => number;
  /** Zones that are signed, and the resolver's word on it is believed. */
  readonly signed?: readonly string[];
}

async function finder(zones: Record<string, DnsRecords>, rig: Rig = {}) {
  const peer: DnsPeer = await startDnsServer(zones, { signed: rig.signed ?? [] });
  Object.assign(peer.faults, rig.faults);
  const trustAd = rig.signed !== undefined;
  const resolvers = [{ transport: "udp", address: peer.address, port: peer.port, trustAd } as const];
  const silent = Object.values(peer.faults).some((fault) => fault === "silence" || fault === "garbage");
  const timeoutMs = silent ? 100 : 5_000;
  const random: Random = { ...systemRandom, fraction: rig.fraction ?? (() => 0.999) };
  const resolver = createResolver({ clock: systemClock, random, settings: () => ({ resolvers, timeoutMs }) });
  endings.push(resolver.close, peer.close);
  const find = createHostFinder({
    resolver,
    random,
    settings: () => ({ port: 25, ipVersions: rig.ipVersions ?? [4, 6] }),
    isOwn: (address, port, name) => name === OWN.name || (address === OWN.address && port === 25),
  });
  return { find, peer };
}

const isHosts = (found: unknown): found is readonly Host[] => Array.isArray(found);
const brief = (found: Awaited<ReturnType<Awaited<ReturnType<typeof finder>>["find"]>>) =>
  isHosts(found)
    ? found.map(({ name, address, port }) => `${name} ${address} ${port}`)
    : `${found.kind} ${found.reason} ${found.status}`;

const mx = (preference: number, host: string) => `${preference} ${host}.example`;
const at = (...addresses: string[]): DnsRecords => ({
  A: addresses.filter((address) => !address.includes(":")),
  AAAA: addresses.filter((address) => address.includes(":")),
});

describe("the hosts of a recipient's domain", () => {
  it.each<[string, Record<string, DnsRecords>, string | string[], Rig?]>([
    [
      "come in the order of their preference [RFC 5321 §5.1]",
      {
        "a.example": { MX: [mx(20, "mx2"), mx(10, "mx1")] },
        "mx1.example": at("192.0.2.1"),
        "mx2.example": at("192.0.2.2"),
      },
      ["mx1.example 192.0.2.1 25", "mx2.example 192.0.2.2 25"],
    ],
    [
      "have IPv4 and IPv6 addresses in the order of ip_versions",
      { "a.example": { MX: [mx(10, "mx")] }, "mx.example": at("2001:db8::1", "192.0.2.1") },
      ["mx.example 2001:db8::1 25", "mx.example 192.0.2.1 25"],
      { ipVersions: [6, 4] },
    ],
    [
      "may have IPv6 only",
      { "a.example": { MX: [mx(10, "mx")] }, "mx.example": at("2001:db8::1") },
      ["mx.example 2001:db8::1 25"],
    ],
    [
      "have no IPv6 address where ip_versions has none",
      { "a.example": { MX: [mx(10, "mx")] }, "mx.example": at("2001:db8::1", "192.0.2.1") },
      ["mx.example 192.0.2.1 25"],
      { ipVersions: [4] },
    ],
    [
      "are the domain itself without MX [RFC 5321 §5.1]",
      { "a.example": at("192.0.2.1", "2001:db8::1") },
      ["a.example 192.0.2.1 25", "a.example 2001:db8::1 25"],
    ],
    [
      "are those of the name that the domain is an alias of [RFC 5321 §5.1]",
      { "a.example": { CNAME: "b.example" }, "b.example": { MX: [mx(10, "mx")] }, "mx.example": at("192.0.2.1") },
      ["mx.example 192.0.2.1 25"],
    ],
    [
      "do not include those without an address",
      {
        "a.example": { MX: [mx(5, "gone"), mx(10, "mx"), mx(7, "bare")] },
        "mx.example": at("192.0.2.1"),
        "bare.example": {},
      },
      ["mx.example 192.0.2.1 25"],
    ],
    [
      "do not include the unspecified address [RFC 1122 §3.2.1.3]",
      {
        "a.example": { MX: [mx(5, "zero"), mx(10, "mx")] },
        "zero.example": at("0.0.0.0", "::"),
        "mx.example": at("192.0.2.1"),
      },
      ["mx.example 192.0.2.1 25"],
    ],
    [
      "do not include what is no host name",
      { "a.example": { MX: ["5 192.0.2.9", "6 bad_-.example", "10 mx.example"] }, "mx.example": at("192.0.2.1") },
      ["mx.example 192.0.2.1 25"],
    ],
    [
      "are not hidden by one whose look-up fails",
      { "a.example": { MX: [mx(5, "broken"), mx(10, "mx")] }, "mx.example": at("192.0.2.1") },
      ["mx.example 192.0.2.1 25"],
      { faults: { "broken.example": "servfail" } },
    ],
    [
      "are known although the look-up of one IP version fails",
      { "a.example": { MX: [mx(5, "mx")] }, "mx.example": at("192.0.2.1") },
      ["mx.example 192.0.2.1 25"],
      { faults: { "mx.example/AAAA": "servfail" } },
    ],
    [
      "are better than ourselves, by address [RFC 5321 §5.1]",
      {
        "a.example": { MX: [mx(5, "mx"), mx(10, "us"), mx(10, "equal"), mx(20, "worse")] },
        "mx.example": at("192.0.2.1"),
        "us.example": at(OWN.address),
        "equal.example": at("192.0.2.3"),
        "worse.example": at("192.0.2.4"),
      },
      ["mx.example 192.0.2.1 25"],
    ],
    [
      "are better than ourselves, by name [RFC 5321 §5.1]",
      { "a.example": { MX: [mx(5, "mx"), `10 ${OWN.name}`, mx(20, "mx")] }, "mx.example": at("192.0.2.1") },
      ["mx.example 192.0.2.1 25"],
    ],
    [
      "cannot be ourselves",
      {
        "a.example": { MX: [mx(10, "us"), mx(20, "worse")] },
        "us.example": at(OWN.address),
        "worse.example": at("192.0.2.4"),
      },
      "failed loop 5.4.6",
    ],
    ["cannot be ourselves by an implicit MX", { "a.example": at(OWN.address) }, "failed loop 5.4.6"],
    ["are none when it does not exist", {}, "failed no-such-domain 5.1.2"],
    [
      "are none when it is an alias of what does not exist",
      { "a.example": { CNAME: "b.example" } },
      "failed no-such-domain 5.1.2",
    ],
    [
      "are none with a null MX [RFC 7505 §3]",
      { "a.example": { MX: ["0 ."], A: ["192.0.2.1"] } },
      "failed null-mx 5.1.10",
    ],
    [
      "are those beside a null MX that is a mistake [RFC 7505 §3]",
      { "a.example": { MX: ["0 .", mx(10, "mx")] }, "mx.example": at("192.0.2.1") },
      ["mx.example 192.0.2.1 25"],
    ],
    ["are none when it has neither MX nor address", { "a.example": { TXT: ["x"] } }, "failed host-not-found 5.4.4"],
    [
      "may exist at the IP version that is not used",
      { "a.example": at("2001:db8::1") },
      "deferred host-not-found 4.4.4",
      { ipVersions: [4] },
    ],
    [
      "are none when no MX host exists",
      { "a.example": { MX: [mx(5, "x"), mx(9, "y")], A: ["192.0.2.1"] } },
      "failed host-not-found 5.4.4",
    ],
    [
      "are waited for when an MX host exists and has no address",
      { "a.example": { MX: [mx(5, "x"), mx(9, "y")], A: ["192.0.2.1"] }, "y.example": {} },
      "deferred host-not-found 4.4.4",
    ],
    ["are waited for when MX names no host", { "a.example": { MX: ["5 192.0.2.1"] } }, "deferred host-not-found 4.4.4"],
    [
      "are waited for when MX cannot be looked up",
      { "a.example": at("192.0.2.1") },
      "deferred dns-failed 4.4.3",
      { faults: { "a.example/MX": "servfail" } },
    ],
    ["are waited for when nothing answers", {}, "deferred dns-failed 4.4.3", { faults: { "*": "silence" } }],
    ["are waited for when garbage answers", {}, "deferred dns-failed 4.4.3", { faults: { "*": "garbage" } }],
    [
      "are waited for when the implicit MX cannot be looked up",
      { "a.example": {} },
      "deferred dns-failed 4.4.3",
      { faults: { "a.example/AAAA": "servfail" } },
    ],
    [
      "are waited for when one MX host cannot be looked up and the others do not exist",
      { "a.example": { MX: [mx(5, "x"), mx(9, "broken")] } },
      "deferred dns-failed 4.4.3",
      { faults: { "broken.example": "silence" } },
    ],
    [
      "are waited for when aliases go round",
      { "a.example": { CNAME: "b.example" }, "b.example": { CNAME: "a.example" } },
      "deferred dns-failed 4.4.3",
    ],
  ])("%s", async (_, zones, expected, rig) => {
    const { find } = await finder(zones, rig);
    expect(brief(await find(MX, "a.example"))).toEqual(expected);
  });

  it("of equal preference come in an order that changes [RFC 5321 §5.1]", async () => {
    const zones = { "a.example": { MX: [mx(10, "x"), mx(10, "y"), mx(5, "first")] } };
    const hosts = { "x.example": at("192.0.2.1"), "y.example": at("192.0.2.2"), "first.example": at("192.0.2.3") };
    const orders = await Promise.all(
      [() => 0, () => 0.999].map(async (fraction) => {
        const { find } = await finder({ ...zones, ...hosts }, { fraction });
        const found = await find(MX, "a.example");
        return isHosts(found) ? found.map(({ name }) => name) : [];
      }),
    );
    expect(orders.map(([first]) => first)).toEqual(["first.example", "first.example"]);
    expect(new Set(orders.map((order) => order.join())).size).toBe(2);
  });

  it("are looked up for the 20 best MX only", async () => {
    const MXs = Array.from({ length: 60 }, (_, i) => mx(60 - i, `h${60 - i}`));
    const { find, peer } = await finder({ "a.example": { MX: MXs } });
    expect(brief(await find(MX, "a.example"))).toBe("deferred host-not-found 4.4.4"); // the others are not proven to be gone
    expect(peer.queries.length).toBe(1 + 2 * 20);
    expect(peer.count("h20.example")).toBe(2);
    expect(peer.count("h21.example")).toBe(0);
  });

  it("say whether their name was learned from MX", async () => {
    const { find } = await finder({
      "a.example": { MX: [mx(10, "mx")] },
      "mx.example": at("192.0.2.1"),
      "b.example": at("192.0.2.2"),
    });
    const common = { port: 25, route: "mx", implicitTls: false };
    expect(await find(MX, "a.example")).toMatchObject([
      { ...common, name: "mx.example", address: "192.0.2.1", learnedFromMx: true },
    ]);
    expect(await find(MX, "b.example")).toMatchObject([
      { ...common, name: "b.example", address: "192.0.2.2", learnedFromMx: false },
    ]);
  });
});

describe("an address literal [RFC 5321 §4.1.3]", () => {
  it.each<[string, string | string[], (4 | 6)[]?]>([
    ["[192.0.2.1]", ["192.0.2.1 192.0.2.1 25"]],
    ["[IPv6:2001:db8::1]", ["2001:db8::1 2001:db8::1 25"]],
    ["[IPv6:2001:db8::1]", "deferred host-not-found 4.4.4", [4]],
    [`[${OWN.address}]`, "failed loop 5.4.6"],
    ["[nonsense]", "failed no-such-domain 5.1.2"],
  ])("%s is %j", async (domain, expected, ipVersions) => {
    const { find, peer } = await finder({}, ipVersions && { ipVersions });
    expect(brief(await find(MX, domain))).toEqual(expected);
    expect(peer.queries).toEqual([]);
  });
});

describe("a next hop", () => {
  const zones: Record<string, DnsRecords> = {
    "smart.example": { MX: [mx(10, "mx")], A: ["192.0.2.7"], AAAA: ["2001:db8::7"] },
    "mx.example": at("192.0.2.1"),
    "plain.example": at("192.0.2.8"),
    "null.example": { MX: ["0 ."] },
    "own.example": { MX: [`10 ${OWN.name}`] },
  };
  const host = (
    host: string,
    more: { implicitTls?: boolean; auth?: { user: string; password: string } } = {},
  ): NextHop => ({
    kind: "host",
    host,
    port: 2526,
    implicitTls: false,
    ...more,
  });

  it.each<[string, NextHop, unknown]>([
    [
      "[host]:port is that host, without MX",
      host("smart.example"),
      ["192.0.2.7", "2001:db8::7"].map((address) => ({
        name: "smart.example",
        nextHopName: "smart.example",
        address,
        port: 2526,
        route: "next-hop",
        learnedFromMx: false,
        implicitTls: false,
      })),
    ],
    [
      "[address]:port is that address",
      host("192.0.2.9"),
      [
        {
          name: "192.0.2.9",
          address: "192.0.2.9",
          port: 2526,
          route: "next-hop",
          learnedFromMx: false,
          implicitTls: false,
        },
      ],
    ],
    [
      "[IPv6 address]:port is that address",
      host("2001:db8::9"),
      [expect.objectContaining({ name: "2001:db8::9", address: "2001:db8::9" })],
    ],
    [
      "with implicit TLS and credentials keeps both",
      host("plain.example", { implicitTls: true, auth: { user: "u", password: "p" } }),
      [expect.objectContaining({ implicitTls: true, auth: { user: "u", password: "p" }, address: "192.0.2.8" })],
    ],
    [
      "[localhost]:port is the loopback interface [RFC 6761 §6.3]",
      host("localhost"),
      [expect.objectContaining({ address: "127.0.0.1" }), expect.objectContaining({ address: "::1" })],
    ],
    [
      "domain is its MX",
      { kind: "mx-of", domain: "smart.example" },
      [
        {
          name: "mx.example",
          nextHopName: "smart.example",
          address: "192.0.2.1",
          port: 25,
          route: "next-hop",
          learnedFromMx: true,
          implicitTls: false,
        },
      ],
    ],
    [
      "domain:port is its MX at that port",
      { kind: "mx-of", domain: "smart.example", port: 2527 },
      [expect.objectContaining({ name: "mx.example", port: 2527 })],
    ],
    [
      "domain without MX is its addresses",
      { kind: "mx-of", domain: "plain.example", port: 2527 },
      [expect.objectContaining({ name: "plain.example", address: "192.0.2.8", port: 2527, learnedFromMx: false })],
    ],
    [
      "host that does not exist waits",
      host("nowhere.example"),
      { kind: "deferred", reason: "host-not-found", status: "4.4.4" },
    ],
    [
      "domain that does not exist waits",
      { kind: "mx-of", domain: "nowhere.example" },
      { kind: "deferred", reason: "no-such-domain", status: "4.1.2" },
    ],
    ["domain with a null MX waits", { kind: "mx-of", domain: "null.example" }, { kind: "deferred", reason: "null-mx" }],
    [
      "domain whose MX is ourselves waits",
      { kind: "mx-of", domain: "own.example" },
      { kind: "deferred", reason: "loop" },
    ],
  ])("%s", async (_, hop, expected) => {
    const { find } = await finder({ ...zones });
    const found = await find(hop, "recipient.example");
    expect(found).toMatchObject(expected as object);
    if (Array.isArray(expected)) expect(found).toHaveLength(expected.length);
  });

  it.each<[string, NextHop, Record<string, DnsFault>]>([
    ["host", host("smart.example"), { "smart.example": "silence" }],
    ["domain", { kind: "mx-of", domain: "smart.example" }, { "smart.example/MX": "servfail" }],
  ])("%s whose look-up fails waits", async (_, hop, faults) => {
    const { find } = await finder({ ...zones }, { faults });
    expect(brief(await find(hop, "recipient.example"))).toBe("deferred dns-failed 4.4.3");
  });
});

describe("how far DNSSEC vouches for a host [RFC 7672 §2.2]", () => {
  const zones: Record<string, DnsRecords> = {
    "mail.signed": { MX: ["10 mx.mail.signed", "20 mx.open.example", "30 alias.mail.signed"] },
    "mx.mail.signed": at("192.0.2.1", "2001:db8::1"),
    "mx.open.example": at("192.0.2.2"),
    "alias.mail.signed": { CNAME: "mx.other.signed" },
    "mx.other.signed": at("192.0.2.3"),
    "own.signed": at("192.0.2.4"),
    "also.signed": { CNAME: "own.signed" },
    "out.signed": { CNAME: "mx.open.example" },
    "hosted.signed": { CNAME: "mail.signed" },
    "open.example": { MX: ["10 mx.mail.signed"] },
  };
  const named = (host: string): NextHop => ({ kind: "host", host, port: 465, implicitTls: true });
  const vouched = async (hop: NextHop, domain: string, rig: Rig = {}) => {
    const { find } = await finder({ ...zones }, { signed: ["signed"], ...rig });
    const found = await find(hop, domain);
    return isHosts(found) ? found.map(({ dnssec }) => dnssec) : found;
  };

  it("its MX, its addresses, and where its aliases end", async () => {
    const common = { mx: "secure", mxOwner: "mail.signed" };
    expect(await vouched(MX, "mail.signed")).toEqual([
      { ...common, address: "secure", expanded: "mx.mail.signed" },
      { ...common, address: "secure", expanded: "mx.mail.signed" },
      { ...common, address: "insecure", expanded: "mx.open.example" },
      { ...common, address: "secure", expanded: "mx.other.signed" },
    ]);
  });

  it.each<[string, NextHop, string, object]>([
    ["an MX that is not signed", MX, "open.example", { mx: "insecure", address: "secure" }],
    ["the denial of MX, for a domain that is its own host", MX, "own.signed", { mx: "secure", address: "secure" }],
    ["the domain that an alias for mail leads to", MX, "hosted.signed", { mx: "secure", mxOwner: "mail.signed" }],
    [
      "an alias that is its own host",
      MX,
      "also.signed",
      { mx: "secure", mxOwner: "own.signed", expanded: "own.signed" },
    ],
    ["an alias into a zone that is not signed", MX, "out.signed", { mx: "insecure", address: "insecure" }],
    [
      "a name in next_hop, which nobody can forge",
      named("own.signed"),
      "x.example",
      { mx: "secure", address: "secure" },
    ],
    [
      "the same, with an address that is not signed",
      named("mx.open.example"),
      "x.example",
      { mx: "secure", address: "insecure" },
    ],
    [
      "the MX of a next_hop domain",
      { kind: "mx-of", domain: "hosted.signed" },
      "x.example",
      { mx: "secure", mxOwner: "mail.signed" },
    ],
  ])("%s", async (_, hop, domain, expected) => {
    const found = await vouched(hop, domain);
    expect(Array.isArray(found) && found[0]).toMatchObject(expected);
  });

  it.each<[string, NextHop, string]>([
    ["an address literal", MX, "[192.0.2.9]"],
    ["an address in next_hop", named("192.0.2.9"), "x.example"],
    ["localhost", named("localhost"), "x.example"],
  ])("nothing is said of %s: no DNS was asked", async (_, hop, domain) => {
    const { find } = await finder({}, { signed: ["signed"] });
    const found = await find(hop, domain);
    expect(isHosts(found) && found.every(({ dnssec }) => dnssec === undefined)).toBe(true);
  });

  it("the address of one IP version when the other's look-up fails", async () => {
    const found = await vouched(MX, "own.signed", { faults: { "own.signed/AAAA": "servfail" } });
    expect(found).toMatchObject([{ mx: "secure", address: "secure" }]);
  });
});
