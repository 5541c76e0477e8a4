/**
 * Notices that a certificate or key file has changed, or that one has come into a folder of them, so that new ones are
 * taken without a signal. Looks at size and modification time on a timer: that works on every file system and across
 * renames.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../runtime/clock.ts";

export interface FileWatchDeps {
  readonly clock: Pick<Clock, "after">;
  /** Absolute paths; asked anew each time. */
  readonly files: () => readonly string[];
  /** The same; all files in them count, those that appear later too. */
  readonly folders: () => readonly string[];
  readonly everyMs: number;
  readonly onChange: () => void;
}

/** Starts watching; the returned function ends it. */
export function watchFiles(deps: FileWatchDeps): () => void {
  let stopped = false;
  let cancel: () => void = () => undefined;
  let known: string | undefined;
  const look = async (): Promise<void> => {
    const seen = await stateOf(new Set([...deps.files(), ...(await filesIn(deps.folders()))]));
    if (stopped) return;
    if (known !== undefined && seen !== known) deps.onChange();
    known = seen;
    cancel = deps.clock.after(deps.everyMs, () => void look());
  };
  void look();
  return () => {
    stopped = true;
    cancel();
  };
}

/** A folder that is not there has none. */
async function filesIn(folders: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    folders.map((folder) =>
      readdir(folder).then(
        (names) => names.map((name) => join(folder, name)),
        () => [],
      ),
    ),
  );
  return lists.flat();
}

/** A file that cannot be read is part of the state, too: it may be in the middle of being replaced. */
async function stateOf(files: ReadonlySet<string>): Promise<string> {
  const states = await Promise.all(
    [...files].map((file) =>
      stat(file).then(
        ({ mtimeMs, size, ino }) => `${file} ${mtimeMs} ${size} ${ino}`,
        () => `${file} missing`,
      ),
    ),
  );
  return states.toSorted().join("\n");
}
