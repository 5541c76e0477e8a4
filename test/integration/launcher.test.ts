/** bin/sealpost.mjs in a package of its own with a main of its own. An older Node is played by this one. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { afterEach, beforeEach, expect, it } from "vitest";

const MAIN = `
const say = (text) => process.stdout.write(text + "\\n");
const [command] = process.argv.slice(2);
say("node " + process.versions.node + " pid " + process.pid + " args " + JSON.stringify(process.argv.slice(2)));
if (command === "fail") process.exitCode = 69;
if (command === "die") process.kill(process.pid, "SIGKILL");
if (command === "serve") {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => say("got " + signal));
  process.on("SIGTERM", () => process.exit(3));
  setInterval(() => undefined, 1000);
  say("serving");
}
`;
const OLDER = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.9.0"}})`;

let root: string;
let children: ChildProcessByStdio<null, Readable, Readable>[] = [];
beforeEach(() => {
  root = join(realpathSync(mkdtempSync(join(tmpdir(), "sealpost-launcher-"))), "node_modules", "sealpost");
  mkdirSync(join(root, "bin"), { recursive: true });
  copyFileSync("bin/sealpost.mjs", join(root, "bin", "sealpost.mjs"));
  put("dist/main.js", MAIN);
  put("package.json", `{"type":"module"}`);
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
  rmSync(join(root, "..", ".."), { recursive: true, force: true });
});

function put(path: string, text: string): void {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** The Node that `npm ci` puts beside the packages. */
function giveNode(): void {
  const folder = join(root, "..", `node-${process.platform}-${process.arch}`, "bin");
  mkdirSync(folder, { recursive: true });
  symlinkSync(process.execPath, join(folder, "node"));
}

function start(flags: readonly string[], args: readonly string[]) {
  const command = [...flags, join(root, "bin", "sealpost.mjs"), ...args];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const seen = { out: "", error: "" };
  child.stdout.on("data", (chunk: Buffer) => (seen.out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (seen.error += chunk.toString()));
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  return { child, seen, ended };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("not in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** False also for a process that has ended and waits for init to take note. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, "utf8"));
}

const older = ["--import", OLDER];

it("runs the compiled main with its arguments and its exit code", async () => {
  const { seen, ended } = start([], ["fail", "two words"]);
  expect(await ended).toEqual([69, null]);
  expect(seen.out).toContain(`args ["fail","two words"]`);
});

it("runs the sources where there are some, not what packing left behind", async () => {
  root = join(root, "..", "..", "checkout"); // Node strips no types under node_modules
  put("src/main.ts", `process.stdout.write("from the sources: " as string);`);
  put("dist/main.js", MAIN);
  put("package.json", `{"type":"module"}`);
  put("bin/sealpost.mjs", "");
  copyFileSync("bin/sealpost.mjs", join(root, "bin", "sealpost.mjs"));
  const { seen, ended } = start([], []);
  expect(await ended).toEqual([0, null]);
  expect(seen.out).toBe("from the sources: ");
  root = join(root, "..", "node_modules", "sealpost");
});

it("says so when there is nothing to run", async () => {
  rmSync(join(root, "dist"), { recursive: true });
  const { seen, ended } = start([], ["version"]);
  expect(await ended).toEqual([70, null]);
  expect(seen.error).toMatch(/^sealpost is not installed whole.*\n$/);
});

it("says in one sentence which Node is needed when there is no other", async () => {
  const { seen, ended } = start(older, ["start"]);
  expect(await ended).toEqual([78, null]);
  expect(seen).toEqual({ out: "", error: expect.stringMatching(/^sealpost needs Node\.js 24 .* 20\.9\.0.*\n$/) });
});

it("hands over to the Node beside the package, with arguments and exit code", async () => {
  giveNode();
  const { child, seen, ended } = start(older, ["fail", "two words"]);
  expect(await ended).toEqual([69, null]);
  expect(seen.out).toContain(`node ${process.versions.node} `);
  expect(seen.out).toContain(`args ["fail","two words"]`);
  expect(seen.out).not.toContain(`pid ${child.pid} `);
});

it("passes signals on, and the exit code back", async () => {
  giveNode();
  const { child, seen, ended } = start(older, ["serve"]);
  await until(() => seen.out.includes("serving"));
  child.kill("SIGHUP");
  await until(() => seen.out.includes("got SIGHUP"));
  child.kill("SIGINT");
  await until(() => seen.out.includes("got SIGINT"));
  child.kill("SIGTERM");
  expect(await ended).toEqual([3, null]);
});

it("dies by the signal that its child died by", async () => {
  giveNode();
  expect(await start(older, ["die"]).ended).toEqual([null, "SIGKILL"]);
});

it("leaves nothing behind when it is killed itself", async () => {
  giveNode();
  const { child, seen } = start(older, ["serve"]);
  await until(() => seen.out.includes("serving"));
  const pid = Number(/pid (\d+)/.exec(seen.out)?.[1]);
  expect(isAlive(pid)).toBe(true);
  const killed = performance.now();
  child.kill("SIGKILL");
  await until(() => !isAlive(pid));
  expect(performance.now() - killed).toBeLessThan(1000);
});
