/**
 * What a message costs: 4 KiB in over TLS → stored → out over TLS, with 1 and 20 messages per connection, and peak
 * memory while 20 messages of 50 MiB pass at once. The gateway is a process of its own; load and MX share its cores.
 * `npm run bench [messages]`; prints each run and the medians. Needs the openssl program.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { createAuthority } from "../interop/rig/certificates.ts";
import { createSite, type Gateway } from "../interop/rig/gateway.ts";
import { type LoadMessage, runLoad, smallMessage } from "../interop/rig/load.ts";
import { eventually, processTree, residentMiB } from "../interop/rig/processes.ts";
import { type Sink, startSink } from "../interop/rig/sink.ts";
import { createWorkbench } from "../interop/rig/workbench.ts";

const RUNS = 5;
const SESSIONS = 16;
const MIB = 1024 * 1024;
const messages = Number(process.argv[2] ?? 2_000);

interface Run {
  /** Messages a second until the last 250, and until the last one has arrived at the MX. */
  readonly accepted: number;
  readonly delivered: number;
  /** CPU seconds of the gateway for 1,000 messages. */
  readonly cpu: number;
}

const bench = createWorkbench();
try {
  await measure();
} finally {
  await bench.clear();
}

async function measure(): Promise<void> {
  const authority = await createAuthority(await bench.folder("ca"));
  const credential = await authority.issue(["mx.partner.test"]);
  const sink = await startSink(bench, { address: "127.0.0.31", credential });
  const site = await createSite(bench, {
    tls: { certificates: [await authority.issue(["relay.own.test"])] },
    limits: { message_size: "51MiB" },
  });
  await site.partner("partner", {
    domains: ["partner.test"],
    outbound: {
      next_hop: `[${sink.address}]:${sink.port}`,
      tls: { level: "secure", match: ["mx.partner.test"], ca: authority.certificate },
    },
  });
  const gateway = await site.start();
  const tls = { ca: await readFile(authority.certificate, "utf8") };
  say(
    `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}, ${messages} messages of 4 KiB a run, ${SESSIONS} sessions`,
  );
  for (const perConnection of [1, 20]) {
    const runs: Run[] = [];
    await smallRun({ gateway, sink, tls, perConnection, count: Math.min(messages, 500) }); // warm-up
    for (let run = 0; run < RUNS; run += 1) {
      runs.push(await smallRun({ gateway, sink, tls, perConnection, count: messages }));
      say(`  ${perConnection} per connection: ${shown(runs.at(-1)!)}`);
    }
    say(`${perConnection} per connection, median of ${RUNS}: ${shown(medianOf(runs))}`);
  }
  await largeRun({ gateway, sink, tls });
}

interface Rig {
  readonly gateway: Gateway;
  readonly sink: Sink;
  readonly tls: { readonly ca: string };
}

async function smallRun({
  gateway,
  sink,
  tls,
  perConnection,
  count,
}: Rig & { perConnection: number; count: number }): Promise<Run> {
  sink.arrivals.length = 0;
  const content = (id: string): LoadMessage => ({
    id,
    from: "a@own.test",
    to: ["b@partner.test"],
    content: smallMessage(id, { size: 4096 }),
  });
  let made = 0;
  const next = (): LoadMessage | undefined => (made === count ? undefined : content(`bench-${(made += 1)}`));
  const [cpuBefore, began] = [cpuSeconds(gateway.pid), performance.now()];
  const record = await runLoad({ port: gateway.port, sessions: SESSIONS, perConnection, tls, next });
  const acceptedMs = performance.now() - began;
  if (record.acknowledged.length !== count)
    throw new Error(`only ${record.acknowledged.length} of ${count} were accepted`);
  await eventually("every message at the MX", () => sink.arrivals.length >= count, { within: 120_000, every: 2 });
  const deliveredMs = performance.now() - began;
  const cpu = ((cpuSeconds(gateway.pid) - cpuBefore) * 1_000) / count;
  return { accepted: (count * 1_000) / acceptedMs, delivered: (count * 1_000) / deliveredMs, cpu };
}

async function largeRun({ gateway, sink, tls }: Rig): Promise<void> {
  sink.arrivals.length = 0;
  const block = Buffer.from(`${"Zm9vYmFyIGJheg".repeat(5)}\r\n`.repeat(1_000));
  let made = 0;
  const next = (): LoadMessage | undefined => {
    if (made === 20) return undefined;
    const id = `large-${(made += 1)}`;
    return { id, from: "a@own.test", to: ["b@partner.test"], content: largeContent(id, block) };
  };
  const before = residentMiB(processTree(gateway.pid));
  writeFileSync(`/proc/${gateway.pid}/clear_refs`, "5"); // starts the kernel's high-water mark anew
  const began = performance.now();
  await runLoad({ port: gateway.port, sessions: 20, perConnection: 1, tls, next });
  await eventually("the large ones at the MX", () => sink.arrivals.length === 20, { within: 120_000 });
  const mark = Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${gateway.pid}/status`, "latin1"))?.[1] ?? 0) / 1024;
  const seconds = (performance.now() - began) / 1_000;
  say(
    `20 × 50 MiB at once: ${seconds.toFixed(1)} s, resident ${before.toFixed(0)} MiB before, ${mark.toFixed(0)} MiB at most (+${(mark - before).toFixed(0)})`,
  );
}

function* largeContent(id: string, block: Buffer): Generator<Buffer> {
  yield smallMessage(id);
  for (let octets = 0; octets < 50 * MIB; octets += block.length) yield block;
}

/** User and system time of the process and all its threads (proc(5), fields 14 and 15; 100 ticks a second). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function medianOf(runs: readonly Run[]): Run {
  const middle = (pick: (run: Run) => number): number =>
    runs.map(pick).toSorted((a, b) => a - b)[RUNS >> 1] ?? Number.NaN;
  return {
    accepted: middle(({ accepted }) => accepted),
    delivered: middle(({ delivered }) => delivered),
    cpu: middle(({ cpu }) => cpu),
  };
}

function shown({ accepted, delivered, cpu }: Run): string {
  return `${accepted.toFixed(0)} accepted/s, ${delivered.toFixed(0)} delivered/s, ${cpu.toFixed(2)} CPU s per 1,000`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
