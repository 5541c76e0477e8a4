/** The SQLite engine on a disk that is full or fails, and its recovery. */
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/runtime/clock.ts";
import { type Disk, nodeDisk, type WritableFile } from "../../src/store/disk.ts";
import type { QueueStore, SealedBody } from "../../src/store/queue.ts";
import { bodyOf, eventually, newId, prepare, prepareSeveral, put, putSeveral } from "../contract/messages.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";
import { failure } from "../unit/store/fake-disk.ts";

let store: SqliteStore;
let queue: QueueStore;
type Step = "append" | "datasync" | "syncFolder" | "create" | "open";
let fail: { step: Step; code: string } | undefined;
/** Each step lowers it; the one that makes it 0 fails with EIO. */
let countdown: number;
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
  open: async (path) => {
    stumble("open");
    const file = await nodeDisk.open(path);
    const read: typeof file.read = async (...what) => {
      stumble("open");
      return file.read(...what);
    };
    return { ...file, read };
  },
  freeBytes: async () => free,
};

function stumble(step: Step): void {
  if (fail?.step === step) throw failure(fail.code);
  countdown -= 1;
  if (countdown === 0) throw failure("EIO");
}

beforeEach(async () => {
  fail = undefined;
  countdown = Number.POSITIVE_INFINITY;
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

it("a message with several contents leaves no file when its row cannot be stored", async () => {
  const first = await put(queue);
  const sizes = [300_000, 200_000, 10];
  const several = await prepareSeveral(
    queue,
    sizes.map((size) => randomBytes(size)),
    [0, 1, 2, 0],
  );
  expect(await files()).toHaveLength(2);
  const deliveries = several.deliveries.map((delivery, at) =>
    at === 3 ? { ...delivery, id: `${first.facts.id}-0` } : delivery,
  );
  await expect(queue.enqueue({ ...several, deliveries })).rejects.toMatchObject({ kind: "failed" });
  expect(await files()).toEqual([]);
  expect((await queue.stats()).messages).toBe(1);
});

it("no call that fails while several contents are made leaves a file or a row, whichever it is", async () => {
  // The store's own look whether the disk works again would count, too: here it never comes.
  await queue.close();
  const clock = { ...systemClock, after: () => () => undefined };
  queue = await store.open({ disk, clock });
  const clear = randomBytes(200_000);
  const make = async (): Promise<void> => {
    const id = newId();
    const spools = [queue.openSpool(id, 0), queue.openSpool(id, 1)];
    try {
      const bodies: SealedBody[] = [];
      for (const spool of spools) {
        const base = bodies[0];
        const source: AsyncIterable<Buffer> | Buffer[] = base === undefined ? [clear] : await queue.reread(base);
        for await (const chunk of source) await spool.write(chunk);
        bodies.push(await spool.end());
      }
      const message = await prepareSeveral(queue, [Buffer.alloc(0)], [0, 0], { id });
      const contents = message.contents.map(({ header }, at) => ({ header, body: bodies[at] ?? unmade() }));
      await queue.enqueue({ ...message, contents });
    } finally {
      for (const spool of spools) await spool.discard();
    }
  };
  let failures = 0;
  for (; ; failures += 1) {
    countdown = failures + 1;
    const failed = await make().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failed === undefined) break;
    expect(failed).toMatchObject({ name: "StoreError", kind: "failed" });
    expect(await files()).toEqual([]);
    expect((await queue.stats()).messages).toBe(0);
  }
  // Twice create, append, datasync, syncFolder; once open and read.
  expect(failures).toBeGreaterThan(12);
  countdown = Number.POSITIVE_INFINITY;
  expect(await files()).toHaveLength(2);
  expect((await queue.stats()).messages).toBe(1);
});

function unmade(): never {
  throw new TypeError("The body was not made");
}

it("a message in doubt is forgotten when the database is open again, also where the first body that was made is not its own", async () => {
  await queue.close();
  const later: (() => void)[] = [];
  const clock = { ...systemClock, after: (_: number, run: () => void) => (later.push(run), () => undefined) };
  queue = await store.open({ clock });
  const sql = (text: string, ...values: string[]): void => {
    const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"), { timeout: 5_000 });
    database.prepare(text).run(...values);
    database.close();
  };
  const kept = await putSeveral(queue, [randomBytes(200_000), randomBytes(150_000)], [0, 1]);
  const message = await prepareSeveral(queue, [Buffer.alloc(0), randomBytes(200_000), randomBytes(300_000)], [2, 1]);
  const { id } = message.facts;
  sql("ALTER TABLE part RENAME TO away");
  await expect(queue.enqueue(message)).rejects.toMatchObject({ name: "InDoubt" });
  // As if it had been committed after all, and only the answer was lost.
  sql("ALTER TABLE away RENAME TO part");
  sql(
    `INSERT INTO message (id, received_at, size, body_length, filed, key_id, wrapped_key, facts, part)
     VALUES (?, 0, 0, 0, 1, (SELECT key_id FROM message LIMIT 1), x'00', x'00', 2)`,
    id,
  );
  expect(await files()).toEqual([kept.facts.id, `${kept.facts.id}.1`, `${id}.1`, `${id}.2`].toSorted());
  await eventually(() => later.splice(0).map((run) => run()).length === 0 && queue.usable());
  await eventually(async () => (await files()).length === 2);
  expect((await queue.stats()).messages).toBe(1);
  expect((await bodyOf(queue, kept.facts.id, 1)).length).toBe(150_000);
});

describe("recipients that move into another message", () => {
  const moved = { ended: [{ position: 0, end: "moved" as const }], counts: true };
  const states = async (): Promise<unknown[]> =>
    (await queue.list({})).map(({ delivery, state }) => [delivery.message.id, state]);

  it("stay where they are, held, when a disk step of the other fails, whichever it is; then go with it once", async () => {
    await queue.close();
    // The store's own look whether the disk works again would count, too: here it never comes.
    queue = await store.open({ disk, clock: { ...systemClock, after: () => () => undefined } });
    const { facts } = await put(queue);
    const deliveryId = `${facts.id}-0`;
    await queue.hold({});
    expect(await queue.seize({}, 1)).toHaveLength(1);
    let failures = 0;
    for (; ; failures += 1) {
      countdown = failures + 1;
      const id = newId();
      const failed = await prepare(queue, { id, body: randomBytes(200_000) })
        .then((message) => queue.complete({ ...moved, deliveryId, notices: [message] }))
        .then(
          () => undefined,
          (error: unknown) => error,
        );
      if (failed === undefined) break;
      expect(failed).toMatchObject({ name: "StoreError", kind: "failed" });
      expect(await states()).toEqual([[facts.id, "leased"]]);
    }
    expect(failures).toBeGreaterThan(3);
    countdown = Number.POSITIVE_INFINITY;
    const [[other] = []] = (await states()) as string[][];
    expect([await files(), (await bodyOf(queue, other ?? "")).length]).toEqual([[other], 200_000]);
  });

  it("stay leased when the database ends under the completion, and go once when it is made again", async () => {
    await queue.close();
    const later: (() => void)[] = [];
    const clock = { ...systemClock, after: (_: number, run: () => void) => (later.push(run), () => undefined) };
    queue = await store.open({ clock });
    const sql = (text: string): void => {
      const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"), { timeout: 5_000 });
      database.exec(text);
      database.close();
    };
    const { facts } = await put(queue);
    const deliveryId = `${facts.id}-0`;
    await queue.hold({});
    await queue.seize({}, 1);
    const bodies = [randomBytes(200_000), randomBytes(300)];
    sql("ALTER TABLE part RENAME TO away");
    const first = await prepareSeveral(queue, bodies, [0, 1]);
    await expect(queue.complete({ ...moved, deliveryId, notices: [first] })).rejects.toMatchObject({ name: "InDoubt" });
    sql("ALTER TABLE away RENAME TO part");
    await eventually(() => later.splice(0).map((run) => run()).length === 0 && queue.usable());
    expect(await states()).toEqual([[facts.id, "leased"]]);
    const second = await prepareSeveral(queue, bodies, [0, 1]);
    expect(await queue.complete({ ...moved, deliveryId, notices: [second] })).toEqual([
      { id: facts.id, recipients: [{ address: "erin@partner.test", end: "moved" }] },
    ]);
    expect(await queue.complete({ ...moved, deliveryId, notices: [await prepare(queue)] })).toEqual([]);
    expect(await states()).toEqual([0, 1].map(() => [second.facts.id, "waiting"]));
    await queue.close();
    queue = await store.open();
    expect(await files()).toEqual([second.facts.id]); // what the first left was swept
  });
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
