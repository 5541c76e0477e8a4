/**
 * A scripted SMTP server for tests: good by default, and bad in every way a next hop can be.
 * It keeps a record of each command line with whether it came inside TLS, and of each message byte for byte.
 * It judges nothing; what it recorded is for the test to assert.
 */
import net from "node:net";
import tls from "node:tls";

export interface MxOptions {
  /** Name in greeting and EHLO reply. Default mx.test. */
  readonly hostname?: string;
  /** Whole greeting without CRLF; null: says nothing. */
  readonly greeting?: string | null;
  /** EHLO keywords with parameters, without STARTTLS. */
  readonly extensions?: readonly string[];
  /** The same inside TLS, if they differ. */
  readonly extensionsInTls?: readonly string[];
  /** How STARTTLS is met; `absent` does not announce it and answers 502. Default: `good` if `tls` is given. */
  readonly starttls?: "good" | "absent" | "refused" | "garbage" | "hang" | "hang-after-220" | "inject" | "drop";
  readonly tls?: MxTls;
  readonly implicitTls?: boolean;
  /** The answer to a command instead of the usual one; `drop` and `hang` are answers too. Undefined: the usual one. */
  readonly answer?: (command: MxCommand) => string | undefined;
  /** Replies to RCPT by bare address. Default 250. */
  readonly recipients?: Readonly<Record<string, string>>;
  /** Reply to DATA. Default 354. */
  readonly data?: string;
  /** Reply to the final dot; `drop` and `hang` are answers too. Default 250. */
  readonly final?: string;
  /** Drops the connection once so many octets of content have arrived. */
  readonly dropContentAfter?: number;
  /** Reads nothing more once so many octets of content have arrived. */
  readonly stallContentAfter?: number;
  /** AUTH is announced inside TLS, and these are right. */
  readonly auth?: { readonly user: string; readonly password: string };
  readonly authMechanisms?: string;
}

export interface MxTls {
  /** PEM, leaf first. */
  readonly certificate: string;
  /** PEM */
  readonly key: string;
  readonly minVersion?: tls.SecureVersion;
  readonly maxVersion?: tls.SecureVersion;
  /** TLS 1.1 needs `DEFAULT@SECLEVEL=0`. */
  readonly ciphers?: string;
  /** Demand a client certificate of this CA (PEM). */
  readonly clientCa?: string;
}

export interface MxCommand {
  /** As received, without CRLF. */
  readonly line: string;
  readonly secure: boolean;
  /** 1 for the first connection. */
  readonly connection: number;
}

export interface MxMessage {
  readonly mail: string;
  /** RCPT lines that were accepted. */
  readonly recipients: readonly string[];
  /** Dots unstuffed, without the final dot. */
  readonly content: Buffer;
  readonly secure: boolean;
  readonly connection: number;
  /** Octets of content are on the record, but the final dot never came. */
  readonly complete: boolean;
}

export interface MxServer {
  readonly address: string;
  readonly port: number;
  readonly commands: readonly MxCommand[];
  readonly messages: readonly MxMessage[];
  readonly handshakes: readonly { version: string | null; servername: string | null; client?: string }[];
  readonly connections: () => number;
  /** Sockets open now. */
  readonly open: () => number;
  /** Verbs of all commands so far: `EHLO STARTTLS EHLO MAIL …`. */
  readonly verbs: () => string;
  /** Changes behaviour for connections from now on: the peer is mended, or breaks. */
  readonly change: (options: MxOptions) => void;
  /** Closes every open connection, as a restart would. */
  readonly cut: () => void;
  readonly close: () => Promise<void>;
}

const EXTENSIONS = ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "SIZE 52428800"];

export async function startMx(options: MxOptions = {}, address = "127.0.0.1", port = 0): Promise<MxServer> {
  let current = options;
  const record: MxState = { commands: [], messages: [], handshakes: [], connections: 0 };
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    new MxConnection(socket, current, record).start();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    address,
    port: (server.address() as net.AddressInfo).port,
    commands: record.commands,
    messages: record.messages,
    handshakes: record.handshakes,
    connections: () => record.connections,
    open: () => sockets.size,
    verbs: () => record.commands.map(({ line }) => line.split(" ")[0]?.toUpperCase()).join(" "),
    change: (next) => {
      current = next;
    },
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}

interface MxState {
  readonly commands: MxCommand[];
  readonly messages: MxMessage[];
  readonly handshakes: { version: string | null; servername: string | null; client?: string }[];
  connections: number;
}

class MxConnection {
  private socket: net.Socket;
  private readonly options: MxOptions;
  private readonly record: MxState;
  private readonly connection: number;
  private secure = false;
  private buffer = Buffer.alloc(0);
  private content: Buffer[] | undefined;
  private contentSize = 0;
  private tail = Buffer.alloc(0);
  private mail = "";
  private rcpt: string[] = [];
  private login: string[] | undefined;
  /** Hung or said goodbye: nothing is answered any more. */
  private mute = false;

  constructor(socket: net.Socket, options: MxOptions, record: MxState) {
    this.socket = socket;
    this.options = options;
    this.record = record;
    this.connection = ++record.connections;
  }

  start(): void {
    this.socket.on("error", () => undefined);
    if (this.options.implicitTls === true) this.upgrade(() => this.greet());
    else {
      this.listen();
      this.greet();
    }
  }

  private greet(): void {
    const { greeting } = this.options;
    if (greeting !== null) this.reply(greeting ?? `220 ${this.options.hostname ?? "mx.test"} ESMTP`);
  }

  private readonly onData = (chunk: Buffer): void => this.receive(chunk);
  private readonly onClose = (): void => this.keepPartial();

  private listen(): void {
    this.socket.on("data", this.onData);
    this.socket.on("close", this.onClose);
  }

  private deafen(): void {
    this.socket.removeListener("data", this.onData);
    this.socket.removeListener("close", this.onClose);
  }

  private receive(chunk: Buffer): void {
    if (this.content !== undefined) return this.receiveContent(chunk);
    this.buffer = Buffer.concat([this.buffer, chunk]);
    for (;;) {
      const end = this.buffer.indexOf("\r\n");
      if (end < 0) return;
      const line = this.buffer.subarray(0, end).toString("utf8");
      this.buffer = this.buffer.subarray(end + 2);
      const command = { line, secure: this.secure, connection: this.connection };
      this.record.commands.push(command);
      this.obey(command);
      if (this.content !== undefined) {
        const rest = this.buffer;
        this.buffer = Buffer.alloc(0);
        if (rest.length > 0) this.receiveContent(rest);
        return;
      }
    }
  }

  private obey(command: MxCommand): void {
    const scripted = this.options.answer?.(command);
    if (scripted !== undefined && !scripted.startsWith("354")) return this.reply(scripted);
    if (this.login !== undefined) return this.continueLogin(command.line);
    const verb = command.line.split(/[ :]/)[0]?.toUpperCase() ?? "";
    switch (verb) {
      case "EHLO":
        return this.reply(this.hello());
      case "STARTTLS":
        return this.startTls();
      case "MAIL":
        this.mail = command.line;
        this.rcpt = [];
        return this.reply("250 2.1.0 Sender ok");
      case "RCPT":
        return this.recipient(command.line);
      case "DATA":
        return this.data();
      case "AUTH":
        return this.authenticate(command.line);
      case "HELO":
      case "RSET":
      case "NOOP":
        return this.reply("250 2.0.0 Ok");
      case "QUIT":
        this.reply("221 2.0.0 Bye");
        this.socket.end();
        return undefined;
      default:
        return this.reply("502 5.5.1 Unknown command");
    }
  }

  private hello(): string {
    const { extensions = EXTENSIONS, extensionsInTls, auth, authMechanisms = "PLAIN LOGIN" } = this.options;
    const own = this.secure ? (extensionsInTls ?? extensions) : extensions;
    const starttls = this.starttls() !== "absent" && !this.secure;
    const words = [
      this.options.hostname ?? "mx.test",
      ...own,
      ...(starttls ? ["STARTTLS"] : []),
      ...(auth && this.secure ? [`AUTH ${authMechanisms}`] : []),
    ];
    return words.map((word, index) => `250${index === words.length - 1 ? " " : "-"}${word}`).join("\r\n");
  }

  private starttls(): NonNullable<MxOptions["starttls"]> {
    return this.options.starttls ?? (this.options.tls ? "good" : "absent");
  }

  private startTls(): void {
    switch (this.starttls()) {
      case "absent":
        return this.reply("502 5.5.1 STARTTLS is not offered");
      case "refused":
        return this.reply("454 4.7.0 TLS not available due to temporary reason");
      case "hang":
        return undefined;
      case "drop":
        this.socket.destroy();
        return undefined;
      case "hang-after-220":
        this.deafen();
        this.socket.resume();
        return this.reply("220 2.0.0 Ready");
      case "garbage":
        this.deafen();
        this.socket.resume();
        this.socket.write("220 2.0.0 Ready\r\n");
        setImmediate(() => this.socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
        return undefined;
      case "inject":
        // Plain text behind the 220, in one segment: what a man in the middle would want to have heard inside TLS.
        return this.upgrade(() => undefined, "220 2.0.0 Ready\r\n250-injected\r\n250 AUTH PLAIN\r\n");
      case "good":
        return this.upgrade(() => undefined, "220 2.0.0 Ready\r\n");
    }
  }

  private upgrade(then: () => void, say?: string): void {
    const plain = this.socket;
    this.deafen();
    const { certificate, key, clientCa, ...limits } = this.options.tls ?? { certificate: "", key: "" };
    const context = tls.createSecureContext({ cert: certificate, key, ...(clientCa && { ca: clientCa }), ...limits });
    const asks = clientCa !== undefined;
    const secured = new tls.TLSSocket(plain, {
      isServer: true,
      secureContext: context,
      requestCert: asks,
      rejectUnauthorized: asks,
    });
    secured.on("error", () => plain.destroy());
    secured.once("secure", () => {
      const client = secured.getPeerX509Certificate()?.subject;
      const { servername } = secured as { servername?: string | false | null };
      this.record.handshakes.push({
        version: secured.getProtocol(),
        servername: typeof servername === "string" ? servername : null,
        ...(client !== undefined && { client }),
      });
      then();
    });
    this.socket = secured;
    this.secure = true;
    this.buffer = Buffer.alloc(0);
    if (say !== undefined) plain.write(say);
    this.listen();
  }

  private recipient(line: string): void {
    const address = /<(.*)>/.exec(line)?.[1] ?? "";
    const answer = this.options.recipients?.[address] ?? "250 2.1.5 Recipient ok";
    if (answer.startsWith("2")) this.rcpt.push(line);
    this.reply(answer);
  }

  private data(): void {
    const answer = this.options.data ?? (this.rcpt.length > 0 ? "354 Go ahead" : "554 5.5.1 No valid recipients");
    if (answer.startsWith("354")) {
      this.content = [];
      this.contentSize = 0;
      this.tail = Buffer.from("\r\n");
    }
    this.reply(answer);
  }

  private receiveContent(chunk: Buffer): void {
    const { dropContentAfter = Infinity, stallContentAfter = Infinity } = this.options;
    this.contentSize += chunk.length;
    this.content?.push(chunk);
    if (this.contentSize >= dropContentAfter) {
      this.socket.destroy();
      return;
    }
    if (this.contentSize >= stallContentAfter) {
      this.socket.pause();
      return;
    }
    // The end can be cut anywhere, so the last four octets are looked at again.
    const window = Buffer.concat([this.tail, chunk]);
    const end = window.indexOf("\r\n.\r\n");
    if (end < 0) {
      this.tail = Buffer.from(window.subarray(Math.max(0, window.length - 4)));
      return;
    }
    const all = Buffer.concat(this.content ?? []);
    const surplus = window.length - (end + 5);
    this.keep(all.subarray(0, all.length - surplus - 3), true);
    this.reply(this.options.final ?? "250 2.0.0 Queued as 4711");
    if (surplus > 0) this.receive(Buffer.from(all.subarray(all.length - surplus)));
  }

  private keep(stuffed: Buffer, complete: boolean): void {
    this.content = undefined;
    this.record.messages.push({
      mail: this.mail,
      recipients: this.rcpt,
      content: unstuff(stuffed),
      secure: this.secure,
      connection: this.connection,
      complete,
    });
  }

  private keepPartial(): void {
    if (this.content !== undefined) this.keep(Buffer.concat(this.content), false);
  }

  private authenticate(line: string): void {
    const [, mechanism = "", initial] = line.split(" ");
    this.login = [mechanism.toUpperCase()];
    if (initial !== undefined) return this.continueLogin(initial);
    return this.reply(mechanism.toUpperCase() === "LOGIN" ? "334 VXNlcm5hbWU6" : "334 ");
  }

  private continueLogin(line: string): void {
    this.login?.push(Buffer.from(line, "base64").toString("utf8"));
    const [mechanism = "", first = "", second] = this.login ?? [];
    if (mechanism === "LOGIN" && second === undefined) return this.reply("334 UGFzc3dvcmQ6");
    this.login = undefined;
    const [user, password] = mechanism === "LOGIN" ? [first, second] : first.split("\0").slice(1);
    const { auth } = this.options;
    const right = auth !== undefined && user === auth.user && password === auth.password;
    return this.reply(right ? "235 2.7.0 Welcome" : "535 5.7.8 Credentials invalid");
  }

  private reply(text: string): void {
    if (this.mute) return;
    this.mute = text === "hang" || text.startsWith("421");
    if (text === "hang") return;
    if (text === "drop") {
      this.socket.destroy();
      return;
    }
    this.socket.write(`${text}\r\n`);
    if (text.startsWith("421")) this.socket.end();
  }
}

/** RFC 5321 §4.5.2 */
function unstuff(stuffed: Buffer): Buffer {
  const text = stuffed.toString("latin1");
  return Buffer.from((text.startsWith(".") ? text.slice(1) : text).replaceAll("\r\n.", "\r\n"), "latin1");
}
