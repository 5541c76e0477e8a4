/** The store across processes: killed, limited by the system, started twice. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, it } from "vitest";
import { acquireInstanceLock } from "../../src/store/instance-lock.ts";
import { bodyOf, eventually } from "../contract/messages.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";

const CHILD = join(import.meta.dirname, "store-child.ts");
let store: SqliteStore;
let children: ChildProcess[] = [];

beforeEach(async () => {
  store = await sqliteStore();
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
  await store.destroy();
});

function start(
  mode: string,
  through: readonly string[] = [],
): { child: ChildProcess; lines: unknown[]; ended: Promise<void> } {
  const [command, ...args] = [...through, process.execPath, CHILD, mode, store.folder];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const lines: unknown[] = [];
  const reading = createInterface({ input: child.stdout });
  reading.on("line", (line) => lines.push(JSON.parse(line)));
  const ended = new Promise<void>((resolve) => reading.once("close", resolve));
  return { child, lines, ended };
}

/** Names that the rows have for bodies in files. */
function bodyFiles(): string[] {
  const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"));
  const rows = database
    .prepare(`SELECT id AS name FROM message WHERE filed = 1 UNION ALL
      SELECT id || '.' || number FROM part JOIN message ON message.seq = part.message WHERE part.filed = 1`)
    .all();
  database.close();
  return rows.map((row) => String(row["name"])).toSorted();
}

it("every acknowledged message is there after SIGKILL, with all its contents whole, in 20 rounds [RFC 5321 §6.1]", async () => {
  let several = 0;
  const acknowledged = new Set<string>();
  for (let round = 0; round < 20; round += 1) {
    const { child, lines, ended } = start("acknowledge");
    const before = 5 + Math.trunc(Math.random() * 60);
    await eventually(() => lines.length >= before);
    child.kill("SIGKILL");
    await ended;
    for (const id of lines) acknowledged.add(id as string);
    const queue = await store.open();
    const found = await queue.list({ limit: 100_000 });
    const ids = found.map(({ delivery }) => delivery.message.id);
    expect([...acknowledged].filter((id) => !ids.includes(id))).toEqual([]);
    const last = new Set(lines.slice(-10));
    for (const { delivery } of found.filter(({ delivery: { message } }) => last.has(message.id))) {
      const { content, message } = delivery;
      if (content > 0) several += 1;
      const length =
        (await queue.header(message.id, content)).length + (await bodyOf(queue, message.id, content)).length;
      expect(length).toBe(message.contents[content]?.size);
    }
    await queue.close();
    const files = await readdir(join(store.settings.dataDir, "bodies"));
    expect(files.toSorted()).toEqual(bodyFiles());
  }
  expect(acknowledged.size).toBeGreaterThan(20 * 5);
  expect(several).toBeGreaterThan(20);
}, 120_000);

it("mail that a person had stopped, and that was in hand, is stopped after SIGKILL, in 10 rounds", async () => {
  for (let round = 0; round < 10; round += 1) {
    const { child, lines, ended } = start("seize");
    const before = 1 + Math.trunc(Math.random() * 20);
    await eventually(() => lines.length >= before);
    child.kill("SIGKILL");
    await ended;
    const queue = await store.open();
    expect((await queue.totals({})).byState).toEqual({ waiting: 1, leased: 0, held: 28, parked: 1 });
    expect(await queue.claim("partner.test", Date.now() + 1e12, 30)).toHaveLength(1);
    const [waiting] = await queue.list({ limit: 1 });
    expect(waiting?.delivery.attempts).toBe(0);
    await queue.close();
    await store.destroy();
    store = await sqliteStore();
  }
}, 120_000);

it("a write that the system refuses is answered as failed, nothing acknowledged is lost, and it recovers by itself", async () => {
  // A limit on the size of files stops the database's log in mid-write.
  const limited = ["/bin/sh", "-c", 'ulimit -f 3000; trap "" XFSZ; exec "$0" "$@"'];
  const { lines, ended } = start("until-failed", limited);
  await ended;
  const said = lines as { id: string; stored: boolean; usable?: boolean; kind?: string; end?: boolean }[];
  expect(said.at(-1)).toEqual({ end: true });
  const refused = said.filter(({ kind }) => kind !== undefined);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]).toMatchObject({ kind: "failed", usable: false });
  const queue = await store.open();
  const ids = new Set((await queue.list({ limit: 100_000 })).map(({ delivery }) => delivery.message.id));
  expect(said.filter(({ id, stored }) => stored && !ids.has(id))).toEqual([]);
  expect(refused.filter(({ id }) => ids.has(id))).toEqual([]);
  await queue.close();
}, 60_000);

it("a second gateway on the same data is refused and told by whom", async () => {
  const { dataDir } = store.settings;
  const file = join(dataDir, "instance.lock");
  const first = start("lock");
  await eventually(() => first.lines.length === 1);
  expect(first.lines[0]).toEqual({ kind: "held", pid: first.child.pid });
  expect(await acquireInstanceLock(dataDir)).toEqual({ kind: "refused", pid: first.child.pid, file });
  const second = start("lock");
  await eventually(() => second.lines.length === 1);
  expect(second.lines[0]).toEqual({ kind: "refused", pid: first.child.pid, file });
  first.child.kill("SIGKILL");
  await first.ended;
  const mine = await acquireInstanceLock(dataDir);
  expect(mine.kind).toBe("held");
  expect(await acquireInstanceLock(dataDir)).toEqual({ kind: "refused", pid: process.pid, file });
  if (mine.kind === "held") await mine.release();
  const again = await acquireInstanceLock(dataDir);
  expect(again.kind).toBe("held");
  if (again.kind === "held") await again.release();
});
