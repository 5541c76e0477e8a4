/** The one exception of this room: thrown through a message's body when its content must not be accepted. */
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";

export class ContentRefused extends Error {
  readonly reply: SmtpReply;
  constructor(code: number, subject: string, text: string) {
    super(text);
    this.name = "ContentRefused";
    this.reply = reply(code, subject, text);
  }
}
