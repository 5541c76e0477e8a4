/** Schema 1: messages, their sealed content, deliveries, and keyed tags for exact filters. Never edited once released. */
export const queueSchema = `
CREATE TABLE store (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  key_id TEXT NOT NULL
) STRICT;

CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  received_at INTEGER NOT NULL,
  size INTEGER NOT NULL,
  body_length INTEGER NOT NULL,
  filed INTEGER NOT NULL CHECK (filed IN (0, 1)),
  key_id TEXT NOT NULL,
  wrapped_key BLOB NOT NULL,
  facts BLOB NOT NULL,
  ends TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX message_filed ON message (id) WHERE filed = 1;

CREATE TABLE content (
  message INTEGER PRIMARY KEY REFERENCES message (seq) ON DELETE CASCADE,
  header BLOB NOT NULL,
  body BLOB
) STRICT;

CREATE TABLE delivery (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  message INTEGER NOT NULL REFERENCES message (seq) ON DELETE CASCADE,
  domain TEXT NOT NULL,
  partner TEXT,
  positions TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'leased', 'held', 'parked')),
  next_attempt_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  reason TEXT,
  detail BLOB
) STRICT;
CREATE INDEX delivery_message ON delivery (message);
CREATE INDEX delivery_due ON delivery (domain, next_attempt_at) WHERE state = 'waiting';
CREATE INDEX delivery_next ON delivery (next_attempt_at) WHERE state = 'waiting';

CREATE TABLE tag (
  tag BLOB NOT NULL,
  delivery INTEGER NOT NULL REFERENCES delivery (seq) ON DELETE CASCADE,
  PRIMARY KEY (tag, delivery)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_delivery ON tag (delivery);
`;
