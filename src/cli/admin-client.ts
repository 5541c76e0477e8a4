/**
 * Speaks to the gateway that runs on this machine, over its admin listener, with the token from its file. Whether one
 * runs at all is an answer, too; it never starts one.
 */
import { request } from "node:http";
import { readGatewayFile } from "../admin/gateway-file.ts";
import { readToken } from "../admin/token-file.ts";
import type { Settings } from "../config/settings.ts";

export type AdminAnswer =
  | { readonly kind: "done"; readonly body: Readonly<Record<string, unknown>> }
  /** The gateway said no: `error` and `remedy` are its words. */
  | { readonly kind: "refused"; readonly status: number; readonly body: Readonly<Record<string, unknown>> }
  /** Nobody answers; `detail` is one sentence. */
  | { readonly kind: "unreachable"; readonly detail: string };

export interface AdminClient {
  /** Whether it lives; needs no token. */
  readonly isAlive: () => Promise<boolean>;
  readonly get: (path: string) => Promise<AdminAnswer>;
  /** `patienceMs`: for what takes its time; else a minute. */
  readonly post: (path: string, body?: object, patienceMs?: number) => Promise<AdminAnswer>;
}

const TIMEOUT_MS = 60_000;
const LARGEST_ANSWER = 64 * 1024 * 1024;

/** Undefined: no gateway has said that it runs. */
export async function findGateway(settings: Settings): Promise<AdminClient | undefined> {
  const gateway = await readGatewayFile(settings.dataDir);
  if (gateway === undefined) return undefined;
  const place = gateway.admin;
  const ask = async (method: string, path: string, body?: object, patienceMs = TIMEOUT_MS): Promise<AdminAnswer> => {
    const token = await readToken(settings.admin.tokenFile);
    if ("kind" in token) return { kind: "unreachable", detail: `${token.message}. ${token.remedy}` };
    return send({ ...place, method, path, token: token.token, body, patienceMs });
  };
  return {
    isAlive: async () => (await send({ ...place, ...HEALTH })).kind === "done",
    get: (path) => ask("GET", path),
    post: (path, body, patienceMs) => ask("POST", path, body, patienceMs),
  };
}

const HEALTH = {
  method: "GET",
  path: "/healthz",
  token: undefined,
  body: undefined,
  patienceMs: TIMEOUT_MS,
} as const;

interface Asked {
  readonly address: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly token: string | undefined;
  readonly body: object | undefined;
  readonly patienceMs: number;
}

/** The one place where network trouble becomes an answer. Plain node:http: no proxy of the environment is asked. */
function send({ address, port, method, path, token, body, patienceMs }: Asked): Promise<AdminAnswer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(text !== undefined && { "content-type": "application/json" }),
  };
  return new Promise((resolve) => {
    const lost = (error: NodeJS.ErrnoException) =>
      resolve({
        kind: "unreachable",
        detail: `The gateway does not answer on ${address} port ${port} (${error.code ?? error.name}).`,
      });
    const signal = AbortSignal.timeout(patienceMs);
    const sent = request({ host: address, port, method, path, headers, signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > LARGEST_ANSWER) response.destroy();
        else chunks.push(chunk);
      });
      response.on("error", lost);
      response.on("end", () => resolve(answerOf(response.statusCode ?? 0, Buffer.concat(chunks).toString())));
    });
    sent.on("error", lost);
    sent.end(text);
  });
}

function answerOf(status: number, text: string): AdminAnswer {
  const body = parse(text);
  if (body === undefined)
    return { kind: "unreachable", detail: "Something else than the gateway answers on its port." };
  return status >= 200 && status < 300 ? { kind: "done", body } : { kind: "refused", status, body };
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
