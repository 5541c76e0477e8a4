/**
 * The queue's actions, whoever does them: the running gateway over HTTP, or this process over the store of one that is
 * stopped, which it locks meanwhile. Never both: a gateway that runs and does not answer is an error.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type ActionResult, createQueueActions, type QueueActions, type QueueEntry } from "../admin/queue-actions.ts";
import { loadOrMakeSecret } from "../config/secret-file.ts";
import type { Settings } from "../config/settings.ts";
import type { Emit } from "../report/events.ts";
import { createLog, type Log } from "../report/log.ts";
import type { QueueFilter } from "../store/queue.ts";
import { type AdminAnswer, type AdminClient, findGateway } from "./admin-client.ts";
import { type CliDeps, EXIT, type ExitCode, refuse } from "./deps.ts";

/** Runs `act` with the queue, and gives it back afterwards. */
export async function withQueue(
  deps: CliDeps,
  settings: Settings,
  act: (actions: QueueActions) => Promise<ExitCode>,
): Promise<ExitCode> {
  const client = await findGateway(settings);
  if (client !== undefined && (await client.isAlive())) return withGateway(deps, client, act);
  if (!existsSync(join(settings.dataDir, "queue.db"))) return act(EMPTY); // looking must not make a queue
  const opened = await deps.openQueue(settings);
  if (!opened.ok) return refuse(deps, opened.exitCode, opened.lines);
  const log = await logOf(deps, settings);
  try {
    return await act(createQueueActions({ queue: opened.queue, emit: log.emit, clock: deps.clock }));
  } finally {
    await log.flush();
    await opened.close();
  }
}

/** What is done is logged where the gateway would; its standard output is not there, so people are told instead. */
export async function logOf(deps: CliDeps, settings: Settings): Promise<Pick<Log, "emit" | "flush">> {
  if (settings.log.to === "stdout") {
    const emit: Emit = (event) => {
      if (event === "queue.action") deps.stderr.write("The gateway is stopped, so this is not in its log.\n");
    };
    return { emit, flush: () => Promise.resolve() };
  }
  const hashKey = await loadOrMakeSecret(join(settings.dataDir, "log.key"), deps.random);
  return createLog(settings.log, { clock: deps.clock, gateway: settings.hostname, worker: 0, hashKey });
}

const NOTHING: ActionResult = { matched: 0, busy: 0 };
const EMPTY: QueueActions = {
  list: () => Promise.resolve([]),
  retry: () => Promise.resolve(NOTHING),
  remove: () => Promise.resolve(NOTHING),
};

async function withGateway(
  deps: CliDeps,
  client: AdminClient,
  act: (actions: QueueActions) => Promise<ExitCode>,
): Promise<ExitCode> {
  try {
    return await act(overHttp(client));
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    return refuse(deps, error.code, [error.message]);
  }
}

/** Carries an answer that is none out of an action, whose callers know only results. */
class Unanswered extends Error {
  readonly code: ExitCode;
  constructor(code: ExitCode, message: string) {
    super(message);
    this.code = code;
  }
}

function overHttp(client: AdminClient): QueueActions {
  return {
    list: async (filter) => {
      const { deliveries } = bodyOf(await client.get(`/api/v1/queue?${query(filter)}`));
      return Array.isArray(deliveries) ? (deliveries as QueueEntry[]) : [];
    },
    retry: async (filter) => resultOf(await client.post("/api/v1/queue/retry", { filter: words(filter) })),
    remove: async (filter, reason) =>
      resultOf(await client.post("/api/v1/queue/remove", { filter: words(filter), reason })),
  };
}

function bodyOf(answer: AdminAnswer): Readonly<Record<string, unknown>> {
  switch (answer.kind) {
    case "done":
      return answer.body;
    case "unreachable":
      throw new Unanswered(EXIT.unreachable, answer.detail);
    case "refused": {
      const { error, remedy } = answer.body;
      const code = answer.status === 400 ? EXIT.usage : EXIT.unreachable;
      throw new Unanswered(code, `${String(error)}. ${String(remedy)}`);
    }
  }
}

function resultOf(answer: AdminAnswer): ActionResult {
  const { matched, busy } = bodyOf(answer);
  return { matched: Number(matched), busy: Number(busy) };
}

/** A filter in the words of the API; an age has become an instant, which it takes as `before`. */
function words(filter: QueueFilter): Record<string, string> {
  const { before, limit, sender, ...same } = filter;
  const texts = Object.entries(same).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
  return {
    ...Object.fromEntries(texts),
    ...(sender !== undefined && { sender: sender === "" ? "<>" : sender }),
    ...(limit !== undefined && { limit: String(limit) }),
    ...(before !== undefined && { before: new Date(before).toISOString() }),
  };
}

function query(filter: QueueFilter): string {
  return new URLSearchParams(words(filter)).toString();
}
