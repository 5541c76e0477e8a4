/** `data/gateway.json`: how commands on this machine find the running gateway. Written when it is ready, gone when it stops. */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface GatewayFile {
  readonly pid: number;
  readonly admin: { readonly address: string; readonly port: number };
}

export async function writeGatewayFile(dataDir: string, content: GatewayFile): Promise<void> {
  const path = join(dataDir, "gateway.json");
  await writeFile(`${path}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export function removeGatewayFile(dataDir: string): Promise<void> {
  return rm(join(dataDir, "gateway.json"), { force: true });
}

/** Undefined when there is none, or it cannot be read. A file left by a killed gateway names nobody who answers. */
export async function readGatewayFile(dataDir: string): Promise<GatewayFile | undefined> {
  const text = await readFile(join(dataDir, "gateway.json"), "utf8").catch(() => "");
  try {
    const content = JSON.parse(text) as Partial<GatewayFile> | null;
    const { pid, admin } = content ?? {};
    return typeof pid === "number" && typeof admin?.port === "number" ? { pid, admin } : undefined;
  } catch {
    return undefined;
  }
}
