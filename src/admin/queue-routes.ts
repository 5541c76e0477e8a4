/** The routes of the queue: what waits, what may be done about it, and a look at what a message says where that is permitted. */
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { StoreError } from "../store/queue.ts";
import type { AdminDeps } from "./admin-server.ts";
import { asRecord } from "./history-routes.ts";
import type { QueueActions } from "./queue-actions.ts";
import { type Action, type BadRequest, isMessageOrDelivery, readQueueFilter } from "./queue-query.ts";
import { askerOf, cleanWhy } from "./who.ts";

type ById = { Params: { id: string } };
type Answered = Promise<unknown>;

/** An object, so that a new action does not compile without its route. */
const ACTIONS: Readonly<Record<Action, true>> = {
  retry: true,
  hold: true,
  release: true,
  bounce: true,
  remove: true,
  reroute: true,
};

export function addQueue(app: FastifyInstance, deps: AdminDeps): void {
  const read = (request: FastifyRequest, paged: boolean) =>
    readQueueFilter(asRecord(request.query), { now: deps.clock.now(), paged });
  app.get("/api/v1/queue", async (request, reply) => {
    const query = read(request, true);
    if ("error" in query) return reply.code(400).send(query);
    return { deliveries: await deps.queue.list({ limit: 100, ...query.filter }) };
  });
  app.get("/api/v1/queue/totals", async (request, reply) => {
    const query = read(request, false);
    return "error" in query ? reply.code(400).send(query) : deps.queue.totals(query.filter);
  });
  app.get<ById>("/api/v1/queue/:id", async (request, reply) => {
    const { id } = request.params;
    const deliveries = isMessageOrDelivery(id) ? await deps.queue.list({ id, limit: 1_000 }) : [];
    return deliveries.length === 0 ? reply.code(404).send(NOT_THERE) : { deliveries };
  });
  app.get<ById>("/api/v1/queue/:id/content", (request, reply) => showContent(deps.queue, request, reply));
  for (const action of Object.keys(ACTIONS) as Action[]) {
    app.post(`/api/v1/queue/${action}`, (request, reply) => act(deps, request, reply, { action }));
    app.post<ById>(`/api/v1/queue/:id/${action}`, async (request, reply) => {
      const { id } = request.params;
      return isMessageOrDelivery(id) ? act(deps, request, reply, { action, id }) : reply.code(404).send(NOT_THERE);
    });
  }
}

const NOT_THERE: BadRequest = {
  error: "There is no such message in the queue",
  remedy: "It may have ended: look for its queueId in the log, or trace it.",
};

/** `{filter: {…}, why, to, all}`; with an id in the path there is no filter. No body at all is the empty filter. */
async function act(
  { queue, clock }: AdminDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { action, id }: { readonly action: Action; readonly id?: string },
): Answered {
  const { filter = {}, why, reason, to, all = false, ...more } = asRecord(request.body);
  const [strange] = Object.keys(more);
  const isText = to === undefined || (typeof to === "string" && to.length <= 500);
  const isFilter =
    typeof filter === "object" && filter !== null && (id === undefined || Object.keys(filter).length === 0);
  if (strange !== undefined || !isText || !isFilter || typeof all !== "boolean") return reply.code(400).send(STRANGE);
  const query = readQueueFilter(asRecord(filter), { now: clock.now(), paged: false });
  if ("error" in query) return reply.code(400).send(query);
  const asked = {
    action,
    filter: id === undefined ? query.filter : { id },
    all: all || action === "retry",
    to,
    asker: askerOf(request, cleanWhy(why) ?? reason),
  };
  try {
    const result = await queue.act(asked);
    if ("error" in result) return reply.code(400).send(result);
    // A message that is named must be there; a filter may match nothing.
    const missing = asked.filter.id !== undefined && result.matched + result.busy === 0;
    return missing ? reply.code(404).send(NOT_THERE) : reply.send(result);
  } catch (error) {
    if (error instanceof StoreError) return reply.code(503).send(CANNOT_STORE);
    throw error;
  }
}

const STRANGE: BadRequest = {
  error: "The body is not understood",
  remedy: 'Send {filter: {…}, why: "…"}, to for a reroute, all: true for everything.',
};
const CANNOT_STORE: BadRequest = {
  error: "The queue cannot store that now, so not all of it is done",
  remedy: "See the log for how much was, mend the disk, and do it again.",
};

async function showContent(queue: QueueActions, request: FastifyRequest<ById>, reply: FastifyReply): Answered {
  const { id } = request.params;
  const { content, why } = asRecord(request.query);
  if (!isMessageOrDelivery(id)) return reply.code(404).send(NOT_THERE);
  if (content !== undefined && !(typeof content === "string" && /^\d{1,6}$/.test(content)))
    return reply.code(400).send({ error: "content is no number", remedy: "Write which of the contents, from 0." });
  const asked = { id, asker: askerOf(request, why), ...(content !== undefined && { content: Number(content) }) };
  const found = await queue.content(asked);
  switch (found.kind) {
    case "shown":
      return reply.type("message/rfc822").header("content-disposition", "attachment").send(Readable.from(found.chunks));
    case "denied":
      return reply.code(403).send(NOT_PERMITTED);
    case "no-reason":
      return reply.code(400).send({ error: "Why?", remedy: "Send why: it goes into the log." });
    case "missing":
      return reply.code(404).send(NOT_THERE);
    case "damaged":
      return reply.code(409).send({ error: "The stored content fails authentication", remedy: "Restore a backup." });
  }
}

const NOT_PERMITTED: BadRequest = {
  error: "Nobody may look at what messages say",
  remedy: "Set admin.content_access: true and restart the gateway, if the rules of your house permit it.",
};
