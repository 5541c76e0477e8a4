/**
 * One SMTP session with a peer, over nodemailer's connection class: the only file that knows nodemailer, and the only
 * one where `rejectUnauthorized` stands. The handshake records chain errors instead of enforcing them, because verify/
 * judges; so nothing but EHLO, STARTTLS and QUIT is ever sent from here on its own. Never resumes TLS sessions.
 */
import { Readable } from "node:stream";
import { TLSSocket } from "node:tls";
import SMTPConnection, { type SMTPConnectionOptions } from "nodemailer/lib/smtp-connection";
import type { PeerReply } from "../mail/outcome.ts";
import type { ClientOptions } from "./client-options.ts";
import { Exchange } from "./exchange.ts";
import type { Break, Stage } from "./opening-problem.ts";
import { maxSizeOf, parseEhlo, parseReply } from "./peer-reply.ts";
import { createLineReader } from "./line-reader.ts";
import { createReplyLimits } from "./reply-limits.ts";
import type { Done, Internals } from "./smtp-internals.ts";

const Base = SMTPConnection as unknown as new (options: SMTPConnectionOptions) => SMTPConnection & Internals;

/** nodemailer's own timers are put out of the way: ours run per reply. */
const FAR_MS = 2_147_483_647;
const QUIT_MS = 5_000;

export class SmtpClient extends Base {
  /** Keywords of the last EHLO reply. */
  extensions: ReadonlySet<string> = new Set();
  maxSize: number | undefined;
  /** How the session ended, if not by our own QUIT. */
  broke: Break | undefined;
  #stage: Stage = "greeting";
  #exchange: Exchange | undefined;
  #cancelTimer: () => void = () => undefined;
  #onOpened: (broke: Break | undefined) => void = () => undefined;
  readonly #limits = createReplyLimits();
  readonly #heard = createLineReader();
  readonly #own: ClientOptions;

  constructor(own: ClientOptions) {
    super({
      connection: own.socket,
      host: own.host,
      port: own.port,
      name: own.name,
      secure: own.implicitTls,
      requireTLS: own.use === "required",
      ignoreTLS: own.use === "never",
      connectionTimeout: FAR_MS,
      greetingTimeout: FAR_MS,
      socketTimeout: FAR_MS,
      socketCloseTimeout: QUIT_MS,
      maxResponseSize: 65_536,
      tls: {
        secureContext: own.prepared.context,
        rejectUnauthorized: false,
        // Names are judged by verify/; Node's own check would hide the chain error behind it.
        checkServerIdentity: () => undefined,
        ...(own.servername !== undefined && { servername: own.servername }),
      },
    });
    this.#own = own;
    this.on("error", () => undefined);
    this.once("end", () => {
      this.#cancelTimer();
      this.#onOpened(this.broke ?? { stage: this.#stage, cause: "closed" });
    });
  }

  /** Greeting, EHLO, and TLS as `use` says. Undefined when the session stands. */
  open(): Promise<Break | undefined> {
    return new Promise((resolve) => {
      this.#onOpened = resolve;
      this.once("connect", () => {
        this.#cancelTimer();
        resolve(undefined);
      });
      this.#limitTime(this.#own.commandTimeoutMs);
      this.connect();
    });
  }

  alive(): boolean {
    return !this._destroyed && !this._socket.destroyed && this._socket.writable;
  }

  /** QUIT, and the end of the connection at the latest some seconds later. */
  override quit(): void {
    if (!this.alive()) return this.cut();
    super.quit();
    this.#cancelTimer();
    this.#cancelTimer = this.#own.clock.after(QUIT_MS, () => this.cut());
    return undefined;
  }

  /** Ends the connection at once, whatever is under way: content cut off by it is not committed by the peer. */
  cut(): void {
    this._socket.destroy();
    if (this.#exchange === undefined) this.close();
    else this._onError(new Error("cut"), "ECONNECTION", false, "CONN");
  }

  /** One transaction; resolves when its last reply is in, or the session has ended. */
  async exchange(exchange: Exchange): Promise<void> {
    this.#exchange = exchange;
    this.#limitTime(this.#own.commandTimeoutMs);
    const { content } = exchange;
    const message = Buffer.isBuffer(content) ? content : Readable.from(content, { objectMode: false });
    await new Promise<void>((resolve) => {
      // Placeholders: _sendCommand puts our own MAIL and RCPT lines in their place.
      this.send({ from: "", to: exchange.recipients.map((_, index) => `${index}`) }, message, () => resolve());
    });
    this.#cancelTimer();
    this.#exchange = undefined;
    if (exchange.contentError !== undefined)
      this.cut(); // nodemailer stays in DATA
    else if (this.alive() && exchange.needsReset()) await this.#rset();
  }

  /** AUTH. Undefined when the peer took the credentials; else its reply as it stands, or "" when there was none. */
  async authenticate(user: string, password: string): Promise<string | undefined> {
    const method = ["PLAIN", "LOGIN"].find((name) => this._supportedAuth.includes(name));
    if (method === undefined) return "";
    this.#limitTime(this.#own.commandTimeoutMs);
    const answer = await this.#orEnd<string | undefined>("", (resolve) =>
      this.login({ method, user, pass: password }, (error) => resolve(error ? (error.response ?? "") : undefined)),
    );
    this.#cancelTimer();
    return answer;
  }

  async #rset(): Promise<void> {
    this.#limitTime(this.#own.commandTimeoutMs);
    const done = await this.#orEnd(false, (resolve) => this.reset((error) => resolve(!error)));
    this.#cancelTimer();
    if (!done) this.cut();
  }

  /** nodemailer calls nobody back when the session ends under a command. A session may see many: none leaves a listener. */
  #orEnd<T>(ended: T, ask: (resolve: (answer: T) => void) => void): Promise<T> {
    return new Promise((resolve) => {
      const onEnd = (): void => resolve(ended);
      this.once("end", onEnd);
      ask((answer) => {
        this.off("end", onEnd);
        resolve(answer);
      });
    });
  }

  #limitTime(ms: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#own.clock.after(ms, () => this.#breakOff("timeout"));
  }

  #breakOff(cause: Break["cause"]): void {
    this.broke ??= { stage: this.#stage, cause };
    this._socket.destroy();
    this._onError(new Error(cause), "EPROTOCOL", false, "CONN");
  }

  /** The opening ends here, but the peer may still be told goodbye. */
  #refuse(cause: Break["cause"], reply?: PeerReply): void {
    this.broke = { stage: this.#stage, cause, ...(reply && { reply }) };
    this.#onOpened(this.broke);
    this.quit();
  }

  override _onData(chunk: Buffer): void {
    if (this._destroyed) return;
    const fault = this.#limits.feed(chunk);
    if (fault !== undefined) return this.#breakOff(fault);
    const { onLine } = this.#own;
    if (onLine !== undefined) for (const line of this.#heard.feed(chunk)) onLine("peer", line);
    return super._onData(chunk);
  }

  override _onError(error: Error & { code?: string }, type: string, data: string | false, command: string): void {
    if (this._destroyed) return;
    const reply = data === false ? undefined : parseReply(data);
    const code = error.code;
    this.broke ??= {
      stage: this.#stage,
      cause: reply ? "reply" : "closed",
      ...(code && { code }),
      ...(reply && { reply }),
    };
    super._onError(error, type, data, command);
  }

  override _actionGreeting(raw: string): void {
    if (!raw.startsWith("220")) return this.#refuse("reply", parseReply(raw));
    this.#stage = this.#stage === "greeting" && this.secure ? "ehlo2" : "ehlo";
    this.#limitTime(this.#own.commandTimeoutMs);
    return super._actionGreeting(raw);
  }

  override _actionEHLO(raw: string): void {
    const offered = parseEhlo(raw);
    const understood = raw.startsWith("2");
    if (
      !this.secure &&
      this.#own.use === "required" &&
      !raw.startsWith("4") &&
      !(understood && offered.has("STARTTLS"))
    ) {
      return this.#refuse("not-offered", understood ? undefined : parseReply(raw));
    }
    if (!understood && (this.secure || raw.startsWith("4"))) return this.#refuse("reply", parseReply(raw));
    this.extensions = new Set(understood ? offered.keys() : []);
    this.maxSize = maxSizeOf(offered);
    const upgrades = !this.secure && this.#own.use !== "never" && offered.has("STARTTLS");
    if (upgrades) this.#stage = "starttls";
    this.#limitTime(this.#own.commandTimeoutMs);
    return super._actionEHLO(raw);
  }

  override _actionSTARTTLS(raw: string): void {
    this.#stage = "starttls";
    if (!raw.startsWith("220")) return this.#refuse("reply", parseReply(raw));
    return super._actionSTARTTLS(raw);
  }

  override _upgradeConnection(done: (error: Error | null, secured?: boolean) => void): void {
    // RFC 3207 §6 has us forget what came in clear; who sends more behind the 220 is not spoken to any further.
    if (this._remainder !== "" || this._responseQueue.length > 0) return this.#breakOff("injected");
    this.#stage = "handshake";
    this.#limitTime(this.#own.commandTimeoutMs);
    return super._upgradeConnection((error, secured) => {
      if (error === null && this._socket instanceof TLSSocket) {
        this.#stage = this.#own.implicitTls ? "greeting" : "ehlo2";
        this.#own.onLine?.("tls", `${this._socket.getProtocol()} ${this._socket.getCipher().standardName}`);
        if (!this.#secured(this._socket)) return this.#breakOff("unreadable");
        this.#limitTime(this.#own.commandTimeoutMs);
      }
      return done(error, secured);
    });
  }

  /** Evidence that cannot be read is none; the peer chose the certificates, so they must not end the process. */
  #secured(socket: TLSSocket): boolean {
    try {
      this.#own.onSecured(socket);
      return true;
    } catch {
      this.#stage = "handshake";
      return false;
    }
  }

  override _sendCommand(line: string, logged?: string): void {
    this.#own.onLine?.("us", logged ?? line);
    super._sendCommand(this.#exchange?.ownCommand(line) ?? line, logged);
  }

  override _actionMAIL(raw: string, done: Done): void {
    this.#exchange?.onMail(parseReply(raw));
    this.#limitTime(this.#own.commandTimeoutMs);
    super._actionMAIL(raw, done);
  }

  override _actionRCPT(raw: string, done: Done): void {
    this.#exchange?.onRecipient(parseReply(raw));
    this.#limitTime(this.#own.commandTimeoutMs);
    super._actionRCPT(raw, done);
  }

  override _actionDATA(raw: string, done: Done): void {
    const reply = parseReply(raw);
    this.#exchange?.onData(reply);
    if (reply?.code !== undefined && reply.code < 300) {
      // nodemailer takes a 2xx for a go-ahead, and the content would then be read as commands (RFC 5321 §4.3.2).
      this.#breakOff("reply-malformed");
      return;
    }
    this.#limitTime(this.#own.dataTimeoutMs);
    super._actionDATA(raw, done);
  }

  override _createSendStream(done: Done): Readable {
    const stream = super._createSendStream(done);
    stream.on("data", () => this.#limitTime(this.#own.dataTimeoutMs));
    stream.once("end", () => {
      // A socket that has ended swallows the rest without a word.
      if (this._socket.writable) this.#exchange?.onFinalDot();
    });
    return stream;
  }

  override _actionSMTPStream(raw: string, done: Done): void {
    this.#exchange?.onFinal(parseReply(raw));
    super._actionSMTPStream(raw, done);
  }
}
