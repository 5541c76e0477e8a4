/**
 * The folder of partners' certificates: `ADDRESS.pem`, or `@DOMAIN.pem` for all of a domain. One more for the same holder
 * goes into the same file, since the gateway encrypts to the newest that holds; what stands there stays.
 */
import { X509Certificate } from "node:crypto";
import { chmod, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { certificatesIn } from "./certificate-files.ts";

/** Files by SHA-256 fingerprint, as node:crypto writes it. */
export async function keptCertificates(folder: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const kept = new Map<string, string[]>();
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const content = await readFile(path).catch(() => undefined);
    const found = content === undefined ? undefined : certificatesIn(content);
    if (found?.ok !== true) continue;
    for (const { ca, fingerprint256 } of found.certificates)
      if (!ca) kept.set(fingerprint256, [...(kept.get(fingerprint256) ?? []), path]);
  }
  return kept;
}

export interface Keeping {
  readonly folder: string;
  /** The file is named after the first. */
  readonly holders: readonly string[];
  readonly fingerprint: string;
  /** The certificate, and those of authorities that came along. */
  readonly pems: readonly string[];
  /** Part of the draft's name. */
  readonly draft: string;
}

export type Kept =
  /** beside: in a file that was there. */
  | { readonly path: string; readonly beside: boolean }
  /** As the system says it: EACCES, ENOSPC. */
  | { readonly path: string; readonly code: string };

export async function keepCertificate({ folder, holders, fingerprint, pems, draft }: Keeping): Promise<Kept> {
  const path = join(folder, `${stemOf(holders[0] ?? "", fingerprint)}.pem`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const before = await textOf(path);
    const fresh = pems.filter((pem) => before?.includes(pem.trim()) !== true).join("");
    const text = before === undefined || before === "" || before.endsWith("\n") ? (before ?? "") : `${before}\n`;
    await replace(path, text + fresh, `${path}.${draft}~`); // the gateway reads no file whose name ends in ~
    return { path, beside: before !== undefined };
  } catch (error) {
    return { path, code: (error as NodeJS.ErrnoException).code ?? "unknown error" };
  }
}

/** Whether a file may be named after it: nothing of a certificate may lead out of the folder, or into a shell. */
export function canNameFile(holder: string): boolean {
  return holder.length <= 200 && /^(?:[\w+=~][\w.+=~-]*)?@[a-z0-9][a-z0-9.-]*$/.test(holder);
}

function stemOf(holder: string, fingerprint: string): string {
  return canNameFile(holder) ? holder : fingerprint.replaceAll(":", "").slice(0, 32).toLowerCase();
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    const content = await readFile(path);
    return content[0] === 0x30 ? new X509Certificate(content).toString() : content.toString("latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whole or not at all: the gateway may read at any time. Certificates are no secret. */
async function replace(path: string, text: string, draft: string): Promise<void> {
  try {
    const handle = await open(draft, "wx", 0o644);
    try {
      await handle.writeFile(text, "latin1");
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(draft, 0o644);
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}
