/** The statements of the history. Each runs inside a transaction that its caller has begun, or only looks. */
import type { DatabaseSync } from "node:sqlite";
import type { FoundRow } from "./history-protocol.ts";
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
  // By position: these two run for every message, and named parameters cost more than the statement.
  const insert = database.prepare(`INSERT INTO history (at, kind, queue_id, domain, partner, mode, would_defer, sealed)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
  const tag = database.prepare("INSERT INTO history_tag (tag, history) VALUES (?, ?) ON CONFLICT DO NOTHING");
  const byMessage = database.prepare(
    "SELECT * FROM history WHERE queue_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
  );
  const byTag = database.prepare(`SELECT h.* FROM history_tag t JOIN history h ON h.seq = t.history
    WHERE t.tag = $1 AND t.history < $2 ORDER BY t.history DESC LIMIT $3`);
  const reseal = database.prepare("UPDATE history SET sealed = $2 WHERE seq = $1");
  const untag = database.prepare("DELETE FROM history_tag WHERE tag = $1");
  // The first entry of a message has its tags: it stays as long as any other of the message, or that could not be found.
  const forget = database.prepare(`DELETE FROM history WHERE seq IN (
    SELECT seq FROM history old WHERE at < $1 AND (queue_id IS NULL OR NOT EXISTS
      (SELECT 1 FROM history young WHERE young.queue_id = old.queue_id AND young.at >= $1))
    ORDER BY at LIMIT $2)`);
  const reported = "FROM history WHERE mode = 'report' AND partner = $1 AND at >= $2 AND kind = 'delivery'";
  const sum = database.prepare(`SELECT count(DISTINCT queue_id || ' ' || domain) AS n, min(at) AS first, max(at) AS last
    ${reported}`);
  const reasons = database.prepare(`SELECT would_defer AS reason, count(*) AS n FROM
      (SELECT would_defer, max(seq) ${reported} AND would_defer IS NOT NULL GROUP BY queue_id, domain)
    GROUP BY would_defer ORDER BY n DESC, reason`);
  return {
    add: ({ rows, octets, tagLength }) => {
      let at = 0;
      const next = (length: number): Uint8Array => octets.subarray(at, (at += length));
      for (const row of rows) {
        const { kind, queueId, domain, partner, mode, wouldDefer } = row;
        const sealed = next(row.length);
        const { lastInsertRowid } = insert.run(row.at, kind, queueId, domain, partner, mode, wouldDefer, sealed);
        for (let tags = row.tags; tags > 0; tags -= 1) tag.run(next(tagLength), lastInsertRowid);
      }
      return null;
    },
    find: (which) => {
      const { before, limit } = which;
      const rows =
        "queueId" in which
          ? byMessage.all(bind(which.queueId, before, limit))
          : byTag.all(bind(which.tag, before, limit));
      return rows.map(toFoundRow);
    },
    replace: ({ row, untag: gone }) => {
      if (row !== null) reseal.run(bind(row.seq, row.sealed));
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

function toFoundRow(row: Row): FoundRow {
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
