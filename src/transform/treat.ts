/**
 * What is done to one message on its way out, in order: header, S/MIME, DKIM (contract section 5). Judged when the
 * header is complete, done when the body is stored; nothing it makes is changed afterwards. What is demanded and
 * cannot be done refuses the message; a signature that fails rejects, so that the client keeps the mail.
 */
import { formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import type { SmtpReply } from "../mail/smtp-reply.ts";
import type { Keyring } from "./keyring.ts";
import type { LookUpTxt } from "./dkim/verify.ts";
import { type MaySign, maySign } from "./dkim/may-sign.ts";
import type { DkimKey } from "./dkim/key.ts";
import { type Content, createFinisher, type Finisher } from "./finish.ts";
import type { MessageIds } from "./message-ids.ts";
import { type Addressee, type ContentPlan, type Found, planContents, refuseTooMuch } from "./plan.ts";
import type { Hop } from "./received.ts";
import { type Sender, senderOf } from "./sender.ts";
import { type Candidate, keyKind } from "./smime/candidate.ts";
import { whyNotFor } from "./smime/enveloped-data.ts";
import { recognise } from "./smime/recognise.ts";
import type { Signer } from "./smime/signed-data.ts";
import { recogniseMessage } from "./smime/wrap.ts";

export interface TreatDeps {
  readonly random: (length: number) => Buffer;
  /** The keys of now. */
  readonly keyring: () => Keyring;
  readonly messageIds: () => MessageIds;
  /** `now`: epoch ms. Never rejects. */
  readonly certificatesFor: (mailbox: Mailbox, now: number) => Promise<Found<Candidate>>;
  readonly txt: LookUpTxt;
}

/** A message whose header is complete. */
export interface Incoming {
  /** As it came. */
  readonly header: Buffer;
  /** It was edited before it was stored: nothing is taken out or put in but for S/MIME and DKIM. Absent: no. */
  readonly isEdited?: true;
  readonly reversePath: Mailbox | null;
  readonly addressees: readonly Addressee[];
  /** For our Received field; `at` is the time of all that is done. */
  readonly hop: Omit<Hop, "received" | "hops">;
  /** Epoch ms: until then it may wait. */
  readonly expiresAt: number;
}

/** `body` may be read again and again, each time the same octets. */
export type StoredBody = () => AsyncIterable<Buffer>;

export interface Treating {
  /** To be told of every octet of the body as it arrives. */
  readonly passed: (chunk: Buffer) => void;
  /** The contents to be stored; a reply where the body shows what the header had hidden. Rejects when a signature fails. */
  readonly finish: (body: StoredBody) => Promise<readonly Content[] | SmtpReply>;
}

/** What is known of the message all along. */
export interface Known extends Incoming {
  readonly keyring: Keyring;
  readonly sender: Sender;
  readonly dkim: MaySign<DkimKey>;
  readonly signer: Signer | undefined;
  readonly messageIds: MessageIds;
}

/** A reply refuses the message before its body is read. */
export async function treat(deps: TreatDeps, incoming: Incoming): Promise<Treating | SmtpReply> {
  const keyring = deps.keyring();
  const { header, reversePath, hop } = incoming;
  const sender = senderOf(header, reversePath, keyring.domains);
  const known: Known = {
    ...incoming,
    keyring,
    sender,
    dkim: maySign(sender, keyring.dkim, hop.at),
    signer: sender.author && keyring.signerFor(sender.author, hop.at),
    messageIds: deps.messageIds(),
  };
  const certificates = await certificatesOf(deps, incoming);
  const claimed = recognise(header).kind;
  const plan = (already: typeof claimed): readonly ContentPlan<Candidate>[] | SmtpReply =>
    planContents({
      header,
      sender,
      already,
      canSign: known.signer !== undefined,
      hasDkimKey: "keys" in known.dkim,
      addressees: incoming.addressees,
      certificates,
      kindOf: keyKind,
    });
  const planned = plan(claimed);
  if ("code" in planned) return planned;
  const finisher = createFinisher(deps, known, planned, claimed === "plain");
  let length = 0;
  return {
    passed: (chunk) => {
      length += chunk.length;
      finisher.passed(chunk);
    },
    finish: async (body) => {
      // A header may call signed or encrypted what is not: only the body tells.
      const plans = claimed === "plain" ? planned : plan((await recogniseMessage({ header, body })).kind);
      if ("code" in plans) return plans;
      return refuseTooMuch(plans, length) ?? finishAll(finisher, plans, body);
    },
  };
}

async function finishAll(
  finisher: Finisher,
  plans: readonly ContentPlan<Candidate>[],
  body: StoredBody,
): Promise<readonly Content[] | SmtpReply> {
  const contents: Content[] = [];
  for (const plan of plans) {
    const content = await finisher.finish(plan, body);
    if ("code" in content) return content;
    contents.push(content);
  }
  return contents;
}

/** By position, of those that are written to encrypted where it can be. */
async function certificatesOf(
  { certificatesFor }: TreatDeps,
  { addressees, hop }: Incoming,
): Promise<ReadonlyMap<number, Found<Candidate>>> {
  const wanted = addressees.filter(({ treatment }) => treatment.smime.encrypt !== "never");
  const found = await Promise.all(
    wanted.map(async ({ recipient: { position, mailbox } }) => {
      const answer = await certificatesFor(mailbox, hop.at);
      return [position, answer.kind === "found" ? fitting(answer.certificates, mailbox) : answer] as const;
    }),
  );
  return new Map(found);
}

/** Those that we can encrypt for. */
export function fitting(certificates: readonly Candidate[], mailbox: Mailbox): Found<Candidate> {
  const fit = certificates.filter((one) => whyNotFor(one) === undefined);
  if (fit.length > 0) return { kind: "found", certificates: fit };
  const [why] = certificates.flatMap((one) => whyNotFor(one) ?? []);
  return { kind: "none", why: `the certificate of ${formatMailbox(mailbox)} ${why ?? "cannot be used"}` };
}
