/** The routes of /api/v1: what the token's holder may see and do. Every action is logged with who asked for it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { AdminDeps } from "./admin-server.ts";
import { asRecord } from "./history-routes.ts";
import { readProbeRequest } from "./probe-request.ts";
import type { BadRequest } from "./queue-query.ts";
import { addQueue } from "./queue-routes.ts";
import { askerOf } from "./who.ts";

export function addApi(app: FastifyInstance, deps: AdminDeps): void {
  app.get("/api/v1/status", async () => deps.status());
  app.post("/api/v1/reload", (request, reply) => reload(deps, request, reply));
  addProbe(app, deps);
  addQueue(app, deps);
}

async function reload(deps: AdminDeps, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const problems = await deps.reload();
  const detail = problems.length === 0 ? "done" : `refused, ${problems.length} problems`;
  deps.emit("admin.action", { action: "reload", ...askerOf(request, asRecord(request.body)["why"]), detail });
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
      deps.emit("admin.action", { action: "probe", ...askerOf(request), detail });
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
