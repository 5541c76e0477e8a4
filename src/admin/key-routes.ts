/** The routes of the queue key: which one is in force, and a new one. No key is ever in an answer. */
import type { FastifyInstance } from "fastify";
import { asRecord } from "./history-routes.ts";
import type { KeyActions } from "./key-actions.ts";
import { askerOf } from "./who.ts";

export function addKeys(app: FastifyInstance, actions: KeyActions): void {
  app.get("/api/v1/key", () => actions.state());
  app.post("/api/v1/key/rotate", async (request, reply) => {
    const rotated = await actions.rotate(askerOf(request, asRecord(request.body)["why"]));
    switch (rotated.kind) {
      case "started":
        return reply.code(202).send(rotated);
      case "busy": {
        const remedy = "Wait until /api/v1/key says that it is no longer running.";
        return reply.code(409).send({ error: "The last rotation has not ended", remedy, ...rotated });
      }
      case "failed":
        return reply.code(422).send({ error: rotated.detail, remedy: "Mend it and rotate again.", ...rotated });
    }
  });
}
