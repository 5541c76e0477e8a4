/**
 * One gateway per data folder: an exclusive SQLite transaction on `instance.lock`, held for the life of the process.
 * The operating system frees it however the process ends. Nothing else may open or close that file in the
 * holder's process: closing any descriptor of it would drop the lock (fcntl(2)). Hence the pid has a file of its own.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ensureFile, nodeDisk } from "./disk.ts";

export type InstanceLock =
  | { readonly kind: "held"; readonly release: () => Promise<void> }
  /** `pid` is unknown in the instant between the other's locking and its writing it down. */
  | { readonly kind: "refused"; readonly pid: number | undefined; readonly file: string };

const BUSY = 5;

/** Rejects only when the folder or file cannot be made. */
export async function acquireInstanceLock(dataDir: string): Promise<InstanceLock> {
  await nodeDisk.makeFolder(dataDir);
  const file = join(dataDir, "instance.lock");
  const pidFile = join(dataDir, "instance.pid");
  await ensureFile(file);
  const database = lock(file);
  if (database === undefined) return { kind: "refused", pid: await readPid(pidFile), file };
  await writeFile(pidFile, `${process.pid}\n`, { mode: 0o600 });
  let released = false;
  return {
    kind: "held",
    release: async () => {
      if (released) return;
      released = true;
      await rm(pidFile, { force: true });
      database.close();
    },
  };
}

function lock(file: string): DatabaseSync | undefined {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    if (error instanceof Error && "errcode" in error && error.errcode === BUSY) return undefined;
    throw error;
  }
}

async function readPid(pidFile: string): Promise<number | undefined> {
  const text = await readFile(pidFile, "latin1").catch(() => "");
  const pid = Number.parseInt(text, 10);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}
