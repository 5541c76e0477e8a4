/**
 * From the paths and parameters of MAIL and RCPT to an envelope: what an extension allows, and nothing unknown.
 * DSN values stay xtext-encoded, as they are passed on (RFC 3461).
 */
import type { MailParameters, Recipient } from "../mail/envelope.ts";
import { type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";
import { badPath, isXtext, type PathCommand } from "./command-line.ts";

export interface MailCommand {
  readonly reversePath: Mailbox | null;
  readonly mail: MailParameters;
  /** Octets announced (RFC 1870); absent when not told. */
  readonly size?: number;
}

export type RecipientCommand = Omit<Recipient, "position">;

/** What may be announced at all depends on the session. */
export interface Offered {
  /** RFC 4954: MAIL may carry AUTH=; it is read and dropped. */
  readonly auth: boolean;
  /** RFC 8689 §2: MAIL may carry REQUIRETLS inside TLS only. */
  readonly tls: boolean;
}

const unknownParameter = (key: string): SmtpReply =>
  reply(555, "5.4", `The parameter ${key.slice(0, 40)} is not known`);
const badValue = (key: string): SmtpReply => reply(501, "5.4", `The value of the parameter ${key} is not valid`);

export function readMail(command: PathCommand, offered: Offered): MailCommand | SmtpReply {
  const { parameters } = command;
  for (const [key, value] of parameters) {
    const isValid = MAIL_PARAMETERS[key];
    if (isValid === undefined || (key === "AUTH" && !offered.auth)) return unknownParameter(key);
    if (!isValid(value)) return badValue(key);
    if (key === "REQUIRETLS" && !offered.tls) return reply(530, "7.0", "REQUIRETLS needs TLS: send STARTTLS first");
  }
  const smtpUtf8 = parameters.has("SMTPUTF8");
  const reversePath = command.path === "" ? null : readMailbox(command.path, smtpUtf8, "MAIL FROM");
  if (reversePath !== null && "code" in reversePath) return reversePath;
  const size = parameters.get("SIZE");
  const ret = parameters.get("RET")?.toUpperCase();
  const envid = parameters.get("ENVID");
  const body = parameters.get("BODY")?.toUpperCase() === "8BITMIME" ? "8BITMIME" : "7BIT";
  const mail: MailParameters = {
    body,
    smtpUtf8,
    requireTls: parameters.has("REQUIRETLS"),
    ...((ret === "FULL" || ret === "HDRS") && { ret }),
    ...(envid !== undefined && { envid }),
  };
  return { reversePath, mail, ...(size !== undefined && { size: Number(size) }) };
}

const MAIL_PARAMETERS: Readonly<Record<string, ((value: string | undefined) => boolean) | undefined>> = {
  __proto__: null as never,
  SIZE: (value) => value !== undefined && /^\d{1,20}$/.test(value),
  BODY: (value) => /^(7BIT|8BITMIME)$/i.test(value ?? ""),
  SMTPUTF8: (value) => value === undefined,
  REQUIRETLS: (value) => value === undefined,
  RET: (value) => /^(FULL|HDRS)$/i.test(value ?? ""),
  ENVID: (value) => value !== undefined && value.length <= 100 && isXtext(value),
  AUTH: (value) => value !== undefined && (value === "<>" || isXtext(value)),
};

export function readRecipient(command: PathCommand, smtpUtf8: boolean): RecipientCommand | SmtpReply {
  const { parameters } = command;
  for (const [key, value] of parameters) {
    if (key !== "NOTIFY" && key !== "ORCPT") return unknownParameter(key);
    if (key === "ORCPT" ? !isOriginalRecipient(value) : readNotify(value) === undefined) return badValue(key);
  }
  const mailbox = readMailbox(command.path, smtpUtf8, "RCPT TO");
  if ("code" in mailbox) return mailbox;
  const notify = readNotify(parameters.get("NOTIFY"));
  const orcpt = parameters.get("ORCPT");
  return { mailbox, ...(notify && { notify }), ...(orcpt !== undefined && { orcpt }) };
}

function readMailbox(path: string, smtpUtf8: boolean, verb: "MAIL FROM" | "RCPT TO"): Mailbox | SmtpReply {
  if (path.startsWith("@")) return reply(553, "1.3", "Source routes are not accepted"); // RFC 5321 §3.3, appendix C
  const mailbox = parseMailbox(path);
  if (mailbox === undefined) return badPath(verb);
  // RFC 6531 §3.4: such an address may appear only after SMTPUTF8 was announced
  if (!smtpUtf8 && /[^\x00-\x7f]/.test(path)) return reply(553, "6.7", "An address outside ASCII needs SMTPUTF8");
  return mailbox;
}

/** RFC 3461 §4.1: NEVER alone, or any of the others once each. */
function readNotify(value: string | undefined): RecipientCommand["notify"] | undefined {
  const words = (value ?? "").toUpperCase().split(",");
  const known = words.filter(
    (word) => word === "NEVER" || word === "SUCCESS" || word === "FAILURE" || word === "DELAY",
  );
  if (known.length !== words.length || new Set(words).size !== words.length) return undefined;
  return words.includes("NEVER") && words.length > 1 ? undefined : known;
}

/** RFC 3461 §4.2: `addr-type;xtext`, 500 characters at most. */
function isOriginalRecipient(value: string | undefined): boolean {
  if (value === undefined || value.length > 500) return false;
  const [, type, text] = /^([^;]*);(.*)$/.exec(value) ?? [];
  return type !== undefined && /^[A-Za-z0-9-]+$/.test(type) && text !== undefined && text !== "" && isXtext(text);
}
