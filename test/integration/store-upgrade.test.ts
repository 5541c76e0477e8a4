/**
 * Queues of schema 2 and 3, as former programs left them, are upgraded and their mail read whole. What those programs
 * sealed is sealed here by hand: the seal's own code must not vouch for itself.
 */
import { createCipheriv, createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, it } from "vitest";
import { queueSchema } from "../../src/store/migrations/0001-queue.ts";
import { stsPolicySchema } from "../../src/store/migrations/0002-sts-policy.ts";
import { contentsSchema } from "../../src/store/migrations/0003-contents.ts";
import { SCHEMA_VERSION } from "../../src/store/migrations/migrate.ts";
import { bodyOf, eventually, mailbox, newId, NOW, putSeveral } from "../contract/messages.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";

const RECORD = 65_536;
const secret = randomBytes(32);
const keyId = createHash("sha256").update("sealpost queue key id\0").update(secret).digest("hex").slice(0, 16);
const derived = (label: string): Buffer => Buffer.from(hkdfSync("sha256", secret, Buffer.alloc(0), label, 32));

let store: SqliteStore;
beforeEach(async () => {
  store = await sqliteStore();
});
afterEach(() => store.destroy());

function sealed(key: Buffer, nonce: Buffer, aad: string, clear: Buffer): Buffer {
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(aad));
  return Buffer.concat([cipher.update(clear), cipher.final(), cipher.getAuthTag()]);
}

function counting(stream: number, record: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce[0] = stream;
  nonce.writeUInt32BE(record, 8);
  return nonce;
}

interface Former {
  readonly id: string;
  readonly header: Buffer;
  readonly body: Buffer;
  readonly facts: { readonly size: number };
}

function sealedFormerly({ id, header, body, facts }: Former) {
  const key = randomBytes(32);
  const nonce = randomBytes(12);
  const count = Math.max(1, Math.ceil(body.length / RECORD));
  const records = Array.from({ length: count }, (_, at) => {
    const aad = `${id} body ${at} ${at === count - 1 ? "last" : "more"}`;
    return sealed(key, counting(3, at), aad, body.subarray(at * RECORD, (at + 1) * RECORD));
  });
  const detailNonce = randomBytes(12);
  detailNonce[0] = 4;
  return {
    wrapped: Buffer.concat([nonce, sealed(derived("sealpost message key wrapping"), nonce, `message key ${id}`, key)]),
    facts: sealed(key, counting(1, 0), `${id} facts 0 last`, Buffer.from(JSON.stringify(facts))),
    header: sealed(key, counting(2, 0), `${id} header 0 last`, header),
    body: Buffer.concat(records),
    detail: Buffer.concat([detailNonce, sealed(key, detailNonce, `${id} detail 0 last`, Buffer.from("450 later"))]),
  };
}

function former(size: number): Former {
  const id = newId();
  const header = Buffer.from("Subject: waits since the former version\r\n\r\n");
  const facts = {
    id,
    envelope: {
      reversePath: mailbox("alice@inside.test"),
      mail: { body: "8BITMIME", smtpUtf8: false, requireTls: false },
      recipients: [{ position: 0, mailbox: mailbox("erin@partner.test") }],
    },
    size: header.length + size,
    receivedAt: NOW,
    listener: "smtp",
    client: { address: "192.0.2.7", port: 40_000, helo: "client.inside.test", via: "network" },
    notice: false,
  };
  return { id, header, body: randomBytes(size), facts };
}

/** The data folder and key file that the former program leaves when it stops. */
async function leaveBehind(messages: readonly Former[], schema: 2 | 3 = 2): Promise<void> {
  const { dataDir, keyFile } = store.settings;
  await mkdir(join(keyFile, ".."), { mode: 0o700 });
  await writeFile(keyFile, `${secret.toString("hex")}\n`, { mode: 0o600 });
  await mkdir(join(dataDir, "bodies"), { mode: 0o700 });
  await writeFile(join(dataDir, "queue.id"), `${JSON.stringify({ schema, keyId })}\n`);
  const database = new DatabaseSync(join(dataDir, "queue.db"));
  database.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; ${queueSchema} ${stsPolicySchema}`);
  if (schema === 3) database.exec(contentsSchema);
  database.prepare("INSERT INTO store (one, key_id) VALUES (1, ?)").run(keyId);
  database.exec(`PRAGMA user_version = ${schema}`);
  for (const message of messages) {
    const { id, body } = message;
    const bytes = sealedFormerly(message);
    const filed = body.length > 2 * RECORD;
    if (filed) await writeFile(join(dataDir, "bodies", id), bytes.body);
    const { lastInsertRowid: seq } = database
      .prepare(`INSERT INTO message (id, received_at, size, body_length, filed, key_id, wrapped_key, facts)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
      .run(id, NOW, message.facts.size, body.length, filed ? 1 : 0, keyId, bytes.wrapped, bytes.facts);
    database
      .prepare("INSERT INTO content (message, header, body) VALUES (?, ?, ?)")
      .run(seq, bytes.header, filed ? null : bytes.body);
    const { lastInsertRowid: delivery } = database
      .prepare(`INSERT INTO delivery (id, message, domain, partner, positions, state, next_attempt_at, expires_at, attempts, reason, detail)
        VALUES (?, ?, 'partner.test', NULL, '[0]', 'leased', ?, ?, 3, 'smtp-4xx', ?)`)
      .run(`${id}-0`, seq, NOW, NOW + 86_400_000, bytes.detail);
    const tag = createHmac("sha256", derived("sealpost filter tags")).update("sender\0alice@inside.test").digest();
    database.prepare("INSERT INTO tag (tag, delivery) VALUES (?, ?)").run(tag.subarray(0, 16), delivery);
  }
  database.close();
}

it("mail queued by schema 2 is upgraded, found, delivered whole and shredded, beside mail with several contents", async () => {
  const messages = [former(0), former(5_000), former(131_072), former(400_000)];
  await leaveBehind(messages);
  let queue = await store.open();
  for (const turn of ["upgraded", "opened again"]) {
    const items = await queue.list({ sender: "alice@inside.test" });
    expect([turn, items.map(({ state, detail, reason }) => [state, detail, reason])]).toEqual([
      turn,
      messages.map(() => ["waiting", "450 later", "smtp-4xx"]),
    ]);
    await queue.close();
    queue = await store.open();
  }
  const several = await putSeveral(queue, [randomBytes(200_000), randomBytes(300)], [0, 1]);
  const claimed = await queue.claim("partner.test", NOW, 9);
  expect(claimed).toHaveLength(messages.length);
  for (const { id, header, body, facts } of messages) {
    const delivery = claimed.find(({ message }) => message.id === id);
    expect(delivery).toMatchObject({
      content: 0,
      attempts: 3,
      message: { ...facts, contents: [{ size: facts.size }] },
    });
    expect(await queue.header(id, 0)).toEqual(header);
    expect((await bodyOf(queue, id, 0)).equals(body)).toBe(true);
    const ended = [{ position: 0, end: "delivered" as const }];
    expect(await queue.complete({ deliveryId: `${id}-0`, ended, counts: true, notices: [] })).toEqual([
      { id, recipients: [{ address: "erin@partner.test", end: "delivered" }] },
    ]);
  }
  expect(await readdir(join(store.settings.dataDir, "bodies"))).toEqual([several.facts.id]);
  expect((await bodyOf(queue, several.facts.id, 1)).length).toBe(300);
  await queue.close();
});

it("mail of schema 2 is found by its address after the queue key was changed, and again after that", async () => {
  const message = former(400_000);
  await leaveBehind([message]);
  let queue = await store.open();
  for (let turn = 0; turn < 2; turn += 1) {
    expect((await queue.keys.rotate()).kind).toBe("started");
    await eventually(async () => !(await queue.keys.state()).running);
    await queue.close();
    queue = await store.open();
    expect(await queue.list({ sender: "Alice@inside.test" })).toHaveLength(1);
    expect((await bodyOf(queue, message.id, 0)).equals(message.body)).toBe(true);
  }
  expect(await readFile(store.settings.keyFile, "utf8")).not.toContain(secret.toString("hex"));
  await queue.close();
});

it("the upgraded store says so, so that the former program refuses it", async () => {
  await leaveBehind([former(10)]);
  await (await store.open()).close();
  const { dataDir } = store.settings;
  expect(JSON.parse(await readFile(join(dataDir, "queue.id"), "utf8"))).toEqual({ schema: SCHEMA_VERSION, keyId });
  const database = new DatabaseSync(join(dataDir, "queue.db"));
  expect(database.prepare("PRAGMA user_version").get()).toEqual({ user_version: SCHEMA_VERSION });
  database.close();
});

it("an upgrade that fails half-way leaves schema 2, and is made whole by the next start", async () => {
  const message = former(400_000);
  await leaveBehind([message]);
  const path = join(store.settings.dataDir, "queue.db");
  const change = (text: string): void => {
    const database = new DatabaseSync(path);
    database.exec(text);
    database.close();
  };
  change("CREATE TABLE variant (x)"); // in the way of the last step of the upgrade
  await expect(store.open()).rejects.toMatchObject({ kind: "cannot-open" });
  const database = new DatabaseSync(path);
  expect(database.prepare("PRAGMA user_version").get()).toEqual({ user_version: 2 });
  expect(database.prepare("SELECT * FROM message").all()[0]).not.toHaveProperty("part");
  database.close();
  change("DROP TABLE variant");
  const queue = await store.open();
  expect((await bodyOf(queue, message.id, 0)).equals(message.body)).toBe(true);
  await queue.close();
});

it("mail that waits in schema 3 waits on: as often tried, as long, in the same state; it can be held and sent", async () => {
  const messages = [former(0), former(5_000), former(400_000), former(10)];
  const ids = messages.map(({ id }) => `${id}-0`);
  await leaveBehind(messages, 3);
  const soon = Date.now() + 3_600_000;
  const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"));
  for (const [at, state] of (["waiting", "waiting", "parked", "leased"] as const).entries())
    database.prepare("UPDATE delivery SET state = ?, next_attempt_at = ? WHERE id = ?").run(state, soon, ids[at] ?? "");
  database.close();
  let queue = await store.open();
  const items = await queue.list({});
  expect(items.map(({ state }) => state)).toEqual(["waiting", "waiting", "parked", "waiting"]);
  for (const { delivery, noticeAt, reason, detail } of items) {
    expect({ noticeAt, reason, detail }).toEqual({ noticeAt: null, reason: "smtp-4xx", detail: "450 later" });
    expect(delivery).toMatchObject({ attempts: 3, expiresAt: NOW + 86_400_000 });
    expect(delivery).toMatchObject({ content: 0, last: { reason: "smtp-4xx", detail: "450 later" } });
    expect(delivery).not.toHaveProperty("course");
  }
  expect(items.slice(0, 3).map(({ nextAttemptAt }) => nextAttemptAt)).toEqual([soon, soon, soon]);
  expect(await queue.claimNotices(soon, 9)).toEqual([]);
  expect(await queue.hold({ id: ids[1] ?? "" })).toBe(1);
  expect((await queue.seize({ sender: "alice@inside.test" }, 9)).map(({ id }) => id)).toEqual(ids);
  await queue.close();
  queue = await store.open();
  expect((await queue.list({})).map(({ state }) => state)).toEqual(["waiting", "held", "parked", "waiting"]);
  expect([await queue.release({}, NOW), await queue.retry({}, NOW, true)]).toEqual([1, 4]);
  expect(await queue.claim("partner.test", NOW, 9)).toHaveLength(4);
  for (const { id, header, body } of messages) {
    expect(await queue.header(id, 0)).toEqual(header);
    expect((await bodyOf(queue, id, 0)).equals(body)).toBe(true);
  }
  await queue.close();
});

it("an upgrade of schema 3 that fails half-way leaves schema 3, and is made whole by the next start", async () => {
  await leaveBehind([former(10)], 3);
  const path = join(store.settings.dataDir, "queue.db");
  const change = (text: string): void => {
    const database = new DatabaseSync(path);
    database.exec(text);
    database.close();
  };
  change("CREATE INDEX delivery_partner ON delivery (partner)"); // in the way of the step's last statement
  await expect(store.open()).rejects.toMatchObject({ kind: "cannot-open" });
  const database = new DatabaseSync(path);
  expect(database.prepare("PRAGMA user_version").get()).toEqual({ user_version: 3 });
  expect(database.prepare("SELECT * FROM delivery").all()[0]).not.toHaveProperty("notice_at");
  database.close();
  change("DROP INDEX delivery_partner");
  const queue = await store.open();
  expect((await queue.list({})).map(({ state, noticeAt }) => [state, noticeAt])).toEqual([["waiting", null]]);
  await queue.close();
});

it("the schemas that have been released are as they were", () => {
  const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);
  const released = [queueSchema, stsPolicySchema, contentsSchema].map(digest);
  expect(released).toEqual(["c359cb77f39f08a6", "f53d815b0e423af6", "cd6bc412e5c0f4ee"]);
});
