/**
 * The statements of the MTA-STS policy cache. Each function that changes something runs inside a transaction that its
 * caller has begun. What is published is public: nothing in these rows is sealed.
 */
import type { DatabaseSync } from "node:sqlite";
import type { DomainName } from "../mail/domain-name.ts";
import type { KeptStsPolicy } from "../mail/sts-policy.ts";
import type { Calls } from "./sqlite-protocol.ts";
import { bind, type Row, text } from "./sqlite-rows.ts";

type Statement<K extends keyof Calls> = (input: Calls[K]["in"]) => Calls[K]["out"];

export interface Policies {
  readonly get: Statement<"policy">;
  readonly put: Statement<"putPolicy">;
  readonly used: Statement<"usedPolicy">;
  readonly claimDue: Statement<"duePolicies">;
}

const COLUMNS = "domain, id, mode, mx, fetched_at, expires_at, refresh_at, used_at";

export function preparePolicies(database: DatabaseSync): Policies {
  const get = database.prepare(`SELECT ${COLUMNS} FROM sts_policy WHERE domain = $1 AND expires_at > $2`);
  const put = database.prepare(
    `INSERT INTO sts_policy (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (domain) DO UPDATE SET id = excluded.id, mode = excluded.mode, mx = excluded.mx,
       fetched_at = excluded.fetched_at, expires_at = excluded.expires_at, refresh_at = excluded.refresh_at,
       used_at = max(excluded.used_at, sts_policy.used_at)`,
  );
  const used = database.prepare("UPDATE sts_policy SET used_at = $2 WHERE domain = $1 AND used_at < $2");
  const dropExpired = database.prepare("DELETE FROM sts_policy WHERE expires_at <= $1");
  const count = database.prepare("SELECT count(*) AS n FROM sts_policy");
  const dropUnused = database.prepare(
    "DELETE FROM sts_policy WHERE domain IN (SELECT domain FROM sts_policy ORDER BY used_at LIMIT $1)",
  );
  const due = database.prepare(
    `SELECT ${COLUMNS} FROM sts_policy WHERE refresh_at <= $1 AND used_at > $2 ORDER BY refresh_at LIMIT $3`,
  );
  const postpone = database.prepare("UPDATE sts_policy SET refresh_at = $2 WHERE domain = $1");
  return {
    get: ({ domain, now }) => {
      const row = get.get(bind(domain, now));
      return row === undefined ? null : toPolicy(row);
    },
    put: ({ policy, most }) => {
      const { domain, id, mode, mx, fetchedAt, expiresAt, refreshAt, usedAt } = policy;
      put.run(bind(domain, id, mode, JSON.stringify(mx), fetchedAt, expiresAt, refreshAt, usedAt));
      const over = Number(count.get()?.["n"]) - most;
      if (over > 0) dropUnused.run(bind(over));
      return null;
    },
    used: ({ domain, now }) => {
      used.run(bind(domain, now));
      return null;
    },
    claimDue: ({ now, usedSince, limit, again }) => {
      dropExpired.run(bind(now));
      const found = due.all(bind(now, usedSince, limit)).map(toPolicy);
      for (const { domain, expiresAt } of found) {
        // The nearer its end, the sooner again.
        const wait = Math.min(again.mostMs, Math.max(again.leastMs, Math.trunc((expiresAt - now) / 4)));
        postpone.run(bind(domain, now + wait));
      }
      return found;
    },
  };
}

function toPolicy(row: Row): KeptStsPolicy {
  return {
    domain: text(row["domain"]) as DomainName,
    id: text(row["id"]),
    mode: text(row["mode"]) as KeptStsPolicy["mode"],
    mx: JSON.parse(text(row["mx"])) as string[],
    fetchedAt: Number(row["fetched_at"]),
    expiresAt: Number(row["expires_at"]),
    refreshAt: Number(row["refresh_at"]),
    usedAt: Number(row["used_at"]),
  };
}
