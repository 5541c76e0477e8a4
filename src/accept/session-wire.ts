/**
 * The wire of one session: smtp-server's connection with our own parser, replies, times and TLS put in its place.
 * Every reply passes `send`. What the commands mean is in session.ts; this file only says when they may be run at all.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import type { Recipient } from "../mail/envelope.ts";
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";
import type { SessionFields } from "../report/events.ts";
import { ClientFacts } from "./client-facts.ts";
import { type BadLine, CommandStream } from "./command-stream.ts";
import type { Door } from "./deps.ts";
import type { MailCommand } from "./envelope-rules.ts";
import { handshake } from "./handshake.ts";
import type { Hub } from "./hub.ts";
import { type View, viewOf } from "./judgement.ts";
import { SessionTimers, type TimedOut } from "./session-timers.ts";

export interface Arrival {
  readonly id: string;
  readonly address: string;
  readonly port: number;
}

/** What MAIL and RCPT have collected. */
export interface MailTransaction {
  readonly command: MailCommand;
  readonly recipients: Recipient[];
  /** The same, as text, to find repeated ones. */
  readonly addresses: Set<string>;
}

type Next = () => void;

const MOST_ERRORS = 20;
const MOST_IDLE_COMMANDS = 100;
/** Before MAIL, for clients not listed. */
const STRANGER_MS = 30_000;
const HANDSHAKE_MS = 10_000;
/** These keep nobody's session alive. */
const IDLE_COMMANDS = new Set(["NOOP", "RSET", "EHLO", "HELO", "STARTTLS", "XCLIENT", "XFORWARD", "AUTH"]);
const HTTP = /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|CONNECT|PATCH|PRI) /i;

const BAD_LINE: Record<BadLine, SmtpReply> = {
  "bare-line-end": reply(521, "5.2", "Lines must end with CRLF, and hold no other CR or LF"),
  "bad-bytes": reply(501, "5.2", "Commands must be UTF-8 text without control characters"),
  "too-long": reply(500, "5.2", "The line is too long"),
};

export class SessionWire extends SMTPConnection {
  readonly door: Door;
  readonly facts: ClientFacts;
  readonly timers: SessionTimers;
  /** From MAIL to the reply to DATA. */
  transaction: MailTransaction | undefined;
  readonly #opened: () => void;
  #verb = "";
  #errors = 0;
  #idleCommands = 0;
  #working = false;

  constructor(hub: Hub, socket: Socket | TLSSocket, door: Door, arrival: Arrival) {
    super(hub, socket, { id: arrival.id, remoteAddress: arrival.address, remotePort: arrival.port });
    this.door = door;
    this.name = door.settings().hostname;
    this.facts = new ClientFacts(arrival.address, arrival.port);
    if (socket instanceof TLSSocket) this.#secured(socket);
    this.timers = new SessionTimers(
      door.deps.clock,
      () => this.#limits(),
      (what, ms) => this.#timedOut(what, ms),
    );
    this.on("error", () => {});
    const { greetDelayMs } = door.listener();
    this.#opened = () => {
      if (greetDelayMs > 0) door.deps.clock.after(greetDelayMs, () => this.connectionReady());
      else this.connectionReady();
    };
  }

  /** True between MAIL and the reply to DATA. */
  isInTransaction(): boolean {
    return this.transaction !== undefined;
  }

  override init(): void {
    this._setListeners(this.#opened);
  }

  view(): View {
    const { deps, settings, listener } = this.door;
    const session = { tlsVersion: this.facts.tlsVersion, now: deps.clock.now() };
    return viewOf(settings(), listener(), this.facts.peer(), session);
  }

  fields(): SessionFields {
    const { address, port } = this.facts.origin;
    return { session: this.id, listener: this.door.listener().name, address, port };
  }

  answer({ code, enhancedCode, text }: SmtpReply): void {
    this.send(code, `${enhancedCode} ${text}`, false);
  }

  /** Answers and ends the session; the log says why. */
  refuseSession(answer: SmtpReply): void {
    this.door.deps.emit("session.refused", { ...this.fields(), code: answer.code, reason: answer.text });
    this.answer(answer);
    this.close();
  }

  hitLimit(limit: string, value: number, answer: SmtpReply): void {
    this.door.deps.emit("limit.hit", { ...this.fields(), limit, value });
    this.answer(answer);
    this.close();
  }

  /** Monotonic ms since when nothing is under way; undefined while something is. */
  idleSince(): number | undefined {
    return this.#working || this.isInTransaction() || this._dataStream ? undefined : this.timers.since;
  }

  /** The gateway stops: at once when idle, else after the message in hand. */
  shutDown(): void {
    if (this.idleSince() !== undefined) this.answer(SHUTTING_DOWN);
  }

  /** A reply that brings its own enhanced code gets no second one. */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const own = typeof data === "string" && /^[245]\.\d{1,3}\.\d{1,3} /.test(data) && data[0] === String(code)[0];
    super.send(code, data, own ? false : context);
    if (code < 400 && !IDLE_COMMANDS.has(this.#verb)) this.timers.progress();
    if (code < 400 || this._closing || !this._ready) return;
    if (++this.#errors >= MOST_ERRORS)
      this.hitLimit("errors", MOST_ERRORS, reply(421, "7.0", "Too many errors in this session"));
  }

  /** A message went through: earlier mistakes are forgiven. */
  forgive(): void {
    this.#errors = 0;
    this.#idleCommands = 0;
  }

  override _createParser(): CommandStream {
    const parser = new CommandStream();
    parser.oncommand = (line, next) => this._onCommand(line, next);
    parser.onBadLine = (kind, next) => this.#onBadLine(kind, next);
    parser.onBytes = (count, inLine) => {
      if (parser._dataMode) this.timers.dataBytes(count);
      else this.timers.lineOpen(inLine);
    };
    parser.onStall = (stalled) => this.timers.working(stalled);
    parser.onContentEnd = () => {
      this.timers.dataEnds();
      this.setWorking(true);
    };
    parser.on("error", () => this.close());
    return parser;
  }

  /** Whether the client has sent more than the command that is being run. */
  hasPipelined(): boolean {
    return (this._parser instanceof CommandStream && this._parser.hasMore) || this._socket.readableLength > 0;
  }

  override _onCommand(line: Buffer, callback?: Next): void {
    const next = callback ?? ((): void => {});
    if (this._upgrading || this._closing) return next();
    if (!this._ready) return this.refuseSession(reply(554, "5.1", "You must wait for the greeting"));
    const text = line.toString("latin1");
    const isAuthLine = this._nextHandler !== false;
    if (!isAuthLine && HTTP.test(text)) return this.refuseSession(reply(554, "5.1", "This is an SMTP server"));
    this.#verb = isAuthLine ? "AUTH" : (text.split(" ", 1)[0] ?? "").toUpperCase();
    if (this.door.stopping() && !this.isInTransaction()) return this.answer(SHUTTING_DOWN);
    if (IDLE_COMMANDS.has(this.#verb) && ++this.#idleCommands > MOST_IDLE_COMMANDS)
      return this.hitLimit("commands", MOST_IDLE_COMMANDS, reply(421, "7.0", "Too many commands without mail"));
    this.setWorking(true);
    if (isAuthLine || this._isSupported(this.#verb)) return super._onCommand(line, next);
    this.answer(reply(500, "5.2", "The command is not known"));
    setImmediate(() => this._whenWritable(next));
  }

  /** Runs when a command has been answered; waits until the client reads. */
  override _whenWritable(next: Next): void {
    this.setWorking(false);
    super._whenWritable(next);
  }

  setWorking(working: boolean): void {
    this.#working = working;
    this.timers.working(working);
  }

  override _resetSession(): void {
    super._resetSession();
    this.transaction = undefined;
  }

  override _armTimeout(): void {} // session-timers.ts

  override close(): void {
    this.timers.stop();
    super.close();
  }

  override _onClose(): void {
    this.timers.stop();
    super._onClose();
  }

  /** STARTTLS: what follows is read by a new parser, from inside TLS only (RFC 3207 §4.2). */
  override upgrade(callback: Next): void {
    const raw = this._socket;
    if (this._parser) {
      raw.unpipe(this._parser);
      this._parser.isClosed = true;
    }
    const parser = this._createParser();
    this._parser = parser;
    this._upgrading = true;
    setImmediate(callback);
    const profile = this.view().entry?.profile ?? this.door.listener().profile;
    const { clock } = this.door.deps;
    handshake(raw, { tls: this.door.tls(), profile, clock, timeoutMs: HANDSHAKE_MS })
      .then((secured) => {
        if (secured.ok) return this.#upgraded(secured.socket, parser);
        this.door.deps.emit("tls.failed", { ...this.fields(), reason: secured.reason, detail: secured.detail });
        return this._onClose();
      })
      .catch((error: unknown) => this.defect(error));
  }

  #upgraded(socket: TLSSocket, parser: CommandStream): void {
    this._upgrading = false;
    this._socket = socket;
    socket.once("close", () => this._onCloseEvent());
    this.#secured(socket);
    if (this._closing) socket.end();
    else socket.pipe(parser);
  }

  /** A bug of ours: the session ends, and the log says so. */
  defect(error: unknown): void {
    this.door.deps.emit("error", { kind: "accept", detail: error instanceof Error ? error.message : String(error) });
    this.close();
  }

  #secured(socket: TLSSocket): void {
    this.session.secure = this.secure = true;
    this.session.user = undefined as never;
    this.hostNameAppearsAs = false;
    this.openingCommand = false;
    this.facts.secured(socket);
    this._resetSession();
  }

  #onBadLine(kind: BadLine, next: Next): void {
    if (this._upgrading || this._closing) return next();
    this._nextHandler = false;
    if (kind !== "bad-bytes") return this.refuseSession(BAD_LINE[kind]);
    this.#verb = "";
    this.answer(BAD_LINE[kind]);
    setImmediate(next);
  }

  #limits(): { idleMs: number; commandMs: number; dataMs: number } {
    const { idleTimeoutMs, commandTimeoutMs, dataTimeoutMs } = this.door.settings().limits;
    const stranger = !this.isInTransaction() && this.view().permits.length === 0;
    const most = stranger ? STRANGER_MS : Number.POSITIVE_INFINITY;
    return {
      idleMs: Math.min(idleTimeoutMs, most),
      commandMs: Math.min(commandTimeoutMs, most),
      dataMs: dataTimeoutMs,
    };
  }

  #timedOut(what: TimedOut, ms: number): void {
    const content = this._dataStream;
    this.hitLimit(what, Math.round(ms / 1000), reply(421, "4.2", "Timeout, closing the connection"));
    if (content) content.destroy();
  }
}

export const SHUTTING_DOWN: SmtpReply = reply(421, "3.2", "The gateway is shutting down, try again later");
