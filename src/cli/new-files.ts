/**
 * Files that a command makes: all of them or none, and never in the place of one that is there. Keys are for their
 * owner alone from the first octet on.
 */
import { mkdir, open, rm } from "node:fs/promises";
import { dirname } from "node:path";

export interface NewFile {
  readonly path: string;
  readonly content: string | Buffer;
  /** Others may not read it. */
  readonly secret: boolean;
}

export type Made =
  | { readonly ok: true }
  /** It is there already; nothing was written. */
  | { readonly ok: false; readonly why: "exists"; readonly path: string }
  /** `code` as the system says it: EACCES, ENOSPC. */
  | { readonly ok: false; readonly why: "failed"; readonly path: string; readonly code: string };

/** Folders that are missing are made, too (0700), and stay. */
export async function makeFiles(files: readonly NewFile[]): Promise<Made> {
  const made: string[] = [];
  for (const file of files) {
    try {
      await mkdir(dirname(file.path), { recursive: true, mode: 0o700 });
      const handle = await open(file.path, "wx", file.secret ? 0o600 : 0o644);
      made.push(file.path);
      try {
        await handle.writeFile(file.content);
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      await Promise.all(made.map((path) => rm(path, { force: true })));
      const { code = "unknown error" } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") return { ok: false, why: "exists", path: file.path };
      return { ok: false, why: "failed", path: file.path, code };
    }
  }
  return { ok: true };
}
