/**
 * `queue.id` beside the database: schema version and key ids, so that both can be checked before the database is opened.
 * Opening a database recovers its log and so changes files; a refused start must not.
 */
import { open, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, type Disk } from "./disk.ts";
import { StoreStartError } from "./start-error.ts";

export interface StoreIdentity {
  readonly schema: number;
  /** Queue keys that something in the store is wrapped by, or may be from now on. The current one first. */
  readonly keyIds: readonly string[];
}

export interface StoreFiles {
  readonly folder: string;
  readonly database: string;
  readonly identity: string;
  readonly bodies: string;
}

export function storeFiles(dataDir: string): StoreFiles {
  const at = (name: string): string => join(dataDir, name);
  return { folder: dataDir, database: at("queue.db"), identity: at("queue.id"), bodies: at("bodies") };
}

/** Reads only. Refuses bodies that have lost their database: nothing could read them, and a start would sweep them. */
export async function lookAtStore(
  files: StoreFiles,
  disk: Disk,
): Promise<{ exists: boolean; identity: StoreIdentity | undefined }> {
  try {
    const size = await sizeOf(files.database);
    const exists = size !== undefined && size > 0;
    if (!exists && (await listIfThere(disk, files.bodies)).length > 0) {
      const text = `${files.bodies} holds message bodies, but their database ${files.database} is missing. Restore it, or move the bodies away to start with an empty queue`;
      throw new StoreStartError("database-missing", text);
    }
    return { exists, identity: exists ? await readIdentity(files.identity) : undefined };
  } catch (error) {
    if (error instanceof StoreStartError) throw error;
    throw new StoreStartError("cannot-open", `The queue in ${files.folder} cannot be read (${codeOf(error)})`, error);
  }
}

export async function writeIdentity(files: StoreFiles, identity: StoreIdentity, disk: Disk): Promise<void> {
  const draft = `${files.identity}.new`;
  const file = await open(draft, "w", 0o600);
  try {
    const { schema, keyIds } = identity;
    const [keyId, ...formerKeyIds] = keyIds;
    await file.writeFile(`${JSON.stringify({ schema, keyId, ...(formerKeyIds.length > 0 && { formerKeyIds }) })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, files.identity);
  await disk.syncFolder(files.folder);
}

/** Undefined when missing or unreadable: the database holds the same facts and is asked then. */
async function readIdentity(path: string): Promise<StoreIdentity | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
  const match =
    /^\{"schema":(\d{1,6}),"keyId":"([0-9a-f]{16})"(?:,"formerKeyIds":\[((?:"[0-9a-f]{16}",?){1,64})\])?\}\n$/.exec(
      text,
    );
  if (match?.[2] === undefined) return undefined;
  const former = [...(match[3] ?? "").matchAll(/[0-9a-f]{16}/g)].map(([id]) => id);
  return { schema: Number(match[1]), keyIds: [match[2], ...former] };
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function listIfThere(disk: Disk, folder: string): Promise<string[]> {
  try {
    return await disk.list(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}
