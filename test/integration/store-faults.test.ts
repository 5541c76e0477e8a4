/** The SQLite engine on a disk that is full or fails, and its recovery. */
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Disk, nodeDisk, type WritableFile } from "../../src/store/disk.ts";
import type { QueueStore } from "../../src/store/queue.ts";
import { bodyOf, eventually, newId, prepare, put } from "../contract/messages.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";
import { failure } from "../unit/store/fake-disk.ts";

let store: SqliteStore;
let queue: QueueStore;
let fail: { step: "append" | "datasync" | "syncFolder" | "create"; code: string } | undefined;
let free: number;

/** The real disk, but for what it is told to fail at. */
const disk: Disk = {
  ...nodeDisk,
  create: async (path) => {
    stumble("create");
    const file = await nodeDisk.create(path);
    const wrapped: WritableFile = {
      append: async (parts) => {
        stumble("append");
        await file.append(parts);
      },
      datasync: async () => {
        stumble("datasync");
        await file.datasync();
      },
      close: file.close,
    };
    return wrapped;
  },
  syncFolder: async (folder) => {
    stumble("syncFolder");
    await nodeDisk.syncFolder(folder);
  },
  freeBytes: async () => free,
};

function stumble(step: string): void {
  if (fail?.step === step) throw failure(fail.code);
}

beforeEach(async () => {
  fail = undefined;
  free = 1e12;
  store = await sqliteStore();
  queue = await store.open({ disk, settings: { ...store.settings, reserve: 1_000_000 } });
});
afterEach(async () => {
  await queue.close();
  await store.destroy();
});

const files = (): Promise<string[]> => readdir(join(store.settings.dataDir, "bodies"));

it.each([
  ["create", "ENOSPC", "no-space"],
  ["append", "ENOSPC", "no-space"],
  ["append", "EIO", "failed"],
  ["datasync", "EIO", "failed"],
  ["syncFolder", "EIO", "failed"],
] as const)(
  "a large body whose %s fails with %s is refused as %s; the store recovers by itself",
  async (step, code, kind) => {
    fail = { step, code };
    const spool = queue.openSpool(newId());
    const taking = (async () => {
      for (let at = 0; at < 10; at += 1) await spool.write(randomBytes(64_000));
      await spool.end();
    })();
    await expect(taking).rejects.toMatchObject({ name: "StoreError", kind });
    await spool.discard();
    expect(await files()).toEqual([]);
    if (kind === "failed") expect(queue.usable()).toBe(false);
    fail = undefined;
    await eventually(() => queue.usable());
    const { facts } = await put(queue, { body: randomBytes(300_000) });
    expect((await bodyOf(queue, facts.id)).length).toBe(300_000);
  },
);

it("below the reserve new mail is refused without a trace, endings and their notices are stored, and space that returns is found", async () => {
  const { facts } = await put(queue, { state: "leased" });
  const body = randomBytes(300_000);
  const late = await prepare(queue, { body });
  expect(await files()).toHaveLength(1);
  free = 999_999;
  // The figure may be a second old.
  await eventually(() => !queue.usable());
  expect(queue.full()).toBe(true);
  await expect(queue.enqueue(late)).rejects.toMatchObject({ name: "StoreError", kind: "no-space" });
  expect(await files()).toEqual([]);
  await expect(put(queue)).rejects.toMatchObject({ kind: "no-space" });
  const notice = await prepare(queue, { sender: "", recipients: ["alice@inside.test"] });
  const ended = [{ position: 0, end: "failed" as const }];
  expect(await queue.complete({ deliveryId: `${facts.id}-0`, ended, counts: true, notices: [notice] })).toHaveLength(1);
  expect((await queue.stats()).messages).toBe(1);
  free = 1e12;
  await eventually(() => queue.usable());
  expect(queue.full()).toBe(false);
  await put(queue, { body });
  expect((await queue.stats()).messages).toBe(2);
});

it("a message whose row cannot be stored leaves no body file", async () => {
  const first = await put(queue);
  const large = await prepare(queue, { body: randomBytes(300_000) });
  expect(await files()).toHaveLength(1);
  const deliveries = large.deliveries.map((delivery) => ({ ...delivery, id: `${first.facts.id}-0` }));
  await expect(queue.enqueue({ ...large, deliveries })).rejects.toMatchObject({ name: "StoreError", kind: "failed" });
  expect(await files()).toEqual([]);
  expect((await queue.stats()).messages).toBe(1);
  expect(queue.usable()).toBe(true);
});

it("after close every call is refused as failed, and nothing hangs", async () => {
  const waiting = await prepare(queue);
  await Promise.all([queue.close(), queue.close()]);
  await expect(queue.enqueue(waiting)).rejects.toMatchObject({ kind: "failed" });
  await expect(queue.stats()).rejects.toMatchObject({ kind: "failed" });
  expect(queue.usable()).toBe(false);
});

it("calls made just before close are still answered", async () => {
  const prepared = await Promise.all(Array.from({ length: 10 }, () => prepare(queue)));
  const storing = prepared.map((message) => queue.enqueue(message));
  await queue.close();
  await Promise.all(storing);
  queue = await store.open();
  expect((await queue.stats()).messages).toBe(10);
});
