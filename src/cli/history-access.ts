/** What is done with the history, whoever does it. */
import { createHistoryActions, type Erasure, type HistoryActions, type TraceEntry } from "../admin/history-actions.ts";
import type { Settings } from "../config/settings.ts";
import type { ReportFigures } from "../store/history.ts";
import type { AdminClient } from "./admin-client.ts";
import { bodyOf } from "./answered.ts";
import type { CliDeps, ExitCode } from "./deps.ts";
import { inGatewayOrStore } from "./gateway-or-store.ts";

type Act = (actions: HistoryActions) => Promise<ExitCode>;

export async function withHistory(deps: CliDeps, settings: Settings, act: Act): Promise<ExitCode> {
  return inGatewayOrStore(deps, settings, {
    running: (client) => act(overHttp(client)),
    empty: () => act(EMPTY),
    stopped: ({ history, queue }, emit) => act(createHistoryActions({ history, queue, emit })),
  });
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
