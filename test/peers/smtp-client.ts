/**
 * An SMTP client that sends exactly the bytes it is told to, right or wrong, and reads replies. For tests: nothing
 * here is polite, and everything has a deadline.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";

export interface Reply {
  readonly code: number;
  /** Lines without code and separator. */
  readonly lines: readonly string[];
  /** The whole reply without its last CRLF. */
  readonly text: string;
}

export interface ClientOptions {
  readonly port: number;
  readonly host?: string;
  /** Our own end; any of 127.0.0.0/8. */
  readonly localAddress?: string;
  /** Handshake at once, before the greeting. */
  readonly implicitTls?: ConnectionOptions;
  /** Sent before anything else, e.g. a PROXY header. */
  readonly preface?: string | Buffer;
}

const DEADLINE_MS = 10_000;

export class SmtpClient {
  #socket: Socket;
  #seen = "";
  #closed = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#watch(socket);
  }

  /** Connected, greeting not read yet. */
  static async connect(options: ClientOptions): Promise<SmtpClient> {
    const { port, host = "127.0.0.1", localAddress, implicitTls, preface } = options;
    const raw = connectTcp({ port, host, noDelay: true, ...(localAddress !== undefined && { localAddress }) });
    raw.on("error", () => {});
    await once(raw, "connect");
    if (preface !== undefined) raw.write(preface);
    if (implicitTls === undefined) return new SmtpClient(raw);
    const inner = connectTls({ rejectUnauthorized: false, ...implicitTls, socket: raw });
    await once(inner, "secureConnect");
    return new SmtpClient(inner);
  }

  /** Connected, greeted, EHLO answered; inside TLS when told so. */
  static async greeted(options: ClientOptions & { readonly tls?: ConnectionOptions }): Promise<SmtpClient> {
    const client = await SmtpClient.connect(options);
    await client.expect(220);
    await client.ask("EHLO client.example", 250);
    if (options.tls === undefined) return client;
    await client.startTls(options.tls);
    await client.ask("EHLO client.example", 250);
    return client;
  }

  get socket(): Socket {
    return this.#socket;
  }

  get tls(): TLSSocket {
    return this.#socket as TLSSocket;
  }

  /** True once the server has ended the connection. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Bytes as they are. Resolves when the system has taken them. */
  send(bytes: string | Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "utf8") : bytes, () => resolve());
    });
  }

  /** The next reply; undefined when the connection ends first. */
  async reply(): Promise<Reply | undefined> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const whole = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3}(?: [^\r\n]*)?\r\n/.exec(this.#seen)?.[0];
      if (whole !== undefined) {
        this.#seen = this.#seen.slice(whole.length);
        const text = whole.slice(0, -2);
        return { code: Number(text.slice(0, 3)), lines: text.split("\r\n").map((line) => line.slice(4)), text };
      }
      if (this.#closed) return undefined;
      if (Date.now() > deadline) throw new Error(`no reply; seen so far: ${JSON.stringify(this.#seen)}`);
      await this.#news();
    }
  }

  async expect(code: number): Promise<Reply> {
    const answer = await this.reply();
    if (answer?.code !== code) throw new Error(`expected ${code}, got ${answer?.text ?? "the end of the connection"}`);
    return answer;
  }

  /** One command line, and its reply of whatever code, or of the one named. */
  async ask(line: string, code?: number): Promise<Reply> {
    await this.send(`${line}\r\n`);
    if (code !== undefined) return this.expect(code);
    const answer = await this.reply();
    if (answer === undefined) throw new Error(`the connection ended after ${JSON.stringify(line)}`);
    return answer;
  }

  /** MAIL, RCPT and DATA up to 354. */
  async begin(from: string, to: readonly string[]): Promise<void> {
    await this.ask(`MAIL FROM:<${from}>`, 250);
    for (const recipient of to) await this.ask(`RCPT TO:<${recipient}>`, 250);
    await this.ask("DATA", 354);
  }

  /** A whole transaction; `content` is sent as it is, then CRLF.CRLF. The reply to it. */
  async message(from: string, to: readonly string[], content: string | Buffer): Promise<Reply> {
    await this.begin(from, to);
    await this.send(content);
    await this.send("\r\n.\r\n");
    const answer = await this.reply();
    if (answer === undefined) throw new Error("the connection ended instead of a reply to DATA");
    return answer;
  }

  async startTls(options: ConnectionOptions = {}): Promise<void> {
    await this.ask("STARTTLS", 220);
    this.#socket.removeAllListeners("data");
    this.#socket.removeAllListeners("close");
    const inner = connectTls({ rejectUnauthorized: false, ...options, socket: this.#socket });
    this.#socket = inner;
    await once(inner, "secureConnect");
    this.#watch(inner);
  }

  /** Everything the server says until it ends the connection. */
  async untilClosed(): Promise<Reply[]> {
    const replies: Reply[] = [];
    for (let next = await this.reply(); next !== undefined; next = await this.reply()) replies.push(next);
    return replies;
  }

  close(): void {
    this.#socket.destroy();
  }

  #watch(socket: Socket): void {
    socket.on("data", (chunk: Buffer) => {
      this.#seen += chunk.toString("utf8");
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 500);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`the connection ended before ${event}`)));
  });
}
