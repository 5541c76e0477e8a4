/**
 * An HTTPS server on loopback for tests. What it answers is raw text, so that a test can say anything a server could,
 * correct or not; it may be changed while the server runs.
 */
import net, { type AddressInfo } from "node:net";
import tls from "node:tls";

export interface HttpsRequest {
  readonly servername: string | undefined;
  readonly alpn: string | undefined;
  readonly method: string;
  readonly path: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface HttpsAnswer {
  readonly text: string | Buffer;
  /** What becomes of the connection: closed by default; `reset`: cut without close_notify; `open`: nothing more. */
  readonly ending?: "close" | "reset" | "open";
}

export interface HttpsPeer {
  readonly address: string;
  readonly port: number;
  /** Every whole request, in order. */
  readonly requests: HttpsRequest[];
  /** TCP connections so far. */
  readonly connections: () => number;
  /** undefined: the request is read, and nothing answered. */
  answer: HttpsAnswer | undefined;
  /** Used by handshakes from now on. */
  readonly use: (certificate: { readonly chain: string; readonly key: string }) => void;
  readonly close: () => Promise<void>;
}

export interface HttpsPeerOptions {
  readonly address?: string;
  readonly port?: number;
  /** TCP is accepted, the handshake never answered. */
  readonly mute?: boolean;
  readonly minVersion?: tls.SecureVersion;
  readonly maxVersion?: tls.SecureVersion;
}

/** A whole answer with a Content-Length. */
export function httpAnswer(
  body: string | Buffer,
  {
    status = "200 OK",
    headers = { "Content-Type": "text/plain" },
  }: { status?: string; headers?: Record<string, string> } = {},
): HttpsAnswer {
  const length = { "Content-Length": String(Buffer.byteLength(body)) };
  const lines = Object.entries({ ...length, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return { text: Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join("")}\r\n`), Buffer.from(body)]) };
}

export async function startHttpsServer(
  certificate: { readonly chain: string; readonly key: string },
  options: HttpsPeerOptions = {},
): Promise<HttpsPeer> {
  const { address = "127.0.0.1", port = 0, mute = false, minVersion = "TLSv1.2", maxVersion = "TLSv1.3" } = options;
  const requests: HttpsRequest[] = [];
  const sockets = new Set<net.Socket>();
  let connections = 0;
  const secure = { cert: certificate.chain, key: certificate.key, minVersion, maxVersion };
  const server = mute
    ? net.createServer()
    : tls.createServer({ ...secure, ALPNProtocols: ["http/1.1"] }, (socket) => serve(socket));
  server.on("tlsClientError", () => undefined);
  server.on("connection", (socket: net.Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  const serve = (socket: tls.TLSSocket): void => {
    let pending = "";
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      pending += chunk.toString("latin1");
      if (!pending.includes("\r\n\r\n")) return;
      requests.push(readRequest(pending, socket));
      pending = "";
      const { answer } = peer;
      if (answer === undefined) return;
      socket.write(answer.text, () => {
        if (answer.ending === "reset") socket.destroy();
        else if (answer.ending !== "open") socket.end();
      });
    });
  };
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
  const peer: HttpsPeer = {
    address,
    port: (server.address() as AddressInfo).port,
    requests,
    connections: () => connections,
    answer: undefined,
    use: (next) => {
      if (server instanceof tls.Server) server.setSecureContext({ ...secure, cert: next.chain, key: next.key });
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return peer;
}

function readRequest(text: string, socket: tls.TLSSocket): HttpsRequest {
  const [first = "", ...lines] = (text.split("\r\n\r\n")[0] ?? "").split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const given = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
  return {
    servername: given(Reflect.get(socket, "servername")),
    alpn: given(socket.alpnProtocol),
    method,
    path,
    headers,
  };
}
