/** The routes of the history: what became of a message, and taking an address out of it. */
import type { FastifyInstance, FastifyReply } from "fastify";
import type { HistoryActions } from "./history-actions.ts";
import type { BadRequest } from "./queue-query.ts";
import { askerOf } from "./who.ts";

export function addHistory(app: FastifyInstance, actions: HistoryActions): void {
  app.get("/api/v1/trace", async (request, reply) => {
    const { query, why } = asRecord(request.query);
    if (typeof query !== "string") return reply.code(400).send(NO_QUERY);
    const found = await actions.trace(query, askerOf(request, why));
    return "error" in found ? reply.code(400).send(found) : { entries: found };
  });
  app.post("/api/v1/erase", async (request, reply) => {
    const { address, why } = asRecord(request.body);
    if (typeof address !== "string" || typeof why !== "string" || why.trim() === "") return needsBoth(reply);
    const done = await actions.erase(address, askerOf(request, why));
    return "error" in done ? reply.code(400).send(done) : done;
  });
  app.get<{ Params: { id: string } }>("/api/v1/partners/:id/report-mode", (request) =>
    actions.figures(request.params.id),
  );
}

const NO_QUERY: BadRequest = {
  error: "What is to be traced?",
  remedy: "Give query: a queue id, a Message-ID or a whole address.",
};

function needsBoth(reply: FastifyReply): FastifyReply {
  return reply.code(400).send({ error: "Erasing needs an address and why", remedy: 'Send {address, why: "…"}.' });
}

export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
