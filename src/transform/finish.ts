/**
 * Makes one content of a message as it was planned: header edited, S/MIME around it, DKIM last. Streams: a new body is
 * read once by whoever stores it, and its header is complete only then, since the signature is over both.
 */
import { countHops } from "../mail/hop-count.ts";
import { type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";
import type { DkimTreated, HeaderPolicy, SmimeTreated, Treated } from "../mail/treatment.ts";
import { type ArcChain, readArcChain } from "./dkim/arc-chain.ts";
import { sealHeader } from "./dkim/arc-seal.ts";
import { type BodyHash, createBodyHash } from "./dkim/body-hash.ts";
import { type Held, heldByOthers, NOTHING_HELD } from "./dkim/foreign.ts";
import { type DkimKey, keysNow } from "./dkim/key.ts";
import { DkimSigningError, signHeader } from "./dkim/sign.ts";
import { withoutOwnSignatures, withoutSignaturesOfOwnSide } from "./own-signatures.ts";
import { type ContentPlan, isNew } from "./plan.ts";
import { receivedField } from "./received.ts";
import { type Candidate, keyKind } from "./smime/candidate.ts";
import { rankCertificates } from "./smime/choose-certificate.ts";
import { cms } from "./smime/cms.ts";
import type { EnvelopeRecipient } from "./smime/enveloped-data.ts";
import { wrap, type Wrapped } from "./smime/wrap.ts";
import { editHeader, type HeaderEdit } from "./strip-topology.ts";
import type { Known, StoredBody, TreatDeps } from "./treat.ts";

/** One content, and whom it is for. */
export interface Content {
  readonly positions: readonly number[];
  /** Absent: the body as it came. To be read once, to its end, before `seal`. */
  readonly body?: AsyncIterable<Buffer>;
  /** The final header, and what was done; `size` counts octets of the body. Rejects when a signature fails. */
  readonly seal: (bodySize: number) => Promise<{ readonly header: Buffer; readonly treated: Treated }>;
}

export interface Finisher {
  readonly passed: (chunk: Buffer) => void;
  readonly finish: (plan: ContentPlan<Candidate>, body: StoredBody) => Promise<Content | SmtpReply>;
}

/** How much longer a signature holds than the mail may wait here: others have queues, too. */
export const TWO_DAYS_MS = 172_800_000;

/** `isFinal`: nothing in the body will change the plans. */
export function createFinisher(
  deps: TreatDeps,
  known: Known,
  planned: readonly ContentPlan<Candidate>[],
  isFinal: boolean,
): Finisher {
  const sealer = arcKey(known);
  // Whoever gets a new body only needs no hash of the one that came.
  const hashes = planned.some((plan) => (sealer !== undefined || plan.dkim) && !(isFinal && isNew(plan)));
  const arriving = arrivingHash(hashes);
  let held: Promise<Held> | undefined;
  const heldNow = (body: StoredBody): Promise<Held> =>
    (held ??= heldByOthers(
      { header: known.header, body },
      { ownDomains: known.keyring.own.domains, txt: deps.txt, now: known.hop.at },
    ));
  let chain: ReturnType<typeof readArcChain> | undefined;
  const chainNow = (body: StoredBody): ReturnType<typeof readArcChain> =>
    (chain ??= readArcChain({ header: known.header, body }, deps.txt, known.hop.at));

  const editFor = headerEditor(known, heldNow);

  return {
    passed: arriving.update,
    finish: async (plan, body) => {
      const edit = await editFor(plan, body);
      const kept = edit.kept.length === 0 ? {} : { kept: edit.kept.map(({ name }) => name) };
      const wrapped = await wrappedBy(deps, known, plan, { header: edit.header, body });
      if (wrapped !== undefined && "code" in wrapped) return wrapped;
      const hash = wrapped === undefined ? undefined : createBodyHash();
      // Mail that only passes through is sealed where it would be signed if it were ours.
      const isSealed = known.isEdited === true && wrapped === undefined; // as it was stored
      const seals = sealer !== undefined && plan.unsigned !== undefined && !isSealed;
      const arc = seals ? await chainNow(body) : undefined;
      return {
        positions: plan.positions,
        ...(wrapped && hash && { body: observed(wrapped.body, hash.update) }),
        seal: async (bodySize) => {
          // A signature of our side over the body that it was can only fail.
          const header =
            wrapped === undefined ? edit.header : withoutSignaturesOfOwnSide(wrapped.header, known.keyring.own);
          const bodyHash = hash === undefined ? arriving.digest : () => hash.digest();
          const signed = await sign({ known, plan, header, bodyHash, sealer, arc });
          const smime = wrapped === undefined ? leftAlone(plan) : { smime: smimeTreated(known, plan, wrapped) };
          const sevenBit = wrapped?.sevenBit === true ? { sevenBit: true } : {};
          const size = signed.header.length + bodySize;
          return { header: signed.header, treated: { size, ...sevenBit, ...smime, ...signed.treated, ...kept } };
        },
      };
    },
  };
}

/** Contents are many where recipients are blind, but their headers are few: each is edited once. */
function headerEditor(
  known: Known,
  heldNow: (body: StoredBody) => Promise<Held>,
): (plan: ContentPlan<Candidate>, body: StoredBody) => Promise<HeaderEdit> {
  const made = new Map<string, HeaderEdit>();
  return async (plan, body) => {
    if (known.isEdited === true) return { header: known.header, removed: [], changed: [], kept: [] };
    // A new body breaks the signatures of others: then they hold nothing.
    const isHeld = known.sender.isOurs && !isNew(plan);
    const key = JSON.stringify([plan.headers, isHeld]);
    const edit = made.get(key) ?? edited(known, plan.headers, isHeld ? await heldNow(body) : NOTHING_HELD);
    made.set(key, edit);
    return edit;
  };
}

/** May be asked for again and again. Never the hash of a body that it was not told of. */
function arrivingHash(isWanted: boolean): BodyHash {
  const hash = createBodyHash();
  let digest: Buffer | undefined;
  return {
    update: (chunk) => {
      if (isWanted) hash.update(chunk);
    },
    digest: () => {
      if (!isWanted) throw new DkimSigningError("The body has not been hashed, so it cannot be signed");
      return (digest ??= hash.digest());
    },
  };
}

function edited({ header, keyring, hop, sender, messageIds }: Known, headers: HeaderPolicy, held: Held): HeaderEdit {
  const received = receivedField({ ...hop, received: headers.received, hops: countHops(header) });
  return editHeader(header, headers, {
    own: keyring.own,
    isOurs: sender.isOurs,
    covered: held.fields,
    publicSigners: held.signers,
    received,
    messageIds,
  });
}

/** Undefined: the body stays as it came. */
async function wrappedBy(
  { random }: TreatDeps,
  known: Known,
  plan: ContentPlan<Candidate>,
  message: { readonly header: Buffer; readonly body: StoredBody },
): Promise<Wrapped | SmtpReply | undefined> {
  const { signer, hop } = known;
  const sign = plan.sign ? signer : undefined;
  if (!isNew(plan)) return undefined;
  const wrapped = await wrap(
    message,
    {
      ...(sign !== undefined && { sign: { signer: sign, format: plan.format } }),
      encryptTo: plan.encryptTo.length === 0 ? [] : recipientsOf(known, plan),
      tripleWrap: plan.tripleWrap,
    },
    { cms, now: hop.at, random },
  );
  if (!("problem" in wrapped)) return wrapped;
  return reply(550, "7.5", `S/MIME is demanded, but the message cannot be read as MIME (${wrapped.problem})`);
}

/** The recipients' certificates, and the author's own where its kind is theirs, so that he can read his copies. */
function recipientsOf({ sender, signer, hop }: Known, { encryptTo }: ContentPlan<Candidate>): EnvelopeRecipient[] {
  const { author } = sender;
  const own = author === undefined || signer === undefined ? [] : [signer.certificate];
  const kinds = new Set(encryptTo.map(keyKind));
  const fit = own
    .filter((one) => kinds.has(keyKind(one)))
    .filter((certificate) => author !== undefined && canReadMail(certificate, author, hop.at));
  return [...encryptTo, ...fit].map((certificate) => ({ certificate }));
}

/** Some sign only. */
function canReadMail(certificate: Candidate, author: Mailbox, now: number): boolean {
  const offered = { certificate, addresses: [mailboxKey(author)], domains: [], source: "", pinned: true };
  return rankCertificates([offered], author, now).address.length > 0;
}

interface Signing {
  readonly known: Known;
  readonly plan: ContentPlan<Candidate>;
  readonly header: Buffer;
  readonly bodyHash: () => Buffer;
  readonly sealer: DkimKey | undefined;
  readonly arc: ArcChain | { readonly unsealed: string } | undefined;
}

type Signed = { readonly header: Buffer; readonly treated: { readonly dkim?: DkimTreated } };

/** Always last. */
async function sign({ known, plan, header, bodyHash, sealer, arc }: Signing): Promise<Signed> {
  const { keyring, dkim, hop, expiresAt } = known;
  const unsigned = plan.unsigned === undefined ? {} : { unsigned: plan.unsigned };
  if (plan.dkim && "keys" in dkim) {
    const bare = withoutOwnSignatures(header, keyring.own.domains);
    const times = { now: hop.at, expiresAt: expiresAt + TWO_DAYS_MS };
    const signatures = dkim.keys.map(({ domain, selector, algorithm }) => ({ domain, selector, algorithm }));
    return { header: await signHeader(bare, bodyHash(), dkim.keys, times), treated: { dkim: { signatures } } };
  }
  if (sealer !== undefined && arc !== undefined && "next" in arc) {
    const sealing = { chain: arc, key: sealer, hostname: hop.hostname, now: hop.at };
    const sealed = await sealHeader(header, bodyHash(), sealing);
    return { header: sealed, treated: { dkim: { signatures: [], ...unsigned, arc: arc.status } } };
  }
  return { header, treated: plan.unsigned === undefined ? {} : { dkim: { signatures: [], ...unsigned } } };
}

/** What seals mail that is forwarded: the first RSA key in force of our first domain that has one (RFC 8617 §4.1.1). */
function arcKey({ keyring, sender, hop }: Known): DkimKey | undefined {
  if (sender.isOurs) return undefined;
  return [...keyring.dkim.values()]
    .flatMap((keys) => keysNow(keys, hop.at))
    .find(({ algorithm }) => algorithm === "rsa-sha256");
}

/** Nothing was done, for the user has done it. */
function leftAlone({ already }: ContentPlan<Candidate>): { readonly smime?: SmimeTreated } {
  if (already === undefined) return {};
  return {
    smime: { signed: already === "signed", encrypted: already === "encrypted", notes: [`already-${already}`] },
  };
}

function smimeTreated({ signer }: Known, plan: ContentPlan<Candidate>, wrapped: Wrapped): SmimeTreated {
  const { signed, encrypted, notes } = wrapped;
  return {
    signed,
    encrypted,
    ...(plan.sign && signer !== undefined && { signer: signer.certificate.subject }),
    ...(encrypted && { recipients: plan.encryptTo.length }),
    ...(notes.length > 0 && { notes }),
  };
}

async function* observed(chunks: AsyncIterable<Buffer>, see: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    see(chunk);
    yield chunk;
  }
}
