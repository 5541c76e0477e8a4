/**
 * The statements that change the queue. Each function runs inside a transaction that its caller has begun,
 * and leaves commit and rollback to it.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type {
  Calls,
  ChangeRow,
  CompletionRow,
  DeliveryRow,
  EngineStart,
  GoneRow,
  MessageRow,
  NewDeliveryRow,
} from "./sqlite-protocol.ts";
import { bind, conditions, DELIVERY_COLUMNS, text, toDeliveryRow, toGoneRow } from "./sqlite-rows.ts";

type Write<K extends keyof Calls> = (input: Calls[K]["in"]) => Calls[K]["out"];

export interface Writes {
  readonly enqueue: Write<"enqueue">;
  readonly complete: Write<"complete">;
  readonly park: Write<"park">;
  readonly claim: Write<"claim">;
  readonly remove: Write<"remove">;
  /** After opening: leases that nobody holds are void, refused messages are forgotten, no wait is longer than a day. */
  readonly settle: (start: EngineStart) => void;
}

interface Statements {
  readonly message: StatementSync;
  readonly content: StatementSync;
  readonly delivery: StatementSync;
  readonly tag: StatementSync;
  readonly leased: StatementSync;
  readonly ends: StatementSync;
  readonly dropDelivery: StatementSync;
  readonly wait: StatementSync;
  readonly dropEmpty: StatementSync;
  readonly variant: StatementSync;
  readonly part: StatementSync;
  readonly filedParts: StatementSync;
  readonly park: StatementSync;
  readonly due: StatementSync;
  readonly lease: StatementSync;
  readonly change: StatementSync;
  readonly notice: StatementSync;
}

export function prepareWrites(database: DatabaseSync): Writes {
  const sql = prepare(database);
  const enqueue = (row: MessageRow): null => {
    insertMessage(sql, row);
    return null;
  };
  return {
    enqueue,
    complete: (row) => complete(sql, row),
    park: ({ id, detail }) => {
      sql.park.run(bind(id, detail));
      return null;
    },
    claim: ({ domain, now, limit }) => claim(sql, bind(domain, now, limit)),
    remove: ({ filter, limit }) => {
      const { where, values } = conditions(filter, [limit]);
      const matches = `SELECT d.seq, d.message, d.positions FROM delivery d JOIN message m ON m.seq = d.message
        WHERE d.state <> 'leased'${where} LIMIT $1`;
      const rows = database.prepare(matches).all(bind(...values));
      const gone = rows.flatMap((row) => {
        const positions = JSON.parse(text(row["positions"])) as number[];
        const ended = positions.map((position) => ({ position, end: "removed" as const }));
        return dropDelivery(sql, Number(row["seq"]), Number(row["message"]), ended);
      });
      return { removed: rows.length, gone };
    },
    settle: ({ now, held, forget }) => {
      database.prepare("DELETE FROM message WHERE id IN (SELECT value FROM json_each($1))").run(bind(json(forget)));
      database
        .prepare(`UPDATE delivery SET state = back, next_attempt_at = min(next_attempt_at, $1)
          WHERE state = 'leased' AND id NOT IN (SELECT value FROM json_each($2))`)
        .run(bind(now, json(held)));
      // The clock that this was reckoned by has been set back since.
      database
        .prepare("UPDATE delivery SET next_attempt_at = $1 WHERE state = 'waiting' AND next_attempt_at > $1 + $2")
        .run(bind(now, LONGEST_WAIT_MS));
    },
  };
}

/** After a start everything is tried within this time. */
const LONGEST_WAIT_MS = 86_400_000;

function prepare(database: DatabaseSync): Statements {
  const sql = (text: string): StatementSync => database.prepare(text);
  return {
    message: sql(`INSERT INTO message (id, received_at, size, body_length, filed, key_id, wrapped_key, facts, part)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`),
    variant: sql("INSERT INTO variant (message, number, part, header) VALUES ($1, $2, $3, $4)"),
    part: sql("INSERT INTO part (message, number, length, filed, wrapped_key, body) VALUES ($1, $2, $3, $4, $5, $6)"),
    filedParts: sql("SELECT number FROM part WHERE message = $1 AND filed = 1"),
    content: sql("INSERT INTO content (message, header, body) VALUES ($1, $2, $3)"),
    delivery:
      sql(`INSERT INTO delivery (id, message, domain, partner, positions, state, next_attempt_at, expires_at, content,
        notice_at, reason, lane) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`),
    tag: sql("INSERT INTO tag (tag, delivery) VALUES ($1, $2) ON CONFLICT DO NOTHING"),
    leased: sql("SELECT seq, message, positions FROM delivery WHERE id = $1 AND state = 'leased'"),
    ends: sql(`UPDATE message SET ends = (
        SELECT json_group_array(json(value)) FROM
          (SELECT value FROM json_each(ends) UNION ALL SELECT value FROM json_each($2)))
      WHERE seq = $1`),
    dropDelivery: sql("DELETE FROM delivery WHERE seq = $1"),
    // Without a next time the lease did not try it: what a person had stopped stays stopped.
    wait: sql(`UPDATE delivery SET state = CASE WHEN $4 IS NULL THEN back ELSE 'waiting' END, positions = $2, attempts = attempts + $3,
        next_attempt_at = coalesce($4, next_attempt_at), reason = coalesce($5, reason), detail = coalesce($6, detail)
      WHERE seq = $1`),
    dropEmpty: sql(`DELETE FROM message WHERE seq = $1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = $1)
      RETURNING id AS message_id, key_id, wrapped_key, part, facts, ends, filed`),
    park: sql("UPDATE delivery SET state = 'parked', detail = coalesce($2, detail) WHERE id = $1 AND state = 'leased'"),
    due: sql(`SELECT ${DELIVERY_COLUMNS} FROM delivery d JOIN message m ON m.seq = d.message
      WHERE d.state = 'waiting' AND d.lane = $1 AND d.next_attempt_at <= $2
      ORDER BY d.next_attempt_at, d.seq LIMIT $3`),
    lease: sql("UPDATE delivery SET state = 'leased', back = 'waiting' WHERE seq = $1"),
    change: sql(`UPDATE delivery SET course = coalesce($2, course), expires_at = coalesce($3, expires_at),
        attempts = coalesce($4, attempts), lane = coalesce($5, lane) WHERE seq = $1`),
    notice: sql("UPDATE delivery SET notice_at = $2 WHERE seq = $1"),
  };
}

function insertMessage(sql: Statements, row: MessageRow): void {
  const filed = row.body === null ? 1 : 0;
  const { lastInsertRowid: message } = sql.message.run(
    bind(row.id, row.receivedAt, row.size, row.bodyLength, filed, row.keyId, row.wrapped, row.facts, row.part),
  );
  sql.content.run(bind(message, row.header, row.body));
  for (const { number, part, header } of row.variants) sql.variant.run(bind(message, number, part, header));
  for (const { number, length, wrapped, body } of row.parts)
    sql.part.run(bind(message, number, length, body === null ? 1 : 0, wrapped, body));
  for (const delivery of row.deliveries) insertDelivery(sql, message, delivery);
}

function insertDelivery(sql: Statements, message: number | bigint, row: NewDeliveryRow): void {
  const { id, domain, lane, partner, positions, state, nextAttemptAt, expiresAt, content, noticeAt, reason, tags } =
    row;
  const { lastInsertRowid } = sql.delivery.run(
    bind(
      id,
      message,
      domain,
      partner,
      json(positions),
      state,
      nextAttemptAt,
      expiresAt,
      content,
      noticeAt,
      reason,
      lane,
    ),
  );
  for (const tag of tags) sql.tag.run(bind(tag, lastInsertRowid));
}

/** Idempotent: a second completion of the same lease stores nothing, no notice either. */
function complete(sql: Statements, row: CompletionRow): readonly GoneRow[] | null {
  const delivery = sql.leased.get(bind(row.deliveryId));
  if (delivery === undefined) return null;
  const [seq, message] = [Number(delivery["seq"]), Number(delivery["message"])];
  const pending = JSON.parse(text(delivery["positions"])) as number[];
  const ended = row.ended.filter(({ position }) => pending.includes(position));
  const left = pending.filter((position) => !ended.some((one) => one.position === position));
  for (const notice of row.notices) insertMessage(sql, notice);
  if (left.length === 0) return dropDelivery(sql, seq, message, ended);
  addEnds(sql, message, ended);
  const { at = null, reason = null, detail = null } = row.next ?? {};
  sql.wait.run(bind(seq, json(left), row.counts ? 1 : 0, at, reason, detail));
  if (row.change !== null) change(sql, seq, row.change);
  return [];
}

function change(sql: Statements, seq: number, { course, expiresAt, noticeAt, attempts, lane }: ChangeRow): void {
  sql.change.run(bind(seq, course ?? null, expiresAt ?? null, attempts ?? null, lane ?? null));
  if (noticeAt !== undefined) sql.notice.run(bind(seq, noticeAt));
}

/** The message goes with its last delivery, and its key with it. */
function dropDelivery(sql: Statements, seq: number, message: number, ended: CompletionRow["ended"]): GoneRow[] {
  addEnds(sql, message, ended);
  sql.dropDelivery.run(bind(seq));
  const others = sql.filedParts.all(bind(message)).map((row) => Number(row["number"]));
  return sql.dropEmpty.all(bind(message)).map((row) => toGoneRow(row, others));
}

function addEnds(sql: Statements, message: number, ended: CompletionRow["ended"]): void {
  if (ended.length === 0) return;
  sql.ends.run(bind(message, json(ended.map(({ position, end }) => [position, end]))));
}

function claim(sql: Statements, which: Record<string, SQLInputValue>): DeliveryRow[] {
  const rows = sql.due.all(which).map(toDeliveryRow);
  for (const { seq } of rows) sql.lease.run(bind(seq));
  return rows;
}

function json(value: unknown): string {
  return JSON.stringify(value);
}
