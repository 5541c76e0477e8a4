/**
 * The statements about what waits: leasing it for other ends than an attempt, moving its times, holding it. Each runs
 * inside a transaction that its caller has begun. In slices where much may match, so that other work goes between.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Calls, Changed, DeliveryRow, Slice } from "./sqlite-protocol.ts";
import { bind, DELIVERY_COLUMNS, select, toDeliveryRow } from "./sqlite-rows.ts";

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
    WHERE d.state = 'waiting' AND d.lane = $1 AND d.expires_at <= $2 AND d.next_attempt_at <= $2
    ORDER BY d.expires_at, d.seq LIMIT $3`);
  const owed = database.prepare(`SELECT ${DELIVERY_COLUMNS} FROM ${JOINED}
    WHERE d.state = 'waiting' AND d.notice_at IS NOT NULL AND d.notice_at <= $1 ORDER BY d.notice_at, d.seq LIMIT $2`);
  const lease = database.prepare("UPDATE delivery SET state = 'leased', back = state WHERE seq = $1");
  const leased = (rows: DeliveryRow[]): DeliveryRow[] => {
    for (const { seq } of rows) lease.run(bind(seq));
    return rows;
  };
  // The plus keeps the index of expiry out: in that of what is due, what was postponed is not met again by the next slice.
  const postpone = database.prepare(`UPDATE delivery SET attempts = attempts + 1,
      next_attempt_at = min($1, max(expires_at, $2)), detail = CASE WHEN reason IS $3 THEN detail END, reason = $3
    WHERE seq IN (SELECT seq FROM delivery WHERE state = 'waiting' AND lane IN (SELECT value FROM json_each($4))
      AND next_attempt_at <= $2 AND +expires_at > $2 LIMIT $5)`);
  const hasten = database.prepare(`UPDATE delivery SET next_attempt_at = $1
    WHERE seq IN (SELECT seq FROM delivery WHERE state = 'waiting' AND lane IN (SELECT value FROM json_each($2))
      AND next_attempt_at > $1 AND reason IN (SELECT value FROM json_each($3)) LIMIT $4)`);
  const shift = database.prepare(
    "UPDATE delivery SET expires_at = min(expires_at + $1, $2), notice_at = notice_at + $1",
  );
  const due = database.prepare("UPDATE delivery SET state = 'waiting', next_attempt_at = $2 WHERE seq = $1");
  const stop = database.prepare("UPDATE delivery SET state = 'held' WHERE seq = $1");
  const matching = (slice: Slice, states: string): number[] =>
    select(database, slice, { columns: "d.seq", among: `d.state IN (${states})` }).map((row) => Number(row["seq"]));
  const each = (seqs: readonly number[], change: (seq: number) => unknown): Changed => {
    for (const seq of seqs) change(seq);
    return { changed: seqs.length, last: seqs.at(-1) ?? 0 };
  };
  return {
    claimExpired: ({ domain, now, limit }) => leased(expired.all(bind(domain, now, limit)).map(toDeliveryRow)),
    claimNotices: ({ now, limit }) => leased(owed.all(bind(now, limit)).map(toDeliveryRow)),
    seize: (slice) =>
      leased(select(database, slice, { columns: DELIVERY_COLUMNS, among: "d.state <> 'leased'" }).map(toDeliveryRow)),
    // What has expired is left to claimExpired: it would be due again at once.
    postpone: ({ domains, closed: { until, now, reason }, limit }) =>
      until <= now ? 0 : Number(postpone.run(bind(until, now, reason, JSON.stringify(domains), limit)).changes),
    hasten: ({ domains, now, reasons, limit }) =>
      Number(hasten.run(bind(now, JSON.stringify(domains), JSON.stringify(reasons), limit)).changes),
    shiftClock: ({ ms, latest }) => {
      shift.run(bind(ms, latest));
      return null;
    },
    retry: ({ now, parked, ...slice }) =>
      each(matching(slice, parked ? "'waiting', 'parked'" : "'waiting'"), (seq) => due.run(bind(seq, now))),
    hold: (slice) => each(matching(slice, "'waiting'"), (seq) => stop.run(bind(seq))),
    release: ({ now, ...slice }) => each(matching(slice, "'held'"), (seq) => due.run(bind(seq, now))),
  };
}
