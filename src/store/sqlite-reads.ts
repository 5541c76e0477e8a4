/** The statements that only look. Every result is bounded: an open read would keep the log from being emptied. */
import type { DatabaseSync } from "node:sqlite";
import type { DeliveryState, QueueStats } from "./queue.ts";
import type { Calls } from "./sqlite-protocol.ts";
import { bind, bytes, conditions, DELIVERY_COLUMNS, text, toDeliveryRow, toKeyRow } from "./sqlite-rows.ts";

type Read<K extends keyof Calls> = (input: Calls[K]["in"]) => Calls[K]["out"];

export interface Reads {
  readonly dueDomains: Read<"dueDomains">;
  readonly nextDue: Read<"nextDue">;
  readonly header: Read<"header">;
  readonly body: Read<"body">;
  readonly list: Read<"list">;
  readonly stats: () => QueueStats;
  /** Messages whose body lies in a file. */
  readonly filed: () => string[];
}

/** Jumps from domain to domain in the index: the cost grows with the domains, not with what waits for them. */
const DUE_DOMAINS = `
  WITH RECURSIVE each (domain) AS (
    SELECT min(domain) FROM delivery WHERE state = 'waiting'
    UNION ALL
    SELECT (SELECT min(domain) FROM delivery WHERE state = 'waiting' AND domain > each.domain)
    FROM each WHERE each.domain IS NOT NULL
  ), due AS (
    SELECT domain, (SELECT min(next_attempt_at) FROM delivery WHERE state = 'waiting' AND domain = each.domain) AS at
    FROM each WHERE domain IS NOT NULL AND domain NOT IN (SELECT value FROM json_each($2))
  )
  SELECT domain FROM due WHERE at <= $1 ORDER BY at LIMIT $3`;

export function prepareReads(database: DatabaseSync): Reads {
  const dueDomains = database.prepare(DUE_DOMAINS);
  const nextDue = database.prepare(
    "SELECT min(next_attempt_at) AS at FROM delivery WHERE state = 'waiting' AND next_attempt_at > $1",
  );
  const content = (column: string): string =>
    `SELECT m.id AS message_id, m.key_id, m.wrapped_key, m.body_length, c.${column} FROM message m
     JOIN content c ON c.message = m.seq WHERE m.id = $1`;
  const header = database.prepare(content("header"));
  const body = database.prepare(content("body"));
  const seqOf = database.prepare("SELECT seq FROM delivery WHERE id = $1");
  return {
    dueDomains: ({ now, except, limit }) =>
      dueDomains.all(bind(now, JSON.stringify(except), limit)).map((row) => text(row["domain"])),
    nextDue: (now) => {
      const at = nextDue.get(bind(now))?.["at"];
      return typeof at === "number" ? at : null;
    },
    header: (id) => {
      const row = header.get(bind(id));
      return row === undefined ? null : { ...toKeyRow(row), header: bytes(row["header"]) };
    },
    body: (id) => {
      const row = body.get(bind(id));
      if (row === undefined) return null;
      const inRow = row["body"] instanceof Uint8Array ? row["body"] : null;
      return { ...toKeyRow(row), length: Number(row["body_length"]), body: inRow };
    },
    list: ({ filter, limit, after }) => {
      const from = typeof after === "string" ? Number(seqOf.get(bind(after))?.["seq"] ?? 0) : (after ?? 0);
      const { where, values } = conditions(filter, [from, limit]);
      const sql = `SELECT ${DELIVERY_COLUMNS} FROM delivery d JOIN message m ON m.seq = d.message
        WHERE d.seq > $1${where} ORDER BY d.seq LIMIT $2`;
      return database
        .prepare(sql)
        .all(bind(...values))
        .map(toDeliveryRow);
    },
    stats: () => stats(database),
    filed: () =>
      database
        .prepare("SELECT id FROM message WHERE filed = 1")
        .all()
        .map((row) => text(row["id"])),
  };
}

function stats(database: DatabaseSync): QueueStats {
  const deliveries: Record<DeliveryState, number> = { waiting: 0, leased: 0, held: 0, parked: 0 };
  for (const row of database.prepare("SELECT state, count(*) AS n FROM delivery GROUP BY state").all()) {
    deliveries[text(row["state"]) as DeliveryState] = Number(row["n"]);
  }
  const messages = Number(database.prepare("SELECT count(*) AS n FROM message").get()?.["n"] ?? 0);
  const oldest = database.prepare("SELECT received_at FROM message ORDER BY seq LIMIT 1").get()?.["received_at"];
  return { messages, deliveries, ...(typeof oldest === "number" && { oldest }) };
}
