/**
 * The admin listener: health, metrics, and the HTTP API of the queue and of reload (contract section 11). The only
 * place that knows fastify. It answers this machine only, changes nothing without the token, and shows no content.
 */
import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Emit } from "../report/events.ts";
import type { ProbeReport, ProbeRequest } from "../report/probe-report.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import { addApi } from "./api.ts";
import type { HistoryActions } from "./history-actions.ts";
import { addHistory } from "./history-routes.ts";
import type { KeyActions } from "./key-actions.ts";
import { addKeys } from "./key-routes.ts";
import type { QueueActions } from "./queue-actions.ts";
import { createRequestGuard } from "./request-guard.ts";
import type { AdminSettings } from "./settings.ts";
import { loadToken } from "./token-file.ts";

export interface AdminDeps {
  readonly settings: AdminSettings;
  readonly queue: QueueActions;
  readonly history: HistoryActions;
  readonly keys: KeyActions;
  /** The problems that kept the old configuration in force; empty when the new one is. */
  readonly reload: () => Promise<readonly string[]>;
  readonly ready: () => { readonly ready: boolean; readonly problems: readonly string[] };
  /** Anything that JSON can say of the gateway as a whole; no secrets. */
  readonly status: () => Promise<object> | object;
  /** Prometheus text. */
  readonly metrics: () => Promise<string>;
  /** What a delivery would meet now; sends no mail. */
  readonly probe: (request: ProbeRequest) => Promise<ProbeReport>;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly random: Random;
}

export interface AdminServer {
  /** Rejects with AdminStartError. */
  readonly listen: () => Promise<{ readonly address: string; readonly port: number }>;
  readonly close: () => Promise<void>;
}

/** `kind` says which part of the configuration to mend. */
export class AdminStartError extends Error {
  readonly kind: "token" | "address";
  readonly remedy: string;
  constructor(kind: "token" | "address", message: string, remedy: string) {
    super(message);
    this.name = "AdminStartError";
    this.kind = kind;
    this.remedy = remedy;
  }
}

const LARGEST_BODY = 64 * 1024;
const MOST_CONNECTIONS = 100;
const REQUEST_TIMEOUT_MS = 10_000;

export function createAdminServer(deps: AdminDeps): AdminServer {
  const app = fastify({
    logger: false,
    bodyLimit: LARGEST_BODY,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: 5_000,
    forceCloseConnections: true,
    clientErrorHandler: (_, socket) => void socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
  });
  app.server.maxConnections = MOST_CONNECTIONS;
  app.removeContentTypeParser("text/plain");
  app.setErrorHandler((error: FastifyError, _, reply) => answerError(deps, error, reply));
  app.setNotFoundHandler((_, reply) =>
    fail(reply, 404, "There is no such thing here", "See /api/v1/status and /api/v1/queue."),
  );
  addHealth(app, deps);
  addApi(app, deps);
  addHistory(app, deps.history);
  addKeys(app, deps.keys);
  return {
    listen: async () => {
      const { address, port, tokenFile } = deps.settings;
      const loaded = await loadToken(tokenFile, deps.random);
      if ("kind" in loaded) throw new AdminStartError("token", loaded.message, loaded.remedy);
      guard(app, deps, loaded.token);
      return listenOn(app, address, port);
    },
    close: () => app.close(),
  };
}

async function listenOn(app: FastifyInstance, host: string, port: number): Promise<{ address: string; port: number }> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    const remedy =
      code === "EADDRINUSE"
        ? "Write another admin.port, or 0 for any free one."
        : "Correct admin.address and admin.port.";
    throw new AdminStartError("address", `The admin listener cannot listen on ${host} port ${port} (${code})`, remedy);
  }
  const bound = app.server.address();
  if (bound === null || typeof bound === "string")
    throw new AdminStartError("address", `${host} is no address`, "Write one.");
  return { address: bound.address, port: bound.port };
}

function guard(app: FastifyInstance, deps: AdminDeps, token: string): void {
  const judge = createRequestGuard({ token, address: deps.settings.address, clock: deps.clock });
  app.addHook("onRequest", async (request: FastifyRequest, reply: FastifyReply) => {
    void reply.headers({ "cache-control": "no-store", "x-content-type-options": "nosniff" });
    const { host, origin, authorization } = request.headers;
    const route = request.is404 ? undefined : request.routeOptions.url;
    const denial = judge({ address: request.ip, route, host, origin, authorization });
    if (denial === undefined) return undefined;
    if (denial.silent !== true) denied(deps, request, denial.reason);
    if (denial.status === 401) void reply.header("www-authenticate", 'Bearer realm="sealpost"');
    return fail(reply, denial.status, denial.reason, denial.remedy);
  });
}

function denied(deps: AdminDeps, request: FastifyRequest, reason: string): void {
  const [path = ""] = request.url.split("?", 1);
  deps.emit("admin.denied", { address: request.ip, path: path.slice(0, 200), reason });
}

function addHealth(app: FastifyInstance, deps: AdminDeps): void {
  app.get("/healthz", () => ({ ok: true }));
  app.get("/readyz", (_, reply) => {
    const state = deps.ready();
    return reply.code(state.ready ? 200 : 503).send(state);
  });
  app.get("/metrics", async (_, reply) => reply.type("text/plain; version=0.0.4").send(await deps.metrics()));
}

/** Requests that are wrong are answered with what is wrong; a defect is logged, and tells nothing to the client. */
function answerError(deps: AdminDeps, error: FastifyError, reply: FastifyReply): FastifyReply {
  const status = error.statusCode ?? 500;
  if (status >= 500) {
    deps.emit("error", { kind: "admin", detail: error.stack ?? error.message });
    return fail(reply, 500, "The gateway failed to answer", "See the error event in its log.");
  }
  const remedy = status === 413 ? "Send less." : "Send JSON as the documentation of the API says.";
  return fail(reply, status, `The request is wrong (${error.code})`, remedy);
}

export function fail(reply: FastifyReply, status: number, error: string, remedy: string): FastifyReply {
  return reply.code(status).send({ error, remedy });
}
