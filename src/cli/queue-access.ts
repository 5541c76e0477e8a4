/** The queue's actions, whoever does them. */
import type { ActionResult, QueueActions } from "../admin/queue-actions.ts";
import type { QueueEntry } from "../admin/queue-entry.ts";
import { problemOf } from "../admin/queue-query.ts";
import type { Settings } from "../config/settings.ts";
import type { QueueFilter, QueueTotals } from "../store/queue.ts";
import type { AdminClient } from "./admin-client.ts";
import { bodyOf } from "./answered.ts";
import type { CliDeps, ExitCode } from "./deps.ts";
import { inGatewayOrStore } from "./gateway-or-store.ts";

/** Runs `act` with the queue, and gives it back afterwards. */
export async function withQueue(
  deps: CliDeps,
  settings: Settings,
  act: (actions: QueueActions) => Promise<ExitCode>,
): Promise<ExitCode> {
  return inGatewayOrStore(deps, settings, {
    running: (client) => act(overHttp(client)),
    empty: () => act(EMPTY),
    stopped: async (opened, emit) => {
      const { actions, ended } = deps.queueActions(settings, { ...opened, emit });
      try {
        return await act(actions);
      } finally {
        await ended();
      }
    },
  });
}

const NOTHING: ActionResult = { matched: 0, busy: 0 };
const EMPTY: QueueActions = {
  list: () => Promise.resolve([]),
  totals: () =>
    Promise.resolve({
      deliveries: 0,
      messages: 0,
      size: 0,
      byDomain: [],
      byReason: [],
      byState: { waiting: 0, leased: 0, held: 0, parked: 0 },
      lanes: [],
    }),
  act: (asked) => Promise.resolve(problemOf({ ...asked, why: asked.asker.why }) ?? NOTHING),
  content: () => Promise.resolve({ kind: "missing" }),
};

/** Each of many may cost a notice. */
const PATIENCE_MS = 3_600_000;

function overHttp(client: AdminClient): QueueActions {
  return {
    list: async (filter) => {
      const { deliveries } = bodyOf(await client.get(`/api/v1/queue?${query(filter)}`));
      return Array.isArray(deliveries) ? (deliveries as QueueEntry[]) : [];
    },
    totals: async (filter) =>
      bodyOf(await client.get(`/api/v1/queue/totals?${query(filter)}`)) as unknown as QueueTotals,
    act: async ({ action, filter, all, to, asker: { why } }) => {
      const body = { filter: words(filter), all, why, to };
      const answer = await client.post(`/api/v1/queue/${action}`, body, PATIENCE_MS);
      if (answer.kind === "refused" && answer.status === 404) return NOTHING;
      if (answer.kind === "refused" && answer.status === 400) {
        const { error, remedy } = answer.body;
        return { error: String(error), remedy: String(remedy) };
      }
      const { matched, busy } = bodyOf(answer);
      return { matched: Number(matched), busy: Number(busy) };
    },
    content: async ({ id, content, asker: { why = "" } }) => {
      const asked = new URLSearchParams({ why, ...(content !== undefined && { content: String(content) }) });
      const answer = await client.download(`/api/v1/queue/${id}/content?${asked.toString()}`);
      if (answer.kind === "download") return { kind: "shown", chunks: answer.chunks };
      const refusal = answer.kind === "refused" ? REFUSALS[answer.status] : undefined;
      if (refusal !== undefined) return { kind: refusal };
      bodyOf(answer);
      return { kind: "missing" };
    },
  };
}

const REFUSALS: Readonly<Record<number, "denied" | "missing" | "damaged">> = {
  403: "denied",
  404: "missing",
  409: "damaged",
};

/** A filter in the words of the API; an age has become an instant, which it takes as `before`. */
function words(filter: QueueFilter): Record<string, string> {
  const { before, limit, sender, senderDomain, ...same } = filter;
  const texts = Object.entries(same).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
  return {
    ...Object.fromEntries(texts),
    ...(sender !== undefined && { sender: sender === "" ? "<>" : sender }),
    ...(senderDomain !== undefined && { sender: `@${senderDomain}` }),
    ...(limit !== undefined && { limit: String(limit) }),
    ...(before !== undefined && { before: new Date(before).toISOString() }),
  };
}

function query(filter: QueueFilter): string {
  return new URLSearchParams(words(filter)).toString();
}
