/**
 * Whether MAIL, RCPT and the header of a message are accepted from this client. Pure: what is permitted now is all in
 * the view it is given. A client without a permit gets no recipient accepted, in whatever form it is written.
 */
import { countHops } from "../mail/hop-count.ts";
import { formatDomain, parseMailbox } from "../mail/mailbox.ts";
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";
import { isAtLeast } from "../mail/tls-requirement.ts";
import { parsePathCommand } from "./command-line.ts";
import { type MailCommand, readMail, readRecipient, type RecipientCommand } from "./envelope-rules.ts";
import { allowsHeader, clientEntry, maySend, type Peer, type Permit, permitsOf } from "./permission.ts";
import type { AcceptSettings, ClientEntry, ListenerSettings } from "./settings.ts";

export interface View {
  readonly settings: AcceptSettings;
  readonly listener: ListenerSettings;
  readonly peer: Peer;
  readonly entry: ClientEntry | undefined;
  readonly permits: readonly Permit[];
  /** Absent in clear. */
  readonly tlsVersion: string | undefined;
}

export function viewOf(
  settings: AcceptSettings,
  listener: ListenerSettings,
  peer: Peer,
  session: { readonly tlsVersion: string | undefined; readonly now: number },
): View {
  const entry = clientEntry(listener, peer.address, session.now);
  const permits = permitsOf(listener, peer, session.now);
  return { settings, listener, peer, entry, permits, tlsVersion: session.tlsVersion };
}

export function isReply(value: object): value is SmtpReply {
  return "code" in value && "enhancedCode" in value;
}

export function judgeMail(view: View, line: string): MailCommand | SmtpReply {
  const { settings, permits } = view;
  const command = parsePathCommand(line, "MAIL FROM");
  if (isReply(command)) return command;
  const mail = readMail(command, {
    auth: view.listener.auth !== undefined && view.tlsVersion !== undefined,
    tls: view.tlsVersion !== undefined,
  });
  if (isReply(mail)) return mail;
  const tls = judgeTls(view);
  if (tls !== undefined) return tls;
  const { messageSize } = settings.limits;
  if (mail.size !== undefined && mail.size > messageSize)
    return reply(552, "3.4", `The message is larger than the limit of ${messageSize} bytes`);
  const allowed = permits.some(({ senders }) => maySend(senders, settings.ownDomains, mail.reversePath));
  if (permits.length > 0 && !allowed) return reply(550, "7.1", "This client may not send with this sender address");
  return mail;
}

function judgeTls({ entry, listener, tlsVersion }: View): SmtpReply | undefined {
  const demand = listener.tls === "implicit" ? "require" : (entry?.tls ?? listener.tls);
  if (tlsVersion === undefined)
    return demand === "require" ? reply(530, "7.0", "TLS is needed here: send STARTTLS first") : undefined;
  const profile = entry?.profile ?? listener.profile;
  if (isAtLeast(tlsVersion, profile.minVersion)) return undefined;
  return reply(550, "7.1", `${tlsVersion} is not permitted here, at least ${profile.minVersion} is needed`);
}

/** Answers before the address is read when the client may send to nobody: no form of it can change that. */
export function judgeRecipient(view: View, line: string, smtpUtf8: boolean): RecipientCommand | SmtpReply {
  if (view.permits.length === 0) return notPermitted(view);
  const command = parsePathCommand(line, "RCPT TO");
  if (isReply(command)) return command;
  const read = readRecipient(withDomain(command, view.settings), smtpUtf8);
  if (isReply(read)) return read;
  return view.settings.tlsOnlyAliases.includes(formatDomain(read.mailbox.domain)) ? NO_ALIAS : read;
}

const NO_ALIAS = reply(550, "1.1", "The addresses of this TLS-only domain are for senders, they take no mail yet");

/** RFC 5321 §4.5.1: `<Postmaster>` without a domain is the postmaster here. */
function withDomain<T extends { path: string }>(command: T, settings: AcceptSettings): T {
  const [domain] = settings.ownDomains;
  if (command.path.toLowerCase() !== "postmaster" || domain === undefined) return command;
  const path = `${command.path}@${domain}`;
  return parseMailbox(path) === undefined ? command : { ...command, path };
}

function notPermitted({ peer, listener }: View): SmtpReply {
  return peer.certificate !== undefined && listener.clientCertificates !== undefined
    ? reply(550, "7.1", "This client certificate is not permitted to relay here")
    : reply(550, "7.1", "Relaying is not permitted for this client");
}

/** The permit the message goes under, or why it is refused now that its header is known. */
export function judgeHeader(view: View, mail: MailCommand, header: Buffer): Permit | SmtpReply {
  const { settings, permits } = view;
  if (countHops(header) > settings.limits.receivedHeaders)
    return reply(554, "4.6", "The message has passed too many servers, this is a mail loop");
  const permit = permits.find(
    (candidate) =>
      maySend(candidate.senders, settings.ownDomains, mail.reversePath) &&
      allowsHeader(candidate, settings.ownDomains, header),
  );
  return permit ?? reply(550, "7.1", "This client may not send with this From or without the header fields agreed");
}
