/** DANE from end to end: a gateway, DNS that is signed or not, and mail servers whose record shows what crossed. */
import { createHash, X509Certificate } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { createAuthority, type Issued, selfSigned } from "../peers/certificates.ts";
import { type DnsFault, type DnsPeer, type DnsRecords, startDnsServer } from "../peers/dns-server.ts";
import { createSite, type Line, type Site, type Tree } from "../peers/gateway.ts";
import { type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

const root = createAuthority("Acme root");
const ca = root.intermediate("Acme issuing");
const issued = ca.issue({ names: ["mx.acme.test"] });
const own = selfSigned({ names: ["nobody.test"], notAfter: new Date(Date.now() - 86_400_000) });

const offering = ({ chain, key }: Issued): MxOptions => ({ tls: { certificate: chain, key } });
const spki = ({ certificate }: Pick<Issued, "certificate">) =>
  new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
const digest = (octets: Buffer) => createHash("sha256").update(octets).digest("hex");
const ee = (of: Issued) => `3 1 1 ${digest(spki(of))}`;
const ta = (of: Pick<Issued, "certificate">) => `2 1 1 ${digest(spki(of))}`;
const whole = (of: Pick<Issued, "certificate">) => `2 0 0 ${new X509Certificate(of.certificate).raw.toString("hex")}`;
const OTHER = `3 1 1 ${"00".repeat(32)}`;

interface Rig {
  /** Below `mx.acme.test`, at the port of the server. */
  readonly tlsa?: readonly string[];
  readonly faults?: Record<string, DnsFault>;
  readonly zones?: (port: number) => Record<string, DnsRecords>;
  readonly signed?: readonly string[];
  readonly peer?: MxOptions;
  readonly level?: string;
  readonly tls?: Tree;
  readonly dns?: Tree;
  readonly outbound?: (port: number) => Tree;
}

interface Room {
  readonly site: Site;
  readonly mx: MxServer;
  readonly dns: DnsPeer;
}

async function furnished(rig: Rig): Promise<Room> {
  const mx = await startMx({ hostname: "mx.acme.test", ...(rig.peer ?? offering(issued)) });
  const zones: Record<string, DnsRecords> = {
    "acme.test": { MX: ["10 mx.acme.test"] },
    "mx.acme.test": { A: ["127.0.0.1"] },
    ...(rig.tlsa && { [`_${mx.port}._tcp.mx.acme.test`]: { TLSA: rig.tlsa } }),
    ...rig.zones?.(mx.port),
  };
  const dns = await startDnsServer(zones, { signed: rig.signed ?? ["acme.test"] });
  for (const [name, fault] of Object.entries(rig.faults ?? {}))
    dns.faults[name.replace("PORT", String(mx.port))] = fault;
  open.push(mx.close, dns.close);
  const site = await createSite({
    dns: { resolvers: [`127.0.0.1:${dns.port}`], timeout: "300ms", ...rig.dns },
    delivery: { port: mx.port },
    queue: { retry: ["1h"], reserve: "1MiB" },
  });
  open.push(site.close);
  const outbound = { tls: { level: rig.level ?? "encrypt", ...rig.tls }, ...rig.outbound?.(mx.port) };
  const until = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  const exception = { until, approved_by: "a@own.test", reason: "test", outbound };
  // A level below the default's, or a publication to be ignored, needs an exception.
  await site.partner("acme", { domains: ["acme.test"], exceptions: [exception] });
  await site.start();
  return { site, mx, dns };
}

async function tried(rig: Rig): Promise<Room & { readonly line: Line; readonly tls: Tree }> {
  const room = await furnished(rig);
  await room.site.send({ to: "bob@acme.test" });
  const line = await room.site.logged("delivery");
  return { ...room, line, tls: line["tls"] as Tree };
}

function expectWaiting({ line, mx }: Awaited<ReturnType<typeof tried>>, reason: string): void {
  expect(line).toMatchObject({ outcome: "deferred", reason });
  expect(mx.verbs()).not.toMatch(/MAIL|RCPT|DATA/);
  expect(mx.messages).toEqual([]);
}

describe.each(["may", "encrypt", "authenticated", "dane-only"])("at level %s", (level) => {
  it.each<[string, Rig, Tree]>([
    ["a key", { tlsa: [ee(issued)] }, { authenticatedBy: "dane-ee", matched: "TLSA 3 1 1" }],
    [
      "an expired certificate with another name",
      { tlsa: [ee(own)], peer: offering(own) },
      { authenticatedBy: "dane-ee" },
    ],
    ["an authority", { tlsa: [ta(ca)] }, { authenticatedBy: "dane-ta", matched: "mx.acme.test, TLSA 2 1 1" }],
    ["a whole authority that is not sent", { tlsa: [whole(root)] }, { authenticatedBy: "dane-ta" }],
    ["one of several at a roll-over [RFC 7671 §8.1]", { tlsa: [OTHER, ee(issued)] }, { authenticatedBy: "dane-ee" }],
    [
      "one, beside others that cannot be used",
      { tlsa: [`1 1 1 ${"00".repeat(32)}`, ee(issued)] },
      { authenticatedBy: "dane-ee" },
    ],
  ])("mail crosses to a host whose record matches: %s", async (_, rig, expected) => {
    const { line, tls, mx } = await tried({ level, ...rig });
    expect(line).toMatchObject({ outcome: "delivered" });
    const published = { mxSecure: true, dane: "usable" };
    expect(tls).toMatchObject({ result: "authenticated", demandedBy: ["exception", "dane"], published, ...expected });
    expect(tls["sni"]).toBe("mx.acme.test");
    expect(mx.messages).toMatchObject([{ secure: true, complete: true }]);
  });

  it.each<[string, Rig, string]>([
    ["matches no record", { tlsa: [OTHER] }, "tlsa-invalid"],
    [
      "has another name than its authority's record is for",
      { tlsa: [ta(ca)], peer: offering(ca.issue({ names: ["x.test"] })) },
      "certificate-host-mismatch",
    ],
    [
      "has expired below its authority's record",
      { tlsa: [ta(ca)], peer: offering(ca.issue({ names: ["mx.acme.test"], notAfter: new Date(Date.now() - 1000) })) },
      "certificate-expired",
    ],
    ["offers no STARTTLS", { tlsa: [ee(issued)], peer: { starttls: "absent" } }, "starttls-not-supported"],
    [
      "refuses STARTTLS",
      { tlsa: [ee(issued)], peer: { ...offering(issued), starttls: "refused" } },
      "starttls-not-supported",
    ],
    [
      "says plain words behind 220",
      { tlsa: [ee(issued)], peer: { ...offering(issued), starttls: "inject" } },
      "validation-failure",
    ],
    [
      "breaks the handshake off",
      { tlsa: [ee(issued)], peer: { ...offering(issued), starttls: "drop" } },
      "validation-failure",
    ],
    [
      "offers no STARTTLS, and has records that cannot be used",
      { tlsa: ["0 0 1 00"], peer: { starttls: "absent" } },
      level === "dane-only" ? "tlsa-invalid" : "starttls-not-supported",
    ],
    [
      "has records that cannot be looked up: SERVFAIL",
      { faults: { "_PORT._tcp.mx.acme.test/TLSA": "servfail" } },
      "dnssec-invalid",
    ],
    [
      "has records that cannot be looked up: silence",
      { faults: { "_PORT._tcp.mx.acme.test/TLSA": "silence" } },
      "dnssec-invalid",
    ],
    [
      "has records that cannot be looked up: an answer to another question",
      { faults: { "_PORT._tcp.mx.acme.test/TLSA": "wrong-question" } },
      "dnssec-invalid",
    ],
    [
      "has records that cannot be looked up: an answer with another id",
      { faults: { "_PORT._tcp.mx.acme.test/TLSA": "wrong-id" } },
      "dnssec-invalid",
    ],
  ])("mail waits for a host that %s", async (_, rig, reason) => expectWaiting(await tried({ level, ...rig }), reason));
});

describe("where DANE is demanded", () => {
  it.each<[string, Rig, string]>([
    ["no records are there", {}, "dane-required"],
    ["DNS is not signed", { tlsa: [ee(issued)], signed: [] }, "dane-required"],
    ["none of the records can be used", { tlsa: [`1 1 1 ${digest(spki(issued))}`] }, "tlsa-invalid"],
    ["no resolver's validation is believed", { tlsa: [ee(issued)], dns: { trust_ad: "never" } }, "dane-required"],
  ])("mail waits when %s, however good the certificate", async (_, rig, reason) =>
    expectWaiting(await tried({ level: "dane-only", ...rig }), reason),
  );
});

describe("where it is not", () => {
  it.each<[string, Rig, string]>([
    ["no records are there", {}, "absent"],
    ["DNS is not signed, whatever the records", { tlsa: [OTHER], signed: [] }, "insecure"],
    [
      "no resolver's validation is believed, whatever the records",
      { tlsa: [OTHER], dns: { trust_ad: "never" } },
      "untrusted-resolver",
    ],
  ])("mail crosses at level encrypt when %s, and the log says so", async (_, rig, dane) => {
    const { line, tls } = await tried(rig);
    expect(line).toMatchObject({ outcome: "delivered" });
    expect(tls).toMatchObject({ published: { dane }, demandedBy: ["exception"], result: "encrypted" });
  });

  it("records that cannot be used demand TLS, and the peer may be anybody [RFC 7672 §2.2]", async () => {
    const rig = { level: "may", tlsa: [`1 1 1 ${"00".repeat(32)}`], peer: offering(own) };
    const { line, tls } = await tried(rig);
    expect(line).toMatchObject({ outcome: "delivered" });
    const published = { mxSecure: true, dane: "unusable" };
    expect(tls).toMatchObject({
      result: "encrypted",
      assurance: "mandatory",
      demandedBy: ["exception", "dane"],
      published,
    });
  });

  it("dane: ignore asks for no record, and none counts", async () => {
    const { line, dns, mx } = await tried({ tlsa: [OTHER], tls: { dane: "ignore" } });
    expect(line).toMatchObject({ outcome: "delivered" });
    expect(dns.count(`_${mx.port}._tcp.mx.acme.test`)).toBe(0);
  });

  it.each([
    ["secure", { level: "secure", ca: "../../ca.crt", match: ["mx.acme.test"] }],
    ["fingerprint", { level: "fingerprint", fingerprints: [issued.sha256] }],
  ])("level %s states the whole demand: nothing is asked", async (_, tls) => {
    const room = await furnished({ tlsa: [OTHER] });
    await room.site.write("ca.crt", root.certificate);
    await room.site.partner("acme", { domains: ["acme.test"], outbound: { tls } });
    expect(await room.site.gateway().reload()).toEqual([]);
    await room.site.send({ to: "bob@acme.test" });
    expect(await room.site.logged("delivery")).toMatchObject({ outcome: "delivered" });
    expect(room.dns.queries.some(({ type, name }) => type === "TLSA" || name.startsWith("_mta-sts"))).toBe(false);
  });
});

describe("at authenticated, where nothing is published", () => {
  const trusted = async (rig: Rig, names: string[]) => {
    const room = await furnished({ ...rig, peer: offering(ca.issue({ names })) });
    await room.site.write("ca.crt", root.certificate);
    await room.site.partner("acme", {
      domains: ["acme.test"],
      outbound: { tls: { level: "authenticated", ca: "../../ca.crt" } },
    });
    expect(await room.site.gateway().reload()).toEqual([]);
    await room.site.send({ to: "bob@acme.test" });
    return { ...room, line: await room.site.logged("delivery") };
  };
  const elsewhere: NonNullable<Rig["zones"]> = () => ({
    "acme.test": { MX: ["10 mx.hoster.test"] },
    "mx.hoster.test": { A: ["127.0.0.1"] },
  });
  it.each<[string, Rig, string[], Tree]>([
    ["the domain's name proves the peer", { zones: elsewhere, signed: [] }, ["acme.test"], { outcome: "delivered" }],
    [
      "the MX host's does where DNSSEC vouches for it",
      { zones: elsewhere },
      ["mx.hoster.test"],
      { outcome: "delivered" },
    ],
    [
      "the MX host's does not where DNS is not signed",
      { zones: elsewhere, signed: [] },
      ["mx.hoster.test"],
      { outcome: "deferred", reason: "certificate-host-mismatch" },
    ],
  ])("%s", async (_, rig, names, expected) => {
    const { line, mx } = await trusted(rig, names);
    expect(line).toMatchObject(expected);
    expect(mx.messages).toHaveLength(expected["outcome"] === "delivered" ? 1 : 0);
  });
});

describe("hosts and names", () => {
  it("a host that fails is skipped, and the next one gets the mail [RFC 7672 §2.2]", async () => {
    const { line, mx, tls } = await tried({
      zones: (port) => ({
        "acme.test": { MX: ["10 bad.acme.test", "20 mx.acme.test"] },
        "bad.acme.test": { A: ["127.0.0.1"] },
        [`_${port}._tcp.bad.acme.test`]: { TLSA: [OTHER] },
      }),
      tlsa: [ee(issued)],
    });
    expect(line).toMatchObject({ outcome: "delivered", mx: { host: "mx.acme.test" } });
    expect(tls["authenticatedBy"]).toBe("dane-ee");
    expect(mx.handshakes.map(({ servername }) => servername)).toEqual(["bad.acme.test", "mx.acme.test"]);
    expect(mx.messages).toMatchObject([{ connection: 2 }]);
  });

  it("SNI and records are those of the name that the MX host is an alias of [RFC 7672 §2.2.2]", async () => {
    const { line, mx } = await tried({
      zones: (port) => ({
        "mx.acme.test": { CNAME: "real.acme.test" },
        "real.acme.test": { A: ["127.0.0.1"] },
        [`_${port}._tcp.real.acme.test`]: { TLSA: [ee(issued)] },
      }),
    });
    expect(line).toMatchObject({ outcome: "delivered", tls: { sni: "real.acme.test", authenticatedBy: "dane-ee" } });
    expect(mx.handshakes.map(({ servername }) => servername)).toEqual(["real.acme.test"]);
  });

  it("with a next hop the records are those of its name and port, and what was proven ends there", async () => {
    const { line } = await tried({
      zones: (port) => ({ "relay.test": { A: ["127.0.0.1"] }, [`_${port}._tcp.relay.test`]: { TLSA: [ee(issued)] } }),
      signed: ["relay.test"],
      outbound: (port) => ({ next_hop: `[relay.test]:${port}` }),
      level: "dane-only",
    });
    expect(line).toMatchObject({ outcome: "delivered", route: "next-hop", tls: { authenticatedBy: "dane-ee" } });
  });

  it("a domain without MX is its own host, and its denial must be signed [RFC 7672 §2.2.1]", async () => {
    const zones: NonNullable<Rig["zones"]> = (port) => ({
      "acme.test": { A: ["127.0.0.1"] },
      [`_${port}._tcp.acme.test`]: { TLSA: [ee(issued)] },
    });
    expect((await tried({ zones, level: "dane-only" })).line).toMatchObject({ outcome: "delivered" });
    expectWaiting(await tried({ zones, level: "dane-only", signed: [] }), "dane-required");
  });

  it("a session kept from earlier is judged by the records of now", async () => {
    const { site, mx, dns } = await tried({
      tlsa: [ee(issued)],
      zones: (port) => ({ [`_${port}._tcp.mx.acme.test`]: { TLSA: [ee(issued)], ttl: 0 } }),
    });
    dns.zones[`_${mx.port}._tcp.mx.acme.test`] = { TLSA: [OTHER], ttl: 0 };
    await site.send({ to: "eve@acme.test" });
    const line = await site.logged("delivery", ({ outcome }) => outcome === "deferred");
    expect(line).toMatchObject({ reason: "tlsa-invalid" });
    expect(mx.messages).toHaveLength(1);
  });
});
