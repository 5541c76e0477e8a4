/** The statements of the history. Each runs inside a transaction that its caller has begun, or only looks. */
import type { DatabaseSync } from "node:sqlite";
import type { HistoryRow } from "./history-protocol.ts";
import type { Calls } from "./sqlite-protocol.ts";
import { bind, bytes, type Row, text } from "./sqlite-rows.ts";

type Run<K extends keyof Calls> = (input: Calls[K]["in"]) => Calls[K]["out"];

export interface History {
  readonly add: Run<"addHistory">;
  readonly find: Run<"findHistory">;
  readonly replace: Run<"replaceHistory">;
  readonly forget: Run<"forgetHistory">;
  readonly figures: Run<"reportFigures">;
}

export function prepareHistory(database: DatabaseSync): History {
  const insert = database.prepare(`INSERT INTO history (at, kind, queue_id, domain, partner, mode, would_defer, sealed)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`);
  const tag = database.prepare("INSERT INTO history_tag (tag, history) VALUES ($1, $2) ON CONFLICT DO NOTHING");
  const byMessage = database.prepare("SELECT * FROM history WHERE queue_id = $1 AND seq > $2 ORDER BY seq LIMIT $3");
  const byTag = database.prepare(`SELECT * FROM history WHERE seq > $2 AND (
      seq IN (SELECT history FROM history_tag WHERE tag = $1)
      OR queue_id IN (SELECT queue_id FROM history WHERE seq IN (SELECT history FROM history_tag WHERE tag = $1)))
    ORDER BY seq LIMIT $3`);
  const reseal = database.prepare("UPDATE history SET sealed = $2 WHERE seq = $1");
  const untag = database.prepare("DELETE FROM history_tag WHERE tag = $1");
  const forget = database.prepare(
    "DELETE FROM history WHERE seq IN (SELECT seq FROM history WHERE at < $1 ORDER BY at LIMIT $2)",
  );
  const reported = "FROM history WHERE mode = 'report' AND partner = $1 AND at >= $2 AND kind = 'delivery'";
  const sum = database.prepare(`SELECT count(DISTINCT queue_id || ' ' || domain) AS n, min(at) AS first, max(at) AS last
    ${reported}`);
  const reasons = database.prepare(`SELECT would_defer AS reason, count(DISTINCT queue_id || ' ' || domain) AS n
    ${reported} AND would_defer IS NOT NULL GROUP BY would_defer ORDER BY n DESC, reason`);
  return {
    add: (rows) => {
      for (const { tags, at, kind, queueId, domain, partner, mode, wouldDefer, sealed } of rows) {
        const { lastInsertRowid } = insert.run(bind(at, kind, queueId, domain, partner, mode, wouldDefer, sealed));
        for (const one of tags) tag.run(bind(one, lastInsertRowid));
      }
      return null;
    },
    find: (which) => {
      const { after, limit } = which;
      const rows =
        "queueId" in which
          ? byMessage.all(bind(which.queueId, after, limit))
          : byTag.all(bind(which.tag, after, limit));
      return rows.map(toHistoryRow);
    },
    replace: ({ rows, untag: gone }) => {
      for (const { seq, sealed } of rows) reseal.run(bind(seq, sealed));
      if (gone !== null) untag.run(bind(gone));
      return null;
    },
    forget: ({ before, limit }) => Number(forget.run(bind(before, limit)).changes),
    figures: ({ partner, since }) => {
      const row = sum.get(bind(partner, since)) ?? {};
      const { first, last } = row;
      return {
        deliveries: Number(row["n"] ?? 0),
        wouldDefer: reasons
          .all(bind(partner, since))
          .map((one) => ({ reason: text(one["reason"]), deliveries: Number(one["n"]) })),
        ...(typeof first === "number" && { first }),
        ...(typeof last === "number" && { last }),
      };
    },
  };
}

function toHistoryRow(row: Row): HistoryRow & { readonly seq: number } {
  const orNull = (name: string): string | null => (typeof row[name] === "string" ? row[name] : null);
  return {
    seq: Number(row["seq"]),
    at: Number(row["at"]),
    kind: text(row["kind"]),
    queueId: orNull("queue_id"),
    domain: orNull("domain"),
    partner: orNull("partner"),
    mode: orNull("mode"),
    wouldDefer: orNull("would_defer"),
    sealed: bytes(row["sealed"]),
  };
}
