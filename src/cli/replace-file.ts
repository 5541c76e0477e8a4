/**
 * Puts a new text in the place of a file, whole or not at all: same owner, same rights. Never over an edit that somebody
 * made meanwhile.
 */
import { open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export type Replaced =
  | { readonly ok: true }
  | { readonly ok: false; readonly why: "changed" }
  /** As the system says it: EACCES, ENOSPC. */
  | { readonly ok: false; readonly why: "failed"; readonly code: string };

export interface Replacement {
  readonly path: string;
  readonly before: string;
  readonly after: string;
  /** Part of the draft's name. */
  readonly draft: string;
}

export async function replaceFile({ path, before, after, draft: suffix }: Replacement): Promise<Replaced> {
  try {
    const target = await realpath(path); // a link stays one
    const folder = dirname(target);
    const draft = join(folder, `.${basename(target)}.${suffix}`); // no file whose name begins with a dot is read
    try {
      await writeLike(target, draft, after);
      if ((await readFile(target, "utf8")) !== before) return { ok: false, why: "changed" };
      await rename(draft, target);
    } finally {
      await rm(draft, { force: true });
    }
    await syncFolder(folder);
    return { ok: true };
  } catch (error) {
    return { ok: false, why: "failed", code: (error as NodeJS.ErrnoException).code ?? "unknown error" };
  }
}

async function writeLike(target: string, draft: string, text: string): Promise<void> {
  const { mode, uid, gid } = await stat(target);
  const handle = await open(draft, "wx", 0o600);
  try {
    const made = await handle.stat();
    if (made.uid !== uid || made.gid !== gid) await handle.chown(uid, gid);
    await handle.chmod(mode & 0o7777);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
