/**
 * Which contents one message becomes: recipients whose treatment comes to the same share one. Pure; asked when the
 * header is complete, so that what the sender can mend is answered at DATA. What is demanded and cannot be done
 * refuses the message whole: nobody gets it as it was not meant to be sent.
 */
import type { Recipient } from "../mail/envelope.ts";
import { fieldMailboxes } from "../mail/from-field.ts";
import { formatMailbox, mailboxKey } from "../mail/mailbox.ts";
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";
import type { HeaderPolicy, SmimePolicy, Treatment } from "../mail/treatment.ts";
import type { Sender } from "./sender.ts";

export interface Addressee {
  readonly recipient: Recipient;
  readonly treatment: Treatment;
}

/** The certificates one recipient can be written to with. */
export type Found<C> =
  | { readonly kind: "found"; readonly certificates: readonly C[] }
  | { readonly kind: "none"; readonly why: string }
  /** Could not be asked or checked, and the configuration says to wait. */
  | { readonly kind: "unknown"; readonly why: string };

export interface Situation<C> {
  readonly header: Buffer;
  readonly sender: Sender;
  /** Whether a user has already signed or encrypted it (recognise.ts). */
  readonly already: "plain" | "signed" | "encrypted";
  /** There is a certificate in force that signs for the author. */
  readonly canSign: boolean;
  /** A DKIM key in force is there for the author's domain. */
  readonly hasDkimKey: boolean;
  readonly addressees: readonly Addressee[];
  /** By position, of those whose treatment encrypts. */
  readonly certificates: ReadonlyMap<number, Found<C>>;
  /** What a certificate's holder must be able to read; holders of different kinds get messages of their own. */
  readonly kindOf: (certificate: C) => string;
}

/** One content to make, and for whom. */
export interface ContentPlan<C> {
  readonly headers: HeaderPolicy;
  readonly sign: boolean;
  readonly format: SmimePolicy["format"];
  readonly tripleWrap: boolean;
  /** Empty: it is not encrypted. */
  readonly encryptTo: readonly C[];
  /** What its user made of it, where we would have signed or encrypted: then that stays. */
  readonly already?: "signed" | "encrypted";
  readonly dkim: boolean;
  /** Why it goes without a DKIM signature although one is wanted. */
  readonly unsigned?: string;
  readonly positions: readonly number[];
}

/** More copies of one message than this are refused, since each is a body of its own. */
export const MOST_CONTENTS = 100;

/** So many new bodies of one message may be made whatever its size: partners' certificates of several kinds, blind copies. */
const ALWAYS_MADE = 20;
/** Octets of body that are made anew while one client waits for its reply: as the default queue.reserve leaves room for. */
const MOST_MADE = 1024 ** 3;

/** A reply where the new bodies together are more than one DATA may write; `bodyLength`: octets of the body that came. */
export function refuseTooMuch(plans: readonly ContentPlan<unknown>[], bodyLength: number): SmtpReply | undefined {
  const made = plans.filter(isNew).length;
  if (!isTooMuch(made, bodyLength)) return undefined;
  return reply(
    550,
    "5.3",
    `The message is too large to be signed or encrypted ${made} times, send it to fewer recipients at once`,
  );
}

export function isTooMuch(made: number, bodyLength: number): boolean {
  return made > ALWAYS_MADE && made * bodyLength > MOST_MADE;
}

/** S/MIME makes another body. */
export function isNew({ sign, encryptTo }: ContentPlan<unknown>): boolean {
  return sign || encryptTo.length > 0;
}

export function planContents<C>(situation: Situation<C>): readonly ContentPlan<C>[] | SmtpReply {
  let seen: ReadonlySet<string> | undefined;
  const visible = (): ReadonlySet<string> => (seen ??= visibleAddresses(situation.header)); // few messages need it
  const plans = new Map<string, Draft<C>>();
  for (const addressee of situation.addressees) {
    const one = planFor(situation, addressee);
    if ("code" in one) return one;
    // A blind copy is encrypted alone: the list of keys would tell the others of it.
    const { position, mailbox } = addressee.recipient;
    const blind = one.encryptTo.length > 0 && !visible().has(mailboxKey(mailbox));
    const kinds = [...new Set(one.encryptTo.map(situation.kindOf))].toSorted();
    const key = JSON.stringify([one.shared, kinds, blind ? position : undefined]);
    const plan = plans.get(key) ?? { ...one, encryptTo: [], positions: [] };
    plan.encryptTo.push(...one.encryptTo);
    plan.positions.push(position);
    plans.set(key, plan);
  }
  if (plans.size > MOST_CONTENTS)
    return reply(
      550,
      "5.3",
      `The message needs more than ${MOST_CONTENTS} copies, send it to fewer recipients at once`,
    );
  return [...plans.values()].map(({ shared, encryptTo, positions }) => ({
    ...shared,
    encryptTo: [...new Set(encryptTo)],
    positions,
  }));
}

type Shared = Omit<ContentPlan<never>, "encryptTo" | "positions">;

interface Draft<C> {
  readonly shared: Shared;
  readonly encryptTo: C[];
  readonly positions: number[];
}

function planFor<C>(
  situation: Situation<C>,
  { recipient, treatment }: Addressee,
): { shared: Shared; encryptTo: readonly C[] } | SmtpReply {
  const { smime, headers, dkim } = treatment;
  const signs = judgeSigning(situation, treatment, recipient);
  if (typeof signs === "object") return signs;
  const encryptTo = judgeEncryption(situation, treatment, recipient);
  if ("code" in encryptTo) return encryptTo;
  const unsigned = dkim === "none" ? undefined : whyNoDkim(situation);
  if (dkim === "require" && unsigned !== undefined)
    return reply(
      550,
      "7.1",
      `A DKIM signature is demanded for mail to ${formatMailbox(recipient.mailbox)}, but ${unsigned}`,
    );
  const { already } = situation;
  const shared = {
    headers,
    sign: signs,
    format: signs ? smime.format : "detached",
    tripleWrap: signs && encryptTo.length > 0 && smime.tripleWrap,
    ...(already !== "plain" && (smime.sign !== "never" || smime.encrypt !== "never") && { already }),
    dkim: dkim !== "none" && unsigned === undefined,
    ...(unsigned !== undefined && { unsigned }),
  } as const;
  return { shared, encryptTo };
}

/** Whether we sign; a signature or encryption that is already there is the user's own and stays. */
function judgeSigning<C>(
  { sender, already, canSign }: Situation<C>,
  { smime }: Treatment,
  { mailbox }: Recipient,
): boolean | SmtpReply {
  if (smime.sign === "never" || already !== "plain") return false;
  if (canSign && sender.author !== undefined) return true;
  if (smime.sign === "if-possible") return false;
  const why =
    sender.author === undefined
      ? (sender.unsigned ?? "the sender is unknown")
      : `there is no valid key for ${formatMailbox(sender.author)}`;
  return reply(550, "7.5", `An S/MIME signature is demanded for mail to ${formatMailbox(mailbox)}, but ${why}`);
}

function judgeEncryption<C>(
  { already, certificates }: Situation<C>,
  { smime }: Treatment,
  { mailbox, position }: Recipient,
): readonly C[] | SmtpReply {
  if (smime.encrypt === "never" || already === "encrypted") return [];
  const found = certificates.get(position) ?? { kind: "none", why: "no certificate is known" };
  if (found.kind === "found") return found.certificates;
  const to = formatMailbox(mailbox);
  if (found.kind === "unknown")
    return reply(451, "7.5", `Mail to ${to} waits, since ${clause(found.why)}, try again later`);
  if (smime.encrypt === "if-known") return [];
  return reply(550, "7.5", `S/MIME encryption is demanded for mail to ${to}, but ${clause(found.why)}`);
}

/** A sentence without full stop, as part of a longer one. */
function clause(sentence: string): string {
  return sentence.replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase());
}

function whyNoDkim<C>({ sender, hasDkimKey }: Situation<C>): string | undefined {
  if (sender.author === undefined) return sender.unsigned ?? "the sender is unknown";
  return hasDkimKey ? undefined : "its domain has no DKIM key in force";
}

/** Those whom every recipient sees anyway. */
function visibleAddresses(header: Buffer): ReadonlySet<string> {
  const named = ["To", "Cc"].flatMap((name) => fieldMailboxes(header, name) ?? []);
  return new Set(named.map(mailboxKey));
}
