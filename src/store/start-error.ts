/**
 * Why the queue refuses to start. The caller turns it into an exit code; the store has not been changed.
 * Messages name paths and key ids, never a key.
 */
export type StoreStartProblem =
  | "key-missing"
  | "key-wrong"
  | "key-malformed"
  /** Others may read it, or it belongs to somebody else. */
  | "key-exposed"
  | "key-below-data-dir"
  /** The key file cannot be read or made. */
  | "key-unreadable"
  /** A newer program wrote the queue. */
  | "newer-schema"
  /** Bodies without their database. */
  | "database-missing"
  /** The database or its folder cannot be opened. */
  | "cannot-open";

export class StoreStartError extends Error {
  readonly kind: StoreStartProblem;
  constructor(kind: StoreStartProblem, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "StoreStartError";
    this.kind = kind;
  }
}
