/** What the SMTP server side is given, and what the files of this room share about one listener. Types only. */
import type { Mailbox } from "../mail/mailbox.ts";
import type { SmtpReply } from "../mail/smtp-reply.ts";
import type { Transaction } from "../mail/transaction.ts";
import type { Emit } from "../report/events.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import type { Admission } from "./admission.ts";
import type { GuessLimit } from "./guess-limit.ts";
import type { ListenerTls } from "./handshake.ts";
import type { VerifyPassword } from "./passwords.ts";
import type { AcceptSettings, ListenerSettings } from "./settings.ts";

export interface AcceptDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: AcceptSettings;
  /** Takes one message; resolves with the reply to DATA. May reject with what `transaction.body` threw. */
  readonly receive: (transaction: Transaction) => Promise<SmtpReply>;
  /** Policy at RCPT: a reply refuses this recipient. */
  readonly decideRecipient: (recipient: Mailbox) => SmtpReply | undefined | Promise<SmtpReply | undefined>;
  /** False while the queue cannot take mail: MAIL is then answered 451, or 452 where it is `full`. */
  readonly usable: () => boolean;
  readonly full: () => boolean;
  readonly emit: Emit;
}

/** One listener as its sessions see it: always the settings of now. */
export interface Door {
  readonly deps: AcceptDeps;
  readonly settings: () => AcceptSettings;
  readonly listener: () => ListenerSettings;
  readonly tls: () => ListenerTls;
  readonly admission: Admission;
  readonly guesses: GuessLimit;
  readonly verifyPassword: VerifyPassword;
  /** True once the gateway shuts down. */
  readonly stopping: () => boolean;
}
