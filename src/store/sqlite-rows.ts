/** Between SQL and the protocol: parameters, filter conditions and rows. */
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import type { DeliveryState } from "./queue.ts";
import type { DeliveryRow, FilterRow, GoneRow, KeyRow, Slice } from "./sqlite-protocol.ts";

export type Row = Record<string, SQLOutputValue>;

/** `$1`, `$2` … by number, as PostgreSQL reads them, too; node:sqlite wants them named. */
export function bind(...values: readonly SQLInputValue[]): Record<string, SQLInputValue> {
  return Object.fromEntries(values.map((value, index) => [index + 1, value]));
}

export const DELIVERY_COLUMNS = `d.seq, d.id, d.domain, d.lane, d.partner, d.positions, d.state, d.next_attempt_at, d.expires_at,
  d.attempts, d.reason, d.detail, d.notice_at, d.course, d.content, m.id AS message_id, m.key_id, m.wrapped_key, m.part, m.facts, m.size, m.received_at`;

/** Conditions on `delivery d JOIN message m`, each behind an AND; their parameters follow the given ones. */
export function conditions(
  filter: FilterRow,
  given: readonly SQLInputValue[],
): { readonly where: string; readonly values: readonly SQLInputValue[] } {
  const values = [...given];
  const terms: string[] = [];
  const add = (before: string, value: SQLInputValue | undefined, after = ""): void => {
    if (value === undefined) return;
    values.push(value);
    terms.push(` AND ${before} $${values.length}${after}`);
  };
  add("m.id =", filter.messageId);
  add("d.id =", filter.deliveryId);
  add("d.domain =", filter.domain);
  add("d.partner =", filter.partner);
  add("d.reason =", filter.reason);
  add("m.received_at <", filter.before);
  for (const tag of filter.tags) add("d.seq IN (SELECT delivery FROM tag WHERE tag =", tag, ")");
  return { where: terms.join(""), values };
}

/** The matches of a slice, in order of arrival. */
export function select(
  database: DatabaseSync,
  { filter, limit, after }: Slice,
  { columns, among }: { readonly columns: string; readonly among: string },
): Row[] {
  const from = typeof after === "string" ? placeOf(database, after) : (after ?? 0);
  const { where, values } = conditions(filter, [from, limit]);
  const sql = `SELECT ${columns} FROM delivery d JOIN message m ON m.seq = d.message
    WHERE ${among} AND d.seq > $1${where} ORDER BY d.seq LIMIT $2`;
  return database.prepare(sql).all(bind(...values));
}

function placeOf(database: DatabaseSync, deliveryId: string): number {
  return Number(database.prepare("SELECT seq FROM delivery WHERE id = $1").get(bind(deliveryId))?.["seq"] ?? 0);
}

export function toKeyRow(row: Row): KeyRow {
  return {
    messageId: text(row["message_id"]),
    keyId: text(row["key_id"]),
    part: Number(row["part"]),
    wrapped: bytes(row["wrapped_key"]),
  };
}

/** `others`: bodies beside the first that lie in files. */
export function toGoneRow(row: Row, others: readonly number[]): GoneRow {
  const ends = JSON.parse(text(row["ends"])) as GoneRow["ends"];
  const first = row["filed"] === 1 ? [Number(row["part"])] : [];
  return { ...toKeyRow(row), facts: bytes(row["facts"]), ends, filed: [...first, ...others] };
}

export function toDeliveryRow(row: Row): DeliveryRow {
  return {
    ...toKeyRow(row),
    id: text(row["id"]),
    facts: bytes(row["facts"]),
    size: Number(row["size"]),
    receivedAt: Number(row["received_at"]),
    domain: text(row["domain"]),
    lane: text(row["lane"]),
    partner: textOrNull(row["partner"]),
    positions: JSON.parse(text(row["positions"])) as number[],
    content: Number(row["content"]),
    state: text(row["state"]) as DeliveryState,
    nextAttemptAt: Number(row["next_attempt_at"]),
    expiresAt: Number(row["expires_at"]),
    attempts: Number(row["attempts"]),
    reason: textOrNull(row["reason"]),
    detail: row["detail"] instanceof Uint8Array ? row["detail"] : null,
    noticeAt: typeof row["notice_at"] === "number" ? row["notice_at"] : null,
    course: row["course"] instanceof Uint8Array ? row["course"] : null,
    seq: Number(row["seq"]),
  };
}

export function text(value: SQLOutputValue | undefined): string {
  if (typeof value !== "string") throw new TypeError("The column holds no text");
  return value;
}

export function bytes(value: SQLOutputValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError("The column holds no octets");
  return value;
}

function textOrNull(value: SQLOutputValue | undefined): string | null {
  return typeof value === "string" ? value : null;
}
