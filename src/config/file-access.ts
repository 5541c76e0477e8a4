/**
 * Files that the configuration names: found relative to the file that names them, read once, and refused when others
 * may read a secret. Keeps the list of what was read. Never puts content into a message.
 */
import { dirname, resolve } from "node:path";
import type { Origin } from "../decide/policy.ts";
import type { Access, BytesFound, FileFound, FileLost, Files } from "./files.ts";
import { type Flaw, type Problems, shown } from "./problems.ts";

export interface FileAccess {
  readonly absolute: (origin: Origin, written: string) => string;
  /** Text of a file that must be there. */
  readonly text: (origin: Origin, written: string) => string | undefined;
  /** The same for keys and passwords: only the owner, or with `groupMay` the group, may read it. */
  readonly secret: (origin: Origin, written: string, groupMay: boolean) => string | undefined;
  /** The same for keys that are no text. */
  readonly secretBytes: (origin: Origin, written: string, groupMay: boolean) => Buffer | undefined;
  /** Octets of a file by its absolute path; nothing is reported. */
  readonly look: (path: string) => BytesFound | FileLost;
  /** Names in a folder, sorted. What cannot be read is reported; that there is none is for the caller to judge. */
  readonly list: (origin: Origin, written: string) => readonly string[] | "missing";
  /** Modes only, for a file that may be missing. */
  readonly checkMode: (origin: Origin, written: string, groupMay: boolean) => void;
  readonly readFiles: () => readonly string[];
  /** Folders that were looked into, also those not there yet. */
  readonly readFolders: () => readonly string[];
}

const LOST: Readonly<Record<FileLost["why"], readonly [string, string]>> = {
  missing: ["does not exist", "create it, or correct the path, which is relative to this file"],
  "not-readable": ["cannot be read", "give the user that runs sealpost the right to read it"],
  "not-a-file": ["is not a file", "write the path of a file"],
  "too-big": ["is larger than 1 MiB", "name a smaller file"],
  "not-text": [
    "is not text in UTF-8",
    "save it as UTF-8, or write the path of a text file (certificates and keys: PEM)",
  ],
};

const UNLISTED = ["cannot be read as a folder", LOST["not-readable"][1]] as const;

/** What is wrong with a file that cannot be had, and what to do. */
export function lostFile(written: string, why: FileLost["why"]): Flaw {
  const [message, remedy] = LOST[why];
  return { message: `${shown(written)} ${message}`, remedy };
}

export function createFileAccess(files: Files, problems: Problems): FileAccess {
  const noted = new Set<string>();
  const folders = new Set<string>();
  const texts = once(files.read, noted);
  const octets = once(files.bytes, noted);
  const absolute = (origin: Origin, written: string) => resolve(dirname(origin.file), written);
  const lost = (origin: Origin, { message, remedy }: Flaw) => problems.add(origin, message, remedy);
  const text = (origin: Origin, written: string) => {
    const found = texts(absolute(origin, written));
    return found.ok ? found.text : (lost(origin, lostFile(written, found.why)) as undefined);
  };
  const secret = (origin: Origin, written: string, groupMay: boolean) => {
    const found = texts(absolute(origin, written));
    if (!found.ok) return lost(origin, lostFile(written, found.why)) as undefined;
    return modeFits(problems, { origin, written, groupMay }, found) ? found.text : undefined;
  };
  const secretBytes = (origin: Origin, written: string, groupMay: boolean) => {
    const found = octets(absolute(origin, written));
    if (!found.ok) return lost(origin, lostFile(written, found.why)) as undefined;
    return modeFits(problems, { origin, written, groupMay }, found) ? found.bytes : undefined;
  };
  const list: FileAccess["list"] = (origin, written) => {
    const folder = absolute(origin, written);
    folders.add(folder);
    const names = files.list(folder);
    if (names !== "not-readable") return names;
    problems.add(origin, `${shown(written)} ${UNLISTED[0]}`, UNLISTED[1]);
    return [];
  };
  const checkMode = (origin: Origin, written: string, groupMay: boolean) => {
    const found = files.read(absolute(origin, written));
    if (found.ok) modeFits(problems, { origin, written, groupMay }, found);
    else if (found.why !== "missing" && found.why !== "not-text") lost(origin, lostFile(written, found.why));
  };
  const readFiles = () => [...noted].sort();
  return {
    absolute,
    text,
    secret,
    secretBytes,
    look: octets,
    list,
    checkMode,
    readFiles,
    readFolders: () => [...folders].sort(),
  };
}

/** Reads each path once, and keeps the list of those that were there. */
function once<F extends FileFound | BytesFound>(read: (path: string) => F | FileLost, noted: Set<string>) {
  const seen = new Map<string, F | FileLost>();
  return (path: string): F | FileLost => {
    const known = seen.get(path) ?? read(path);
    seen.set(path, known);
    if (known.ok) noted.add(path);
    return known;
  };
}

interface Asked {
  readonly origin: Origin;
  readonly written: string;
  readonly groupMay: boolean;
}

function modeFits(problems: Problems, { origin, written, groupMay }: Asked, found: Access): boolean {
  if (found.owner === "other") {
    problems.add(origin, `${shown(written)} belongs to another user`, "chown it to the user that runs sealpost");
    return false;
  }
  const excess = found.mode & (groupMay ? 0o037 : 0o077);
  if (excess === 0) return true;
  const mode = `0${found.mode.toString(8).padStart(3, "0")}`;
  const onlyGroupReads = !groupMay && (excess & 0o037) === 0;
  const remedy = `chmod 600 ${written}${onlyGroupReads ? ", or write allow_group_read: true" : ""}`;
  problems.add(origin, `others may read ${shown(written)} (mode ${mode})`, remedy);
  return false;
}
