/**
 * Schema 4: when a delay notice is due, what has changed of a delivery's way (sealed), the state that a void lease
 * falls back to, and what claims go by: the domain, or another way that some of its mail takes. Never edited once released.
 */
export const waitingSchema = `
ALTER TABLE delivery ADD COLUMN notice_at INTEGER;
ALTER TABLE delivery ADD COLUMN course BLOB;
ALTER TABLE delivery ADD COLUMN back TEXT NOT NULL DEFAULT 'waiting' CHECK (back IN ('waiting', 'held', 'parked'));

ALTER TABLE delivery ADD COLUMN lane TEXT NOT NULL DEFAULT '';
UPDATE delivery SET lane = domain;

DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (lane, next_attempt_at) WHERE state = 'waiting';
CREATE INDEX delivery_notice ON delivery (notice_at) WHERE state = 'waiting' AND notice_at IS NOT NULL;
CREATE INDEX delivery_expiry ON delivery (lane, expires_at) WHERE state = 'waiting';
CREATE INDEX delivery_partner ON delivery (partner);
`;
