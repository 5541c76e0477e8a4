/** `doctor` on this machine: clock, authorities, disk, modes of secrets, source addresses, the queue. Changes nothing. */
import { existsSync } from "node:fs";
import { stat, statfs } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { getCACertificates } from "node:tls";
import type { Settings } from "../config/settings.ts";
import { findGateway } from "./admin-client.ts";
import type { CliDeps } from "./deps.ts";
import { bad, type Finding, good, warn } from "./finding.ts";
import { count, duration, size } from "./text.ts";

const CLOCK_SAMPLE_MS = 200;
/** Between wall and monotonic clock over one sample, and of a file's time before now. */
const STEP_MS = 100;
const AHEAD_MS = 5 * 60_000;

/** A clock that is set while we look is seen by the other one; a clock that was set back, by files of the future. */
export async function checkClock({ clock }: CliDeps, settings: Settings): Promise<Finding[]> {
  const [wall, monotonic] = [clock.now(), clock.monotonic()];
  await clock.sleep(CLOCK_SAMPLE_MS);
  const step = Math.abs(clock.now() - wall - (clock.monotonic() - monotonic));
  const remedy = "Let NTP keep the clock: certificates, exceptions and retries are judged by it.";
  if (step > STEP_MS) return [bad("clock", `The clock was set by ${Math.round(step)} ms while we looked.`, remedy)];
  const times = await Promise.all([...settings.files, join(settings.dataDir, "queue.db")].map(changedAt));
  const ahead = Math.max(...times) - wall;
  if (ahead > AHEAD_MS)
    return [bad("clock", `A file of ours was changed ${duration(ahead)} after what the clock says is now.`, remedy)];
  return [good("clock", `The clock says ${new Date(wall).toISOString().slice(0, 19)}Z and goes evenly.`)];
}

async function changedAt(file: string): Promise<number> {
  const stats = await stat(file).catch(() => undefined);
  return stats?.mtimeMs ?? 0;
}

export function checkAuthorities(): Finding[] {
  const system = getCACertificates("system").length;
  if (system > 0) return [good("authorities", `This machine trusts ${count(system, "authority")}.`)];
  const remedy = "Install the package ca-certificates, or name the authorities under tls.trust.";
  return [warn("authorities", "This machine has no CA store; the one that comes with Node is used.", remedy)];
}

export async function checkDisk({ dataDir, store }: Settings): Promise<Finding[]> {
  const folder = nearest(dataDir);
  const disk = await statfs(folder).catch(() => undefined);
  if (disk === undefined)
    return [bad("disk", `The disk of ${dataDir} cannot be looked at.`, "Give the gateway's user the right to it.")];
  const free = disk.bavail * disk.bsize;
  const text = `${size(free)} are free at ${dataDir}; below ${size(store.reserve)} new mail is turned away for a time.`;
  if (free < store.reserve) return [bad("disk", text, "Make room now: clients wait with their mail.")];
  return [free < 2 * store.reserve ? warn("disk", text, "Make room, or lower queue.reserve.") : good("disk", text)];
}

/** The folder, or the one that it will be made in. */
function nearest(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearest(dirname(folder));
}

/** Keys that the configuration names were judged when it was loaded; these are the ones the gateway makes itself. */
export async function checkModes({ dataDir, store, admin }: Settings): Promise<Finding[]> {
  const secrets: readonly [string, number][] = [
    [store.keyFile, store.allowGroupRead ? 0o037 : 0o077],
    [admin.tokenFile, 0o077],
    [join(dataDir, "log.key"), 0o077],
    [join(dataDir, "self-signed.key"), 0o077],
    [dataDir, 0o022],
  ];
  const found = await Promise.all(
    secrets.map(async ([path, excess]) => ({ path, excess, stats: await stat(path).catch(() => undefined) })),
  );
  const wrong = found.flatMap(({ path, excess, stats }) => {
    if (stats === undefined || (stats.mode & excess) === 0) return [];
    const mode = (stats.mode & 0o777).toString(8);
    return stats.isDirectory()
      ? [bad("modes", `Others may write to ${path} (mode 0${mode}).`, `chmod 700 ${path}`)]
      : [bad("modes", `Others may read ${path} (mode 0${mode}).`, `chmod 600 ${path}, and take its secret for known.`)];
  });
  if (existsSync(join(dataDir, "queue.db")) && !existsSync(store.keyFile)) {
    const remedy = "Bring it back from its backup: without it nothing that waits can be read.";
    return [...wrong, bad("modes", `The queue key ${store.keyFile} is not there, and the queue is.`, remedy)];
  }
  return wrong.length > 0 ? wrong : [good("modes", "Keys and tokens are for their owner alone.")];
}

/** Port 25 outward cannot be told without traffic to others, so only our own end of it is looked at. */
export function checkSourceAddresses({ delivery }: Settings): Finding[] {
  const ours = new Set(Object.values(networkInterfaces()).flatMap((entries) => entries?.map((one) => one.address)));
  const foreign = delivery.sourceAddresses.filter((address) => !ours.has(address));
  if (foreign.length > 0) {
    const text = `delivery.source_address ${foreign.join(", ")} is no address of this machine: no connection is made.`;
    return [bad("port 25", text, "Correct delivery.source_address, or bring the address up.")];
  }
  const from = delivery.sourceAddresses.length > 0 ? delivery.sourceAddresses.join(", ") : "what the system chooses";
  const text = `Connections leave from ${from}; whether port ${delivery.port} is open outward shows sealpost probe DOMAIN.`;
  return [good("port 25", text)];
}

export async function checkQueue(deps: CliDeps, settings: Settings): Promise<Finding[]> {
  const client = await findGateway(settings);
  if (client !== undefined && (await client.isAlive())) {
    const ready = await client.get("/readyz");
    if (ready.kind === "done") return [good("queue", "The gateway runs and can store mail.")];
    if (ready.kind === "unreachable") return [bad("queue", ready.detail, "Run doctor as the user of the gateway.")];
    const problems = Array.isArray(ready.body["problems"]) ? ready.body["problems"].join("; ") : "no reason is given";
    return [bad("queue", `The gateway runs and cannot store mail: ${problems}.`, "See the error events in its log.")];
  }
  const stopped = "The gateway does not run";
  if (!existsSync(join(settings.dataDir, "queue.db")))
    return [warn("queue", `${stopped}; its queue is made at the first start.`, "sealpost start")];
  const opened = await deps.openQueue(settings);
  if (!opened.ok) return [bad("queue", opened.lines.join(" "), "Mend it, and run doctor again.")];
  await opened.close();
  return [warn("queue", `${stopped}; its queue can be opened.`, "sealpost start")];
}
