/**
 * Programs and their processes: run to the end, poll with a deadline, look at a process tree through /proc.
 * Ends only what a test started itself, by its id.
 */
import { execFile } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; the exit code is a value, not an error. */
export function run(program: string, args: readonly string[], options: { cwd?: string; input?: Buffer } = {}) {
  return new Promise<Ended>((resolve, reject) => {
    const { cwd, input } = options;
    const limits = { maxBuffer: 64 * 1024 * 1024, timeout: 60_000, ...(cwd !== undefined && { cwd }) };
    const child = execFile(program, args, limits, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout, stderr });
      else if (typeof error.code === "number") resolve({ code: error.code, stdout, stderr });
      else reject(new Error(`${program} ${args.join(" ")}: ${error.message}\n${stderr}`));
    });
    child.stdin?.on("error", () => {}); // it need not read all of it
    child.stdin?.end(input ?? "");
  });
}

/** The same for a program that must succeed. */
export async function must(program: string, args: readonly string[], options: { cwd?: string; input?: Buffer } = {}) {
  const ended = await run(program, args, options);
  if (ended.code !== 0)
    throw new Error(`${program} ${args.join(" ")} ended with ${ended.code}\n${ended.stdout}\n${ended.stderr}`);
  return ended.stdout;
}

/** Polls until `probe` answers with something; the deadline's error says what was awaited and what was there. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  options: { within?: number; every?: number; seen?: () => string } = {},
): Promise<T> {
  const deadline = Date.now() + (options.within ?? 20_000);
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`In vain awaited: ${what}\n${options.seen?.() ?? ""}`);
    await pause(options.every ?? 25);
  }
}

/** A port nobody listens on at this address. */
export function freePort(address = "127.0.0.1"): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, address, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === "object" && bound !== null ? bound.port : 0));
    });
  });
}

/** Read from the kernel's table, since a look by connecting would stand in the peer's record. */
export async function listening(address: string, port: number): Promise<void> {
  const bytes = address.split(".").reverse().map(hex(2)).join("");
  const entry = `${bytes}:${hex(4)(port)} 00000000:0000 0A`;
  await eventually(`a listener on ${address}:${port}`, () => (read("/proc/net/tcp") ?? "").includes(entry));
}

function hex(width: number): (value: string | number) => string {
  return (value) => Number(value).toString(16).toUpperCase().padStart(width, "0");
}

/** Process ids of a process and all that descend from it. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(Number(name));
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [root];
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i] ?? 0) ?? []));
  return tree;
}

/** Present and not a zombie. */
export function alive(pid: number): boolean {
  const status = read(`/proc/${pid}/status`);
  return status !== undefined && !/^State:\s+Z/m.test(status);
}

/** Resident memory of processes together, in MiB. */
export function residentMiB(pids: readonly number[]): number {
  const kiB = pids.map((pid) => Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1] ?? 0));
  return kiB.reduce((sum, one) => sum + one, 0) / 1024;
}

function parentOf(pid: number): number | undefined {
  const parent = /^PPid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return parent === undefined ? undefined : Number(parent);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return undefined; // it has just ended
  }
}

/** The highest resident memory of the tree: the kernel's own mark for the first process, looks every 50 ms for the sum. */
export function watchMemory(pid: number): { end: () => { peak: number; by: string } } {
  writeFileSync(`/proc/${pid}/clear_refs`, "5"); // starts the mark anew
  let highest = 0;
  const timer = setInterval(() => (highest = Math.max(highest, residentMiB(processTree(pid)))), 50);
  return {
    end: () => {
      clearInterval(timer);
      const status = readFileSync(`/proc/${pid}/status`, "latin1");
      const mark = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
      return { peak: Math.max(highest, mark), by: `kernel's mark ${mark.toFixed(0)}, seen ${highest.toFixed(0)}` };
    },
  };
}
