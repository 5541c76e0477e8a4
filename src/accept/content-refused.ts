/** The one exception of this room: thrown through a message's body when its content must not be accepted. */
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";

export class ContentRefused extends Error {
  readonly reply: SmtpReply;
  /** Where the message ends is in doubt: nothing that follows on this session may be believed. */
  readonly endsSession: boolean;
  constructor(code: number, subject: string, text: string, endsSession = false) {
    super(text);
    this.endsSession = endsSession;
    this.name = "ContentRefused";
    this.reply = reply(code, subject, text);
  }
}
