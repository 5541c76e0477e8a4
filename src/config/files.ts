/**
 * The only reader of files. Everything else in this room is handed a `Files`, so that it can be tested without a disk.
 * Reads regular files of a bounded size only: never a pipe that could block, never a device.
 */
import { readdirSync, readFileSync, type Stats, statSync } from "node:fs";

export interface FileFound {
  readonly ok: true;
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
  readonly owner: "us" | "root" | "other";
}

export interface FileLost {
  readonly ok: false;
  readonly why: "missing" | "not-readable" | "not-a-file" | "too-big" | "not-text";
}

export interface Files {
  /** Text of a regular file of at most 1 MiB, which must be UTF-8. */
  readonly read: (path: string) => FileFound | FileLost;
  /** Names in a folder, sorted; empty when there is no such folder. */
  readonly list: (folder: string) => readonly string[] | "not-readable";
}

export const FILE_LIMIT = 1_048_576;

export const diskFiles: Files = { read: readDisk, list: listDisk };

function readDisk(path: string): FileFound | FileLost {
  try {
    const stats = statSync(path);
    if (!stats.isFile()) return { ok: false, why: "not-a-file" };
    if (stats.size > FILE_LIMIT) return { ok: false, why: "too-big" };
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
    return { ok: true, text, mode: stats.mode & 0o777, owner: ownerOf(stats) };
  } catch (error) {
    const code = codeOf(error);
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return { ok: false, why: "not-text" };
    return { ok: false, why: code === "ENOENT" || code === "ENOTDIR" ? "missing" : "not-readable" };
  }
}

function ownerOf(stats: Stats): FileFound["owner"] {
  const us = process.geteuid?.();
  if (us === undefined || stats.uid === us) return "us";
  return stats.uid === 0 ? "root" : "other";
}

function listDisk(folder: string): readonly string[] | "not-readable" {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    return codeOf(error) === "ENOENT" ? [] : "not-readable";
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}
