/**
 * What a policy decision costs with a warm cache: hosts of a domain, what they publish (TLSA here, no MTA-STS), and
 * the demand made of it; and the look-ups it takes cold and warm. `npm run bench:decision`. No network but loopback.
 */
import { createHostFinder } from "../../src/connect/mx.ts";
import { createResolver } from "../../src/connect/resolver.ts";
import { createDaneFinder } from "../../src/connect/tlsa.ts";
import { demandOf, honoured } from "../../src/decide/demand.ts";
import type { OutboundPolicy } from "../../src/decide/policy.ts";
import { askingFor } from "../../src/published.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { startDnsServer } from "../peers/dns-server.ts";
import { outbound, tls } from "../unit/decide/policies.ts";

const ROUNDS = 2_000;
const RUNS = 5;
const secure = true;
const dns = await startDnsServer({
  "acme.test": { MX: ["10 mx.acme.test"], secure },
  "mx.acme.test": { A: ["127.0.0.1"], secure },
  "_25._tcp.mx.acme.test": { TLSA: [`3 1 1 ${"ab".repeat(32)}`], secure },
});
const resolver = createResolver({
  clock: systemClock,
  random: systemRandom,
  settings: () => ({
    resolvers: [{ transport: "udp", address: "127.0.0.1", port: dns.port, trustAd: true }],
    timeoutMs: 1_000,
  }),
});
const settings = () => ({ port: 25, ipVersions: [4, 6] as const });
const find = createHostFinder({ resolver, random: systemRandom, settings, isOwn: () => false });
const dane = createDaneFinder({ resolver });
const policy: OutboundPolicy = outbound({ tls: tls({ level: "encrypt", dane: "honour", mtaSts: "ignore" }) });

async function decide(): Promise<void> {
  const ask = askingFor("acme.test", honoured(policy.tls), { dane, mtaSts: () => Promise.resolve({ kind: "none" }) });
  const hosts = await find({ kind: "mx" }, "acme.test");
  if (!("length" in hosts) || hosts[0] === undefined) throw new Error("no host was found");
  const [host] = hosts;
  const target = { host: host.name, route: host.route, learnedFromMx: true, recipientDomain: "acme.test" } as const;
  const demand = demandOf(policy.tls, target, await ask(host));
  if (!("requirement" in demand) || !demand.by.includes("dane")) throw new Error("DANE was not demanded");
}

await decide();
const cold = dns.queries.length;
const times: number[] = [];
for (let run = 0; run < RUNS; run += 1) {
  const began = performance.now();
  for (let round = 0; round < ROUNDS; round += 1) await decide();
  times.push(((performance.now() - began) / ROUNDS) * 1_000);
}
const warm = dns.queries.length - cold;
const median = times.toSorted((a, b) => a - b)[RUNS >> 1] ?? Number.NaN;
process.stdout.write(`look-ups: ${cold} cold, ${warm} in ${RUNS * ROUNDS} warm decisions\n`);
process.stdout.write(`${median.toFixed(1)} µs a decision with a warm cache (median of ${RUNS} runs of ${ROUNDS})\n`);
resolver.close();
await dns.close();
