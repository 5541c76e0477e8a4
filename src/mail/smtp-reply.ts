/** An SMTP reply whose basic and enhanced codes agree by construction (RFC 5321 §4.2, RFC 3463). */

export interface SmtpReply {
  /** 200 to 599. */
  readonly code: number;
  /** RFC 3463, e.g. `5.7.0`; its class is the first digit of `code`. */
  readonly enhancedCode: string;
  /** One plain sentence. */
  readonly text: string;
  /** Name of the rule that says so: for the log, never for the client. */
  readonly rule?: string;
}

/** `subject` is `subject.detail` of RFC 3463; the class comes from the code: reply(550, "7.1", …) is 5.7.1. */
export function reply(code: number, subject: string, text: string): SmtpReply {
  return { code, enhancedCode: `${Math.floor(code / 100)}.${subject}`, text: text.replace(/[^\x20-\x7e]/g, "?") };
}
