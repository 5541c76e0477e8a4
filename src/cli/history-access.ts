/** Where the history is asked: the running gateway over HTTP, or this process over the store of one that is stopped. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createHistoryActions, type Erasure, type HistoryActions, type TraceEntry } from "../admin/history-actions.ts";
import type { Settings } from "../config/settings.ts";
import type { ReportFigures } from "../store/history.ts";
import { type AdminClient, findGateway } from "./admin-client.ts";
import { answered, bodyOf } from "./answered.ts";
import { type CliDeps, type ExitCode, refuse } from "./deps.ts";
import { logOf } from "./queue-access.ts";

type Act = (actions: HistoryActions) => Promise<ExitCode>;

export async function withHistory(deps: CliDeps, settings: Settings, act: Act): Promise<ExitCode> {
  const client = await findGateway(settings);
  if (client !== undefined && (await client.isAlive())) return answered(deps, () => act(overHttp(client)));
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
