/** The embedded engine keeps the contract of the history; and on its disk nobody can read it. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import type { HistoryStore } from "../../src/store/history.ts";
import { accepted, historyContract, tried } from "./history-contract.ts";
import { put } from "./messages.ts";
import { holding } from "./raw-files.ts";
import { type SqliteStore, sqliteStore } from "./sqlite-store.ts";

async function opened(store: SqliteStore, use: (history: HistoryStore) => Promise<void>): Promise<void> {
  const queue = await store.open();
  try {
    await use(queue.history);
  } finally {
    await queue.close();
  }
}

async function withStore(use: (store: SqliteStore) => Promise<void>): Promise<void> {
  const store = await sqliteStore();
  try {
    await use(store);
  } finally {
    await store.destroy();
  }
}

historyContract((test) => withStore((store) => opened(store, test)));

const twice = (
  first: (history: HistoryStore) => Promise<void>,
  look: (folder: string, history: HistoryStore) => Promise<void>,
): Promise<void> =>
  withStore(async (store) => {
    await opened(store, first);
    await opened(store, (history) => look(store.folder, history));
  });

it("is sealed on the disk, and there after a restart", () =>
  twice(
    (history) => history.add([accepted(), tried()]),
    async (folder, history) => {
      for (const text of ["bea@acme.example", "no such user", "Anna"]) expect(holding(folder, text)).toEqual([]);
      expect(await history.find({ found: "bea@acme.example" }, 10)).toHaveLength(2);
    },
  ));

it("leaves nothing of an entry that an address was erased from: neither in the database nor in its log", async () => {
  const store = await sqliteStore();
  const queue = await store.open();
  try {
    await queue.history.add([accepted(), tried(), accepted({ queueId: "f".repeat(32), found: ["x@y.example"] })]);
    const sealed = sealedOf(store.settings.dataDir);
    expect(sealed).toHaveLength(3);
    for (const one of sealed) expect(holding(store.folder, one).length).toBeGreaterThan(0);
    expect(await queue.history.erase("bea@acme.example")).toBe(2);
    const [first, second, third] = sealed as [Buffer, Buffer, Buffer];
    expect([holding(store.folder, first), holding(store.folder, second)]).toEqual([[], []]);
    expect(holding(store.folder, third)).toEqual(["data/queue.db"]);
    expect(holding(store.folder, "bea@acme.example")).toEqual([]);
    await queue.history.forget(10_000);
    await queue.history.erase("nobody@acme.example"); // empties the log
    expect(holding(store.folder, third)).toEqual([]);
  } finally {
    await queue.close();
    await store.destroy();
  }
});

it("shows and counts no entry that was changed or moved on the disk, and all others", async () => {
  const store = await sqliteStore();
  const first = await store.open();
  await first.history.add([
    accepted(),
    tried({ at: 2_000, wouldDefer: "certificate-expired" }),
    tried({ at: 3_000 }),
    tried({ at: 4_000 }),
  ]);
  await first.close();
  const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"));
  database.exec("UPDATE history SET would_defer = 'dns-failed' WHERE at = 2000");
  database.exec("UPDATE history SET sealed = (SELECT sealed FROM history WHERE at = 4000) WHERE at = 3000");
  database.close();
  const queue = await store.open();
  expect((await queue.history.find({ found: "anna@example.org" }, 9)).map(({ at }) => at)).toEqual([1_000, 4_000]);
  // Whether an address is in what cannot be opened nobody can say.
  expect(await queue.history.erase("bea@acme.example")).toBe(4);
  await queue.close();
  await store.destroy();
});

it("takes no disk that is reserved for mail", async () => {
  const store = await sqliteStore();
  const settings = { ...store.settings, reserve: Number.MAX_SAFE_INTEGER };
  const queue = await store.open({ settings });
  await expect(queue.history.add([accepted()])).rejects.toMatchObject({ name: "StoreError", kind: "no-space" });
  expect(await queue.history.find({ found: "anna@example.org" }, 9)).toEqual([]);
  await queue.close();
  await store.destroy();
});

it("that cannot be stored fails no mail that is stored with it", async () => {
  const store = await sqliteStore();
  const queue = await store.open();
  const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"));
  database.exec("DROP TABLE history_tag");
  database.close();
  const [history, ...mail] = await Promise.allSettled([
    queue.history.add([accepted()]),
    ...Array.from({ length: 20 }, () => put(queue)),
  ]);
  expect(history.status).toBe("rejected");
  expect(mail.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => "fulfilled"));
  expect(queue.usable()).toBe(true);
  await queue.close();
  await store.destroy();
});

/** Some octets of each entry, as they lie in the database. */
function sealedOf(dataDir: string): Buffer[] {
  const database = new DatabaseSync(join(dataDir, "queue.db"), { readOnly: true });
  const rows = database.prepare("SELECT sealed FROM history ORDER BY seq").all();
  database.close();
  return rows.map((row) => Buffer.from(row["sealed"] as Uint8Array).subarray(0, 40));
}
