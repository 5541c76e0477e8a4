/** Changing the queue key: what waits stays whole and findable, whatever breaks off, and the old key goes at the end. */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFile, chmod, copyFile, mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { KeyNews } from "../../src/store/key-rotation.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { queueKeyFrom } from "../../src/store/seal.ts";
import type { EmbeddedStore } from "../../src/store/sqlite-queue.ts";
import { StoreStartError } from "../../src/store/start-error.ts";
import { accepted } from "../contract/history-contract.ts";
import { bodyOf, eventually, newId, NOW, prepareSeveral, put, putSeveral } from "../contract/messages.ts";
import { snapshot } from "../contract/raw-files.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";

let store: SqliteStore;
let keyFile: string;
let dataDir: string;
let open: EmbeddedStore[] = [];
let children: ChildProcess[] = [];
let news: KeyNews[] = [];
beforeEach(async () => {
  store = await sqliteStore();
  ({ keyFile, dataDir } = store.settings);
  news = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  for (const queue of open) await queue.close();
  [open, children] = [[], []];
  await chmod(join(keyFile, ".."), 0o700).catch(() => undefined);
  await store.destroy();
});

async function opened(clock = systemClock): Promise<EmbeddedStore> {
  const queue = await store.open({ onKeys: (one) => void news.push(one), clock });
  open.push(queue);
  return queue;
}

async function closed(queue: EmbeddedStore): Promise<void> {
  open = open.filter((one) => one !== queue);
  await queue.close();
}

const linesOf = async (path = keyFile): Promise<string[]> => (await readFile(path, "utf8")).trimEnd().split("\n");
const idOf = (line: string): string => queueKeyFrom(Buffer.from(line, "hex")).id;
const idsInFile = async (): Promise<string[]> => (await linesOf()).map(idOf);
const identity = async (): Promise<unknown> => JSON.parse(await readFile(join(dataDir, "queue.id"), "utf8"));
const ended = (queue: EmbeddedStore): Promise<void> =>
  eventually(async () => !(await queue.keys.state()).running, 60_000);

async function many(queue: EmbeddedStore, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => put(queue)));
}

/** Ids of keys that rows name, as the database says. */
function named(): string[] {
  const database = new DatabaseSync(join(dataDir, "queue.db"), { readOnly: true });
  const rows = database.prepare("SELECT key_id FROM message UNION SELECT key_id FROM store_key").all();
  database.close();
  return rows.map((row) => String(row["key_id"]));
}

async function refusal(): Promise<StoreStartError> {
  try {
    await opened();
  } catch (error) {
    if (error instanceof StoreStartError) return error;
    throw error;
  }
  throw new Error("It started");
}

/** A line on top, as an editor would put it there. */
async function putOnTop(): Promise<string> {
  const line = randomBytes(32).toString("hex");
  await writeFile(keyFile, `${line}\n${await readFile(keyFile, "utf8")}`);
  return idOf(line);
}

/** Nothing goes on by itself between two steps. */
const still = { ...systemClock, sleep: (_: number, signal?: AbortSignal) => untilAborted(signal) };

function untilAborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    else signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}

describe("a rotation of the queue key", () => {
  it("leaves what waits whole, findable and history readable, and drops the old key from file, rows and identity", async () => {
    const queue = await opened();
    const [former] = await idsInFile();
    const body = randomBytes(300_000);
    const { facts } = await put(queue, { body, sender: "anna@inside.test", messageId: "<1@inside.test>" });
    const several = await putSeveral(queue, [Buffer.from("one"), Buffer.alloc(200_000, 2)], [0, 1, 1]);
    await queue.history.add([accepted()]);
    const rotated = await queue.keys.rotate();
    await ended(queue);
    const ids = await idsInFile();
    expect(rotated).toEqual({ kind: "started", keyId: ids[0], former });
    expect(ids).toHaveLength(1);
    expect(ids).not.toContain(former);
    expect(named()).toEqual(ids);
    expect(await identity()).toMatchObject({ keyId: ids[0] });
    expect(await identity()).not.toHaveProperty("formerKeyIds");
    expect(news).toEqual([{ kind: "rotated", keyId: ids[0], dropped: [former] }]);
    const whole = async (now: EmbeddedStore): Promise<void> => {
      for (const filter of [{ sender: "anna@inside.test" }, { messageId: "<1@inside.test>" }])
        expect((await now.list(filter)).map(({ delivery }) => delivery.message.id)).toEqual([facts.id]);
      expect((await bodyOf(now, facts.id)).equals(body)).toBe(true);
      expect(String(await now.header(several.facts.id, 2))).toBe("Subject: content 2\r\n\r\n");
      expect(await bodyOf(now, several.facts.id, 0)).toEqual(Buffer.from("one"));
      expect((await bodyOf(now, several.facts.id, 2)).length).toBe(200_000);
      expect(await now.history.find({ found: "bea@acme.example" }, 9)).toHaveLength(1);
    };
    await whole(queue);
    await closed(queue);
    await whole(await opened());
  });

  it("keeps mode and owner of the file, and a symbolic link to it", async () => {
    await closed(await opened());
    const target = join(store.folder, "elsewhere.key");
    await copyFile(keyFile, target);
    await rm(keyFile);
    await symlink(target, keyFile);
    await chmod(target, 0o400);
    const queue = await opened();
    await queue.keys.rotate();
    await ended(queue);
    const { mode, uid } = await stat(target);
    expect([(mode & 0o777).toString(8), uid]).toEqual(["400", process.getuid?.()]);
    expect(await linesOf(target)).toEqual(await linesOf(keyFile));
    expect(await linesOf(target)).toHaveLength(1);
    await expect(stat(`${target}.new`)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("reaches mail whose body began to arrive before it, one of several bodies after it", async () => {
    const queue = await opened();
    const id = newId();
    const before = await prepareSeveral(queue, [Buffer.from("a"), Buffer.from("b")], [0, 1], { id });
    await queue.keys.rotate();
    await ended(queue);
    await queue.enqueue(before);
    const spool = queue.openSpool(id, 2);
    await spool.write(Buffer.from("c"));
    await spool.discard();
    expect(named()).toEqual(await idsInFile());
    expect(await bodyOf(queue, id, 1)).toEqual(Buffer.from("b"));
    expect(await queue.claim("d0.test", NOW, 1)).toHaveLength(1);
  });

  it("is refused while the last one has not ended", async () => {
    const queue = await opened(still);
    await many(queue, 3);
    await queue.keys.rotate();
    const second = await queue.keys.rotate();
    expect(second).toMatchObject({ kind: "busy", state: { running: true } });
    expect(await idsInFile()).toHaveLength(2);
  });

  it("leaves at every moment a file that holds whole keys, the one in force among them", async () => {
    const queue = await opened();
    await many(queue, 20);
    const inForce = new Set(await idsInFile());
    const seen: string[] = [];
    let going = true;
    const read = async (): Promise<void> => {
      while (going) {
        const lines = await linesOf();
        for (const line of lines) expect(line).toMatch(/^[0-9a-f]{64}$/);
        seen.push(idOf(lines[0] ?? ""));
      }
    };
    const reading = read();
    for (let turn = 0; turn < 10; turn += 1) {
      await queue.keys.rotate();
      inForce.add((await queue.keys.state()).keyId);
      await ended(queue);
    }
    going = false;
    await reading;
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.filter((id) => !inForce.has(id))).toEqual([]);
  });

  it("that is asked for twice at once happens once", async () => {
    const queue = await opened();
    const both = await Promise.all([queue.keys.rotate(), queue.keys.rotate()]);
    expect(both.map(({ kind }) => kind).toSorted()).toEqual(["busy", "started"]);
  });

  it("comes one after the other", async () => {
    const queue = await opened();
    const { facts } = await put(queue, { sender: "anna@inside.test" });
    const seen = new Set<string>();
    for (let n = 0; n < 4; n += 1) {
      expect((await queue.keys.rotate()).kind).toBe("started");
      await ended(queue);
      for (const id of await idsInFile()) seen.add(id);
    }
    expect(seen.size).toBe(4);
    expect((await queue.list({ sender: "anna@inside.test" }))[0]?.delivery.message.id).toBe(facts.id);
  });

  it("names the keys that messages need meanwhile", async () => {
    const queue = await opened(still);
    await many(queue, 250);
    const [former] = await idsInFile();
    await queue.keys.rotate();
    await eventually(async () => (await queue.keys.state()).former[0]?.messages === 50);
    expect(await queue.keys.state()).toMatchObject({ running: true, former: [{ keyId: former }] });
  });
});

describe("a rotation that breaks off", () => {
  it("behind its first page goes on at the next start", async () => {
    const queue = await opened(still);
    await many(queue, 450);
    await queue.keys.rotate();
    await eventually(async () => (await queue.keys.state()).former[0]?.messages === 250);
    await closed(queue);
    expect(named()).toHaveLength(2);
    expect(await identity()).toHaveProperty("formerKeyIds");
    const again = await opened();
    expect(await again.list({ limit: 500 })).toHaveLength(450);
    again.keys.resume();
    await ended(again);
    expect(named()).toEqual(await idsInFile());
    for (const { detail } of await again.list({ limit: 500 })) expect(detail).toBeNull();
  });

  it("behind the writing of the file is finished by the next start; nothing names the new key until then", async () => {
    const queue = await opened();
    const { facts } = await put(queue);
    await closed(queue);
    const [former] = await idsInFile();
    const before = await identity();
    const top = await putOnTop();
    expect(await identity()).toEqual(before);
    const again = await opened();
    expect(await identity()).toMatchObject({ keyId: top, formerKeyIds: [former] });
    again.keys.resume();
    await ended(again);
    expect(await idsInFile()).toEqual([top]);
    expect((await bodyOf(again, facts.id)).toString()).toBe("Hello.\r\n");
  });

  it("behind the last page drops the old key at the next start", async () => {
    const queue = await opened();
    await put(queue);
    const old = await readFile(keyFile, "utf8");
    await queue.keys.rotate();
    await ended(queue);
    await closed(queue);
    await appendFile(keyFile, old);
    const again = await opened();
    again.keys.resume();
    await ended(again);
    expect(await linesOf()).toHaveLength(1);
  });

  it("leaves no half-written file in the way of the next one", async () => {
    const queue = await opened();
    await writeFile(`${keyFile}.new`, "half");
    expect((await queue.keys.rotate()).kind).toBe("started");
    await ended(queue);
    await expect(stat(`${keyFile}.new`)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("by SIGKILL at any moment loses no message, in 12 rounds", async () => {
    const acknowledged = new Set<string>();
    for (let round = 0; round < 12; round += 1) {
      const child = spawn(process.execPath, [join(import.meta.dirname, "store-child.ts"), "rotate", store.folder], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.push(child);
      const lines: string[] = [];
      const reading = createInterface({ input: child.stdout });
      reading.on("line", (line) => lines.push(JSON.parse(line) as string));
      const gone = new Promise<void>((resolve) => reading.once("close", resolve));
      const before = 3 + Math.trunc(Math.random() * 40);
      await eventually(() => lines.length >= before, 60_000);
      child.kill("SIGKILL");
      await gone;
      for (const id of lines) if (id !== "rotated") acknowledged.add(id);
      const ids = await idsInFile();
      expect(named().filter((id) => !ids.includes(id))).toEqual([]);
      const queue = await opened();
      const found = new Map(
        (await queue.list({ limit: 100_000, sender: "alice@inside.test" })).map((one) => [
          one.delivery.message.id,
          one,
        ]),
      );
      expect([...acknowledged].filter((id) => !found.has(id))).toEqual([]);
      for (const id of lines.slice(-3)) if (id !== "rotated") expect((await bodyOf(queue, id)).length).toBe(4_000);
      await closed(queue);
    }
    const queue = await opened();
    queue.keys.resume();
    await ended(queue);
    expect(await linesOf()).toHaveLength(1);
    expect(named()).toEqual(await idsInFile());
    expect(acknowledged.size).toBeGreaterThan(12);
  }, 180_000);
});

describe("an old key", () => {
  it("that a row names and that is not there stops the start, by its id, and the store is left octet by octet", async () => {
    const queue = await opened(still);
    await many(queue, 250);
    const [former = ""] = await idsInFile();
    await queue.keys.rotate();
    await eventually(async () => (await queue.keys.state()).former[0]?.messages === 50);
    await closed(queue);
    const [top = ""] = await linesOf();
    await writeFile(keyFile, `${top}\n`);
    const before = snapshot(dataDir);
    const error = await refusal();
    expect([error.kind, error.message]).toEqual(["key-wrong", expect.stringContaining(`key ${former}, but`)]);
    expect(snapshot(dataDir)).toEqual(before);
  });

  it("is missed without queue.id, too", async () => {
    const queue = await opened(still);
    await many(queue, 250);
    const [former = ""] = await idsInFile();
    await queue.keys.rotate();
    await eventually(async () => (await queue.keys.state()).former[0]?.messages === 50);
    await closed(queue);
    const [top = ""] = await linesOf();
    await writeFile(keyFile, `${top}\n`);
    await rm(join(dataDir, "queue.id"));
    const error = await refusal();
    expect([error.kind, error.message]).toEqual(["key-wrong", expect.stringContaining(former)]);
  });

  it("stays while a message that cannot be opened names it, and goes when that is removed", async () => {
    const queue = await opened();
    const bad = await put(queue);
    const good = await put(queue);
    const [former] = await idsInFile();
    await closed(queue);
    const database = new DatabaseSync(join(dataDir, "queue.db"));
    database.prepare("UPDATE message SET wrapped_key = zeroblob(60) WHERE id = ?").run(bad.facts.id);
    database.close();
    const again = await opened();
    await again.keys.rotate();
    await ended(again);
    expect(await idsInFile()).toHaveLength(2);
    expect(await again.keys.state()).toMatchObject({ former: [{ keyId: former, messages: 1 }], running: false });
    expect(news).toEqual([{ kind: "trouble", detail: expect.stringContaining("1 message") }]);
    expect((await bodyOf(again, good.facts.id)).length).toBeGreaterThan(0);
    await again.remove({ id: bad.facts.id });
    again.keys.resume();
    await ended(again);
    expect(await idsInFile()).toHaveLength(1);
    expect((await again.keys.state()).trouble).toBeUndefined();
  });

  it("opens what it wrapped when it stands below; a wrong file on top is no way in", async () => {
    const queue = await opened();
    const { facts } = await put(queue);
    await closed(queue);
    await writeFile(keyFile, `${randomBytes(32).toString("hex")}\n`);
    expect((await refusal()).kind).toBe("key-wrong");
    await rm(keyFile);
    expect((await refusal()).kind).toBe("key-missing");
    expect(facts.id).toHaveLength(32);
  });
});

describe("a key file that a person has changed", () => {
  it("with a new key on top has that one put in force by a rotation", async () => {
    const queue = await opened();
    await put(queue);
    const top = await putOnTop();
    expect(await queue.keys.rotate()).toMatchObject({ kind: "started", keyId: top });
    await ended(queue);
    expect(await idsInFile()).toEqual([top]);
    expect(named()).toEqual([top]);
  });

  it("while it runs keeps the line that came", async () => {
    const queue = await opened(still);
    await many(queue, 250);
    await queue.keys.rotate();
    await eventually(async () => (await queue.keys.state()).former[0]?.messages === 50);
    await closed(queue);
    const again = await opened();
    const other = await putOnTop();
    again.keys.resume();
    await ended(again);
    const ids = await idsInFile();
    expect(ids[0]).toBe(other);
    expect(ids).toHaveLength(2);
  });

  it.each<[string, () => Promise<unknown>]>([
    ["and is gone", () => rm(keyFile)],
    ["and holds other keys", () => writeFile(keyFile, `${"cd".repeat(32)}\n`)],
    ["and is broken", () => writeFile(keyFile, "nonsense\n")],
    ["and may be read by others", () => chmod(keyFile, 0o644)],
  ])("%s is not rotated, and mail goes on", async (_, change) => {
    const queue = await opened();
    await change();
    const rotated = await queue.keys.rotate();
    expect(rotated).toMatchObject({ kind: "failed", detail: expect.stringContaining(keyFile) });
    const { facts } = await put(queue);
    expect((await bodyOf(queue, facts.id)).length).toBeGreaterThan(0);
    expect((await queue.keys.state()).running).toBe(false);
  });

  it.each([
    ["the same key twice", (line: string) => `${line}\n${line}\n`, "twice"],
    ["a line that is no key", (line: string) => `${line}\nnonsense\n`, "line 2"],
    ["an empty line", (line: string) => `${line}\n\n${"ab".repeat(32)}\n`, "line 2"],
    ["far too many keys", (line: string) => `${line}\n`.repeat(20), "nothing else"],
  ])("to hold %s stops the start", async (_, change, said) => {
    await closed(await opened());
    const [line = ""] = await linesOf();
    await writeFile(keyFile, change(line));
    const error = await refusal();
    expect([error.kind, error.message]).toEqual(["key-malformed", expect.stringContaining(said)]);
    expect(error.message).not.toContain(line);
  });

  it("in base64 and with other line ends is a ring, too", async () => {
    await closed(await opened());
    const [line = ""] = await linesOf();
    const other = randomBytes(32).toString("base64");
    await mkdir(join(keyFile, ".."), { recursive: true });
    await writeFile(keyFile, `${Buffer.from(line, "hex").toString("base64")}\r\n${other}\r\n`);
    const queue = await opened();
    queue.keys.resume();
    await ended(queue);
    expect(await linesOf()).toHaveLength(1);
  });
});
