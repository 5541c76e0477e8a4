/**
 * An MX for large messages: over STARTTLS, each content into a file of its own, dots left stuffed. It holds none in memory,
 * and waits for its disk.
 */
import { once } from "node:events";
import { createWriteStream, readFileSync, type WriteStream } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createSecureContext, TLSSocket } from "node:tls";
import type { Credential } from "./certificates.ts";
import type { Workbench } from "./workbench.ts";

export interface Shelf {
  readonly address: string;
  readonly port: number;
  /** Whole contents only. */
  readonly files: string[];
}

const END = Buffer.from("\r\n.\r\n");

export async function startShelf(bench: Workbench, address: string, credential: Credential): Promise<Shelf> {
  const folder = await bench.folder("shelf");
  const secureContext = createSecureContext({
    cert: readFileSync(credential.certificate),
    key: readFileSync(credential.key),
  });
  const files: string[] = [];
  const sockets = new Set<Socket>();
  let count = 0;
  const serve = (socket: Socket, greeting: string): void => {
    let commands = "";
    let content: { file: string; stream: WriteStream; tail: Buffer } | undefined;
    const answer = (line: string): void => void socket.write(`${line}\r\n`);
    const take = (chunk: Buffer): void => {
      if (content === undefined) return obeyAll(chunk);
      const data = Buffer.concat([content.tail, chunk]);
      const end = data.indexOf(END);
      const upTo = end < 0 ? Math.max(0, data.length - END.length + 1) : end + 2;
      if (!content.stream.write(data.subarray(0, upTo))) {
        socket.pause();
        content.stream.once("drain", () => socket.resume());
      }
      content.tail = data.subarray(upTo);
      if (end < 0) return;
      const { file, stream } = content;
      content = undefined;
      stream.end(() => {
        files.push(file);
        answer("250 2.0.0 shelved");
      });
    };
    const obeyAll = (chunk: Buffer): void => {
      commands += chunk.toString("latin1");
      for (let end = commands.indexOf("\r\n"); end >= 0; end = commands.indexOf("\r\n")) {
        const verb = commands.slice(0, 4).toUpperCase();
        commands = commands.slice(end + 2);
        if (verb === "EHLO") answer("250-shelf\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES");
        else if (verb === "STAR") return startTls();
        else if (verb === "DATA") {
          const file = join(folder, `${(count += 1)}.eml`);
          content = { file, stream: createWriteStream(file), tail: Buffer.alloc(0) };
          answer("354 go");
        } else answer(verb === "QUIT" ? "221 2.0.0 bye" : "250 2.0.0 OK");
      }
    };
    const startTls = (): void => {
      socket.off("data", take);
      answer("220 go");
      serve(new TLSSocket(socket, { isServer: true, secureContext }), "");
    };
    socket.on("data", take).on("error", () => {});
    if (greeting !== "") answer(greeting);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).setNoDelay(true);
    serve(socket, "220 shelf ESMTP");
  });
  server.listen(0, address);
  await once(server, "listening");
  bench.atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  const bound = server.address();
  return { address, port: typeof bound === "object" && bound !== null ? bound.port : 0, files };
}
