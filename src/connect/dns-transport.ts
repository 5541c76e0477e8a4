/**
 * Carries one DNS query to one resolver: UDP, TCP when the answer was truncated, or TLS (RFC 7858).
 * Only the answer to this very query is handed on; silence, refusal and garbage are values, never a "no".
 */
import dgram from "node:dgram";
import net from "node:net";
import type { Clock } from "../runtime/clock.ts";
import { decodeAnswer, type DnsMessage, encodeQuery, type Query } from "./dns-message.ts";
import { createDnsStreams } from "./dns-stream.ts";
import { createDnsAuthorities } from "./dns-authorities.ts";
import type { DnsSettings, ResolverAddress } from "./settings.ts";

export type Exchange =
  | { readonly kind: "answer"; readonly message: DnsMessage }
  /** `silent`: nothing came in time, so another try may help. */
  | { readonly kind: "no-answer"; readonly silent: boolean; readonly detail: string };

export interface DnsTransport {
  /** At most `timeoutMs` for UDP and as much again for TCP. Never rejects. */
  readonly ask: (server: ResolverAddress, query: Query, timeoutMs: number) => Promise<Exchange>;
  /** Ends every query under way without an answer. */
  readonly close: () => void;
}

const SILENCE: Exchange = { kind: "no-answer", silent: true, detail: "did not answer in time" };
const CLOSED: Exchange = { kind: "no-answer", silent: false, detail: "was not asked: the gateway stops" };

export function createDnsTransport(clock: Clock, trust: () => DnsSettings["trust"]): DnsTransport {
  const streams = createDnsStreams(clock, createDnsAuthorities(trust));
  const underWay = new Set<(ending: Exchange) => void>();
  let closed = false;

  /** Runs one exchange to its single end: the first of answer, error, time-out and close. */
  const exchange = (timeoutMs: number, start: (end: (ending: Exchange) => void) => () => void): Promise<Exchange> => {
    if (closed) return Promise.resolve(CLOSED);
    return new Promise((resolve) => {
      let ended = false;
      const end = (ending: Exchange): void => {
        if (ended) return;
        ended = true;
        cancel();
        underWay.delete(end);
        stop();
        resolve(ending);
      };
      const cancel = clock.after(timeoutMs, () => end(SILENCE));
      underWay.add(end);
      const stop = start(end);
    });
  };

  return {
    ask: async (server, query, timeoutMs) => {
      if (server.transport === "tls") return exchange(timeoutMs, (end) => streams.ask(server, query, end));
      const first = await exchange(timeoutMs, (end) => askUdp(server, query, end));
      if (first.kind !== "answer" || !first.message.flag_tc) return first;
      return exchange(timeoutMs, (end) => streams.ask(server, query, end)); // RFC 7766 §5
    },
    close: () => {
      closed = true;
      for (const end of underWay) end(CLOSED);
      streams.close();
    },
  };
}

/** A connected socket of its own on a random port: only this resolver's packets arrive (RFC 5452 §9). */
function askUdp(server: ResolverAddress, query: Query, end: (ending: Exchange) => void): () => void {
  const socket = dgram.createSocket(net.isIPv6(server.address) ? "udp6" : "udp4");
  socket.on("error", (error) => end(broken(error)));
  socket.on("message", (bytes) => {
    const message = decodeAnswer(bytes, query);
    // Anything else may be a forgery: the true answer can still come (RFC 5452 §9.1).
    if (message !== undefined) end({ kind: "answer", message });
  });
  socket.on("connect", () => socket.send(encodeQuery(query)));
  socket.connect(server.port, server.address);
  return () => socket.close();
}

function broken(error: Error): Exchange {
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  return { kind: "no-answer", silent: false, detail: `cannot be reached (${code})` };
}
