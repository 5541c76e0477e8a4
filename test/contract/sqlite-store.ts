/** A store of the SQLite engine in a folder of its own, for tests. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import type { StoreSettings } from "../../src/store/settings.ts";
import { createSqliteQueue, type EmbeddedStore, type SqliteQueueDeps } from "../../src/store/sqlite-queue.ts";

export interface SqliteStore {
  readonly folder: string;
  readonly settings: StoreSettings;
  readonly open: (more?: Partial<SqliteQueueDeps>) => Promise<EmbeddedStore>;
  readonly destroy: () => Promise<void>;
}

export async function sqliteStore(): Promise<SqliteStore> {
  const folder = await mkdtemp(join(tmpdir(), "sealpost-store-"));
  const settings: StoreSettings = {
    dataDir: join(folder, "data"),
    keyFile: join(folder, "certs", "queue.key"),
    allowGroupRead: false,
    reserve: 0,
  };
  await mkdir(settings.dataDir);
  return {
    folder,
    settings,
    open: (more = {}) => createSqliteQueue({ settings, clock: systemClock, random: systemRandom, ...more }),
    destroy: () => rm(folder, { recursive: true, force: true }),
  };
}
