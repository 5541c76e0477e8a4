import { afterEach, describe, expect, it } from "vitest";
import { probeResolvers } from "../../src/connect/dns-probe.ts";
import type { ResolverAddress } from "../../src/connect/settings.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { createAuthority } from "../peers/certificates.ts";
import { type DnsFault, type DnsPeer, type DnsRecords, startDnsServer } from "../peers/dns-server.ts";

const endings: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

const ROOT: Record<string, DnsRecords> = { ".": { SOA: true, secure: true } };
const udp = ({ address, port }: DnsPeer): ResolverAddress => ({ transport: "udp", address, port });
const probe = (resolvers: readonly ResolverAddress[], timeoutMs = 2_000, ca: readonly string[] = []) =>
  probeResolvers({
    clock: systemClock,
    random: systemRandom,
    settings: { resolvers, timeoutMs, trust: { id: "x", ca, crl: [] } },
  });
async function serve(zones = ROOT, fault?: DnsFault): Promise<DnsPeer> {
  const peer = await startDnsServer(zones);
  if (fault !== undefined) peer.faults["*"] = fault;
  endings.push(peer.close);
  return peer;
}

describe("probing the resolvers", () => {
  it("asks each for the SOA of the root, with DO [RFC 4035 §3.2.1]", async () => {
    const [validating, plain] = [await serve(), await serve({ ".": { SOA: true } })];
    expect(await probe([{ ...udp(validating), trustAd: true }, udp(plain)])).toEqual([
      { resolver: `127.0.0.1:${validating.port}`, answered: true, ad: true, believed: true },
      { resolver: `127.0.0.1:${plain.port}`, answered: true, ad: false, believed: false },
    ]);
    expect(validating.queries).toMatchObject([{ name: ".", type: "SOA", dnssecOk: true, authenticData: true }]);
  });

  it.each<[DnsFault, RegExp]>([
    ["servfail", /SERVFAIL/],
    ["refused", /REFUSED/],
    ["referral", /without the SOA/],
    ["garbage", /in time/],
    ["wrong-id", /in time/],
  ])("tells that one did not answer: %s", async (fault, detail) => {
    const found = await probe([{ ...udp(await serve(ROOT, fault)), trustAd: true }], 60);
    expect(found).toMatchObject([{ answered: false, ad: false, detail: expect.stringMatching(detail) }]);
  });

  it("asks a silent one twice", async () => {
    const peer = await serve(ROOT, "silence");
    expect(await probe([udp(peer)], 60)).toMatchObject([{ answered: false, detail: "did not answer in time" }]);
    expect(peer.queries).toHaveLength(2);
  });

  it("works over TLS, where the certificate is right", async () => {
    const authority = createAuthority("DNS probe CA");
    const certificate = authority.issue({ names: ["dns.example"] });
    const peer = await startDnsServer(ROOT, { tls: { cert: certificate.chain, key: certificate.key } });
    endings.push(peer.close);
    const at = { transport: "tls", address: peer.address, port: peer.tlsPort, trustAd: true } as const;
    const names = ["dns.example", "other.example"].map((name) => ({ ...at, name }));
    expect(await probe(names, 2_000, [authority.certificate])).toMatchObject([
      { answered: true, ad: true },
      { answered: false, detail: expect.stringContaining("ALTNAME") },
    ]);
  });
});
