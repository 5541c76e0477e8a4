/** The routes of /api/v1: what the token's holder may see and do. Every action is logged with who asked for it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { AdminDeps } from "./admin-server.ts";
import { readProbeRequest } from "./probe-request.ts";
import { type BadRequest, isQueueId, readQueueFilter, removalProblem } from "./queue-query.ts";
import type { QueueFilter } from "../store/queue.ts";

type ById = { Params: { id: string } };

export function addApi(app: FastifyInstance, deps: AdminDeps): void {
  app.get("/api/v1/status", async () => deps.status());
  app.post("/api/v1/reload", (request, reply) => reload(deps, request, reply));
  addProbe(app, deps);
  app.get("/api/v1/queue", async (request, reply) => {
    const read = readQueueFilter(asRecord(request.query), { now: deps.clock.now(), paged: true });
    if ("error" in read) return reply.code(400).send(read);
    return { deliveries: await deps.queue.list({ limit: 100, ...read.filter }) };
  });
  app.get<ById>("/api/v1/queue/:id", async (request, reply) => {
    const { id } = request.params;
    const deliveries = isQueueId(id) ? await deps.queue.list({ id, limit: 1_000 }) : [];
    return deliveries.length === 0 ? reply.code(404).send(NOT_THERE) : { deliveries };
  });
  app.post<ById>("/api/v1/queue/:id/retry", (request, reply) =>
    byId(request, reply, (id) => retry(deps, reply, { id })),
  );
  app.post<ById>("/api/v1/queue/:id/remove", (request, reply) =>
    byId(request, reply, (id) => remove(deps, reply, { id }, asRecord(request.body)["reason"])),
  );
  app.post("/api/v1/queue/retry", (request, reply) =>
    bulk(deps, request, reply, (filter) => retry(deps, reply, filter)),
  );
  app.post("/api/v1/queue/remove", (request, reply) =>
    bulk(deps, request, reply, (filter, reason) => {
      if (Object.keys(filter).length === 0) return Promise.resolve(reply.code(400).send(NO_FILTER));
      return remove(deps, reply, filter, reason);
    }),
  );
}

const NOT_THERE: BadRequest = {
  error: "There is no such message in the queue",
  remedy: "It may have ended: look for its queueId in the log.",
};
const NO_FILTER: BadRequest = {
  error: "Removing needs a filter",
  remedy: "Name a domain, partner, sender, reason or age; the whole queue is never removed at once.",
};
const NO_REASON: BadRequest = {
  error: "Removing needs a reason",
  remedy: "Say in one line why the mail is removed; it goes into the log.",
};

type Answered = Promise<unknown>;

function byId(request: FastifyRequest<ById>, reply: FastifyReply, run: (id: string) => Answered): Answered {
  const { id } = request.params;
  return isQueueId(id) ? run(id) : Promise.resolve(reply.code(404).send(NOT_THERE));
}

/** `{filter: {…}, reason}`; no body at all is the empty filter. */
async function bulk(
  deps: AdminDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  run: (filter: QueueFilter, reason: unknown) => Answered,
): Answered {
  const { filter = {}, reason, ...more } = asRecord(request.body);
  const [strange] = Object.keys(more);
  if (strange !== undefined || typeof filter !== "object" || filter === null)
    return reply.code(400).send({ error: "The body is not understood", remedy: 'Send {filter: {…}, reason: "…"}.' });
  const read = readQueueFilter(asRecord(filter), { now: deps.clock.now(), paged: false });
  return "error" in read ? reply.code(400).send(read) : run(read.filter, reason);
}

async function retry(deps: AdminDeps, reply: FastifyReply, filter: QueueFilter): Answered {
  const result = await deps.queue.retry(filter);
  return answer(reply, filter, result);
}

async function remove(deps: AdminDeps, reply: FastifyReply, filter: QueueFilter, reason: unknown): Answered {
  if (typeof reason !== "string" || reason.trim() === "" || reason.length > 500) return reply.code(400).send(NO_REASON);
  const problem = removalProblem(filter);
  if (problem !== undefined) return reply.code(400).send(problem);
  const result = await deps.queue.remove(filter, reason.trim());
  return answer(reply, filter, result);
}

/** A message that is named must be there; a filter may match nothing. */
function answer(reply: FastifyReply, filter: QueueFilter, result: { matched: number; busy: number }): FastifyReply {
  const missing = filter.id !== undefined && result.matched + result.busy === 0;
  return missing ? reply.code(404).send(NOT_THERE) : reply.send(result);
}

async function reload(deps: AdminDeps, request: FastifyRequest, reply: FastifyReply): Answered {
  const problems = await deps.reload();
  const detail = problems.length === 0 ? "done" : `refused, ${problems.length} problems`;
  deps.emit("admin.action", { action: "reload", address: request.ip, who: undefined, why: undefined, detail });
  if (problems.length === 0) return reply.send({ ok: true });
  const error = "The new configuration is refused, the old one stays";
  return reply.code(422).send({ error, remedy: "Mend the problems and reload again.", problems });
}

/** Each holds connections for as long as slow peers make it. */
const MOST_PROBES = 4;

function addProbe(app: FastifyInstance, deps: AdminDeps): void {
  let running = 0;
  app.post("/api/v1/probe", async (request, reply) => {
    const read = readProbeRequest(asRecord(request.body));
    if ("error" in read) return reply.code(400).send(read);
    if (running >= MOST_PROBES) return reply.code(429).send(TOO_MANY_PROBES);
    running += 1;
    try {
      const report = await deps.probe(read.request);
      const detail = `${report.domain}: ${report.problem?.reason ?? "mail can go"}`;
      deps.emit("admin.action", { action: "probe", address: request.ip, who: undefined, why: undefined, detail });
      return report;
    } finally {
      running -= 1;
    }
  });
}

const TOO_MANY_PROBES: BadRequest = {
  error: "Other probes are still under way",
  remedy: "Wait until one of them has ended.",
};

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
