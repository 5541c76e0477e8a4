/**
 * What it takes to look at a queue of 100,000 messages through the command line: a gateway in a process of its own, each
 * command in another, timed from outside. `npm run bench:queue`, or with a number of messages behind it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { createSqliteQueue } from "../../src/store/sqlite-queue.ts";
import { put } from "../contract/messages.ts";
import { run } from "../integration/cli-deps.ts";

const MANY = Number(process.argv[2] ?? 100_000);
const DOMAINS = 50;
const AT_ONCE = 2_000;
const TURNS = 5;
const DAY_MS = 86_400_000;

const folder = await mkdtemp(join(tmpdir(), "sealpost-bench-"));
const config = join(folder, "config", "sealpost.yaml");
const launcher = new URL("../../bin/sealpost.mjs", import.meta.url).pathname;

async function fill(): Promise<void> {
  for (const name of ["config", "data", "certs"]) await mkdir(join(folder, name), { mode: 0o700 });
  const text = `hostname: relay.example.org
postmaster: postmaster@example.org
data_dir: ../data
listeners: [{name: smarthost, address: 127.0.0.1, port: 0, clients: [127.0.0.0/8]}]
queue: {key_file: ../certs/queue.key, retry: [12h], reserve: 1MiB, delay_notices: []}
admin: {address: 127.0.0.1, port: 0, token_file: ../data/admin.token}
outbound: {next_hop: "[127.0.0.1]:9"}
`;
  await writeFile(config, text, { mode: 0o600 });
  const settings = {
    dataDir: join(folder, "data"),
    keyFile: join(folder, "certs", "queue.key"),
    allowGroupRead: false,
    reserve: 0,
  };
  const queue = await createSqliteQueue({ settings, clock: systemClock, random: systemRandom });
  const now = systemClock.now();
  const one = (number: number): Promise<unknown> =>
    put(queue, {
      sender: `user${number % 200}@inside${number % 4}.test`,
      recipients: [`r${number}@d${number % DOMAINS}.test`],
      partner: `p${number % 25}`,
      messageId: `<${number}@inside.test>`,
      receivedAt: now - (number % DAY_MS),
      at: now + DAY_MS / 2,
      expiresAt: now + 5 * DAY_MS,
      ...(number % 2 === 0 && { reason: number % 4 === 0 ? "smtp-4xx" : "certificate-expired" }),
    });
  for (let from = 0; from < MANY; from += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, MANY - from) }, (_, at) => one(from + at)));
  await queue.close();
}

/** The same command in this process: without Node's start and the reading of the sources. */
async function here(words: readonly string[]): Promise<number> {
  const began = performance.now();
  const { code, error } = await run(folder, [...words, "-c", config]);
  if (code !== 0) throw new Error(error);
  return performance.now() - began;
}

/** Runs one command; answers with ms and octets of its output. */
async function spawned(words: readonly string[]): Promise<{ ms: number; octets: number }> {
  const began = performance.now();
  const child = spawn(launcher, [...words, "-c", config], { stdio: ["ignore", "pipe", "inherit"] });
  let octets = 0;
  child.stdout.on("data", (chunk: Buffer) => (octets += chunk.length));
  const [code] = (await once(child, "close")) as [number];
  if (code !== 0) throw new Error(`${words.join(" ")} ended with ${code}`);
  return { ms: performance.now() - began, octets };
}

async function timed(words: string, turns = TURNS): Promise<void> {
  const outside: number[] = [];
  const inside: number[] = [];
  let octets = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    const ran = await spawned(words.split(" "));
    outside.push(ran.ms);
    octets = ran.octets;
    if (turns > 1) inside.push(await here(words.split(" ")));
  }
  const row = [...told(outside), ...(turns > 1 ? told(inside) : ["", ""]), String(octets)];
  console.log(`${row.map((cell) => cell.padStart(9)).join("")}  ${words}`);
}

/** Best and median. */
function told(all: readonly number[]): string[] {
  const sorted = all.toSorted((a, b) => a - b);
  return [sorted[0] ?? 0, sorted[Math.floor(sorted.length / 2)] ?? 0].map((ms) => ms.toFixed(0));
}

try {
  const began = performance.now();
  await fill();
  console.log(`${MANY} messages stored in ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  const gateway = spawn(launcher, ["start", "-c", config], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    for await (const line of createInterface(gateway.stdout)) if (line.includes('"gateway.ready"')) break;
    console.log(
      "ms of the command as a process (best, median), without its start (best, median); octets of its output",
    );
    await timed("version");
    await timed("queue list --domain nowhere.test");
    await timed("queue list");
    await timed("queue list --limit 1000");
    await timed("queue list --domain d7.test");
    await timed("queue list --partner p3");
    await timed("queue list --reason certificate-expired");
    await timed("queue list --sender user7@inside3.test");
    await timed("queue list --sender @inside3.test");
    await timed("queue list --recipient r77777@d27.test");
    await timed("queue list --older-than 1m");
    await timed("queue list --json --domain d7.test");
    await timed("queue list --json", 1);
    await timed("queue hold --all", 1);
    await timed("queue bounce --domain d7.test", 1);
  } finally {
    gateway.stdout.resume();
    gateway.kill("SIGTERM");
    await once(gateway, "close");
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
