/**
 * Schema 5: what became of messages, kept after they have gone. What an entry says is sealed with the store's history
 * key, which the queue key wraps; addresses and Message-IDs are found by keyed tags. What names a queue key is found by
 * it, so that keys can be changed. Never edited once released.
 */
export const historySchema = `
ALTER TABLE store ADD COLUMN id TEXT NOT NULL DEFAULT '';
UPDATE store SET id = lower(hex(randomblob(16)));
CREATE INDEX message_queue_key ON message (key_id);

CREATE TABLE store_key (
  name TEXT PRIMARY KEY,
  key_id TEXT NOT NULL,
  wrapped BLOB NOT NULL
) STRICT;

CREATE TABLE history (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  queue_id TEXT,
  domain TEXT,
  partner TEXT,
  mode TEXT,
  would_defer TEXT,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX history_at ON history (at);
CREATE INDEX history_message ON history (queue_id) WHERE queue_id IS NOT NULL;
CREATE INDEX history_report ON history (partner, at) WHERE mode = 'report';

CREATE TABLE history_tag (
  tag BLOB NOT NULL,
  history INTEGER NOT NULL REFERENCES history (seq) ON DELETE CASCADE,
  PRIMARY KEY (tag, history)
) STRICT, WITHOUT ROWID;
CREATE INDEX history_tag_entry ON history_tag (history);
`;
