/** Ten thousand messages for a partner that is dead must not slow down the one that is well. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { afterEach, expect, it } from "vitest";
import { createAuthority } from "./rig/certificates.ts";
import { createSite } from "./rig/gateway.ts";
import { runLoad, smallMessage } from "./rig/load.ts";
import { eventually, freePort } from "./rig/processes.ts";
import { startSink } from "./rig/sink.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const QUEUED = 10_000;
const MEASURED = 200;
const WARMING = 4;
const TURNS = 20;
/** Each try puts off all that waits. Six times as often as the shortest by default. */
const RETRY = "10s";

it.each([
  ["refuses connections", (address: string) => freePort(address)],
  ["accepts connections and says nothing", silentServer],
])(
  "keeps 90 % of a healthy partner's rate with 10,000 messages for one that %s",
  async (_, deadPort) => {
    const dead = await deadPort("127.0.0.31");
    const alone = await gatewayAndMx("127.0.0.21", dead);
    const beside = await gatewayAndMx("127.0.0.22", dead);
    await beside.submit("box@dead.test", QUEUED);

    // In short turns, since the machine's own speed changes; the one that rests is stopped altogether.
    const rates: { alone: number; beside: number }[] = [];
    for (let turn = -WARMING; turn < TURNS; turn++) {
      const rate = { alone: await alone.rate(), beside: await beside.rate() };
      if (turn >= 0) rates.push(rate);
    }

    const waiting = await beside.waiting("dead.test");
    expect(waiting).toBe(QUEUED);
    const [one, other] = [median(rates.map((rate) => rate.alone)), median(rates.map((rate) => rate.beside))];
    console.log(`median of ${TURNS} turns: alone ${one.toFixed(0)}/s, beside ${QUEUED} waiting ${other.toFixed(0)}/s`);
    expect(other / one, JSON.stringify(rates)).toBeGreaterThanOrEqual(0.9);
  },
  300_000,
);

/** A gateway with a healthy partner of its own and the dead one. */
async function gatewayAndMx(address: string, deadPort: number) {
  const authority = await createAuthority(await bench.folder("ca"));
  const sink = await startSink(bench, { address, credential: await authority.issue(["mx.well.test"]) });
  const site = await createSite(bench, {
    tls: { certificates: [await authority.issue(["relay.own.test"])] },
    queue: { retry: [RETRY] },
  });
  const partner = (id: string, hop: string) =>
    site.partner(id, { name: id, domains: [`${id}.test`], outbound: { next_hop: hop, tls: { level: "encrypt" } } });
  await partner("well", `[${address}]:${sink.port}`);
  await partner("dead", `[127.0.0.31]:${deadPort}`);
  const gateway = await site.start();
  bench.atEnd(() => void process.kill(gateway.pid, "SIGCONT")); // or it could not end
  const ca = await readFile(authority.certificate, "utf8");
  let made = 0;
  const submit = async (to: string, count: number) => {
    const until = made + count;
    const next = () => {
      if (made >= until) return undefined;
      const id = `rate-${(made += 1)}`;
      return { id, from: "anna@own.test", to: [to], content: smallMessage(id, { size: 4096 }) };
    };
    const record = await runLoad({ port: gateway.port, sessions: 8, perConnection: 100, tls: { ca }, next });
    expect(record.acknowledged.length).toBe(count);
  };
  return {
    submit,
    rate: async () => {
      process.kill(gateway.pid, "SIGCONT");
      sink.arrivals.length = 0;
      const began = Date.now();
      await submit("box@well.test", MEASURED);
      await eventually("all of them at the MX", () => sink.arrivals.length >= MEASURED, { within: 60_000, every: 2 });
      const rate = MEASURED / ((Date.now() - began) / 1_000);
      process.kill(gateway.pid, "SIGSTOP");
      return rate;
    },
    waiting: async (domain: string) => {
      process.kill(gateway.pid, "SIGCONT");
      const listed = await site.command("queue", "list", "--domain", domain, "--json");
      return listed.stdout.trim().split("\n").length;
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function silentServer(address: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    bench.atEnd(() => void socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  bench.atEnd(() => void server.close());
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}
