/** Where the history is asked: the running gateway over HTTP, or this process over the store of one that is stopped. */
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createHistoryActions, type Erasure, type HistoryActions, type TraceEntry } from "../admin/history-actions.ts";
import type { Settings } from "../config/settings.ts";
import type { ReportFigures } from "../store/history.ts";
import { type AdminAnswer, type AdminClient, findGateway } from "./admin-client.ts";
import { type CliDeps, EXIT, type ExitCode, refuse } from "./deps.ts";
import { logOf } from "./queue-access.ts";

type Act = (actions: HistoryActions) => Promise<ExitCode>;

export async function withHistory(deps: CliDeps, settings: Settings, act: Act): Promise<ExitCode> {
  const client = await findGateway(settings);
  if (client !== undefined && (await client.isAlive())) return overGateway(deps, client, act);
  if (!existsSync(join(settings.dataDir, "queue.db"))) return act(EMPTY);
  const opened = await deps.openQueue(settings);
  if (!opened.ok) return refuse(deps, opened.exitCode, opened.lines);
  const log = await logOf(deps, settings);
  try {
    return await act(createHistoryActions({ history: opened.history, queue: opened.queue, emit: log.emit }));
  } finally {
    await log.flush();
    await opened.close();
  }
}

const EMPTY: HistoryActions = {
  trace: () => Promise.resolve([]),
  erase: () => Promise.resolve({ changed: 0, waiting: 0 }),
  figures: () => Promise.resolve({ deliveries: 0, wouldDefer: [] }),
};

/** The account that runs the command; undefined where the system does not know it. */
export function accountName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

async function overGateway(deps: CliDeps, client: AdminClient, act: Act): Promise<ExitCode> {
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

function overHttp(client: AdminClient): HistoryActions {
  return {
    trace: async (query, { why }) => {
      const words = new URLSearchParams({ query, ...(why !== undefined && { why }) });
      const { entries } = bodyOf(await client.get(`/api/v1/trace?${words.toString()}`));
      return Array.isArray(entries) ? (entries as TraceEntry[]) : [];
    },
    erase: async (address, { why }) => {
      const done = bodyOf(await client.post("/api/v1/erase", { address, why })) as Partial<Erasure>;
      return { changed: Number(done.changed), waiting: Number(done.waiting) };
    },
    figures: async (partner) =>
      bodyOf(
        await client.get(`/api/v1/partners/${encodeURIComponent(partner)}/report-mode`),
      ) as unknown as ReportFigures,
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
      throw new Unanswered(
        answer.status === 400 ? EXIT.usage : EXIT.unreachable,
        `${String(error)}. ${String(remedy)}`,
      );
    }
  }
}
