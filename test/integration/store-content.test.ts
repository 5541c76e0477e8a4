/** What the SQLite engine leaves on the disk, and what it does when somebody changes it there. */
import { randomBytes } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { QueueStore } from "../../src/store/queue.ts";
import { bodyOf, eventually, newId, NOW, prepare, put, putSeveral } from "../contract/messages.ts";
import { commitsInLog, holding, rawFiles } from "../contract/raw-files.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";

let store: SqliteStore;
let queue: QueueStore;
beforeEach(async () => {
  store = await sqliteStore();
  queue = await store.open();
});
afterEach(async () => {
  await queue.close();
  await store.destroy();
});

const reopen = async (): Promise<void> => {
  await queue.close();
  queue = await store.open();
};
const bodyFile = (id: string): string => join(store.settings.dataDir, "bodies", id);
function sql(text: string, ...values: (string | Uint8Array | null)[]): Record<string, unknown>[] {
  const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"), { timeout: 5_000 });
  try {
    return database.prepare(text).all(...values);
  } finally {
    database.close();
  }
}

it("nothing of a message is on the disk in clear, but what the design lists", async () => {
  const secret = "Geheimnis-7b1f";
  const small = Buffer.from(`${secret} small body\r\n`.repeat(50));
  const large = Buffer.from(`${secret} large body\r\n`.repeat(20_000));
  for (const body of [small, large]) {
    await put(queue, {
      body,
      subject: `${secret} subject`,
      sender: "alice.sender@inside-secret.test",
      recipients: ["erin.recipient@partner-clear.test"],
      messageId: `<${secret}@mid.test>`,
      partner: "partner-clear",
    });
  }
  await putSeveral(queue, [small, large, small], [0, 0, 1, 2], { subject: `${secret} subject` });
  const [claimed] = await queue.claim("partner-clear.test", NOW, 1);
  const next = {
    at: NOW + 1,
    reason: "smtp-4xx",
    detail: `450 ${secret} for erin.recipient@partner-clear.test`,
  } as const;
  const course = { route: { kind: "mx-of", domain: `${secret}.hidden.test` } } as const;
  await queue.complete({
    deliveryId: claimed?.id ?? "",
    ended: [],
    next,
    counts: true,
    notices: [],
    change: { course },
  });
  const found = (text: string): string[] => holding(store.settings.dataDir, text);
  for (const text of [
    secret,
    "alice.sender",
    "inside-secret",
    "erin.recipient",
    "Subject",
    "192.0.2.7",
    "client.inside",
  ])
    expect([text, found(text)]).toEqual([text, []]);
  // The search does see what is in clear: partner, domain and reason.
  expect(found("partner-clear.test").length).toBeGreaterThan(0);
  expect(found("smtp-4xx").length).toBeGreaterThan(0);
  await queue.close();
  expect(found(secret)).toEqual([]);
  expect(found("partner-clear.test")).toEqual(["queue.db"]);
});

it("soon after its delivery a message's wrapped key and sealed content are found nowhere", async () => {
  const dataDir = store.settings.dataDir;
  const messages = [];
  for (let at = 0; at < 20; at += 1) messages.push(await put(queue, { body: randomBytes(9_000), state: "leased" }));
  messages.push(await put(queue, { body: randomBytes(200_000), state: "leased" }));
  const several = await putSeveral(
    queue,
    [10_000, 11_000, 200_000].map((n) => randomBytes(n)),
    [0, 1, 1, 2],
    {
      state: "leased",
    },
  );
  const rows = [
    ...sql("SELECT wrapped_key, facts, header, body FROM message JOIN content ON message = seq"),
    ...sql("SELECT header FROM variant"),
    ...sql("SELECT wrapped_key, body FROM part"),
  ];
  const octets = rows.flatMap((row) => Object.values(row).filter((value) => value instanceof Uint8Array));
  expect(octets).toHaveLength(21 * 4 - 1 + 4 + 3 + 3);
  const probes = octets.map((bytes) => Buffer.from(bytes.subarray(0, 40)));
  const left = (): number => {
    const files = [...rawFiles(dataDir).values()];
    return probes.filter((probe) => files.some((bytes) => bytes.includes(probe))).length;
  };
  expect(left()).toBe(probes.length);
  const bystander = await put(queue, { body: randomBytes(9_000) });
  for (const { facts, deliveries } of [...messages, several]) {
    for (const { id, positions } of deliveries) {
      const ended = positions.map((position) => ({ position, end: "delivered" as const }));
      await queue.complete({ deliveryId: id, ended, counts: true, notices: [] });
    }
    await expect(queue.header(facts.id, 0)).rejects.toMatchObject({ kind: "failed" });
  }
  await eventually(() => left() === 0, 10_000);
  expect((await bodyOf(queue, bystander.facts.id)).length).toBe(9_000);
  await queue.close();
  expect(left()).toBe(0);
  expect([...rawFiles(join(dataDir, "bodies")).keys()]).toEqual([]);
});

it("messages that arrive at once are committed in groups", async () => {
  const prepared = await Promise.all(Array.from({ length: 64 }, () => prepare(queue)));
  await queue.enqueue(await prepare(queue));
  const commits = (): number => commitsInLog(rawFiles(store.settings.dataDir).get("queue.db-wal") ?? Buffer.alloc(32));
  const before = commits();
  // While somebody else writes, they gather.
  const other = new DatabaseSync(join(store.settings.dataDir, "queue.db"));
  other.exec("BEGIN IMMEDIATE");
  const storing = prepared.map((message) => queue.enqueue(message));
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  other.exec("ROLLBACK");
  other.close();
  await Promise.all(storing);
  const grouped = commits() - before;
  expect(grouped).toBeGreaterThan(0);
  expect(grouped).toBeLessThan(20);
  for (let at = 0; at < 5; at += 1) await put(queue);
  expect(commits() - before - grouped).toBe(5);
});

describe("a changed octet", () => {
  const flip = (bytes: Uint8Array): Uint8Array =>
    bytes.with(Math.trunc(bytes.length / 2), (bytes[bytes.length >> 1] ?? 0) ^ 1);
  function damage(column: "wrapped_key" | "facts" | "header" | "body", id: string): void {
    const table = column === "header" || column === "body" ? "content" : "message";
    const where = table === "content" ? "message = (SELECT seq FROM message WHERE id = ?)" : "id = ?";
    const bytes = sql(`SELECT ${column} AS bytes FROM ${table} WHERE ${where}`, id)[0]?.["bytes"] as Uint8Array;
    sql(`UPDATE ${table} SET ${column} = ? WHERE ${where}`, flip(bytes), id);
  }

  it.each(["header", "body"] as const)("in the %s is told when it is read; others are not touched", async (part) => {
    const [bad, good] = [await put(queue, { state: "leased" }), await put(queue)];
    damage(part, bad.facts.id);
    const read = (id: string): Promise<unknown> => (part === "header" ? queue.header(id, 0) : bodyOf(queue, id));
    await expect(read(bad.facts.id)).rejects.toMatchObject({ name: "StoreError", kind: "damaged" });
    await read(good.facts.id);
    await queue.park(`${bad.facts.id}-0`, "damaged");
    expect((await queue.claim("partner.test", NOW, 9)).map(({ message }) => message.id)).toEqual([good.facts.id]);
    expect((await queue.remove({ id: bad.facts.id })).map(({ id }) => id)).toEqual([bad.facts.id]);
  });

  it.each(["facts", "wrapped_key"] as const)(
    "in the %s parks the delivery when it is claimed; it is listed and can be removed",
    async (part) => {
      const found: unknown[] = [];
      await queue.close();
      queue = await store.open({ onDamaged: (what) => found.push(what) });
      const [bad, good] = [await put(queue), await put(queue)];
      damage(part, bad.facts.id);
      expect((await queue.claim("partner.test", NOW, 9)).map(({ message }) => message.id)).toEqual([good.facts.id]);
      expect(found).toEqual([{ messageId: bad.facts.id, deliveryId: `${bad.facts.id}-0` }]);
      const items = await queue.list({});
      expect(items.map(({ state }) => state)).toEqual(["parked", "leased"]);
      expect(items[0]?.delivery).toMatchObject({ id: `${bad.facts.id}-0`, domain: "partner.test", recipients: [] });
      expect(items[0]?.detail).toContain("fails authentication");
      expect(await queue.remove({ id: bad.facts.id })).toEqual([
        { id: bad.facts.id, recipients: [{ address: "", end: "removed" }] },
      ]);
    },
  );

  it("in the course of a delivery, or another's in its place, parks it, however it is leased; it can be removed", async () => {
    const messages = [await put(queue, { noticeAt: NOW, expiresAt: NOW }), await put(queue), await put(queue)];
    const ids = messages.map(({ facts }) => `${facts.id}-0`);
    const [bad = "", swapped = "", good = ""] = ids;
    for (const deliveryId of ids) {
      await queue.seize({ id: deliveryId }, 1);
      const change = { course: { delayNotices: 1 } };
      await queue.complete({ deliveryId, ended: [], counts: false, notices: [], change });
    }
    const courseOf = (id: string): Uint8Array =>
      sql("SELECT course FROM delivery WHERE id = ?", id)[0]?.["course"] as Uint8Array;
    sql("UPDATE delivery SET course = ? WHERE id = ?", flip(courseOf(bad)), bad);
    sql("UPDATE delivery SET course = ? WHERE id = ?", courseOf(good), swapped);
    for (const lease of [
      () => queue.claimNotices(NOW, 9),
      () => queue.claimExpired("partner.test", NOW, 9),
      () => queue.seize({ id: bad }, 9),
      () => queue.claim("partner.test", NOW, 1),
    ]) {
      await queue.retry({ id: bad }, NOW, true);
      expect(await lease()).toEqual([]);
      expect((await queue.list({ id: bad })).map(({ state }) => state)).toEqual(["parked"]);
    }
    // One that cannot be read hides none that can.
    expect((await queue.seize({}, 1)).map(({ id }) => id)).toEqual([good]);
    expect((await queue.list({})).map(({ state }) => state)).toEqual(["parked", "parked", "leased"]);
    expect(await queue.remove({})).toHaveLength(2);
  });

  it("of a delivery that could not be parked kept those claimed with it leased until the next start", async () => {
    const [bad, good, later] = [await put(queue), await put(queue), await put(queue, { at: NOW + 1 })];
    damage("facts", bad.facts.id);
    sql(`CREATE TRIGGER full BEFORE UPDATE ON delivery WHEN NEW.state = 'parked'
      BEGIN SELECT RAISE(ABORT, 'full'); END`);
    expect((await queue.claim("partner.test", NOW, 9)).map(({ message }) => message.id)).toEqual([good.facts.id]);
    sql("DROP TRIGGER full");
    await queue.claim("partner.test", NOW + 1, 9);
    const states = (await queue.list({})).map(({ delivery, state }) => [delivery.message.id, state]);
    expect(states).toEqual([
      [bad.facts.id, "parked"],
      [good.facts.id, "leased"],
      [later.facts.id, "leased"],
    ]);
  });

  it("in a body file, or another message's file in its place, is told when it is read", async () => {
    const clear = randomBytes(400_000);
    const ids: string[] = [];
    for (let at = 0; at < 5; at += 1) ids.push((await put(queue, { body: clear })).facts.id);
    const [flipped = "", cut = "", lost = "", swapped = "", good = ""] = ids;
    const bytes = await readFile(bodyFile(flipped));
    await writeFile(bodyFile(flipped), flip(bytes));
    await writeFile(bodyFile(cut), bytes.subarray(0, -70_000));
    await rm(bodyFile(lost));
    await rename(bodyFile(flipped), bodyFile(swapped));
    await writeFile(bodyFile(flipped), flip(bytes));
    for (const id of [flipped, cut, lost, swapped])
      await expect(bodyOf(queue, id)).rejects.toMatchObject({ kind: "damaged" });
    expect((await bodyOf(queue, good)).equals(clear)).toBe(true);
    expect(await queue.remove({ id: lost })).toHaveLength(1);
  });

  it("in one row given to another is told: nothing of one message passes for another's", async () => {
    const [one, two] = [await put(queue), await put(queue)];
    sql(
      `UPDATE content SET body = (SELECT body FROM content JOIN message ON seq = message WHERE id = ?)
       WHERE message = (SELECT seq FROM message WHERE id = ?)`,
      one.facts.id,
      two.facts.id,
    );
    expect((await bodyOf(queue, one.facts.id)).length).toBeGreaterThan(0);
    await expect(bodyOf(queue, two.facts.id)).rejects.toMatchObject({ kind: "damaged" });
  });
});

it("body files that no row names are swept at start, and no others", async () => {
  const kept = await put(queue, { body: randomBytes(200_000) });
  await queue.close();
  const orphan = newId();
  await writeFile(bodyFile(orphan), randomBytes(1_000));
  await writeFile(bodyFile("probe-0011"), randomBytes(1_000));
  queue = await store.open();
  expect([...rawFiles(join(store.settings.dataDir, "bodies")).keys()]).toEqual([kept.facts.id]);
  await reopen();
  expect((await bodyOf(queue, kept.facts.id)).length).toBe(200_000);
});
