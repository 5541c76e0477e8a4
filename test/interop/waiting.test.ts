/**
 * Twenty thousand messages wait for fifty destinations, half of them dead: the other half is delivered as if it were alone,
 * and the dead half costs next to nothing.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { createAuthority, type Credential } from "./rig/certificates.ts";
import { createSite, type Gateway, type Site } from "./rig/gateway.ts";
import { runLoad, smallMessage } from "./rig/load.ts";
import { eventually, freePort, processTree } from "./rig/processes.ts";
import { type Arrival, type Sink, startSink } from "./rig/sink.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const HALF = 25;
const EACH = 400;
/** For the gateway without dead destinations, which only gives a rate to compare with. */
const EACH_ALONE = 100;
const CPU_OVER_MS = 60_000;

it("delivers the healthy half at full speed, and spends less than 5 % of a core on the dead half", async () => {
  const authority = await createAuthority(await bench.folder("ca"));
  const credential = await authority.issue(["mx.well.test"]);
  const refused = await Promise.all(
    addresses(66, 12).map(async (address) => `[${address}]:${await freePort(address)}`),
  );
  const silent = await Promise.all(addresses(78, HALF - 12).map(silentServer));
  const alone = await started(addresses(16, HALF), credential, []);
  const beside = await started(addresses(41, HALF), credential, [...refused, ...silent]);

  const one = await afterAllWaited(alone, EACH_ALONE);
  await alone.gateway.stop();
  const other = await afterAllWaited(beside, EACH);
  console.log(
    `healthy half: alone ${one.rate.toFixed(0)}/s, beside ${HALF * EACH} for dead ones ${other.rate.toFixed(0)}/s`,
  );
  expect([one.arrived, other.arrived]).toEqual([HALF * EACH_ALONE, HALF * EACH]);
  expect(other.rate / one.rate).toBeGreaterThan(0.5); // a wide margin: the machine's own speed changes

  const busy = await cpuOver(CPU_OVER_MS, beside.gateway);
  console.log(`${HALF * EACH} messages waiting for ${HALF} dead destinations: ${(busy * 100).toFixed(2)} % of a core`);
  expect(busy).toBeLessThan(0.05);
  expect(await beside.waiting()).toBe(HALF * EACH);
}, 300_000);

function addresses(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `127.0.0.${first + index}`);
}

interface Started {
  readonly site: Site;
  readonly gateway: Gateway;
  readonly submit: (each: number) => Promise<void>;
  /** Brings the healthy half up. */
  readonly heal: () => Promise<readonly Sink[]>;
  readonly waiting: () => Promise<number>;
}

/** A gateway with a partner for each destination. The healthy ones are down at first, so that mail for them waits, too. */
async function started(well: readonly string[], credential: Credential, dead: readonly string[]): Promise<Started> {
  const site = await createSite(bench, {
    queue: { retry: ["1m", "5m", "15m", "30m", "1h"] },
  });
  const healthy = await Promise.all(well.map(async (address) => ({ address, port: await freePort(address) })));
  const hops = [...healthy.map(({ address, port }) => `[${address}]:${port}`), ...dead];
  for (const [index, hop] of hops.entries())
    await site.partner(`d${index}`, {
      name: `d${index}`,
      domains: [`d${index}.test`],
      outbound: { next_hop: hop, tls: { level: "encrypt" } },
    });
  const gateway = await site.start();
  return {
    site,
    gateway,
    heal: () => Promise.all(healthy.map((at) => startSink(bench, { ...at, credential }))),
    submit: async (each) => {
      const all = each * hops.length;
      let made = 0;
      const next = () => {
        if (made >= all) return undefined;
        const id = `m${made}`;
        const to = [`box@d${made % hops.length}.test`];
        made += 1;
        return { id, from: "anna@own.test", to, content: smallMessage(id) };
      };
      const record = await runLoad({ port: gateway.port, sessions: 16, perConnection: 1_000, next });
      expect(record.acknowledged.length).toBe(all);
    },
    waiting: async () => {
      const listed = await site.command("queue", "list", "--json");
      return listed.stdout.trim().split("\n").length;
    },
  };
}

/** All of it waits; then the healthy half comes up, and all is tried again. */
async function afterAllWaited(started: Started, each: number): Promise<{ rate: number; arrived: number }> {
  await started.submit(each);
  const sinks = await started.heal();
  const retried = await started.site.command("queue", "retry", "--all");
  expect(retried.code, retried.stderr).toBe(0);
  const arrivals = (): Arrival[] => sinks.flatMap((sink) => sink.arrivals);
  const all = HALF * each;
  await eventually("all for the healthy half", () => arrivals().length >= all, {
    within: 120_000,
    every: 50,
    seen: () => `${arrivals().length} of ${all} arrived`,
  });
  const times = arrivals().map(({ at }) => at);
  const took = times.reduce((a, b) => Math.max(a, b)) - times.reduce((a, b) => Math.min(a, b));
  return { rate: (all * 1_000) / took, arrived: new Set(arrivals().map(({ id }) => id)).size };
}

/** Seconds of processor time per second, the whole process tree together. */
async function cpuOver(ms: number, { pid }: Gateway): Promise<number> {
  const [before, began] = [cpuSeconds(pid), performance.now()];
  await pause(ms); // this is what is measured
  return (cpuSeconds(pid) - before) / ((performance.now() - began) / 1_000);
}

/** Of all its processes; the kernel counts in hundredths. */
function cpuSeconds(pid: number): number {
  const ticks = processTree(pid).map((one) => {
    const fields = readFileSync(`/proc/${one}/stat`, "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
    return Number(fields[11]) + Number(fields[12]); // utime, stime: fields 14 and 15 of proc_pid_stat(5)
  });
  return ticks.reduce((sum, one) => sum + one, 0) / 100;
}

/** Takes connections and never says a word. */
async function silentServer(address: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    bench.atEnd(() => void socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  bench.atEnd(() => void server.close());
  const bound = server.address();
  return `[${address}]:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
}
