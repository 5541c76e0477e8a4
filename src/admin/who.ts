/** Who asks, as the command line says it: the account on this machine. Nobody's word for it but its own, and bounded. */
import type { FastifyRequest } from "fastify";

export interface Asker {
  /** Network address; "local" on a stopped gateway. */
  readonly address: string;
  readonly who: string | undefined;
  readonly why: string | undefined;
}

export const WHO_HEADER = "x-sealpost-who";
const LONGEST = 64;
const LONGEST_WHY = 500;

/** Undefined when it does not say. */
export function whoAsks({ headers }: Pick<FastifyRequest, "headers">): string | undefined {
  const said = headers[WHO_HEADER];
  return cleanAccount(Array.isArray(said) ? (said[0] ?? "") : (said ?? ""));
}

/** Printable ASCII of a bounded length; undefined when nothing is left. */
export function cleanAccount(said: string): string | undefined {
  const text = said.replaceAll(/[^\x20-\x7e]/g, "?").trim();
  return text === "" ? undefined : text.slice(0, LONGEST);
}

/** A reason that is none, or longer than a log line should be, is left out or cut. */
export function cleanWhy(why: unknown): string | undefined {
  return typeof why === "string" && why.trim() !== "" ? why.trim().slice(0, LONGEST_WHY) : undefined;
}

export function askerOf(request: FastifyRequest, why?: unknown): Asker {
  return { address: request.ip, who: whoAsks(request), why: cleanWhy(why) };
}
