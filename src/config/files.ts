/**
 * The only reader of files. Everything else in this room is handed a `Files`, so that it can be tested without a disk.
 * Reads regular files of a bounded size only: never a pipe that could block, never a device.
 */
import { isUtf8 } from "node:buffer";
import { readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { resolve } from "node:path";

export interface Access {
  /** Permission bits. */
  readonly mode: number;
  readonly owner: "us" | "root" | "other";
}

export interface FileFound extends Access {
  readonly ok: true;
  readonly text: string;
}

export interface BytesFound extends Access {
  readonly ok: true;
  readonly bytes: Buffer;
}

export interface FileLost {
  readonly ok: false;
  readonly why: "missing" | "not-readable" | "not-a-file" | "too-big" | "not-text";
}

export interface Files {
  /** Text of a regular file of at most 1 MiB, which must be UTF-8. */
  readonly read: (path: string) => FileFound | FileLost;
  /** Octets of such a file, whatever they are. */
  readonly bytes: (path: string) => BytesFound | FileLost;
  /** Names in a folder, sorted. */
  readonly list: (folder: string) => readonly string[] | "missing" | "not-readable";
}

export const FILE_LIMIT = 1_048_576;

export const diskFiles: Files = { read: readText, bytes: readBytes, list: listDisk };

/** The disk, as if one of its files said something else; for a look at what an edit would do. */
export function withEdited({ file, text }: { readonly file: string; readonly text: string }): Files {
  const edited = (path: string): boolean => resolve(path) === file;
  return {
    ...diskFiles,
    read: (path) => {
      const found = readText(path);
      return found.ok && edited(path) ? { ...found, text } : found;
    },
  };
}

function readText(path: string): FileFound | FileLost {
  const found = readBytes(path);
  if (!found.ok) return found;
  const { bytes, mode, owner } = found;
  return isUtf8(bytes) ? { ok: true, text: bytes.toString("utf8"), mode, owner } : { ok: false, why: "not-text" };
}

function readBytes(path: string): BytesFound | FileLost {
  try {
    const stats = statSync(path);
    if (!stats.isFile()) return { ok: false, why: "not-a-file" };
    if (stats.size > FILE_LIMIT) return { ok: false, why: "too-big" };
    return { ok: true, bytes: readFileSync(path), mode: stats.mode & 0o777, owner: ownerOf(stats) };
  } catch (error) {
    const code = codeOf(error);
    return { ok: false, why: code === "ENOENT" || code === "ENOTDIR" ? "missing" : "not-readable" };
  }
}

function ownerOf(stats: Stats): FileFound["owner"] {
  const us = process.geteuid?.();
  if (us === undefined || stats.uid === us) return "us";
  return stats.uid === 0 ? "root" : "other";
}

function listDisk(folder: string): ReturnType<Files["list"]> {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    const code = codeOf(error);
    return code === "ENOENT" || code === "ENOTDIR" ? "missing" : "not-readable";
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}
