/** Looks at a data folder as somebody with the disk in hand would. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Every file below the folder, by name. A process of its own reads them: closing a descriptor here would drop SQLite's locks. */
export function rawFiles(folder: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(folder, { recursive: true }) as string[]) {
    const path = join(folder, name);
    if (!statSync(path).isFile()) continue;
    files.set(name, spawnSync("cat", [path], { maxBuffer: 1 << 28 }).stdout);
  }
  return files;
}

/** Names of the files that hold these octets. */
export function holding(folder: string, octets: string | Buffer): string[] {
  return [...rawFiles(folder)].flatMap(([name, bytes]) => (bytes.includes(octets) ? [name] : []));
}

/** Names, modes and digests of everything below the folder; equal before and after means untouched. */
export function snapshot(folder: string): string[] {
  const files = [...rawFiles(folder)].map(([name, bytes]) => {
    const { mode, mtimeMs } = statSync(join(folder, name));
    return `${name} ${mode.toString(8)} ${mtimeMs} ${createHash("sha256").update(bytes).digest("hex")}`;
  });
  return files.sort((a, b) => (a < b ? -1 : 1));
}

/** Transactions in SQLite's log since it was last emptied: frames that end a transaction (file format, section 4.1). */
export function commitsInLog(log: Buffer): number {
  const pageSize = log.readUInt32BE(8);
  const salts = log.subarray(16, 24);
  let commits = 0;
  for (let at = 32; at + 24 + pageSize <= log.length; at += 24 + pageSize) {
    if (!log.subarray(at + 8, at + 16).equals(salts)) break;
    if (log.readUInt32BE(at + 4) !== 0) commits += 1;
  }
  return commits;
}
