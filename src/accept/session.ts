/**
 * The commands of one session (RFC 5321 §4.1.1). Judged by judgement.ts, answered here, and every refusal of MAIL,
 * RCPT and DATA is logged once. Nothing here decides who may relay.
 */
import type { SMTPServerAuthentication } from "smtp-server";
import { formatMailbox, formatReversePath } from "../mail/mailbox.ts";
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";
import { type AuthDone, Hub } from "./hub.ts";
import { parseAttributes, parseHelo, parsePathCommand } from "./command-line.ts";
import { CommandStream } from "./command-stream.ts";
import type { Door } from "./deps.ts";
import { isReply, judgeHeader, judgeMail, judgeRecipient } from "./judgement.ts";
import { type Ended, type Intake, takeMessage } from "./message-intake.ts";
import { isInAny } from "./networks.ts";
import { type Arrival, SessionWire, SHUTTING_DOWN } from "./session-wire.ts";

type Next = () => void;
type Stage = "mail" | "rcpt" | "data";

const XCLIENT = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN"];
const XFORWARD = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"];
/** Wrong passwords in one session. */
const MOST_GUESSES = 3;

export class Session extends SessionWire {
  #guesses = 0;
  #isAnothers = false;

  constructor(hub: Hub, socket: ConstructorParameters<typeof SessionWire>[1], door: Door, arrival: Arrival) {
    super(hub, socket, door, arrival);
    hub.authenticateWith(this.session, (auth, done) => {
      this.#authenticate(auth, done).catch((error: unknown) => this.defect(error));
    });
  }

  override handler_HELO(line: Buffer, next: Next): void {
    this.#hello(line, next, []);
  }

  override handler_EHLO(line: Buffer, next: Next): void {
    const { limits } = this.door.settings();
    const { tls, auth } = this.door.listener();
    const features = ["PIPELINING", `SIZE ${limits.messageSize}`, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"];
    if (!this.secure && tls !== "implicit") features.push("STARTTLS");
    if (this.secure) features.push("REQUIRETLS"); // RFC 8689 §2: never in clear
    if (this.secure && auth !== undefined) features.push("AUTH PLAIN LOGIN");
    if (this.#mayUse("xclient")) features.push(`XCLIENT ${XCLIENT.join(" ")}`, `XFORWARD ${XFORWARD.join(" ")}`);
    this.#hello(line, next, features);
  }

  #hello(line: Buffer, next: Next, features: readonly string[]): void {
    const helo = parseHelo(line.toString("utf8"));
    if (helo === undefined) this.answer(reply(501, "5.4", "A host name is needed"));
    else {
      this.hostNameAppearsAs = helo;
      this._resetSession(); // RFC 5321 §4.1.4: as RSET
      this.send(250, features.length === 0 ? this.name : [this.name, ...features], false);
    }
    next();
  }

  override handler_STARTTLS(line: Buffer, next: Next): void {
    if (line.toString("latin1").trimEnd().includes(" "))
      return this.#reply(501, "5.4", "STARTTLS takes no parameter", next);
    if (this.secure) return this.#reply(503, "5.1", "TLS is already active", next);
    // RFC 3207 §4.2, CVE-2011-0411: what is sent behind STARTTLS in clear must not run inside TLS.
    if (this.hasPipelined())
      return this.refuseSession(reply(554, "5.1", "STARTTLS must be the last command sent in clear"));
    this.answer(reply(220, "0.0", "Ready to start TLS"));
    this.upgrade(next);
  }

  #reply(code: number, subject: string, text: string, next: Next): void {
    this.answer(reply(code, subject, text));
    next();
  }

  override handler_AUTH(line: Buffer, next: Next): void {
    if (this.door.listener().auth === undefined) return this.#reply(502, "5.1", "AUTH is not offered here", next);
    if (!this.secure) return this.#reply(538, "7.11", "AUTH needs TLS: send STARTTLS first", next); // RFC 4954 §4
    if (this.isInTransaction()) return this.#reply(503, "5.1", "AUTH is not possible inside a transaction", next);
    if (this.door.guesses.isCut(this.facts.peer().address)) return this.#cut(undefined);
    super.handler_AUTH(line, next);
  }

  async #authenticate(auth: SMTPServerAuthentication, done: AuthDone): Promise<void> {
    const username = auth.username ?? "";
    const password = auth.password ?? "";
    const { address } = this.facts.peer();
    const { guesses, deps } = this.door;
    const users = this.door.listener().auth?.users ?? [];
    // RFC 4616 §2: acting for somebody else is not offered.
    const isOwn = (auth.authzid || username) === username;
    const user = await this.door.verifyPassword(users, username, password);
    if (user !== undefined && isOwn) {
      guesses.succeeded(address);
      this.facts.authenticated(user);
      return done(null, { user: user.name });
    }
    await guesses.failed(address);
    if (this._closing || this._closed) return;
    if (++this.#guesses >= MOST_GUESSES || guesses.isCut(address)) return this.#cut(username);
    deps.emit("auth.failed", { ...this.fields(), user: username, reason: "wrong user name or password" });
    done(null, { responseCode: 535, message: "5.7.8 User name or password is wrong" });
  }

  #cut(user: string | undefined): void {
    this.door.deps.emit("auth.failed", { ...this.fields(), user, reason: "too many wrong passwords" });
    this.answer(reply(421, "7.0", "Too many wrong passwords, try again later"));
  }

  #mayUse(list: "xclient"): boolean {
    return !this.#isAnothers && isInAny(this.facts.origin.address, this.door.listener()[list]);
  }

  override handler_XCLIENT(line: Buffer, next: Next): void {
    if (!this.#mayUse("xclient")) return this.#reply(550, "7.1", "XCLIENT is not permitted for this client", next);
    if (this.isInTransaction()) return this.#reply(503, "5.1", "XCLIENT is not possible inside a transaction", next);
    const attributes = parseAttributes(line.toString("latin1"), XCLIENT);
    const users = this.door.listener().auth?.users ?? [];
    if (attributes === undefined || !this.facts.become(attributes, users))
      return this.#reply(501, "5.4", "Bad XCLIENT attributes", next);
    this.#isAnothers = attributes.get("ADDR") !== undefined;
    this.hostNameAppearsAs = false;
    this._resetSession();
    this._sendGreeting();
    next();
  }

  override handler_XFORWARD(line: Buffer, next: Next): void {
    if (!this.#mayUse("xclient")) return this.#reply(550, "7.1", "XFORWARD is not permitted for this client", next);
    if (this.isInTransaction()) return this.#reply(503, "5.1", "XFORWARD is not possible inside a transaction", next);
    const attributes = parseAttributes(line.toString("latin1"), XFORWARD);
    if (attributes === undefined || !this.facts.forward(attributes))
      return this.#reply(501, "5.4", "Bad XFORWARD attributes", next);
    this.#reply(250, "0.0", "Noted", next);
  }

  override handler_MAIL(line: Buffer, next: Next): void {
    const text = line.toString("utf8");
    const answer = this.#mail(text);
    this.answer(answer.code < 400 ? answer : this.#refuse("mail", answer, text));
    next();
  }

  #mail(line: string): SmtpReply {
    const { deps, admission } = this.door;
    if (this.isInTransaction()) return reply(503, "5.1", "A transaction is already open");
    const view = this.view();
    const command = judgeMail(view, line);
    if (isReply(command)) return command;
    if (deps.full()) return reply(452, "3.1", "No space to store mail now, try again later");
    if (!deps.usable()) return reply(451, "3.0", "No mail can be taken now, try again later");
    if (!admission.mayStartMessage(view.peer.address)) {
      const value = this.door.settings().limits.messagesPerMinutePerClient;
      deps.emit("limit.hit", { ...this.fields(), limit: "messages_per_minute_per_client", value });
      return reply(450, "7.0", "Too many messages this minute, try again later");
    }
    this.transaction = { command, recipients: [], addresses: new Set() };
    return reply(250, "1.0", "Sender accepted");
  }

  override handler_RCPT(line: Buffer, next: Next): void {
    const text = line.toString("utf8");
    this.#recipient(text)
      .catch((error: unknown) => this.#report(error))
      .then((answer) => this.answer(answer.code < 400 ? answer : this.#refuse("rcpt", answer, text)))
      .catch((error: unknown) => this.defect(error))
      .finally(next);
  }

  async #recipient(line: string): Promise<SmtpReply> {
    const { transaction } = this;
    if (transaction === undefined) return reply(503, "5.1", "MAIL is needed first");
    const { command, recipients } = transaction;
    const recipient = judgeRecipient(this.view(), line, command.mail.smtpUtf8);
    if (isReply(recipient)) return recipient;
    const address = formatMailbox(recipient.mailbox);
    if (transaction.addresses.has(address)) return reply(250, "1.5", "Recipient accepted"); // letter for letter the same
    const most = this.door.settings().limits.recipients;
    if (recipients.length >= most) return reply(452, "5.3", `No more than ${most} recipients are taken at once`);
    const refusal = await this.door.deps.decideRecipient(recipient.mailbox);
    if (refusal !== undefined) return refusal;
    transaction.addresses.add(address);
    recipients.push({ position: recipients.length, ...recipient });
    return reply(250, "1.5", "Recipient accepted");
  }

  /** Logs one refusal and hands its reply on. `line` is the command refused, if it was MAIL or RCPT. */
  #refuse(stage: Stage, answer: SmtpReply, line = ""): SmtpReply {
    const { transaction } = this;
    const command = stage === "data" ? undefined : parsePathCommand(line, stage === "mail" ? "MAIL FROM" : "RCPT TO");
    const path = command === undefined || isReply(command) ? undefined : command.path;
    const sender = transaction && formatReversePath(transaction.command.reversePath);
    const accepted = transaction?.recipients.map(({ mailbox }) => formatMailbox(mailbox)) ?? [];
    this.door.deps.emit("message.refused", {
      ...this.fields(),
      stage,
      code: answer.code,
      enhancedCode: answer.enhancedCode,
      reason: answer.text,
      rules: answer.rule === undefined ? undefined : [answer.rule],
      sender: stage === "mail" ? path : sender,
      recipients: stage === "rcpt" ? (path === undefined ? [] : [path]) : accepted,
      client: this.#client(),
    });
    return answer;
  }

  #client(via = this.view().permits[0]?.via ?? "network"): ReturnType<Session["facts"]["client"]> {
    return this.facts.client(this.hostNameAppearsAs || "", via);
  }

  override handler_DATA(line: Buffer, next: Next): void {
    const parser = this._parser;
    if (!(parser instanceof CommandStream)) return next();
    if (line.toString("latin1").trimEnd().length !== 4) return this.#reply(501, "5.4", "DATA takes no parameter", next);
    const { transaction } = this;
    if (transaction === undefined) return this.#reply(503, "5.1", "MAIL is needed first", next);
    if (transaction.recipients.length === 0) return this.#reply(554, "5.1", "No recipient was accepted", next);
    const content = parser.startDataMode();
    this._dataStream = content;
    this.timers.dataBegins();
    takeMessage(content, {
      messageSize: this.door.settings().limits.messageSize,
      normalizeBareLf: this.view().entry?.normalizeBareLf === true,
      begin: (header) => this.#begin(header),
      receive: this.door.deps.receive,
      onDefect: (error) => void this.#report(error),
    })
      .then((ended) => this.#finish(ended, parser))
      .catch((error: unknown) => this.defect(error));
    this.send(354, "End data with <CR><LF>.<CR><LF>", false);
    next();
  }

  #report(error: unknown): SmtpReply {
    this.door.deps.emit("error", { kind: "accept", detail: error instanceof Error ? error.message : String(error) });
    return reply(451, "3.0", "A defect on our side, try again later");
  }

  #begin(header: Buffer): ReturnType<Intake["begin"]> {
    const { transaction } = this;
    if (transaction === undefined) throw new Error("DATA without a transaction");
    const { command, recipients } = transaction;
    const permit = judgeHeader(this.view(), command, header);
    if (isReply(permit)) return permit;
    return {
      envelope: { reversePath: command.reversePath, mail: command.mail, recipients },
      client: this.#client(permit.via),
      listener: this.door.listener().name,
      session: this.id,
    };
  }

  #finish(ended: Ended, parser: CommandStream): void {
    this._dataStream = false;
    if (ended.kind === "gone" || this._closing || this._closed) return;
    const { reply: answer } = ended;
    if (answer.code >= 400) this.#refuse("data", answer);
    else this.forgive();
    this._resetSession();
    this.answer(answer);
    this.setWorking(false);
    if (ended.kind === "closing") return this.close();
    if (this.door.stopping()) return this.answer(SHUTTING_DOWN);
    this._transactionCounter++;
    parser.continue();
  }
}
