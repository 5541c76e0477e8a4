/**
 * SIGKILL between what happens to mail and the notice of it, fifty times: whoever sent mail that was refused, or that
 * waits, is told of it once, neither twice nor never. The store is the real one, and what counts is what it holds.
 */
import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { eventually } from "./rig/processes.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const NODE = resolve(import.meta.dirname, "../../node_modules/.bin/node");
const CHILD = join(import.meta.dirname, "rig/notices-child.ts");
const KILLS = 50;
/** Turns of the child before it is killed: each takes mail in, and ends what is due. */
const TURNS = 2;

interface Said {
  readonly stored?: string;
  readonly kind?: "failure" | "delay";
  readonly turn?: number;
  readonly notice?: string;
  readonly to?: string;
  readonly waits?: string;
  readonly told?: number;
  readonly event?: string;
}

it(`tells each sender exactly once through ${KILLS} times SIGKILL around the moment that causes the notice`, async () => {
  const folder = await bench.folder("notices");
  const stored: Said[] = [];
  for (let kill = 1; kill <= KILLS; kill++) {
    const child = start("work", folder, `r${kill}`);
    const turns = () => child.said.filter(({ turn }) => turn !== undefined).length;
    await eventually("turns of the child", () => turns() >= TURNS, { every: 1, within: 60_000, seen: child.stderr });
    await pause(Math.random() * 20); // a turn takes about that long
    expect(await child.kill()).toBe("SIGKILL");
    stored.push(...child.said.filter((one) => one.stored !== undefined));
    expect(child.said.filter(({ event }) => event !== undefined)).toEqual([]);
  }
  const last = start("end", folder, "last");
  expect(await last.ended, last.stderr()).toBe(null);

  const notices = new Map<string, Set<string>>();
  for (const { notice, to, kind } of last.said) {
    if (notice === undefined) continue;
    const key = `${kind} ${to}`;
    notices.set(key, (notices.get(key) ?? new Set()).add(notice));
  }
  const waiting = last.said.filter(({ waits }) => waits !== undefined);
  expect(stored.filter(({ stored, kind }) => !notices.has(`${kind} ${stored}`))).toEqual([]);
  expect([...notices].filter(([, ids]) => ids.size !== 1)).toEqual([]);
  expect(waiting.filter(({ waits, told }) => told !== 1 || !notices.has(`delay ${waits}`))).toEqual([]);
  expect([...notices.keys()].filter((key) => key.startsWith("delay"))).toHaveLength(waiting.length);
  for (const kind of ["failure", "delay"])
    expect(stored.filter((one) => one.kind === kind).length, kind).toBeGreaterThan(KILLS);
  console.log(`${KILLS} kills: acknowledged ${stored.length}, notices ${notices.size}`);
}, 400_000);

function start(mode: string, folder: string, name: string) {
  const child = spawn(NODE, [CHILD, mode, folder, name], { stdio: ["ignore", "pipe", "pipe"] });
  bench.atEnd(() => void child.kill("SIGKILL"));
  const said: Said[] = [];
  let partial = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (partial + text).split("\n");
    partial = lines.pop() ?? ""; // a line cut by the end of the process says nothing
    for (const line of lines) said.push(JSON.parse(line) as Said);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  /** The signal that ended it; null when it ended well. */
  const ended = new Promise<string | null>((done) =>
    child.on("close", (code, signal) => done(signal ?? (code === 0 ? null : `exit ${code}`))),
  );
  const kill = async (): Promise<string | null> => {
    child.kill("SIGKILL");
    return ended;
  };
  return { said, ended, kill, stderr: () => stderr };
}
