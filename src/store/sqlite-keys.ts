/**
 * The statements about queue keys: which of them the store needs, and what they wrap. Those that change something run
 * inside a transaction that their caller has begun.
 */
import type { DatabaseSync } from "node:sqlite";
import type { MessageKeysRow, StoreFacts } from "./key-protocol.ts";
import type { Calls } from "./sqlite-protocol.ts";
import { bind, bytes, text } from "./sqlite-rows.ts";

type Run<K extends keyof Calls> = (input: Calls[K]["in"]) => Calls[K]["out"];

export interface Keys {
  readonly formerKeys: Run<"formerKeys">;
  readonly rewrap: Run<"rewrap">;
  readonly storeKeys: Run<"storeKeys">;
  readonly putStoreKeys: Run<"putStoreKeys">;
  readonly formerCounts: Run<"formerCounts">;
}

/** First schema in which rows may name different queue keys. */
const MANY_KEYS_SCHEMA = 5;

/** Ids of the queue keys that something is wrapped by; also of a database that an older program has left. */
export function namedKeys(database: DatabaseSync, schema: number): string[] {
  const all = (sql: string): string[] =>
    database
      .prepare(sql)
      .all()
      .map((row) => text(row["key_id"]));
  if (schema < MANY_KEYS_SCHEMA) return all("SELECT key_id FROM store");
  const ofStore = all("SELECT DISTINCT key_id FROM store_key");
  // Until the secrets of the store are made, they come from the key that it remembers.
  return [...new Set([...(ofStore.length > 0 ? ofStore : all("SELECT key_id FROM store")), ...all(NAMED_BY_MESSAGES)])];
}

/** Jumps from key to key in the index: there are few of them, whatever waits. */
const NAMED_BY_MESSAGES = `
  WITH RECURSIVE each (key_id) AS (
    SELECT min(key_id) FROM message
    UNION ALL
    SELECT (SELECT min(key_id) FROM message WHERE key_id > each.key_id) FROM each WHERE each.key_id IS NOT NULL
  )
  SELECT key_id FROM each WHERE key_id IS NOT NULL`;

export function prepareKeys(database: DatabaseSync, made: boolean): Keys {
  // Both ranges of the index, so that what is done costs nothing.
  const former = database.prepare(`SELECT seq, id, key_id, part, wrapped_key FROM message
    WHERE seq > $2 AND (key_id < $1 OR key_id > $1) ORDER BY seq LIMIT $3`);
  const parts = database.prepare("SELECT number, wrapped_key FROM part WHERE message = $1 ORDER BY number");
  const first = database.prepare(`UPDATE message SET key_id = $3, wrapped_key = $4
    WHERE seq = $1 AND key_id = $2 AND part = $5 AND id = $6`);
  const other = database.prepare("UPDATE part SET wrapped_key = $3 WHERE message = $1 AND number = $2");
  const put = database.prepare(`INSERT INTO store_key (name, key_id, wrapped) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET key_id = excluded.key_id, wrapped = excluded.wrapped`);
  const remember = database.prepare("UPDATE store SET key_id = $1");
  const counts = database.prepare(`SELECT key_id, count(*) AS n FROM message
    WHERE key_id < $1 OR key_id > $1 GROUP BY key_id`);
  return {
    formerKeys: ({ keyId, after, limit }) =>
      former.all(bind(keyId, after, limit)).map((row): MessageKeysRow => {
        const others = parts.all(bind(row["seq"] ?? null));
        return {
          seq: Number(row["seq"]),
          messageId: text(row["id"]),
          keyId: text(row["key_id"]),
          keys: [
            { part: Number(row["part"]), wrapped: bytes(row["wrapped_key"]) },
            ...others.map((one) => ({ part: Number(one["number"]), wrapped: bytes(one["wrapped_key"]) })),
          ],
        };
      }),
    rewrap: ({ keyId, rows }) => {
      for (const { seq, messageId, keyId: from, keys } of rows) {
        const [own, ...others] = keys;
        if (own === undefined) continue;
        if (first.run(bind(seq, from, keyId, own.wrapped, own.part, messageId)).changes === 0) continue;
        for (const { part, wrapped } of others) other.run(bind(seq, part, wrapped));
      }
      return null;
    },
    storeKeys: () => factsOf(database, made),
    putStoreKeys: ({ keyId, rows }) => {
      for (const { name, keyId: by, wrapped } of rows) put.run(bind(name, by, wrapped));
      remember.run(bind(keyId));
      return null;
    },
    formerCounts: ({ keyId }) =>
      counts.all(bind(keyId)).map((row) => ({ keyId: text(row["key_id"]), messages: Number(row["n"]) })),
  };
}

function factsOf(database: DatabaseSync, made: boolean): StoreFacts {
  const store = database.prepare("SELECT id, key_id FROM store").get() ?? {};
  return {
    id: text(store["id"]),
    keyId: text(store["key_id"]),
    made,
    named: namedKeys(database, MANY_KEYS_SCHEMA),
    keys: database
      .prepare("SELECT name, key_id, wrapped FROM store_key")
      .all()
      .map((row) => ({ name: text(row["name"]), keyId: text(row["key_id"]), wrapped: bytes(row["wrapped"]) })),
  };
}
