/** Schema 2: MTA-STS policies, one row per policy domain. Never edited once released. */
export const stsPolicySchema = `
CREATE TABLE sts_policy (
  domain TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('enforce', 'testing', 'none')),
  mx TEXT NOT NULL,
  fetched_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  refresh_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sts_policy_refresh ON sts_policy (refresh_at);
CREATE INDEX sts_policy_expiry ON sts_policy (expires_at);
CREATE INDEX sts_policy_use ON sts_policy (used_at);
`;
