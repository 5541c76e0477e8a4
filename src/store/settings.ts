/** What the queue needs to be told; config/ fills it. Plain data; none of it can change without a restart. */

export interface StoreSettings {
  readonly dataDir: string;
  /** Outside of dataDir; made only when the store is empty. */
  readonly keyFile: string;
  readonly allowGroupRead: boolean;
  /** Octets of free disk below which new mail is refused. */
  readonly reserve: number;
}
