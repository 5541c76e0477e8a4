/**
 * Speaks to the gateway that runs on this machine, over its admin listener, with the token from its file. Whether one
 * runs at all is an answer, too; it never starts one.
 */
import { type IncomingMessage, request } from "node:http";
import { readGatewayFile } from "../admin/gateway-file.ts";
import { readToken } from "../admin/token-file.ts";
import { WHO_HEADER } from "../admin/who.ts";
import type { Settings } from "../config/settings.ts";
import { accountName } from "./account.ts";

export type AdminAnswer =
  | { readonly kind: "done"; readonly body: Readonly<Record<string, unknown>> }
  /** The gateway said no: `error` and `remedy` are its words. */
  | { readonly kind: "refused"; readonly status: number; readonly body: Readonly<Record<string, unknown>> }
  /** Nobody answers; `detail` is one sentence. */
  | { readonly kind: "unreachable"; readonly detail: string };

/** What is not JSON, as it comes. Ends with BrokenOff where it is not whole. */
export interface Download {
  readonly kind: "download";
  readonly chunks: AsyncIterable<Buffer>;
}

export class BrokenOff extends Error {}

export interface AdminClient {
  /** Whether it lives; needs no token. */
  readonly isAlive: () => Promise<boolean>;
  readonly get: (path: string) => Promise<AdminAnswer>;
  /** `patienceMs`: for what takes its time; else a minute. */
  readonly post: (path: string, body?: object, patienceMs?: number) => Promise<AdminAnswer>;
  readonly download: (path: string) => Promise<Exclude<AdminAnswer, { kind: "done" }> | Download>;
}

const TIMEOUT_MS = 60_000;
const LONG_MS = 3_600_000;
const LARGEST_ANSWER = 64 * 1024 * 1024;

/** Undefined: no gateway has said that it runs. */
export async function findGateway(settings: Settings): Promise<AdminClient | undefined> {
  const gateway = await readGatewayFile(settings.dataDir);
  if (gateway === undefined) return undefined;
  const place = gateway.admin;
  const ask = async (asked: Pick<Asked, "method" | "path" | "body" | "patienceMs">) => {
    const token = await readToken(settings.admin.tokenFile);
    if ("kind" in token) return { kind: "unreachable", detail: `${token.message}. ${token.remedy}` } as const;
    return send({ ...place, ...asked, token: token.token });
  };
  const answer = async (method: string, path: string, body?: object, patienceMs = TIMEOUT_MS): Promise<AdminAnswer> => {
    const sent = await ask({ method, path, body, patienceMs });
    return "kind" in sent ? sent : collect(sent, place);
  };
  return {
    isAlive: async () => {
      const sent = await send({ ...place, ...HEALTH });
      return "kind" in sent ? false : (await collect(sent, place)).kind === "done";
    },
    get: (path) => answer("GET", path),
    post: (path, body, patienceMs) => answer("POST", path, body, patienceMs),
    download: async (path) => {
      const sent = await ask({ method: "GET", path, body: undefined, patienceMs: LONG_MS });
      if ("kind" in sent) return sent;
      if (sent.statusCode === 200) return { kind: "download", chunks: chunksOf(sent) };
      const refused = await collect(sent, place);
      return refused.kind === "done" ? SOMETHING_ELSE : refused;
    },
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

type Unreachable = Extract<AdminAnswer, { kind: "unreachable" }>;

/** The one place where network trouble becomes an answer. Plain node:http: no proxy of the environment is asked. */
function send({ address, port, method, path, token, body, patienceMs }: Asked): Promise<IncomingMessage | Unreachable> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const who = accountName();
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(who !== undefined && { [WHO_HEADER]: who }),
    ...(text !== undefined && { "content-type": "application/json" }),
  };
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(patienceMs);
    const sent = request({ host: address, port, method, path, headers, signal, agent: false }, resolve);
    sent.on("error", (error) => resolve(lost(error, { address, port })));
    sent.end(text);
  });
}

function collect(response: IncomingMessage, place: Pick<Asked, "address" | "port">): Promise<AdminAnswer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    response.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= LARGEST_ANSWER) {
        chunks.push(chunk);
        return;
      }
      response.destroy(); // which is no error, and no end
      resolve(TOO_LARGE);
    });
    response.on("error", (error) => resolve(lost(error, place)));
    response.on("end", () => resolve(answerOf(response.statusCode ?? 0, Buffer.concat(chunks).toString())));
  });
}

async function* chunksOf(response: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer;
  } catch (error) {
    throw new BrokenOff("The gateway broke off in the middle.", { cause: error });
  }
}

function lost(error: NodeJS.ErrnoException, { address, port }: Pick<Asked, "address" | "port">): Unreachable {
  const detail = `The gateway does not answer on ${address} port ${port} (${error.code ?? error.name}).`;
  return { kind: "unreachable", detail };
}

const SOMETHING_ELSE: Unreachable = {
  kind: "unreachable",
  detail: "Something else than the gateway answers on its port.",
};

const TOO_LARGE: Unreachable = { kind: "unreachable", detail: "The answer of the gateway is too large to be true." };

function answerOf(status: number, text: string): AdminAnswer {
  const body = parse(text);
  if (body === undefined) return SOMETHING_ELSE;
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
