/** Brings a database to this program's schema, whole or not at all; one of a newer program is refused before this. */
import type { DatabaseSync } from "node:sqlite";
import { queueSchema } from "./0001-queue.ts";
import { stsPolicySchema } from "./0002-sts-policy.ts";
import { contentsSchema } from "./0003-contents.ts";
import { waitingSchema } from "./0004-waiting.ts";
import { historySchema } from "./0005-history.ts";

/** In order; the n-th leads to schema n. Only ever appended to. */
const STEPS: readonly string[] = [queueSchema, stsPolicySchema, contentsSchema, waitingSchema, historySchema];

export const SCHEMA_VERSION: number = STEPS.length;

export function schemaOf(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
}

/** `keyId` is remembered when the database is made; answers whether it was. */
export function migrate(database: DatabaseSync, keyId: string): boolean {
  const from = schemaOf(database);
  if (from === SCHEMA_VERSION) return false;
  database.exec("BEGIN EXCLUSIVE");
  try {
    for (const step of STEPS.slice(from)) database.exec(step);
    if (from === 0)
      database.prepare("INSERT INTO store (one, key_id, id) VALUES (1, ?, lower(hex(randomblob(16))))").run(keyId);
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    database.exec("COMMIT");
    return from === 0;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}
