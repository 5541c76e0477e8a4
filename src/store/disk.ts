/**
 * The few things the store does to files itself, as a port, so that a test can let each of them fail.
 * Errors are Node's own (`code`); `toStoreError` is the one place that gives them a meaning.
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, statfs, unlink } from "node:fs/promises";
import { StoreError } from "./queue.ts";

export interface WritableFile {
  /** Writes all of it, or rejects. */
  readonly append: (parts: readonly Uint8Array[]) => Promise<void>;
  readonly datasync: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface ReadableFile {
  readonly size: number;
  /** Octets read into `into`; fewer than asked for at the end of the file. */
  readonly read: (into: Uint8Array, length: number, position: number) => Promise<number>;
  readonly close: () => Promise<void>;
}

export interface Disk {
  /** A new file, 0600; rejects if there is one of that name. */
  readonly create: (path: string) => Promise<WritableFile>;
  readonly open: (path: string) => Promise<ReadableFile>;
  /** A file that is not there is removed already. */
  readonly remove: (path: string) => Promise<void>;
  readonly list: (folder: string) => Promise<string[]>;
  /** Makes what was created in or removed from the folder durable. */
  readonly syncFolder: (folder: string) => Promise<void>;
  readonly makeFolder: (folder: string) => Promise<void>;
  readonly freeBytes: (folder: string) => Promise<number>;
}

export const nodeDisk: Disk = {
  create: async (path) => {
    const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    return {
      append: (parts) => appendAll(file, parts),
      datasync: () => file.datasync(),
      close: () => file.close(),
    };
  },
  open: async (path) => {
    const file = await open(path, "r");
    const { size } = await file.stat();
    return {
      size,
      read: async (into, length, position) => readAll(file, into.subarray(0, length), position),
      close: () => file.close(),
    };
  },
  remove: (path) => unlink(path).catch(ignoreMissing),
  list: (folder) => readdir(folder),
  syncFolder: async (folder) => {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  makeFolder: async (folder) => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  },
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

async function appendAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  for (const part of parts) {
    for (let done = 0; done < part.length; ) {
      const { bytesWritten } = await file.write(part, done, part.length - done);
      done += bytesWritten; // a short write is followed by the rest, or by the error that caused it
    }
  }
}

async function readAll(file: FileHandle, into: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== "ENOENT") throw error;
}

export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** An empty file, 0600, for SQLite, whose own would be readable by others; one that exists is not even opened. */
export async function ensureFile(path: string): Promise<void> {
  try {
    await (await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600)).close();
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

/** What a failed file operation means to the one who hands in mail. */
export function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = codeOf(error);
  // Quota and inode shortage show as these two, too.
  if (code === "ENOSPC" || code === "EDQUOT") return new StoreError("no-space", `The disk is full (${code})`, error);
  const what = error instanceof Error ? error.message : String(error);
  return new StoreError("failed", `The disk failed: ${what}`, error);
}

/** Syncs a folder on behalf of all who ask meanwhile; an asker is never served by a sync that began before it asked. */
export function createFolderSync(disk: Pick<Disk, "syncFolder">, folder: string): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    const sync = disk.syncFolder(folder);
    running = sync.finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (running === undefined) return start();
    next ??= running.then(ignore, ignore).then(() => {
      next = undefined;
      return start();
    });
    return next;
  };
}

const ignore = (): void => undefined;
