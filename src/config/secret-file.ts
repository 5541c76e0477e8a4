/** A random secret of our own that lives in a file, 0600: read, or made at first use. Never logged. */
import { mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Random } from "../runtime/random.ts";

const LENGTH = 32;

/** 32 bytes. Rejects with the system's error when the file can be neither read nor made. */
export async function loadOrMakeSecret(path: string, random: Random): Promise<Buffer> {
  const known = await readSecret(path);
  if (known !== undefined) return known;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const secret = random.bytes(LENGTH);
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(`${secret.toString("base64url")}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return secret;
}

async function readSecret(path: string): Promise<Buffer | undefined> {
  const text = await readFile(path, "latin1").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const secret = Buffer.from(text.trim(), "base64url");
  return secret.length === LENGTH ? secret : undefined;
}
