/** Several contents of one message as the SQLite engine keeps them on the disk, and what it does when they are exchanged there. */
import { randomBytes } from "node:crypto";
import { copyFile, readdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RECORD_BYTES, TAG_BYTES } from "../../src/store/seal.ts";
import type { EmbeddedStore } from "../../src/store/sqlite-queue.ts";
import { bodyOf, newId, NOW, prepareSeveral, put, putSeveral, spoolBody, wholeOf } from "../contract/messages.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";

let store: SqliteStore;
let queue: EmbeddedStore;
beforeEach(async () => {
  store = await sqliteStore();
  queue = await store.open();
});
afterEach(async () => {
  await queue.close();
  await store.destroy();
});

const bodies = (...name: string[]): string => join(store.settings.dataDir, "bodies", ...name);
const files = async (): Promise<string[]> => (await readdir(bodies())).toSorted();
function sql(text: string, ...values: (string | number | Uint8Array)[]): Record<string, unknown>[] {
  const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"), { timeout: 5_000 });
  try {
    return database.prepare(text).all(...values);
  } finally {
    database.close();
  }
}
const sealedLength = (clear: number): number => clear + Math.ceil(clear / RECORD_BYTES) * TAG_BYTES;
const complete = async (id: string, position: number): Promise<void> => {
  const ended = [{ position, end: "delivered" as const }];
  await queue.complete({ deliveryId: `${id}-${position}`, ended, counts: true, notices: [] });
};

/** A row of a message: of `message` or `content`, or with a number. */
type Place = readonly [table: "message" | "content"] | readonly [table: "variant" | "part", number: number];
function placeOf([table, number]: Place): string {
  if (table === "message") return "id = ?1";
  return `message = (SELECT seq FROM message WHERE id = ?1)${number === undefined ? "" : ` AND number = ${number}`}`;
}
function exchange(id: string, column: string, a: Place, b: Place): void {
  const [inA, inB] = [a, b].map((place) => {
    const [row] = sql(`SELECT ${column} AS value FROM ${place[0]} WHERE ${placeOf(place)}`, id);
    return row?.["value"] as Uint8Array | number;
  }) as [Uint8Array | number, Uint8Array | number];
  expect(inA).not.toEqual(inB);
  sql(`UPDATE ${a[0]} SET ${column} = ?2 WHERE ${placeOf(a)}`, id, inB);
  sql(`UPDATE ${b[0]} SET ${column} = ?2 WHERE ${placeOf(b)}`, id, inA);
}

describe("a body that several contents share", () => {
  it("lies on the disk once, large: one file, and nothing of it in the database", async () => {
    const size = 5_000_000;
    const { facts } = await putSeveral(queue, [randomBytes(size)], [0, 0, 0]);
    expect(await files()).toEqual([facts.id]);
    expect((await stat(bodies(facts.id))).size).toBe(sealedLength(size));
    await queue.close();
    expect((await stat(join(store.settings.dataDir, "queue.db"))).size).toBeLessThan(300_000);
    queue = await store.open();
    expect((await bodyOf(queue, facts.id, 2)).length).toBe(size);
  });
  it("and small: one row", async () => {
    await putSeveral(queue, [randomBytes(100_000)], [0, 0, 0, 0]);
    expect(sql("SELECT length(body) AS octets FROM content")).toEqual([{ octets: sealedLength(100_000) }]);
    expect(sql("SELECT count(*) AS n FROM part")).toEqual([{ n: 0 }]);
    expect(sql("SELECT count(*) AS n FROM variant")).toEqual([{ n: 3 }]);
  });
  it("a message with one content has no row more than before", async () => {
    await put(queue);
    for (const table of ["part", "variant"]) expect(sql(`SELECT count(*) AS n FROM ${table}`)).toEqual([{ n: 0 }]);
  });
});

describe("the files of several bodies", () => {
  it("bear the message's id and, from the second on, a number; they go with the last delivery, together", async () => {
    const { facts } = await putSeveral(
      queue,
      [200_000, 300_000, 400, 140_000].map((size) => randomBytes(size)),
      [0, 1, 2, 3],
      {
        state: "leased",
      },
    );
    const other = await put(queue, { body: randomBytes(200_000) });
    const own = [facts.id, `${facts.id}.1`, `${facts.id}.3`];
    for (const position of [0, 1, 2]) {
      await complete(facts.id, position);
      expect(await files()).toEqual([...own, other.facts.id].toSorted());
    }
    await complete(facts.id, 3);
    expect(await files()).toEqual([other.facts.id]);
  });
  it("go when the message is removed", async () => {
    const { facts } = await putSeveral(queue, [randomBytes(200_000), randomBytes(300_000)], [0, 1]);
    expect(await files()).toHaveLength(2);
    await queue.remove({ id: facts.id });
    expect(await files()).toEqual([]);
  });
  it("go when they were made and are not stored", async () => {
    const id = newId();
    const base = queue.openSpool(id);
    await base.write(randomBytes(300_000));
    const sealed = await base.end();
    const made = await spoolBody(queue, id, randomBytes(200_000), 64_000, 1);
    expect(await files()).toEqual([id, `${id}.1`]);
    const other = await prepareSeveral(queue, [Buffer.alloc(0)], [0]);
    const contents = other.contents.map(({ header }) => ({ header, body: made }));
    const deliveries = other.deliveries.map((one) => ({ ...one, id: `${id}-0` }));
    const reading = await queue.reread(sealed);
    await queue.enqueue({ facts: { ...other.facts, id }, contents, deliveries });
    await base.discard();
    expect(await files()).toEqual([`${id}.1`]);
    expect((await bodyOf(queue, id)).length).toBe(200_000);
    // Whoever still reads it gets it whole or an error, never a part of it.
    const read = await wholeOf(reading).then(
      (bytes) => bytes.length,
      (error: { kind?: string }) => error.kind,
    );
    expect([300_000, "damaged"]).toContain(read);
    await complete(id, 0);
  });
  it("are known at start: those that no row names are swept, all others stay", async () => {
    const sizes = [200_000, 300_000, 140_000];
    const { facts } = await putSeveral(
      queue,
      sizes.map((size) => randomBytes(size)),
      [2, 1],
    );
    await queue.close();
    const own = [`${facts.id}.1`, `${facts.id}.2`];
    for (const name of [`${facts.id}.3`, newId(), `${newId()}.1`]) await writeFile(bodies(name), randomBytes(10));
    queue = await store.open();
    expect(await files()).toEqual(own);
    expect((await bodyOf(queue, facts.id, 0)).length).toBe(140_000);
    expect((await bodyOf(queue, facts.id, 1)).length).toBe(300_000);
  });
});

describe("two contents of one message exchanged on the disk", () => {
  const clear = [6_000, 6_000, 6_000].map((size) => randomBytes(size));
  const damaged = { name: "StoreError", kind: "damaged" };
  // Contents 0 and 1 share body 0; 2 and 3 have bodies 1 and 2.
  const of = [0, 0, 1, 2];
  type Exchange = readonly [column: string, a: Place, b: Place];
  const [variant1, variant2, variant3] = [1, 2, 3].map((number): Place => ["variant", number]) as [Place, Place, Place];
  const [part1, part2]: [Place, Place] = [
    ["part", 1],
    ["part", 2],
  ];
  const content: Place = ["content"];
  const message: Place = ["message"];

  it.each<[string, readonly Exchange[], number[], number[]]>([
    ["headers of bodies of their own", [["header", variant2, variant3]], [2, 3], [2, 3]],
    ["headers that share a body with none", [["header", variant1, variant2]], [1, 2], [1, 2]],
    ["the first header and one of the same body", [["header", content, variant1]], [0, 1], [0, 1]],
    [
      "headers with the bodies that they name",
      [
        ["header", variant1, variant2],
        ["part", variant1, variant2],
      ],
      [1, 2],
      [1, 2],
    ],
    ["the bodies that contents name", [["part", variant2, variant3]], [2, 3], [2, 3]],
    ["a body of its own and the one in clear", [["part", variant1, variant2]], [1, 2], [1, 2]],
    ["sealed bodies", [["body", part1, part2]], [], [2, 3]],
    [
      "sealed bodies with their keys",
      [
        ["body", part1, part2],
        ["wrapped_key", part1, part2],
      ],
      [],
      [2, 3],
    ],
    ["the first body and another", [["body", content, part1]], [], [0, 1, 2]],
    [
      "the first body and another with their keys",
      [
        ["body", content, part1],
        ["wrapped_key", message, part1],
      ],
      [0, 1, 2, 3],
      [0, 1, 2, 3],
    ],
  ])("%s, are told when they are read", async (_, exchanges, headers, damagedBodies) => {
    const { facts } = await putSeveral(queue, clear, of);
    const bystander = await putSeveral(queue, clear, of);
    for (const [column, a, b] of exchanges) exchange(facts.id, column, a, b);
    for (const number of of.keys()) {
      const header = queue.header(facts.id, number);
      if (headers.includes(number)) await expect(header).rejects.toMatchObject(damaged);
      else expect((await header).toString()).toBe(`Subject: content ${number}\r\n\r\n`);
      const body = bodyOf(queue, facts.id, number);
      if (damagedBodies.includes(number)) await expect(body).rejects.toMatchObject(damaged);
      else expect((await body).equals(clear[of[number] ?? 9] ?? Buffer.of(1))).toBe(true);
      expect((await bodyOf(queue, bystander.facts.id, number)).length).toBe(6_000);
    }
    expect((await queue.remove({ id: facts.id })).map(({ id }) => id)).toEqual([facts.id]);
  });

  it("a whole body with its key and number in the place of the first is told, too", async () => {
    const { facts } = await putSeveral(queue, clear, of);
    exchange(facts.id, "body", content, part1);
    exchange(facts.id, "wrapped_key", message, part1);
    sql(`UPDATE part SET number = 0 WHERE ${placeOf(part1)}`, facts.id);
    sql(`UPDATE message SET part = 1 WHERE ${placeOf(message)}`, facts.id);
    for (const number of of.keys()) await expect(bodyOf(queue, facts.id, number)).rejects.toMatchObject(damaged);
    expect(await queue.claim("d0.test", NOW, 1)).toEqual([]);
  });

  it("a body that is gone is told as damaged, too", async () => {
    const { facts } = await putSeveral(queue, clear, of);
    sql(`DELETE FROM part WHERE ${placeOf(part1)}`, facts.id);
    await expect(bodyOf(queue, facts.id, 2)).rejects.toMatchObject(damaged);
    expect((await bodyOf(queue, facts.id, 3)).length).toBe(6_000);
  });

  it("body files, are told when they are read", async () => {
    const large = [300_000, 300_000, 300_000].map((size) => randomBytes(size));
    const { facts } = await putSeveral(queue, large, [0, 1, 2]);
    await rename(bodies(facts.id), bodies("kept"));
    await copyFile(bodies(`${facts.id}.1`), bodies(facts.id));
    await rename(bodies("kept"), bodies(`${facts.id}.1`));
    for (const number of [0, 1]) await expect(bodyOf(queue, facts.id, number)).rejects.toMatchObject(damaged);
    expect((await bodyOf(queue, facts.id, 2)).equals(large[2] ?? Buffer.of(1))).toBe(true);
  });

  it.each<[string, string, Place, number[], number[]]>([
    ["a header", "header", variant2, [2], [2]],
    ["a body", "body", part1, [], [2]],
    ["a body's key", "wrapped_key", part1, [], [2]],
    ["the message's key", "wrapped_key", message, of.map((_, at) => at), of.map((_, at) => at)],
  ])("a changed octet in %s is told by whom it concerns", async (_, column, place, headers, damagedBodies) => {
    const { facts } = await putSeveral(queue, clear, of);
    const [row] = sql(`SELECT ${column} AS value FROM ${place[0]} WHERE ${placeOf(place)}`, facts.id);
    const changed = Buffer.from(row?.["value"] as Uint8Array);
    changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
    sql(`UPDATE ${place[0]} SET ${column} = ?2 WHERE ${placeOf(place)}`, facts.id, changed);
    for (const number of of.keys()) {
      const [header, body] = await Promise.allSettled([
        queue.header(facts.id, number),
        bodyOf(queue, facts.id, number),
      ]);
      const told = { status: "rejected", reason: damaged };
      expect(header).toMatchObject(headers.includes(number) ? told : { status: "fulfilled" });
      expect(body).toMatchObject(damagedBodies.includes(number) ? told : { status: "fulfilled" });
    }
  });

  it("the content that a delivery names, parks it: nobody gets what was sealed for another", async () => {
    const found: unknown[] = [];
    await queue.close();
    queue = await store.open({ onDamaged: (what) => found.push(what) });
    const { facts } = await putSeveral(queue, clear, of);
    for (const number of [0, 99, -1]) {
      sql("UPDATE delivery SET content = ? WHERE id = ?", number, `${facts.id}-2`);
      sql("UPDATE delivery SET state = 'waiting' WHERE id = ?", `${facts.id}-2`);
      expect(await queue.claim("d2.test", NOW, 1)).toEqual([]);
    }
    expect(found).toEqual(Array.from({ length: 3 }, () => ({ messageId: facts.id, deliveryId: `${facts.id}-2` })));
    expect((await queue.list({ id: `${facts.id}-2` }))[0]).toMatchObject({
      state: "parked",
      delivery: { recipients: [] },
    });
    expect(await queue.claim("d3.test", NOW, 1)).toHaveLength(1);
  });

  it("where a delivery goes, or with whose content, parks it: nothing leaves for a server that is not its recipients'", async () => {
    const { facts } = await putSeveral(queue, clear, of);
    sql("UPDATE delivery SET domain = 'attacker.test', lane = 'attacker.test' WHERE id = ?", `${facts.id}-0`);
    sql("UPDATE delivery SET content = 0, positions = '[0]' WHERE id = ?", `${facts.id}-2`);
    for (const domain of ["attacker.test", "d2.test"]) expect(await queue.claim(domain, NOW, 1)).toEqual([]);
    const states = (await queue.list({ id: facts.id })).map(({ state }) => state);
    expect(states).toEqual(["parked", "waiting", "parked", "waiting"]);
  });
});
