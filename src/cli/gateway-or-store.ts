/**
 * Where a command does its work: in the running gateway, asked over HTTP, or in this process over the store of one that is
 * stopped, which it locks meanwhile. Never both: a gateway that runs and does not answer is an error.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadOrMakeSecret } from "../config/secret-file.ts";
import type { Settings } from "../config/settings.ts";
import type { Emit } from "../report/events.ts";
import { createLog, type Log } from "../report/log.ts";
import { sentenceOf } from "../report/sentence.ts";
import { type AdminClient, findGateway } from "./admin-client.ts";
import { answered } from "./answered.ts";
import { type CliDeps, type ExitCode, type OpenedQueue, refuse } from "./deps.ts";

type OpenQueue = Extract<OpenedQueue, { readonly ok: true }>;

export interface Places {
  readonly running: (client: AdminClient) => Promise<ExitCode>;
  readonly stopped: (opened: OpenQueue, emit: Emit) => Promise<ExitCode>;
  /** No gateway has stored anything yet, and looking must not make a queue. */
  readonly empty: () => Promise<ExitCode>;
}

export async function inGatewayOrStore(deps: CliDeps, settings: Settings, places: Places): Promise<ExitCode> {
  const client = await findGateway(settings);
  if (client !== undefined && (await client.isAlive())) return answered(deps, () => places.running(client));
  if (!existsSync(join(settings.dataDir, "queue.db"))) return places.empty();
  const opened = await deps.openQueue(settings);
  if (!opened.ok) return refuse(deps, opened.exitCode, opened.lines);
  const log = await logOf(deps, settings);
  try {
    return await places.stopped(opened, log.emit);
  } finally {
    await log.flush();
    await opened.close();
  }
}

/** What is done is logged where the gateway would; its standard output is not there, so people are told instead. */
async function logOf(deps: CliDeps, settings: Settings): Promise<Pick<Log, "emit" | "flush">> {
  if (settings.log.to === "stdout") {
    const emit: Emit = (event, fields) => {
      if (event === "queue.action") deps.stderr.write("The gateway is stopped, so this is not in its log.\n");
      if (event === "admin.action" || event === "admin.denied" || event === "notice.queued")
        deps.stderr.write(`${sentenceOf(event, fields)}\n`);
    };
    return { emit, flush: () => Promise.resolve() };
  }
  const hashKey = await loadOrMakeSecret(join(settings.dataDir, "log.key"), deps.random);
  return createLog(settings.log, { clock: deps.clock, gateway: settings.hostname, worker: 0, hashKey });
}
