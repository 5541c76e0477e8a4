/**
 * DNS over TCP and over TLS (RFC 7766, RFC 7858): length-prefixed messages, several queries on one connection.
 * A TLS connection is kept for a few seconds, since its handshake costs more than the answer; the query goes out only
 * after the certificate was found valid for the resolver's name, or its address.
 */
import net from "node:net";
import tls from "node:tls";
import type { Clock } from "../runtime/clock.ts";
import { decodeAnswer, encodeQuery, type Query } from "./dns-message.ts";
import type { Exchange } from "./dns-transport.ts";
import { nameOf } from "./resolver-name.ts";
import type { ResolverAddress } from "./settings.ts";

type End = (ending: Exchange) => void;

export interface DnsStreams {
  /** Calls `end` at most once. The returned function is called when the exchange is over, answered or not. */
  readonly ask: (server: ResolverAddress, query: Query, end: End) => () => void;
  /** Closes every connection; `ask` must not be called again. */
  readonly close: () => void;
}

interface Connection {
  /** Writes the query when the connection stands; undefined when the id is taken, or the connection is over. */
  readonly ask: (query: Query, end: (ending: Exchange, first: boolean) => void) => (() => void) | undefined;
  readonly close: () => void;
}

const IDLE_MS = 5_000;

/** `contextOf` is asked once per TLS connection. */
export function createDnsStreams(clock: Clock, contextOf: () => tls.SecureContext | undefined): DnsStreams {
  const kept = new Map<string, Connection>();
  const all = new Set<Connection>();

  const open = (server: ResolverAddress): Connection => {
    const key = nameOf(server);
    const connection = createConnection(connect(server, contextOf), clock, () => {
      all.delete(connection);
      if (kept.get(key) === connection) kept.delete(key);
    });
    all.add(connection);
    if (server.transport === "tls") kept.set(key, connection);
    return connection;
  };

  return {
    ask: (server, query, end) => {
      let stop: (() => void) | undefined;
      const onFresh = (): void => {
        const connection = open(server);
        const release = connection.ask(query, (ending) => end(ending));
        stop = () => {
          release?.();
          if (server.transport === "udp") connection.close();
        };
      };
      // RFC 7766 §6.2.4: a server may close a connection that we kept; only a new one tells whether it can be reached.
      stop = kept.get(nameOf(server))?.ask(query, (ending, first) => {
        if (ending.kind === "answer" || first) end(ending);
        else onFresh();
      });
      if (stop === undefined) onFresh();
      return () => stop?.();
    },
    close: () => {
      for (const connection of all) connection.close();
    },
  };
}

interface Waiting {
  readonly query: Query;
  readonly end: (ending: Exchange, first: boolean) => void;
}

function createConnection(
  { socket, ready }: { readonly socket: net.Socket; readonly ready: string },
  clock: Clock,
  onOver: () => void,
): Connection {
  const waiting = new Map<number, Waiting>();
  let received: Buffer = Buffer.alloc(0);
  let state: "opening" | "open" | "over" = "opening";
  let answered = false;
  let cancelIdle = (): void => undefined;

  const fail = (ending: Exchange): void => {
    if (state === "over") return;
    state = "over";
    cancelIdle();
    onOver();
    socket.destroy();
    const left = [...waiting.values()];
    waiting.clear();
    for (const { end } of left) end(ending, !answered);
  };
  const rest = (): void => {
    if (waiting.size > 0 || state === "over") return;
    socket.unref(); // an idle connection keeps no process alive
    cancelIdle = clock.after(IDLE_MS, () => fail(noAnswer("was not asked in time")));
  };
  const read = (bytes: Buffer): void => {
    const id = bytes.length < 2 ? -1 : bytes.readUInt16BE(0);
    const asked = waiting.get(id);
    if (asked === undefined) return; // the answer to a query that was given up
    waiting.delete(id);
    answered = true;
    const message = decodeAnswer(bytes, asked.query);
    const valid = message !== undefined && !message.flag_tc;
    asked.end(valid ? { kind: "answer", message } : noAnswer("sent no valid answer"), true);
    rest();
  };

  socket.on(ready, () => {
    state = "open";
    for (const { query } of waiting.values()) socket.write(framed(query));
  });
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    for (let size = sizeOf(received); size !== undefined; size = sizeOf(received)) {
      const bytes = received.subarray(2, size);
      received = received.subarray(size);
      read(bytes);
    }
  });
  socket.on("error", (error) => fail(noAnswer(`cannot be reached (${codeOf(error)})`)));
  socket.on("close", () => fail(noAnswer("hung up")));

  return {
    close: () => fail(noAnswer("was not asked: the connection was closed")),
    ask: (query, end) => {
      if (state === "over" || waiting.has(query.id)) return undefined;
      cancelIdle();
      socket.ref();
      waiting.set(query.id, { query, end });
      if (state === "open") socket.write(framed(query));
      return () => {
        // No answer came in time: the others on this connection wait in vain too, and a new one may fare better.
        if (waiting.delete(query.id)) fail(noAnswer("fell silent"));
      };
    },
  };
}

function connect(
  { transport, address, port, name }: ResolverAddress,
  contextOf: () => tls.SecureContext | undefined,
): { readonly socket: net.Socket; readonly ready: string } {
  if (transport === "udp") return { socket: net.connect({ host: address, port }), ready: "connect" };
  const secureContext = contextOf();
  const options = { host: address, port, ...(name && { servername: name }), ...(secureContext && { secureContext }) };
  return { socket: tls.connect(options), ready: "secureConnect" };
}

/** Where the first message ends, once it is whole. */
function sizeOf(received: Buffer): number | undefined {
  if (received.length < 2) return undefined;
  const size = 2 + received.readUInt16BE(0);
  return received.length < size ? undefined : size;
}

function framed(query: Query): Buffer {
  const bytes = encodeQuery(query);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function noAnswer(detail: string): Exchange {
  return { kind: "no-answer", silent: false, detail };
}

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
