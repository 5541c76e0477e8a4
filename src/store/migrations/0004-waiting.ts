/**
 * Schema 4: when a delay notice is due, what has changed of a delivery's way (sealed), and the state that a void lease
 * falls back to. Never edited once released.
 */
export const waitingSchema = `
ALTER TABLE delivery ADD COLUMN notice_at INTEGER;
ALTER TABLE delivery ADD COLUMN course BLOB;
ALTER TABLE delivery ADD COLUMN back TEXT NOT NULL DEFAULT 'waiting' CHECK (back IN ('waiting', 'held', 'parked'));

CREATE INDEX delivery_notice ON delivery (notice_at) WHERE state = 'waiting' AND notice_at IS NOT NULL;
CREATE INDEX delivery_expiry ON delivery (domain, expires_at) WHERE state = 'waiting';
CREATE INDEX delivery_partner ON delivery (partner);
`;
