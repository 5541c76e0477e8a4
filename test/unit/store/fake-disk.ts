/** A disk in memory that notes what is asked of it, and fails where it is told to. */
import type { Disk } from "../../../src/store/disk.ts";

export type DiskStep =
  | "create"
  | "append"
  | "datasync"
  | "close"
  | "open"
  | "remove"
  | "list"
  | "syncFolder"
  | "freeBytes";

export interface FakeDisk extends Disk {
  readonly files: Map<string, Buffer>;
  /** Steps in order, each as `step name`. */
  readonly log: string[];
  /** Called before each step; throw to let it fail, or return a promise to let it wait. */
  before: (step: DiskStep, path: string) => void | Promise<void>;
  /** Octets free before any file of this disk was written. */
  free: number;
}

export function fakeDisk(): FakeDisk {
  const files = new Map<string, Buffer>();
  const log: string[] = [];
  const step = async (name: DiskStep, path: string): Promise<void> => {
    log.push(`${name} ${path}`);
    await disk.before(name, path);
  };
  const disk: FakeDisk = {
    files,
    log,
    before: () => undefined,
    free: 1e12,
    create: async (path) => {
      await step("create", path);
      if (files.has(path)) throw failure("EEXIST");
      files.set(path, Buffer.alloc(0));
      return {
        append: async (parts) => {
          await step("append", path);
          files.set(path, Buffer.concat([files.get(path) ?? Buffer.alloc(0), ...parts]));
        },
        datasync: () => step("datasync", path),
        close: () => step("close", path),
      };
    },
    open: async (path) => {
      await step("open", path);
      const bytes = files.get(path);
      if (bytes === undefined) throw failure("ENOENT");
      return {
        size: bytes.length,
        read: async (into, length, position) => {
          const part = bytes.subarray(position, position + length);
          into.set(part);
          return part.length;
        },
        close: () => step("close", path),
      };
    },
    remove: async (path) => {
      await step("remove", path);
      files.delete(path);
    },
    list: async (folder) => {
      await step("list", folder);
      return [...files.keys()].flatMap((path) =>
        path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [],
      );
    },
    syncFolder: (folder) => step("syncFolder", folder),
    makeFolder: async () => undefined,
    freeBytes: async (folder) => {
      await step("freeBytes", folder);
      return [...files.values()].reduce((left, { length }) => left - length, disk.free);
    },
  };
  return disk;
}

export function failure(code: string): Error {
  return Object.assign(new Error(`${code}: made to fail`), { code });
}
