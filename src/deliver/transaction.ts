/**
 * MAIL, RCPT and DATA on a session that was admitted for this very delivery; the outcome per recipient.
 * Must never send anything the peer does not offer, and never take part of a message for the whole.
 */
import { type Delivery, treatedOf } from "../mail/delivery.ts";
import type { Recipient } from "../mail/envelope.ts";
import { needsSmtpUtf8 } from "../mail/mailbox.ts";
import { type Outcome, problem, type Problem } from "../mail/outcome.ts";
import type { Session } from "../mail/session.ts";
import type { VerifiedSession } from "../verify/gate.ts";
import { classify, isTooManyRecipients } from "./classify-reply.ts";

export interface Outgoing {
  /** Header and body, from the beginning each time it is called; must fail, not end, when anything is wrong with it. */
  readonly content: () => AsyncIterable<Buffer> | Buffer;
  /** Of the next hop; used only where the peer has proven who it is. */
  readonly auth?: { readonly user: string; readonly password: string };
}

/**
 * An outcome for each recipient, by position. Rejects with what the content failed with, the caller parks or waits; but
 * not once a transaction has ended: then the rest waits as its reply said, and those who have the message are known.
 */
export async function deliver(
  verified: VerifiedSession,
  delivery: Delivery,
  outgoing: Outgoing,
): Promise<ReadonlyMap<number, Outcome>> {
  if (verified.deliveryId !== delivery.id) {
    throw new Error(`The session was admitted for ${verified.deliveryId}, not for ${delivery.id}`);
  }
  const { session } = verified;
  const obstacle = unsuited(session, delivery) ?? (await loginProblem(verified, outgoing));
  if (obstacle !== undefined) return new Map(delivery.recipients.map(({ position }) => [position, obstacle]));
  const outcomes = new Map<number, Outcome>();
  let open = delivery.recipients;
  for (;;) {
    const { outcomes: round, broken } = await transact(session, delivery, open, outgoing).catch((error: unknown) => {
      if (outcomes.size === 0) throw error;
      return NOTHING_MORE;
    });
    for (const [position, outcome] of round) outcomes.set(position, outcome);
    const surplus = open.filter(({ position }) => isTooManyRecipients(round.get(position)));
    const progress = [...round.values()].some(({ kind }) => kind === "delivered");
    if (broken || !progress || surplus.length === 0) return outcomes;
    open = surplus; // RFC 5321 §4.5.3.1.10: the rest in another transaction
  }
}

const NOTHING_MORE = { outcomes: new Map<number, Outcome>(), broken: true } as const;

async function transact(
  session: Session,
  delivery: Delivery,
  recipients: readonly Recipient[],
  outgoing: Outgoing,
): Promise<{ outcomes: ReadonlyMap<number, Outcome>; broken: boolean }> {
  const { envelope } = delivery.message;
  const { size } = treatedOf(delivery);
  const replies = await session.send({
    reversePath: envelope.reversePath,
    recipients,
    mail: { ...envelope.mail, body: bodyOf(delivery), smtpUtf8: wantsSmtpUtf8(delivery) },
    size,
    content: outgoing.content(),
  });
  if (replies.contentError !== undefined) throw replies.contentError;
  return { outcomes: classify(session.host, recipients, replies), broken: replies.lost !== undefined };
}

/** Checked per message, before MAIL: what the peer does not offer is never used (RFC 6531 §3.5, RFC 6152 §3, RFC 1870 §6.1). */
function unsuited({ extensions, host, maxSize }: Session, delivery: Delivery): Problem<"failed"> | undefined {
  const { envelope } = delivery.message;
  const { size } = treatedOf(delivery);
  if (wantsSmtpUtf8(delivery) && !extensions.has("SMTPUTF8")) {
    return problem(
      "failed",
      "smtputf8-not-supported",
      `${host} does not take addresses or headers in UTF-8 (SMTPUTF8)`,
    );
  }
  if (bodyOf(delivery) === "8BITMIME" && !extensions.has("8BITMIME")) {
    return problem("failed", "8bitmime-not-supported", `${host} does not take 8-bit content (8BITMIME)`);
  }
  // RFC 8689 §5: a message without a sender goes without the promise, too.
  if (envelope.mail.requireTls && envelope.reversePath !== null && !extensions.has("REQUIRETLS")) {
    return problem(
      "failed",
      "requiretls-not-supported",
      `${host} cannot promise TLS on the rest of the way (REQUIRETLS)`,
    );
  }
  if (maxSize !== undefined && size > maxSize) {
    const detail = `The message has ${size} octets, and ${host} takes at most ${maxSize}`;
    return { ...problem("failed", "smtp-5xx", detail), status: "5.3.4" };
  }
  return undefined;
}

/** What was signed or encrypted may be 7-bit now, whatever came in. */
function bodyOf(delivery: Delivery): "7BIT" | "8BITMIME" {
  return treatedOf(delivery).sevenBit === true ? "7BIT" : delivery.message.envelope.mail.body;
}

function wantsSmtpUtf8({ message: { envelope }, recipients }: Delivery): boolean {
  const { reversePath, mail } = envelope;
  if (mail.smtpUtf8 || (reversePath !== null && needsSmtpUtf8(reversePath))) return true;
  return recipients.some(({ mailbox }) => needsSmtpUtf8(mailbox));
}

async function loginProblem(
  { session, verdict }: VerifiedSession,
  { auth }: Outgoing,
): Promise<Problem<"deferred"> | undefined> {
  if (auth === undefined) return undefined;
  if (verdict.authenticatedBy === undefined) {
    const detail = `Credentials are sent only to a server that has proven its name, and nothing demands that of ${session.host}`;
    return problem("deferred", "certificate-not-trusted", detail);
  }
  const result = await session.authenticate(auth.user, auth.password);
  if (result === "accepted") return undefined;
  const { refused, smtp } = result;
  if (smtp === undefined) return problem("deferred", "connection-lost", refused);
  return problem("deferred", smtp.code >= 500 ? "smtp-5xx" : "smtp-4xx", `${refused}: ${smtp.code} ${smtp.text}`, smtp);
}
