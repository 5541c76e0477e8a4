/**
 * Schema 3: several contents of one message. The first stays where it was, `content` 0 with the body and the key of
 * `message`; others have a header here and name a body: the first's, or one of `part`. Never edited once released.
 */
export const contentsSchema = `
ALTER TABLE message ADD COLUMN part INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN content INTEGER NOT NULL DEFAULT 0;

CREATE TABLE part (
  message INTEGER NOT NULL REFERENCES message (seq) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  length INTEGER NOT NULL,
  filed INTEGER NOT NULL CHECK (filed IN (0, 1)),
  wrapped_key BLOB NOT NULL,
  body BLOB,
  PRIMARY KEY (message, number)
) STRICT;

CREATE TABLE variant (
  message INTEGER NOT NULL REFERENCES message (seq) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  part INTEGER NOT NULL,
  header BLOB NOT NULL,
  PRIMARY KEY (message, number)
) STRICT;
`;
