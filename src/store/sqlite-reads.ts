/** The statements that only look. Every result is bounded: an open read would keep the log from being emptied. */
import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { Reason } from "../mail/outcome.ts";
import type { DeliveryState, QueueStats, QueueTotals } from "./queue.ts";
import { bodyFileName } from "./body-file.ts";
import type { BodyRow, Calls, ContentKey, FilterRow, HeaderRow } from "./sqlite-protocol.ts";
import { bind, bytes, conditions, DELIVERY_COLUMNS, select, text, toDeliveryRow, toKeyRow } from "./sqlite-rows.ts";

type Read<K extends keyof Calls> = (input: Calls[K]["in"]) => Calls[K]["out"];

export interface Reads {
  readonly dueDomains: Read<"dueDomains">;
  readonly nextDue: Read<"nextDue">;
  readonly header: Read<"header">;
  readonly body: Read<"body">;
  readonly list: Read<"list">;
  readonly stats: () => QueueStats;
  readonly totals: Read<"totals">;
  /** Names of the body files. */
  readonly filed: () => string[];
}

/** Jumps from lane to lane in the index: the cost grows with the lanes, not with what waits in them. */
const DUE_LANES = `
  WITH RECURSIVE each (lane) AS (
    SELECT min(lane) FROM delivery WHERE state = 'waiting'
    UNION ALL
    SELECT (SELECT min(lane) FROM delivery WHERE state = 'waiting' AND lane > each.lane)
    FROM each WHERE each.lane IS NOT NULL
  ), due AS (
    SELECT lane, (SELECT min(next_attempt_at) FROM delivery WHERE state = 'waiting' AND lane = each.lane) AS at
    FROM each WHERE lane IS NOT NULL AND lane NOT IN (SELECT value FROM json_each($2))
  )
  SELECT lane FROM due WHERE at <= $1 ORDER BY at LIMIT $3`;

export function prepareReads(database: DatabaseSync): Reads {
  const dueDomains = database.prepare(DUE_LANES);
  const nextDue = database.prepare(
    `SELECT min(at) AS at FROM (
       SELECT min(next_attempt_at) AS at FROM delivery WHERE state = 'waiting' AND next_attempt_at > $1
       UNION ALL
       SELECT min(notice_at) FROM delivery WHERE state = 'waiting' AND notice_at IS NOT NULL AND notice_at > $1)`,
  );
  const first = database.prepare(`SELECT m.id AS message_id, m.key_id, m.wrapped_key, m.part, m.body_length AS length,
     c.body FROM message m JOIN content c ON c.message = m.seq WHERE m.id = $1`);
  const firstHeader = database.prepare(`SELECT m.id AS message_id, m.key_id, m.wrapped_key, m.part,
     m.part AS content_part, c.header FROM message m JOIN content c ON c.message = m.seq WHERE m.id = $1`);
  const variant = database.prepare(`SELECT m.id AS message_id, m.key_id, m.wrapped_key, m.part,
     v.part AS content_part, v.header FROM message m JOIN variant v ON v.message = m.seq WHERE m.id = $1 AND v.number = $2`);
  const part = database.prepare(`SELECT m.id AS message_id, m.key_id, p.wrapped_key, p.number AS part, p.length, p.body
     FROM message m JOIN part p ON p.message = m.seq WHERE m.id = $1 AND p.number = $2`);
  const headerOf = ({ messageId, content }: ContentKey): HeaderRow | null => {
    const row = content === 0 ? firstHeader.get(bind(messageId)) : variant.get(bind(messageId, content));
    if (row === undefined) return null;
    return { ...toKeyRow(row), header: bytes(row["header"]), contentPart: Number(row["content_part"]) };
  };
  const bodyOf = ({ messageId, part: firstPart, contentPart }: HeaderRow): BodyRow | null => {
    const row = contentPart === firstPart ? first.get(bind(messageId)) : part.get(bind(messageId, contentPart));
    if (row === undefined) return null;
    const inRow = row["body"] instanceof Uint8Array ? row["body"] : null;
    return { ...toKeyRow(row), length: Number(row["length"]), body: inRow };
  };
  return {
    dueDomains: ({ now, except, limit }) =>
      dueDomains.all(bind(now, JSON.stringify(except), limit)).map((row) => text(row["lane"])),
    nextDue: (now) => {
      const at = nextDue.get(bind(now))?.["at"];
      return typeof at === "number" ? at : null;
    },
    header: headerOf,
    body: (which) => {
      const header = headerOf(which);
      return header && { ...header, stored: bodyOf(header) };
    },
    list: (slice) => select(database, slice, { columns: DELIVERY_COLUMNS, among: "true" }).map(toDeliveryRow),
    stats: () => stats(database),
    totals: (filter) => totals(database, filter),
    filed: () =>
      database
        .prepare(`SELECT id, part FROM message WHERE filed = 1 UNION ALL
          SELECT m.id, p.number FROM part p JOIN message m ON m.seq = p.message WHERE p.filed = 1`)
        .all()
        .map((row) => bodyFileName(text(row["id"]), Number(row["part"]))),
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

/** Of the clear columns only: nothing is unsealed, however much matches. */
function totals(database: DatabaseSync, filter: FilterRow): QueueTotals {
  const { where, values } = conditions(filter, []);
  const joined = `FROM delivery d JOIN message m ON m.seq = d.message WHERE true${where}`;
  const all = (sql: string): Record<string, SQLOutputValue>[] => database.prepare(sql).all(bind(...values));
  const [sum] = all(`SELECT sum(n) AS deliveries, count(*) AS messages, sum(size) AS size
    FROM (SELECT count(*) AS n, m.size AS size ${joined} GROUP BY d.message)`);
  const groups = all(
    `SELECT d.domain, d.lane, d.reason, d.state, count(*) AS n ${joined} GROUP BY d.domain, d.lane, d.reason, d.state`,
  );
  const byState: Record<DeliveryState, number> = { waiting: 0, leased: 0, held: 0, parked: 0 };
  for (const row of groups) byState[text(row["state"]) as DeliveryState] += Number(row["n"]);
  return {
    deliveries: Number(sum?.["deliveries"] ?? 0),
    messages: Number(sum?.["messages"] ?? 0),
    size: Number(sum?.["size"] ?? 0),
    byDomain: tally(groups, "domain").map(([domain, deliveries]) => ({ domain: domain ?? "", deliveries })),
    byReason: tally(groups, "reason").map(([reason, deliveries]) => ({ reason: reason as Reason | null, deliveries })),
    byState,
    lanes: [...new Set(groups.map((row) => text(row["lane"])))],
  };
}

function tally(rows: readonly Record<string, SQLOutputValue>[], column: string): [string | null, number][] {
  const counts = new Map<string | null, number>();
  for (const row of rows) {
    const key = typeof row[column] === "string" ? row[column] : null;
    counts.set(key, (counts.get(key) ?? 0) + Number(row["n"]));
  }
  return [...counts].toSorted((a, b) => b[1] - a[1] || (a[0] ?? "").localeCompare(b[0] ?? ""));
}
