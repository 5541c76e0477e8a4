/**
 * Puts a new key file in the place of the old one, whole or not at all: at no moment is there none that can be read.
 * Owner, group and mode stay. It never shows a key.
 */
import { constants } from "node:fs";
import { open, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { nodeDisk } from "./disk.ts";

/** Rejects with the system's error; the old file is then in place. */
export async function replaceKeyFile(keyFile: string, lines: readonly string[]): Promise<void> {
  const target = await realpath(keyFile); // a symbolic link stays one
  const { mode, uid, gid } = await stat(target);
  const draft = `${target}.new`;
  await rm(draft, { force: true }); // of a rotation that broke off: nothing was ever wrapped by its key
  try {
    const file = await open(draft, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    try {
      const made = await file.stat();
      if (made.uid !== uid || made.gid !== gid) await file.chown(uid, gid);
      await file.writeFile(`${lines.join("\n")}\n`);
      await file.chmod(mode & 0o777);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, target);
  } finally {
    await rm(draft, { force: true });
  }
  await nodeDisk.syncFolder(dirname(target));
}
