/**
 * The statements about what waits: leasing it for other ends than an attempt, moving its times, holding it. Each runs
 * inside a transaction that its caller has begun. In slices where much may match, so that other work goes between.
 */
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import type { Calls, DeliveryRow } from "./sqlite-protocol.ts";
import { bind, conditions, DELIVERY_COLUMNS, toDeliveryRow } from "./sqlite-rows.ts";

type Write<K extends keyof Calls> = (input: Calls[K]["in"]) => Calls[K]["out"];

export type WaitingCall =
  | "claimExpired"
  | "claimNotices"
  | "seize"
  | "postpone"
  | "hasten"
  | "shiftClock"
  | "retry"
  | "hold"
  | "release";

export type Waiting = { readonly [K in WaitingCall]: Write<K> };

const JOINED = "delivery d JOIN message m ON m.seq = d.message";

export function prepareWaiting(database: DatabaseSync): Waiting {
  const expired = database.prepare(`SELECT ${DELIVERY_COLUMNS} FROM ${JOINED}
    WHERE d.state = 'waiting' AND d.domain = $1 AND d.expires_at <= $2 ORDER BY d.expires_at, d.seq LIMIT $3`);
  const owed = database.prepare(`SELECT ${DELIVERY_COLUMNS} FROM ${JOINED}
    WHERE d.state = 'waiting' AND d.notice_at IS NOT NULL AND d.notice_at <= $1 ORDER BY d.notice_at, d.seq LIMIT $2`);
  const lease = database.prepare("UPDATE delivery SET state = 'leased', back = state WHERE seq = $1");
  const leased = (rows: DeliveryRow[]): DeliveryRow[] => {
    for (const { seq } of rows) lease.run(bind(seq));
    return rows;
  };
  const postpone = database.prepare(`UPDATE delivery SET attempts = attempts + 1,
      next_attempt_at = min($1, max(expires_at, $2)), detail = CASE WHEN reason IS $3 THEN detail END, reason = $3
    WHERE seq IN (SELECT seq FROM delivery
      WHERE state = 'waiting' AND domain = $4 AND next_attempt_at <= $2 AND expires_at > $2 LIMIT $5)`);
  const hasten = database.prepare(`UPDATE delivery SET next_attempt_at = $1
    WHERE seq IN (SELECT seq FROM delivery WHERE state = 'waiting' AND domain = $2 AND next_attempt_at > $1
      AND reason IN (SELECT value FROM json_each($3)) LIMIT $4)`);
  const shift = database.prepare(
    "UPDATE delivery SET expires_at = min(expires_at + $1, $2), notice_at = notice_at + $1",
  );
  /** The matches in `states` become what `change` says. */
  const update = (change: string, states: string, filter: Calls["hold"]["in"], given: SQLInputValue[]): number => {
    const { where, values } = conditions(filter, given);
    const sql = `UPDATE delivery SET ${change} WHERE seq IN (SELECT d.seq FROM ${JOINED} WHERE d.state IN (${states})${where})`;
    return Number(database.prepare(sql).run(bind(...values)).changes);
  };
  return {
    claimExpired: ({ domain, now, limit }) => leased(expired.all(bind(domain, now, limit)).map(toDeliveryRow)),
    claimNotices: ({ now, limit }) => leased(owed.all(bind(now, limit)).map(toDeliveryRow)),
    seize: ({ filter, limit }) => {
      const { where, values } = conditions(filter, [limit]);
      const sql = `SELECT ${DELIVERY_COLUMNS} FROM ${JOINED} WHERE d.state <> 'leased'${where} ORDER BY d.seq LIMIT $1`;
      return leased(
        database
          .prepare(sql)
          .all(bind(...values))
          .map(toDeliveryRow),
      );
    },
    postpone: ({ domain, closed: { until, now, reason }, limit }) =>
      Number(postpone.run(bind(until, now, reason, domain, limit)).changes),
    hasten: ({ domain, now, reasons, limit }) =>
      Number(hasten.run(bind(now, domain, JSON.stringify(reasons), limit)).changes),
    shiftClock: ({ ms, latest }) => {
      shift.run(bind(ms, latest));
      return null;
    },
    retry: ({ filter, now, parked }) =>
      update("state = 'waiting', next_attempt_at = $1", parked ? "'waiting', 'parked'" : "'waiting'", filter, [now]),
    hold: (filter) => update("state = 'held'", "'waiting'", filter, []),
    release: ({ filter, now }) => update("state = 'waiting', next_attempt_at = $1", "'held'", filter, [now]),
  };
}
