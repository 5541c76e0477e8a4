/**
 * Files that the configuration names: found relative to the file that names them, read once, and refused when others
 * may read a secret. Keeps the list of what was read. Never puts content into a message.
 */
import { dirname, resolve } from "node:path";
import type { Origin } from "../decide/policy.ts";
import type { FileFound, FileLost, Files } from "./files.ts";
import { type Problems, shown } from "./problems.ts";

export interface FileAccess {
  readonly absolute: (origin: Origin, written: string) => string;
  /** Text of a file that must be there. */
  readonly text: (origin: Origin, written: string) => string | undefined;
  /** The same for keys and passwords: only the owner, or with `groupMay` the group, may read it. */
  readonly secret: (origin: Origin, written: string, groupMay: boolean) => string | undefined;
  /** Modes only, for a file that may be missing. */
  readonly checkMode: (origin: Origin, written: string, groupMay: boolean) => void;
  readonly readFiles: () => readonly string[];
  readonly note: (path: string) => void;
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

export function createFileAccess(files: Files, problems: Problems): FileAccess {
  const seen = new Map<string, FileFound | FileLost>();
  const noted = new Set<string>();
  const absolute = (origin: Origin, written: string) => resolve(dirname(origin.file), written);
  const read = (path: string) => {
    const known = seen.get(path) ?? files.read(path);
    seen.set(path, known);
    if (known.ok) noted.add(path);
    return known;
  };
  const lost = (origin: Origin, written: string, why: FileLost["why"]) => {
    const [message, remedy] = LOST[why];
    problems.add(origin, `${shown(written)} ${message}`, remedy);
  };
  const text = (origin: Origin, written: string) => {
    const found = read(absolute(origin, written));
    if (!found.ok) return lost(origin, written, found.why) as undefined;
    return found.text;
  };
  const secret = (origin: Origin, written: string, groupMay: boolean) => {
    const found = read(absolute(origin, written));
    if (!found.ok) return lost(origin, written, found.why) as undefined;
    return modeFits(problems, { origin, written, groupMay }, found) ? found.text : undefined;
  };
  const checkMode = (origin: Origin, written: string, groupMay: boolean) => {
    const found = files.read(absolute(origin, written));
    if (found.ok) modeFits(problems, { origin, written, groupMay }, found);
    else if (found.why !== "missing" && found.why !== "not-text") lost(origin, written, found.why);
  };
  return { absolute, text, secret, checkMode, readFiles: () => [...noted].sort(), note: (path) => noted.add(path) };
}

interface Asked {
  readonly origin: Origin;
  readonly written: string;
  readonly groupMay: boolean;
}

function modeFits(problems: Problems, { origin, written, groupMay }: Asked, found: FileFound): boolean {
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
