/**
 * An MX that only counts: fast, over STARTTLS, any number of recipients. Its record is what arrived: id (X-Load-Id),
 * recipient, octets and SHA-256 of the body as it was on the wire. It keeps no message in memory.
 */
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { Credential } from "./certificates.ts";
import type { Workbench } from "./workbench.ts";

export interface Arrival {
  readonly id: string;
  readonly recipients: readonly string[];
  readonly octets: number;
  readonly bodySha256: string;
  readonly at: number;
  readonly tls: boolean;
}

export interface Sink {
  readonly address: string;
  readonly port: number;
  readonly arrivals: Arrival[];
  /** Commands seen outside of TLS, over all sessions. */
  readonly clearCommands: Map<string, number>;
}

export interface SinkWish {
  readonly address: string;
  readonly port?: number;
  readonly credential: Credential;
  /** Reply to a recipient; "250 OK" without it. */
  readonly rcpt?: (address: string) => string;
}

const END = Buffer.from("\r\n.\r\n");
const BLANK = Buffer.from("\r\n\r\n");

export async function startSink(bench: Workbench, wish: SinkWish): Promise<Sink> {
  const secureContext = createSecureContext({
    cert: readFileSync(wish.credential.certificate),
    key: readFileSync(wish.credential.key),
  });
  const arrivals: Arrival[] = [];
  const clearCommands = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).setNoDelay(true);
    socket.write("220 sink ESMTP\r\n");
    serve(socket, { wish, secureContext, arrivals, clearCommands, tls: false });
  });
  server.listen(wish.port ?? 0, wish.address);
  await once(server, "listening");
  bench.atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return { address: wish.address, port, arrivals, clearCommands };
}

interface Session {
  readonly wish: SinkWish;
  readonly secureContext: ReturnType<typeof createSecureContext>;
  readonly arrivals: Arrival[];
  readonly clearCommands: Map<string, number>;
  readonly tls: boolean;
}

/** The content of one message while it passes: header kept until its end, body hashed. */
interface Passing {
  header: Buffer | undefined;
  tail: Buffer;
  octets: number;
  readonly hash: Hash;
  id: string;
}

function serve(socket: Socket, session: Session): void {
  let commands = Buffer.alloc(0);
  let recipients: string[] = [];
  let passing: Passing | undefined;
  const answer = (line: string) => void socket.write(`${line}\r\n`);
  const onData = (chunk: Buffer) => {
    let rest: Buffer | undefined = chunk;
    while (rest !== undefined && rest.length > 0) {
      if (passing === undefined) rest = onCommands(rest);
      else {
        const done: { rest: Buffer } | undefined = feed(passing, rest);
        if (done === undefined) return;
        session.arrivals.push({ ...endOf(passing), recipients, at: Date.now(), tls: session.tls });
        passing = undefined;
        recipients = [];
        answer("250 2.0.0 counted");
        rest = done.rest;
      }
    }
  };
  /** Answers whole lines; what follows DATA is content. */
  const onCommands = (chunk: Buffer): Buffer | undefined => {
    commands = Buffer.concat([commands, chunk]);
    for (let end = commands.indexOf("\r\n"); end >= 0; end = commands.indexOf("\r\n")) {
      const line = commands.subarray(0, end).toString("latin1");
      const rest = commands.subarray(end + 2);
      commands = rest;
      if (onCommand(line)) {
        commands = Buffer.alloc(0);
        return rest;
      }
    }
    return undefined;
  };
  /** True when the session's input is no longer commands. */
  const onCommand = (line: string): boolean => {
    const verb = (line.split(/[ :]/)[0] ?? "").toUpperCase();
    if (!session.tls) session.clearCommands.set(verb, (session.clearCommands.get(verb) ?? 0) + 1);
    switch (verb) {
      case "EHLO":
        answer(
          `250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE\r\n${session.tls ? "" : "250-STARTTLS\r\n"}250 ENHANCEDSTATUSCODES`,
        );
        return false;
      case "STARTTLS":
        socket.off("data", onData);
        answer("220 go");
        serve(new TLSSocket(socket, { isServer: true, secureContext: session.secureContext }), {
          ...session,
          tls: true,
        });
        return true;
      case "MAIL":
      case "RSET":
        recipients = [];
        answer("250 2.1.0 OK");
        return false;
      case "RCPT": {
        const address = /<([^>]*)>/.exec(line)?.[1] ?? "";
        const reply = session.wish.rcpt?.(address) ?? "250 2.1.5 OK";
        if (reply.startsWith("2")) recipients.push(address);
        answer(reply);
        return false;
      }
      case "DATA":
        if (recipients.length === 0) {
          answer("554 5.5.1 no valid recipients");
          return false;
        }
        passing = { header: Buffer.alloc(0), tail: Buffer.from("\r\n"), octets: 0, hash: createHash("sha256"), id: "" };
        answer("354 go");
        return true;
      case "QUIT":
        answer("221 2.0.0 bye");
        socket.end();
        return false;
      default:
        answer(verb === "NOOP" ? "250 2.0.0 OK" : "500 5.5.2 ?");
        return false;
    }
  };
  socket.on("data", onData).on("error", () => {});
}

/** Takes content until the final dot; answers with what follows it. */
function feed(passing: Passing, chunk: Buffer): { rest: Buffer } | undefined {
  const data = Buffer.concat([passing.tail, chunk]);
  const end = data.indexOf(END);
  if (end >= 0) {
    take(passing, data.subarray(0, end + 2));
    return { rest: data.subarray(end + END.length) };
  }
  const keep = Math.min(data.length, END.length - 1);
  take(passing, data.subarray(0, data.length - keep));
  passing.tail = data.subarray(data.length - keep);
  return undefined;
}

function take(passing: Passing, data: Buffer): void {
  passing.octets += data.length;
  if (passing.header === undefined) {
    passing.hash.update(data);
    return;
  }
  passing.header = Buffer.concat([passing.header, data]);
  const blank = passing.header.indexOf(BLANK);
  if (blank < 0) return;
  passing.id = /^X-Load-Id: (\S+)\r$/im.exec(passing.header.subarray(0, blank + 2).toString("latin1"))?.[1] ?? "";
  passing.hash.update(passing.header.subarray(blank + 4));
  passing.header = undefined;
}

function endOf(passing: Passing) {
  return { id: passing.id, octets: passing.octets - 2, bodySha256: passing.hash.digest("hex") };
}
