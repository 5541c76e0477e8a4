/**
 * The demo's partners: small SMTP servers on loopback, each with one virtue or vice, and the client that hands mail
 * to the gateway. They speak just enough SMTP to be delivered to, and write down every command they saw.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import type { DemoIdentity } from "./demo-certificates.ts";

export interface Partner {
  readonly port: number;
  /** Verbs in the order they came; TLS shows as `(TLS)`. */
  readonly seen: string[];
  /** Messages taken. */
  readonly taken: () => number;
  /** From now on it offers STARTTLS with this; undefined: it offers none. */
  readonly use: (identity: DemoIdentity | undefined) => void;
  readonly close: () => Promise<void>;
}

interface House {
  readonly name: string;
  readonly seen: string[];
  context: SecureContext | undefined;
  taken: number;
}

export async function createPartner(name: string, identity: DemoIdentity | undefined): Promise<Partner> {
  const house: House = { name, seen: [], context: undefined, taken: 0 };
  const use = (next: DemoIdentity | undefined): void => {
    house.context = next && createSecureContext({ cert: next.certificate, key: next.key, minVersion: "TLSv1.2" });
  };
  use(identity);
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.write(`220 ${name} ESMTP\r\n`);
    serve(house, socket, false);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  };
  return { port, seen: house.seen, taken: () => house.taken, use, close };
}

const END_OF_DATA = "\r\n.\r\n";

/** One session, in clear or inside TLS. */
function serve(house: House, socket: Socket, secure: boolean): void {
  let pending = "";
  let inData = false;
  const onData = (chunk: Buffer): void => {
    pending += chunk.toString("latin1");
    for (;;) {
      const end = pending.indexOf(inData ? END_OF_DATA : "\r\n");
      if (end === -1) return;
      const line = pending.slice(0, end);
      pending = pending.slice(end + (inData ? END_OF_DATA.length : 2));
      if (inData) {
        inData = false;
        house.taken += 1;
        socket.write("250 2.0.0 taken\r\n");
        continue;
      }
      const verb = (line.split(" ")[0] ?? "").toUpperCase();
      house.seen.push(verb);
      if (verb === "STARTTLS" && house.context !== undefined && !secure) {
        socket.off("data", onData);
        return startTls(house, socket, house.context);
      }
      inData = verb === "DATA";
      answer(house, socket, verb, secure);
    }
  };
  socket.on("data", onData);
  socket.on("error", () => socket.destroy());
}

function answer({ name, context }: House, socket: Socket, verb: string, secure: boolean): void {
  switch (verb) {
    case "EHLO":
      socket.write(`250-${name}\r\n${context !== undefined && !secure ? "250-STARTTLS\r\n" : ""}250 8BITMIME\r\n`);
      return;
    case "DATA":
      socket.write("354 go on\r\n");
      return;
    case "QUIT":
      socket.end("221 2.0.0 bye\r\n");
      return;
    case "STARTTLS":
      socket.write("502 5.5.1 not here\r\n");
      return;
    default:
      socket.write("250 2.0.0 ok\r\n");
  }
}

function startTls(house: House, socket: Socket, secureContext: SecureContext): void {
  socket.write("220 2.0.0 go ahead\r\n", () => {
    const secured = new TLSSocket(socket, { isServer: true, secureContext });
    secured.on("secure", () => house.seen.push("(TLS)"));
    serve(house, secured, true);
  });
}

/** Hands one message to the gateway; resolves with its reply to DATA. Rejects when the gateway refuses. */
export async function handIn(at: { address: string; port: number }, from: string, to: string): Promise<string> {
  const socket = connect(at.port, at.address);
  const replies = repliesOf(socket);
  const say = async (line: string | undefined, expected: string): Promise<string> => {
    if (line !== undefined) socket.write(`${line}\r\n`);
    const reply = (await replies.next()).value;
    if (typeof reply === "string" && reply.startsWith(expected)) return reply;
    throw new Error(`The gateway answered ${JSON.stringify(reply)} to ${line ?? "the connection"}`);
  };
  try {
    await say(undefined, "220");
    await say("EHLO mailserver.demo.example", "250");
    await say(`MAIL FROM:<${from}>`, "250");
    await say(`RCPT TO:<${to}>`, "250");
    await say("DATA", "354");
    const header = [`From: ${from}`, `To: ${to}`, "Subject: sealpost demo", "Date: Wed, 25 Nov 2026 12:00:00 +0000"];
    const reply = await say([...header, "", "Only the partner may read this.", "."].join("\r\n"), "250");
    await say("QUIT", "221");
    return reply;
  } finally {
    socket.destroy();
  }
}

/** Whole replies, the last line of each. */
async function* repliesOf(socket: Socket): AsyncGenerator<string, undefined> {
  let pending = "";
  for await (const chunk of socket) {
    pending += String(chunk);
    const lines = pending.split("\r\n");
    pending = lines.pop() ?? "";
    yield* lines.filter((line) => !/^\d{3}-/.test(line));
  }
  return undefined;
}
