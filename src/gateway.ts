/**
 * Starts and stops the gateway, in an order in which nothing is accepted before it can be stored, and nothing of what
 * was accepted is let go before it is stored.
 */
import { join } from "node:path";
import { AdminStartError, createAdminServer } from "./admin/admin-server.ts";
import { removeGatewayFile, writeGatewayFile } from "./admin/gateway-file.ts";
import { createHistoryActions } from "./admin/history-actions.ts";
import { createKeyActions } from "./admin/key-actions.ts";
import { watchFiles } from "./config/file-watch.ts";
import { loadOrMakeSecret } from "./config/secret-file.ts";
import type { Loaded, Settings } from "./config/settings.ts";
import { createHistory, type History } from "./history.ts";
import { formatProblem, furnish, type House } from "./house.ts";
import { createQueueDesk } from "./queue-desk.ts";
import type { Emit, Events } from "./report/events.ts";
import { createLog } from "./report/log.ts";
import { createMetrics, type Metrics } from "./report/metrics.ts";
import { checkResolvers, UnprovenResolversError } from "./resolver-check.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import { acquireInstanceLock } from "./store/instance-lock.ts";
import type { KeyNews } from "./store/key-rotation.ts";
import { createSqliteQueue, type EmbeddedStore } from "./store/sqlite-queue.ts";
import { StoreStartError } from "./store/start-error.ts";

export interface GatewayDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly version: string;
  /** `generation` counts reloads, from 1. */
  readonly loadConfig: (generation: number) => Promise<Loaded>;
  /** Takes the log lines instead of the place that the configuration names. */
  readonly write?: (line: string) => void;
}

export interface Gateway {
  readonly listeners: Events["gateway.ready"]["listeners"];
  readonly admin: Events["gateway.ready"]["admin"];
  /** Answers with the problems that kept the old configuration in force; empty when the new one is. */
  readonly reload: () => Promise<readonly string[]>;
  /** Opens the log file anew, after a rotation. */
  readonly reopenLog: () => void;
  /** Finishes what is in hand, at most 30 s. */
  readonly stop: (reason: string) => Promise<void>;
}

export type Started =
  | { readonly ok: true; readonly gateway: Gateway }
  /** `lines` are for people. 69: another one runs, or a port is taken; 78: configuration or queue key. */
  | { readonly ok: false; readonly exitCode: 69 | 78; readonly lines: readonly string[] };

const STOP_GRACE_MS = 30_000;
const WATCH_MS = 10_000;

export async function startGateway(deps: GatewayDeps): Promise<Started> {
  const loaded = await deps.loadConfig(1);
  if (!loaded.ok) return { ok: false, exitCode: 78, lines: loaded.problems.map(formatProblem) };
  const { settings } = loaded;
  const closing: Closing = [];
  try {
    const lock = await acquireInstanceLock(settings.dataDir);
    if (lock.kind === "refused") {
      const who = lock.pid === undefined ? "Another gateway" : `The gateway with process id ${lock.pid}`;
      return { ok: false, exitCode: 69, lines: [`${who} uses ${settings.dataDir} (${lock.file}); stop it first`] };
    }
    closing.push(lock.release);
    return { ok: true, gateway: await open(deps, settings, closing) };
  } catch (error) {
    await closeAll(closing);
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    return refusal;
  }
}

/** What an administrator can mend becomes an exit code and a sentence; anything else is a defect. */
function refusalOf(error: unknown): (Started & { ok: false }) | undefined {
  if (error instanceof StoreStartError || error instanceof UnprovenResolversError)
    return { ok: false, exitCode: 78, lines: [error.message] };
  if (error instanceof AdminStartError) {
    const exitCode = error.kind === "token" ? 78 : 69;
    return { ok: false, exitCode, lines: [`${error.message}. ${error.remedy}`] };
  }
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return undefined;
  return { ok: false, exitCode: 69, lines: [`The gateway cannot start: ${error.message}`] };
}

/** Steps that undo the start, run last to first. */
type Closing = (() => Promise<void> | void)[];

/** A step that fails keeps none of the others from being taken; the first failure is told at the end. */
async function closeAll(closing: Closing): Promise<void> {
  const failures: unknown[] = [];
  for (let step = closing.pop(); step !== undefined; step = closing.pop()) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

async function open(deps: GatewayDeps, settings: Settings, closing: Closing): Promise<Gateway> {
  const { clock } = deps;
  const hashKey = await loadOrMakeSecret(join(settings.dataDir, "log.key"), deps.random);
  const messageIdKey = await loadOrMakeSecret(join(settings.dataDir, "message-id.key"), deps.random);
  const write = deps.write && { write: deps.write };
  const log = createLog(settings.log, { clock, gateway: settings.hostname, worker: 0, hashKey, ...write });
  closing.push(log.flush);
  const metrics = createMetrics();
  const emit: Emit = (event, fields) => {
    log.emit(event, fields);
    metrics.count(event, fields);
    history.hear(event, fields);
  };
  let inForce = (): Settings => settings;
  const history = createHistory({
    clock,
    store: () => queue.history,
    keepMs: () => inForce().historyMs,
    emit: log.emit,
  });
  const onKeys = keyNews(emit);
  const onDamaged = damagedAlarm(clock, emit);
  const queue = await createSqliteQueue({ ...deps, settings: settings.store, onDamaged, onKeys });
  closing.push(queue.close, history.stop);
  const house = furnish({ ...deps, log, emit, queue, settings, messageIdKey });
  inForce = () => house.snapshot().settings;
  closing.push(() => house.close(STOP_GRACE_MS));
  emit("gateway.started", { version: deps.version, config: settings.file, pid: process.pid });
  await checkResolvers(settings, { clock, random: deps.random, emit });
  const listeners = await house.open();
  const admin = await openAdmin({ deps, settings, emit, queue, house, metrics, history: history.reader }, closing);
  const files = (): readonly string[] => house.snapshot().settings.files.filter((file) => !file.endsWith(".yaml"));
  const folders = (): readonly string[] => house.snapshot().settings.folders;
  closing.push(watchFiles({ clock, files, folders, everyMs: WATCH_MS, onChange: () => void house.reload() }));
  house.outgoing.dispatcher.wake();
  history.start();
  queue.keys.resume();
  emit("gateway.ready", { listeners, admin });
  return { listeners, admin, reload: house.reload, reopenLog: log.reopen, stop: stopper(emit, closing) };
}

interface AdminParts {
  readonly deps: GatewayDeps;
  readonly settings: Settings;
  readonly emit: Emit;
  readonly queue: EmbeddedStore;
  readonly house: House;
  readonly metrics: Metrics;
  readonly history: History["reader"];
}

/** The last door to open: once the commands find the gateway, all of it is there. */
async function openAdmin(parts: AdminParts, closing: Closing): Promise<Gateway["admin"]> {
  const { deps, settings, emit, queue, house, metrics, history } = parts;
  const { clock, random, version } = deps;
  const startedAt = clock.now();
  const sessions = () => ({ server: house.listeners.sessions(), client: house.outgoing.pool.size() });
  const server = createAdminServer({
    settings: settings.admin,
    queue: createQueueDesk({ ...deps, queue, snapshot: house.snapshot, dispatcher: house.outgoing.dispatcher, emit }),
    keys: createKeyActions({ keys: queue.keys, emit }),
    history: createHistoryActions({ history, queue, emit }),
    reload: house.reload,
    probe: house.outgoing.prober.probe,
    ready: () => {
      const problems = queue.usable() ? [] : ["The queue cannot store mail now: its disk is full or failing"];
      return { ready: problems.length === 0, problems };
    },
    status: async () => ({
      version,
      pid: process.pid,
      since: new Date(startedAt).toISOString(),
      generation: house.snapshot().settings.policy.generation,
      sessions: sessions(),
      queue: await queue.stats(),
    }),
    metrics: () => metrics.text({ queue: queue.stats, sessions, ready: queue.usable, now: clock.now, version }),
    emit,
    clock,
    random,
  });
  const admin = await server.listen();
  closing.push(server.close);
  await writeGatewayFile(settings.dataDir, { pid: process.pid, admin });
  closing.push(() => removeGatewayFile(settings.dataDir));
  return admin;
}

function keyNews(emit: Emit) {
  return (news: KeyNews): void => {
    if (news.kind === "trouble") emit("error", { kind: "queue-key", detail: news.detail });
    else emit("key.rotated", { keyId: news.keyId, dropped: news.dropped });
  };
}

function damagedAlarm(clock: Clock, emit: Emit) {
  return ({ messageId }: { readonly messageId: string }): void =>
    emit("alarm", {
      code: "content-damaged",
      partner: null,
      state: "raised",
      since: new Date(clock.now()).toISOString(),
      until: undefined,
      remedy: `Message ${messageId} fails authentication and is parked: restore data_dir from backup, or remove it`,
    });
}

function stopper(emit: Emit, closing: Closing): Gateway["stop"] {
  let stopped: Promise<void> | undefined;
  return (reason) => {
    stopped ??= (async () => {
      const last = closing.splice(0, 2); // the lock, and the log: after everything else has been said
      try {
        await closeAll(closing);
        emit("gateway.stopped", { reason });
      } finally {
        await closeAll(last);
      }
    })();
    return stopped;
  };
}
