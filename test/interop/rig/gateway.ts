/**
 * The gateway as a black box: a child process with YAML made by the test, its JSON log on standard output, signals,
 * and its command line. Nothing here knows its source beyond the name of the file to start.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { alive, type Ended, eventually, processTree, run } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const NODE = join(ROOT, "node_modules/.bin/node");
const MAIN = join(ROOT, "bin/sealpost.mjs");

/** A plain tree as YAML has it. */
export type Tree = { readonly [key: string]: unknown };

export interface LogLine {
  readonly time: string;
  readonly event: string;
  readonly [field: string]: any; // oxlint-disable-line typescript/no-explicit-any -- a black box's log, asserted field by field
}

/** One running process of it. */
export interface Gateway {
  readonly pid: number;
  /** Of the listener with that name. */
  readonly port: (listener?: string) => number;
  readonly log: LogLine[];
  /** The first line of that event which satisfies `matches`. */
  readonly logged: (event: string, matches?: (line: LogLine) => boolean, within?: number) => Promise<LogLine>;
  readonly stderr: () => string;
  readonly reload: () => void;
  /** SIGTERM, and waits for the end. */
  readonly stop: () => Promise<number | null>;
  /** SIGKILL; answers with the process ids of its tree at that moment. */
  readonly kill: () => number[];
  readonly ended: Promise<number | null>;
}

/** A configuration on disk and what can be done with it. */
export interface Site {
  readonly folder: string;
  readonly dataDir: string;
  readonly keyFile: string;
  readonly configFile: string;
  /** Writes sealpost.yaml: the base with these keys laid over it. */
  readonly configure: (settings: Tree) => Promise<void>;
  readonly partner: (id: string, content: Tree) => Promise<void>;
  readonly start: () => Promise<Gateway>;
  /** Starts it where it must refuse to; answers with how it ended. */
  readonly refuse: () => Promise<Ended>;
  readonly command: (...args: string[]) => Promise<Ended>;
}

/** `enter` stands before each command: it takes it into a namespace. */
export async function createSite(bench: Workbench, settings: Tree, enter: readonly string[] = []): Promise<Site> {
  const [program, ...before] = [...enter, NODE, MAIN];
  const folder = await bench.folder("gateway");
  const dataDir = join(folder, "data");
  const configFile = join(folder, "config", "sealpost.yaml");
  const keyFile = join(folder, "certs", "queue.key");
  await mkdir(join(folder, "config", "partners"), { recursive: true });
  await mkdir(join(folder, "certs"), { mode: 0o700 });
  const configure = (over: Tree) => writeFile(configFile, stringify(overlay(base(dataDir, keyFile), over)));
  await configure(settings);
  const start = async () => {
    const gateway = launch(program, [...before, "start", "-c", configFile]);
    bench.atEnd(async () => {
      await gateway.stop();
      const left = () => gateway.tree().filter(alive);
      await eventually("the gateway's end", () => left().length === 0, { seen: () => left().join(" ") });
    });
    await Promise.race([
      gateway.logged("gateway.ready"),
      gateway.ended.then((code) => refused(code, gateway.stderr())),
    ]);
    return gateway;
  };
  return {
    folder,
    dataDir,
    keyFile,
    configFile,
    configure,
    start,
    partner: (id, content) => writeFile(join(folder, "config", "partners", `${id}.yaml`), stringify(content)),
    refuse: () => run(program, [...before, "start", "-c", configFile], { cwd: folder }),
    command: (...args) => run(program, [...before, ...args, "-c", configFile], { cwd: folder }),
  };
}

/** What every test needs and none is about. */
function base(dataDir: string, keyFile: string): Tree {
  return {
    hostname: "relay.own.test",
    postmaster: "postmaster@own.test",
    data_dir: dataDir,
    workers: 1,
    dns: { resolvers: ["127.0.0.1:9"], timeout: "1s" }, // nobody answers there: a test that needs DNS brings its own
    listeners: [{ name: "smarthost", direction: "outbound", address: "127.0.0.1", port: 0, clients: ["127.0.0.0/8"] }],
    queue: { key_file: keyFile, retry: ["1s"], reserve: "1MiB" },
    alarms: { mail: false }, // a message that is in nobody's count
    admin: { address: "127.0.0.1", port: 0, token_file: join(dataDir, "admin.token") },
  };
}

/** Maps are laid over each other key by key; all else is replaced. */
export function overlay(under: Tree, over: Tree): Tree {
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isTree(below) && isTree(value) ? overlay(below, value) : value;
  }
  return result;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refused(code: number | null, stderr: string): never {
  throw new Error(`The gateway ended with ${code} instead of getting ready\n${stderr}`);
}

function launch(program: string, args: readonly string[]): Gateway & { tree: () => number[] } {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const log: LogLine[] = [];
  let stderr = "";
  child.stdout.setEncoding("utf8");
  let partial = "";
  child.stdout.on("data", (text: string) => {
    const lines = (partial + text).split("\n");
    partial = lines.pop() ?? "";
    for (const line of lines) log.push(JSON.parse(line) as LogLine); // a line that is none fails the test run
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const pid = child.pid ?? 0;
  const ended = new Promise<number | null>((done) => child.on("close", (code) => done(code)));
  let tree = [pid];
  const logged = (event: string, matches: (line: LogLine) => boolean = () => true, within = 30_000) =>
    eventually(`the event ${event}`, () => log.find((line) => line.event === event && matches(line)), {
      within,
      seen: () => tailOf(log, stderr),
    });
  return {
    pid,
    log,
    logged,
    ended,
    stderr: () => stderr,
    tree: () => tree,
    port: (name = "smarthost") => portOf(log, name),
    reload: () => void child.kill("SIGHUP"),
    stop: () => stopChild(child, ended, () => (tree = processTree(pid))),
    kill: () => {
      tree = processTree(pid);
      child.kill("SIGKILL");
      return tree;
    },
  };
}

async function stopChild(child: ChildProcess, ended: Promise<number | null>, look: () => void): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return ended;
  look();
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 40_000);
  const code = await ended;
  clearTimeout(timer);
  return code;
}

function portOf(log: readonly LogLine[], name: string): number {
  const ready = log.find(({ event }) => event === "gateway.ready");
  const listeners = (ready?.["listeners"] ?? []) as { name: string; port: number }[];
  const found = listeners.find((listener) => listener.name === name);
  if (found === undefined) throw new Error(`No listener ${name} in gateway.ready`);
  return found.port;
}

function tailOf(log: readonly LogLine[], stderr: string): string {
  const lines = log.slice(-30).map((line) => JSON.stringify(line).slice(0, 1_500));
  return `${lines.join("\n")}\n${stderr.slice(-2_000)}`;
}
