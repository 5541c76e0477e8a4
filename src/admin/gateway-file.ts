/**
 * data/gateway.json: how commands find the running gateway. Written when the admin listener listens, removed at an
 * orderly end; a file that was left behind by a crash names a gateway that does not answer.
 */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface GatewayFile {
  readonly pid: number;
  readonly admin: { readonly address: string; readonly port: number };
}

export async function writeGatewayFile(dataDir: string, gateway: GatewayFile): Promise<void> {
  const draft = join(dataDir, `gateway.json.${gateway.pid}`);
  await writeFile(draft, `${JSON.stringify(gateway)}\n`, { mode: 0o600 });
  await rename(draft, join(dataDir, "gateway.json"));
}

export async function removeGatewayFile(dataDir: string): Promise<void> {
  await rm(join(dataDir, "gateway.json"), { force: true });
}

/** Undefined when there is none that can be used. */
export async function readGatewayFile(dataDir: string): Promise<GatewayFile | undefined> {
  try {
    const read: unknown = JSON.parse(await readFile(join(dataDir, "gateway.json"), "utf8"));
    return isGatewayFile(read) ? read : undefined;
  } catch {
    return undefined; // missing, unreadable or cut short: the gateway cannot be found by it
  }
}

function isGatewayFile(value: unknown): value is GatewayFile {
  if (typeof value !== "object" || value === null) return false;
  const { pid, admin } = value as Partial<Record<keyof GatewayFile, unknown>>;
  if (typeof pid !== "number" || typeof admin !== "object" || admin === null) return false;
  const { address, port } = admin as { address?: unknown; port?: unknown };
  return typeof address === "string" && typeof port === "number";
}
