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
    const problem = await makeFile(file, made);
    if (problem === undefined) continue;
    await Promise.all(made.map((path) => rm(path, { force: true })));
    return problem;
  }
  return { ok: true };
}

async function makeFile({ path, content, secret }: NewFile, made: string[]): Promise<Made | undefined> {
  let step: "folder" | "file" = "folder";
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    step = "file";
    const handle = await open(path, "wx", secret ? 0o600 : 0o644);
    made.push(path);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return undefined;
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    // A folder's place may be taken by a file, which is no matter of overwriting.
    if (code === "EEXIST" && step === "file") return { ok: false, why: "exists", path };
    return { ok: false, why: "failed", path, code };
  }
}
