/**
 * A network of its own on this machine: loopback with ports 25, 53 and 443 free, and a resolv.conf that names a
 * resolver in it. Nothing in it can reach any other network. It ends when the process that keeps it ends.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Readable } from "node:stream";
import type { Calls } from "./inside.ts";
import { type Ended, must, run } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

const NODE = resolve(import.meta.dirname, "../../../node_modules/.bin/node");

export interface Namespace {
  /** Put before a command and its arguments: it then runs in there, as the same process. */
  readonly enter: readonly string[];
  readonly must: (program: string, args: readonly string[]) => Promise<string>;
  readonly run: (program: string, args: readonly string[]) => Promise<Ended>;
  /** Starts a server in there, which does not outlive us. */
  readonly start: (program: string, args: readonly string[]) => ChildProcessByStdio<null, Readable, Readable>;
  /** Calls the process that holds the scripted peers. */
  readonly call: <K extends keyof Calls>(
    name: K,
    ...args: Parameters<Calls[K]>
  ) => Promise<Awaited<ReturnType<Calls[K]>>>;
}

/** `resolver` is the address that its resolv.conf names. */
export async function createNamespace(bench: Workbench, resolver = "127.0.0.1"): Promise<Namespace> {
  const file = join(await bench.folder("namespace"), "resolv.conf");
  await writeFile(file, `nameserver ${resolver}\noptions trust-ad edns0 timeout:5 attempts:1\n`);
  const script = [
    "ip link set lo up",
    "echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind",
    "ip -6 route add local fd25::/64 dev lo", // all of them are ours, and none is on an interface
    `mount --bind ${file} /etc/resolv.conf`,
    "echo ready",
    "exec cat", // until its input ends, with us
  ].join(" && ");
  const keeper = spawn("unshare", ["--net", "--mount", "--propagation", "private", "sh", "-c", script]);
  let complaint = "";
  keeper.stderr.on("data", (text: Buffer) => (complaint += text.toString()));
  const ended = once(keeper, "exit");
  bench.atEnd(async () => {
    keeper.stdin.end();
    await ended;
  });
  await Promise.race([once(keeper.stdout, "data"), ended.then(() => Promise.reject(new Error(complaint)))]);
  const enter = ["nsenter", `--target=${keeper.pid}`, "--net", "--mount", "--"];
  const [first = "", ...more] = enter;
  return {
    enter,
    must: (program, args) => must(first, [...more, program, ...args]),
    run: (program, args) => run(first, [...more, program, ...args]),
    start: (program, args) =>
      spawn(first, [...more, "setpriv", "--pdeathsig", "KILL", program, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
      }),
    call: callsTo(await startInside(bench, enter)),
  };
}

async function startInside(bench: Workbench, [first = "", ...more]: readonly string[]): Promise<ChildProcess> {
  const program = join(import.meta.dirname, "inside.ts");
  const child = spawn(first, [...more, NODE, program], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "advanced",
  });
  bench.atEnd(async () => {
    const closed = once(child, "exit");
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.disconnect(); // it ends with that
    await closed;
  });
  await once(child, "message");
  return child;
}

function callsTo(child: ChildProcess): Namespace["call"] {
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let count = 0;
  child.on("message", (message) => {
    const { id, value, error } = message as { id: number; value?: never; error?: string };
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(value as never);
    else call?.reject(new Error(error));
  });
  child.on("exit", () => {
    for (const { reject } of waiting.values()) reject(new Error("The process of the scripted peers has ended"));
  });
  return (name, ...args) =>
    new Promise((resolve, reject) => {
      waiting.set((count += 1), { resolve, reject });
      child.send({ id: count, name, args });
    });
}
