/**
 * The bearer token of the command line on this machine: made at first start, readable by its owner alone.
 * A file that others may read is refused, for then the token is no longer a secret. The token is never logged.
 */
import { constants } from "node:fs";
import { link, mkdir, open, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Random } from "../runtime/random.ts";

export interface TokenProblem {
  readonly kind: "missing" | "exposed" | "malformed" | "unreadable";
  readonly message: string;
  readonly remedy: string;
}

/** Reads the token; makes the file when there is none. */
export async function loadToken(file: string, random: Random): Promise<{ readonly token: string } | TokenProblem> {
  const found = await readToken(file);
  if (!("kind" in found) || found.kind !== "missing") return found;
  try {
    await makeToken(file, random);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") return unreadable(file, error); // made by another process meanwhile
  }
  return readToken(file);
}

export async function readToken(file: string): Promise<{ readonly token: string } | TokenProblem> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { mode, uid, size } = await handle.stat();
      const us = process.geteuid?.();
      if ((mode & 0o077) !== 0)
        return problem("exposed", `Others may read ${file}`, replaced(file, "chmod 600 it, or "));
      if (us !== undefined && us !== 0 && uid !== us)
        return problem("exposed", `${file} belongs to another user`, "Run the command as the user of the gateway.");
      const token = size > 1_024 ? "" : (await handle.readFile("latin1")).trimEnd();
      if (!/^[\w-]{32,}$/.test(token)) return problem("malformed", `${file} holds no token`, replaced(file, ""));
      return { token };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (codeOf(error) === "ENOENT") return problem("missing", `${file} does not exist`, "Start the gateway once.");
    return unreadable(file, error);
  }
}

/** Whole or not at all, and never over one that is there. */
async function makeToken(file: string, random: Random): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${random.bytes(6).toString("hex")}`;
  try {
    await writeFile(draft, `${random.bytes(32).toString("base64url")}\n`, { mode: 0o600, flag: "wx", flush: true });
    await link(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}

function replaced(file: string, first: string): string {
  return `${first[0]?.toUpperCase() ?? ""}${first.slice(1)}${first === "" ? "Remove" : "remove"} ${file} to get a new one at the next start.`;
}

function unreadable(file: string, error: unknown): TokenProblem {
  const code = codeOf(error) ?? "unknown error";
  return problem("unreadable", `${file} cannot be read or made (${code})`, "Give the gateway's user the right to it.");
}

function problem(kind: TokenProblem["kind"], message: string, remedy: string): TokenProblem {
  return { kind, message, remedy };
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : undefined;
}
