/**
 * One transaction as it goes over a session: our own MAIL and RCPT lines, and every reply as it comes in.
 * nodemailer knows one set of DSN parameters per message and refuses quoted local parts with brackets; here each
 * recipient has its own line. Judges nothing: deliver/ does.
 */
import type { Recipient } from "../mail/envelope.ts";
import { formatMailbox, formatReversePath } from "../mail/mailbox.ts";
import type { PeerReply } from "../mail/outcome.ts";
import type { OutgoingTransaction, TransactionReplies } from "../mail/session.ts";

type LossStage = NonNullable<TransactionReplies["lost"]>["stage"];

export class Exchange {
  readonly content: AsyncIterable<Buffer> | Buffer;
  readonly recipients: readonly Recipient[];
  /** Set when the content failed or did not have the size it should have: nothing was committed. */
  contentError: unknown;
  readonly #transaction: OutgoingTransaction;
  readonly #mailLine: string;
  readonly #rcptLines: readonly string[];
  readonly #replies = new Map<number, PeerReply>();
  #mail: PeerReply | undefined;
  #data: PeerReply | undefined;
  #stage: LossStage = "mail";
  #sent = 0;
  #answered = 0;

  /** Throws for an address that would make two commands; mail/ lets none through. */
  constructor(transaction: OutgoingTransaction, extensions: ReadonlySet<string>) {
    this.#transaction = transaction;
    this.#mailLine = oneLine(mailCommand(transaction, extensions));
    this.#rcptLines = transaction.recipients.map((recipient) => oneLine(rcptCommand(recipient, extensions)));
    this.recipients = transaction.recipients;
    const { content } = transaction;
    this.content = Buffer.isBuffer(content) ? content : this.#guarded(content);
  }

  /** The line to send instead of nodemailer's; undefined for its other commands. */
  ownCommand(line: string): string | undefined {
    if (line.startsWith("MAIL FROM:")) return this.#mailLine;
    return line.startsWith("RCPT TO:") ? this.#rcptLines[this.#sent++] : undefined;
  }

  onMail(reply: PeerReply | undefined): void {
    this.#mail = reply;
    this.#stage = "rcpt";
  }

  onRecipient(reply: PeerReply | undefined): void {
    const recipient = this.recipients[this.#answered++];
    if (recipient && reply) this.#replies.set(recipient.position, reply);
    if (this.#answered === this.recipients.length) this.#stage = "data";
  }

  onData(reply: PeerReply | undefined): void {
    // The 354 is no result; the reply to the final dot will be.
    if (reply !== undefined && reply.code >= 400) this.#data = reply;
  }

  onFinalDot(): void {
    this.#stage = "final-dot";
  }

  onFinal(reply: PeerReply | undefined): void {
    this.#data = reply;
  }

  /** True when the peer still has a transaction open that ended without content. */
  needsReset(): boolean {
    return isPositive(this.#mail) && this.#stage !== "final-dot";
  }

  /** `detail`: one sentence on how the session ended, for when a reply that was due is missing. */
  result(detail: string): TransactionReplies {
    const contentError = this.contentError;
    const complete = contentError !== undefined || this.#isComplete();
    return {
      ...(this.#mail && { mail: this.#mail }),
      recipients: this.#replies,
      ...(this.#data && { data: this.#data }),
      ...(!complete && { lost: { stage: this.#stage, detail } }),
      ...(contentError !== undefined && { contentError }),
    };
  }

  #isComplete(): boolean {
    if (this.#mail === undefined) return false;
    if (!isPositive(this.#mail)) return true;
    if (this.#replies.size < this.recipients.length) return false;
    return this.#data !== undefined || ![...this.#replies.values()].some(isPositive);
  }

  /** Content that ends too early must not get its final dot: whoever made it may not have noticed. */
  async *#guarded(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let octets = 0;
    try {
      for await (const chunk of content) {
        octets += chunk.length;
        yield chunk;
      }
      if (octets !== this.#transaction.size) {
        throw new Error(`The content has ${octets} octets instead of ${this.#transaction.size}`);
      }
    } catch (error) {
      this.contentError = error ?? new Error("The content failed");
      throw new Error("content", { cause: error }); // nodemailer writes into the error it is given
    }
  }
}

function isPositive(reply: PeerReply | undefined): boolean {
  return reply !== undefined && reply.code < 300;
}

function mailCommand({ reversePath, mail, size }: OutgoingTransaction, offered: ReadonlySet<string>): string {
  const parameters = [
    offered.has("SIZE") && `SIZE=${size}`,
    mail.body === "8BITMIME" && offered.has("8BITMIME") && "BODY=8BITMIME",
    mail.smtpUtf8 && offered.has("SMTPUTF8") && "SMTPUTF8",
    mail.requireTls && offered.has("REQUIRETLS") && "REQUIRETLS",
    mail.ret && offered.has("DSN") && `RET=${mail.ret}`,
    mail.envid && offered.has("DSN") && `ENVID=${mail.envid}`, // still xtext, as it came
  ];
  return withParameters(`MAIL FROM:<${formatReversePath(reversePath)}>`, parameters);
}

function rcptCommand({ mailbox, notify, orcpt }: Recipient, offered: ReadonlySet<string>): string {
  const dsn = offered.has("DSN");
  const parameters = [dsn && notify && `NOTIFY=${notify.join(",")}`, dsn && orcpt && `ORCPT=${orcpt}`];
  return withParameters(`RCPT TO:<${formatMailbox(mailbox)}>`, parameters);
}

function withParameters(command: string, parameters: readonly (string | false | undefined)[]): string {
  return [command, ...parameters.filter((parameter) => typeof parameter === "string" && parameter !== "")].join(" ");
}

/** The last line of defence against a second command hidden in an address; mail/ has refused these before. */
function oneLine(command: string): string {
  if (/[\x00-\x1f\x7f]/.test(command)) throw new Error("A command may not hold control characters");
  return command;
}
