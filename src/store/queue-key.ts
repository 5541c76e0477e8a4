/**
 * The queue keys: reads and checks the key file, one key a line with the current one first, or makes one for a store
 * that is not there yet. It must never make a key for a store that exists, touch that store, or show a key.
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, realpath } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import type { Random } from "../runtime/random.ts";
import { codeOf, nodeDisk } from "./disk.ts";
import { createKeyRing, type KeyRing } from "./key-ring.ts";
import { type QueueKey, queueKeyFrom } from "./seal.ts";
import type { StoreSettings } from "./settings.ts";
import { StoreStartError } from "./start-error.ts";

export const KEY_BYTES = 32;
/** A dozen of keys; a rotation that has ended leaves one. */
const LONGEST_FILE = 1024;

/** What is known of the store before it is opened. `keyIds` are unknown when it does not exist or lost its identity file. */
export interface StoreSeen {
  readonly exists: boolean;
  readonly keyIds: readonly string[] | undefined;
}

/** A key of the file, and the line that it stands on. */
export interface KeyLine {
  readonly key: QueueKey;
  readonly line: string;
}

export async function loadKeyRing(settings: StoreSettings, store: StoreSeen, random: Random): Promise<KeyRing> {
  await refuseBelowDataDir(settings);
  const lines = (await readKeyFile(settings)) ?? [await makeKeyFile(settings, store, random)];
  const [first, ...others] = lines.map(({ key }) => key) as [QueueKey, ...QueueKey[]];
  const ring = createKeyRing(first, others);
  const missing = store.exists ? (store.keyIds ?? []).filter((id) => ring.get(id) === undefined) : [];
  if (missing.length > 0) throw wrongKey(settings, missing, ring.ids());
  return ring;
}

export function wrongKey(
  settings: StoreSettings,
  wanted: readonly string[],
  found: readonly string[],
): StoreStartError {
  const text = `The queue in ${settings.dataDir} is sealed with key ${wanted.join(" and ")}, but ${settings.keyFile} holds key ${found.join(" and ")}. Put the right key file in place, or the missing key on a line below the others; the queue was not touched`;
  return new StoreStartError("key-wrong", text);
}

/** A key beside the data would go with every copy of it. Symbolic links are followed. */
async function refuseBelowDataDir({ keyFile, dataDir }: StoreSettings): Promise<void> {
  const folder = await realFolder(resolve(dataDir));
  const file = join(await realFolder(dirname(resolve(keyFile))), basename(keyFile));
  const target = await realpath(file).catch(() => file);
  if (![file, target].some((path) => path.startsWith(folder + sep))) return;
  throw new StoreStartError(
    "key-below-data-dir",
    `The queue key ${keyFile} lies below data_dir ${dataDir}; move it out`,
  );
}

/** The real path of a folder whose last parts may not exist yet. */
async function realFolder(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await realFolder(parent), basename(path));
  }
}

/** At least one; undefined when there is no file. Throws StoreStartError. */
export async function readKeyFile(settings: StoreSettings): Promise<readonly KeyLine[] | undefined> {
  const { keyFile } = settings;
  let file: FileHandle;
  try {
    file = await open(keyFile, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new StoreStartError("key-unreadable", `The queue key ${keyFile} cannot be read (${codeOf(error)})`, error);
  }
  try {
    await refuseExposed(file, settings);
    const buffer = Buffer.alloc(LONGEST_FILE + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    const text = buffer.toString("latin1", 0, bytesRead);
    buffer.fill(0);
    return parseLines(keyFile, text);
  } finally {
    await file.close();
  }
}

async function refuseExposed(file: FileHandle, { keyFile, allowGroupRead }: StoreSettings): Promise<void> {
  const stat = await file.stat();
  if (!stat.isFile()) throw new StoreStartError("key-malformed", `The queue key ${keyFile} is not a file`);
  const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
  if ((stat.mode & (allowGroupRead ? 0o137 : 0o177)) !== 0) {
    const allowed = allowGroupRead ? "0600, 0400 or 0640" : "0600 or 0400";
    throw new StoreStartError("key-exposed", `The queue key ${keyFile} has mode ${mode}; give it ${allowed}`);
  }
  const own = process.getuid?.() ?? stat.uid;
  if (stat.uid === own || stat.uid === 0) return;
  throw new StoreStartError(
    "key-exposed",
    `The queue key ${keyFile} belongs to user ${stat.uid}, not to ${own} or root`,
  );
}

function parseLines(keyFile: string, text: string): readonly KeyLine[] {
  const lines = text.length > LONGEST_FILE ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
  const seen = new Set<string>();
  const read = lines.map((line, at): KeyLine => {
    const secret = parseKey(line);
    if (secret === undefined) throw malformed(keyFile, lines.length > 1 ? `, which line ${at + 1} does not` : "");
    const key = queueKeyFrom(secret);
    secret.fill(0);
    if (seen.has(key.id)) throw malformed(keyFile, `, each once: key ${key.id} is there twice`);
    seen.add(key.id);
    return { key, line };
  });
  if (read.length === 0) throw malformed(keyFile, "");
  return read;
}

function malformed(keyFile: string, more: string): StoreStartError {
  const text = `The queue key ${keyFile} must hold 32 random octets in hex or base64 and nothing else, or several such lines with the current key first${more}`;
  return new StoreStartError("key-malformed", text);
}

function parseKey(line: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(line)) return Buffer.from(line, "hex");
  if (!/^[A-Za-z0-9+/]{43}=$/.test(line)) return undefined;
  const secret = Buffer.from(line, "base64");
  return secret.length === KEY_BYTES ? secret : undefined;
}

async function makeKeyFile(settings: StoreSettings, store: StoreSeen, random: Random): Promise<KeyLine> {
  const { keyFile, dataDir } = settings;
  if (store.exists) {
    const wanted = store.keyIds === undefined ? "its key" : `key ${store.keyIds.join(" and ")}`;
    const text = `The queue in ${dataDir} is sealed with ${wanted}, but there is no key file ${keyFile}. Put it back; the queue was not touched, and no new key is made while it exists`;
    throw new StoreStartError("key-missing", text);
  }
  const made = newKeyLine(random);
  try {
    await mkdir(dirname(keyFile), { recursive: true, mode: 0o700 });
    const file = await open(keyFile, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    try {
      await file.writeFile(`${made.line}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await nodeDisk.syncFolder(dirname(keyFile));
  } catch (error) {
    throw new StoreStartError("key-unreadable", `The queue key ${keyFile} cannot be made (${codeOf(error)})`, error);
  }
  return made;
}

export function newKeyLine(random: Random): KeyLine {
  const secret = random.bytes(KEY_BYTES);
  const made = { key: queueKeyFrom(secret), line: secret.toString("hex") };
  secret.fill(0);
  return made;
}
