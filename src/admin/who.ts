/** Who asks, as the command line says it: the account on this machine. Nobody's word for it but its own, and bounded. */
import type { FastifyRequest } from "fastify";

export const WHO_HEADER = "x-sealpost-who";
const LONGEST = 64;

/** Undefined when it does not say. */
export function whoAsks({ headers }: Pick<FastifyRequest, "headers">): string | undefined {
  const said = headers[WHO_HEADER];
  const text = (Array.isArray(said) ? (said[0] ?? "") : (said ?? "")).replaceAll(/[^\x20-\x7e]/g, "?").trim();
  return text === "" ? undefined : text.slice(0, LONGEST);
}
