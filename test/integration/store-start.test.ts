/** Starting: the key, and stores that must not be touched. */
import { chmod, copyFile, mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SCHEMA_VERSION } from "../../src/store/migrations/migrate.ts";
import type { StoreSettings } from "../../src/store/settings.ts";
import { StoreStartError } from "../../src/store/start-error.ts";
import { bodyOf, put } from "../contract/messages.ts";
import { snapshot } from "../contract/raw-files.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";

let store: SqliteStore;
let keyFile: string;
let dataDir: string;
beforeEach(async () => {
  store = await sqliteStore();
  ({ keyFile, dataDir } = store.settings);
});
afterEach(() => store.destroy());

async function filled(): Promise<string> {
  const queue = await store.open();
  const { facts } = await put(queue, { body: Buffer.alloc(200_000, 1) });
  await put(queue);
  await queue.close();
  return facts.id;
}

async function refusal(settings: Partial<StoreSettings> = {}): Promise<StoreStartError> {
  try {
    const queue = await store.open({ settings: { ...store.settings, ...settings } });
    await queue.close();
  } catch (error) {
    if (error instanceof StoreStartError) return error;
    throw error;
  }
  throw new Error("It started");
}

const keyIdOf = async (): Promise<string> =>
  (JSON.parse(await readFile(join(dataDir, "queue.id"), "utf8")) as { keyId: string }).keyId;

describe("the queue key", () => {
  it("is made once, for its owner only, when there is no store yet", async () => {
    await rm(dataDir, { recursive: true });
    const id = await filled();
    const key = await readFile(keyFile, "utf8");
    expect(key).toMatch(/^[0-9a-f]{64}\n$/);
    const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);
    expect([await mode(keyFile), await mode(join(keyFile, ".."))]).toEqual(["600", "700"]);
    for (const name of ["", "bodies"]) expect(await mode(join(dataDir, name))).toBe("700");
    for (const name of ["queue.db", "queue.id", `bodies/${id}`]) expect(await mode(join(dataDir, name))).toBe("600");
    const queue = await store.open();
    expect((await bodyOf(queue, id)).length).toBe(200_000);
    expect(await readFile(keyFile, "utf8")).toBe(key);
    await queue.close();
  });

  it("is read in base64, too", async () => {
    const id = await filled();
    const key = Buffer.from((await readFile(keyFile, "utf8")).trim(), "hex");
    await writeFile(keyFile, key.toString("base64"));
    const queue = await store.open();
    expect((await bodyOf(queue, id)).length).toBe(200_000);
    await queue.close();
  });

  it.each<[string, StoreStartError["kind"], () => Promise<unknown>]>([
    ["is missing", "key-missing", () => rm(keyFile)],
    ["is another", "key-wrong", () => writeFile(keyFile, `${"ab".repeat(32)}\n`)],
    ["is empty", "key-malformed", () => writeFile(keyFile, "")],
    ["is too short", "key-malformed", () => writeFile(keyFile, "ab".repeat(31))],
    ["has something beside it", "key-malformed", () => writeFile(keyFile, `${"ab".repeat(32)}\n# comment\n`)],
    ["is huge", "key-malformed", () => writeFile(keyFile, "a".repeat(100_000))],
    ["is raw octets", "key-malformed", () => writeFile(keyFile, Buffer.alloc(32, 200))],
    ["may be read by the group", "key-exposed", () => chmod(keyFile, 0o640)],
    ["may be read by all", "key-exposed", () => chmod(keyFile, 0o604)],
    ["may be written by the group", "key-exposed", () => chmod(keyFile, 0o620)],
    ["is a folder", "key-malformed", () => rm(keyFile).then(() => mkdir(keyFile))],
  ])("that %s stops the start, and the store is left octet by octet", async (_, kind, change) => {
    await filled();
    await change();
    const before = snapshot(dataDir);
    const error = await refusal();
    expect([error.kind, error.message]).toEqual([kind, expect.stringContaining(keyFile)]);
    expect(snapshot(dataDir)).toEqual(before);
    expect(before.some((line) => line.startsWith("queue.db "))).toBe(true);
  });

  it("of another store, swapped in, is named beside the one that is wanted", async () => {
    const other = await sqliteStore();
    await (await other.open()).close();
    await filled();
    const wanted = await keyIdOf();
    await copyFile(other.settings.keyFile, keyFile);
    const before = snapshot(dataDir);
    const error = await refusal();
    const found = JSON.parse(await readFile(join(other.settings.dataDir, "queue.id"), "utf8")) as { keyId: string };
    expect(error.kind).toBe("key-wrong");
    for (const part of [wanted, found.keyId, keyFile]) expect(error.message).toContain(part);
    expect(wanted).toMatch(/^[0-9a-f]{16}$/);
    expect(snapshot(dataDir)).toEqual(before);
    await other.destroy();
  });

  it("that is missing is named, and no new one is made", async () => {
    await filled();
    await rm(keyFile);
    expect((await refusal()).message).toContain(await keyIdOf());
    await expect(stat(keyFile)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it.each([
    [0o600, false, true],
    [0o400, false, true],
    [0o640, true, true],
    [0o440, true, true],
    [0o660, true, false],
    [0o644, true, false],
  ])("of mode %o with allowGroupRead %s starts: %s", async (mode, allowGroupRead, starts) => {
    await filled();
    await chmod(keyFile, mode);
    const settings = { ...store.settings, allowGroupRead };
    const started = await store.open({ settings }).then(
      (queue) => queue.close().then(() => true),
      () => false,
    );
    expect(started).toBe(starts);
  });

  it("is refused below data_dir, also behind a link or when it is still to be made", async () => {
    expect((await refusal({ keyFile: join(dataDir, "queue.key") })).kind).toBe("key-below-data-dir");
    expect((await refusal({ keyFile: join(dataDir, "new", "queue.key") })).kind).toBe("key-below-data-dir");
    const link = join(store.folder, "link");
    await symlink(dataDir, link);
    expect((await refusal({ keyFile: join(link, "queue.key") })).kind).toBe("key-below-data-dir");
    await writeFile(join(dataDir, "hidden.key"), "ab".repeat(32), { mode: 0o600 });
    await symlink(join(dataDir, "hidden.key"), join(store.folder, "queue.key"));
    expect((await refusal({ keyFile: join(store.folder, "queue.key") })).kind).toBe("key-below-data-dir");
    expect((await refusal({ keyFile: `${dataDir}/../data/q.key` })).kind).toBe("key-below-data-dir");
    await (await store.open({ settings: { ...store.settings, keyFile: `${dataDir}.key` } })).close();
  });

  it("is checked against the database when queue.id is lost, and queue.id is written again", async () => {
    await filled();
    const identity = await readFile(join(dataDir, "queue.id"), "utf8");
    const key = await readFile(keyFile, "utf8");
    await rm(join(dataDir, "queue.id"));
    await writeFile(keyFile, "cd".repeat(32));
    expect((await refusal()).kind).toBe("key-wrong");
    await rm(keyFile);
    expect((await refusal()).kind).toBe("key-missing");
    await writeFile(keyFile, key, { mode: 0o600 });
    await (await store.open()).close();
    expect(await readFile(join(dataDir, "queue.id"), "utf8")).toBe(identity);
  });
});

describe("a store that this program cannot open", () => {
  it("because a newer one wrote it, is left as it is", async () => {
    await filled();
    await writeFile(
      join(dataDir, "queue.id"),
      JSON.stringify({ schema: SCHEMA_VERSION + 1, keyId: await keyIdOf() }).concat("\n"),
    );
    const before = snapshot(dataDir);
    expect((await refusal()).kind).toBe("newer-schema");
    expect(snapshot(dataDir)).toEqual(before);
  });

  it("because a newer one wrote it, is recognised without queue.id, too", async () => {
    await filled();
    await rm(join(dataDir, "queue.id"));
    const database = new DatabaseSync(join(dataDir, "queue.db"));
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    database.close();
    expect((await refusal()).kind).toBe("newer-schema");
  });

  it("because the database is gone, keeps its bodies", async () => {
    const id = await filled();
    await rm(join(dataDir, "queue.db"));
    expect((await refusal()).kind).toBe("database-missing");
    await stat(join(dataDir, "bodies", id));
  });

  it("because its database is none, says so", async () => {
    await filled();
    await writeFile(join(dataDir, "queue.db"), Buffer.alloc(8192, 7));
    const error = await refusal();
    expect([error.kind, error.message]).toEqual(["cannot-open", expect.stringContaining("queue.db")]);
  });

  it("because data_dir is a file, says so", async () => {
    await rm(dataDir, { recursive: true });
    await writeFile(dataDir, "");
    expect((await refusal()).kind).toBe("cannot-open");
  });
});
