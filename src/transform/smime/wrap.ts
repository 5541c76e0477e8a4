/**
 * S/MIME for one message: signs, encrypts, or signs around what was encrypted (RFC 8551, RFC 2634 §1.1). The new header is
 * known before the body is read, and no body is held: one step's octets flow into the next.
 * Never wraps again what a user has signed or encrypted himself, and never changes what is not to be signed.
 */
import { describedFields, type Entity, joinHeader, octetsOf, splitHeader } from "./entity.ts";
import type { Field } from "./mime-fields.ts";
import type { MimeProblem } from "./mime-walk.ts";
import { signedEntity } from "./multipart-signed.ts";
import { pkcs7Entity, type SmimeType } from "./pkcs7-mime.ts";
import { proofFor, type Recognised } from "./recognise.ts";
import { type Body, rewriteBody, rewriteFields, type Survey, survey } from "./seven-bit.ts";

export interface WrapMessage {
  /** Whole lines, the empty one last. */
  readonly header: Buffer;
  /** Read up to four times, each time the same octets. */
  readonly body: Body;
}

export interface WrapPlan<S, R> {
  readonly sign?: { readonly signer: S; readonly format: "detached" | "opaque" };
  /** Empty or absent: it is not encrypted. */
  readonly encryptTo?: readonly R[];
  readonly tripleWrap: boolean;
}

/** The CMS side. */
export interface Cms<S, R> {
  readonly micalg: (signer: S) => string;
  /** As node:crypto names it. */
  readonly hash: (signer: S) => string;
  readonly signDetached: (digest: Buffer, signer: S, at: { now: number }) => Promise<Buffer>;
  readonly signOpaque: (content: AsyncIterable<Buffer>, signer: S, at: { now: number }) => AsyncIterable<Buffer>;
  readonly envelope: (
    content: AsyncIterable<Buffer>,
    recipients: readonly R[],
    random: (length: number) => Buffer,
  ) => AsyncIterable<Buffer>;
  readonly envelopeType: (recipients: readonly R[]) => Exclude<SmimeType, "signed-data">;
}

export interface WrapDeps<S, R> {
  readonly cms: Cms<S, R>;
  /** Epoch ms. */
  readonly now: number;
  readonly random: (length: number) => Buffer;
}

export interface Wrapped {
  readonly header: Buffer;
  /** To be read once. */
  readonly body: AsyncIterable<Buffer>;
  /** By us or before us. */
  readonly signed: boolean;
  readonly encrypted: boolean;
  /** The body is 7-bit now; false where that was not looked at. */
  readonly sevenBit: boolean;
  readonly notes: readonly WrapNote[];
}

export type WrapNote =
  | "already-signed"
  | "already-encrypted"
  /** Signed although there is 8-bit content that must stay as it is: a gateway that changes it breaks the signature. */
  | "signed-8bit"
  /** The same of lines longer than 998 octets. */
  | "signed-long-lines";

/** An entity on its way outwards, and whether it is 7-bit with short lines. */
interface Step extends Entity {
  readonly sevenBit: boolean;
}

export async function wrap<S, R>(
  message: WrapMessage,
  plan: WrapPlan<S, R>,
  deps: WrapDeps<S, R>,
): Promise<Wrapped | { readonly problem: MimeProblem }> {
  const already = await recogniseMessage(message);
  const encryptTo = plan.encryptTo ?? [];
  const encrypts = encryptTo.length > 0 && already.kind !== "encrypted";
  const signs = already.kind === "plain" ? plan.sign : undefined;
  const notes: WrapNote[] = already.kind === "plain" ? [] : [`already-${already.kind}`];
  const done = { signed: already.kind === "signed", encrypted: already.kind === "encrypted" };
  if (signs === undefined && !encrypts)
    return { header: message.header, body: message.body(), ...done, sevenBit: false, notes };

  const { outside, inside } = splitHeader(message.header);
  const prepared = await prepare(inside, message.body, signs !== undefined);
  if ("problem" in prepared) return prepared;
  if (prepared.left.eightBit) notes.push("signed-8bit");
  if (prepared.left.longLines) notes.push("signed-long-lines");
  let step: Step = prepared;
  if (signs !== undefined) step = sign(step, signs, deps);
  if (encrypts) step = encrypt(step, encryptTo, deps);
  const outer = encrypts && plan.tripleWrap ? plan.sign : undefined;
  if (outer !== undefined) step = sign(step, outer, deps);
  return {
    header: joinHeader(outside, step),
    body: step.body,
    signed: done.signed || signs !== undefined || outer !== undefined,
    encrypted: encrypts,
    sevenBit: step.sevenBit,
    notes,
  };
}

/** What is so, not only what the header claims: reads the body of what claims something. */
export async function recogniseMessage({ header, body }: WrapMessage): Promise<Recognised> {
  const proof = proofFor(header);
  if (proof === undefined) return { kind: "plain" };
  for await (const chunk of body()) if (!proof.push(chunk)) return { kind: "plain" };
  return proof.end();
}

/** The entity as it is signed or encrypted. What is only encrypted keeps every octet: no gateway sees it. */
async function prepare(
  inside: readonly Field[],
  body: Body,
  isSigned: boolean,
): Promise<(Step & Pick<Survey, "left">) | { problem: MimeProblem }> {
  const nothing = { eightBit: false, longLines: false };
  if (!isSigned && inside.some(({ name }) => name === "content-type"))
    return { fields: describedFields(inside, "ascii"), body: body(), sevenBit: false, left: nothing };
  const found = await survey(inside, body);
  if ("problem" in found) return found;
  const fields = describedFields(inside, found.text);
  if (!isSigned) return { fields, body: body(), sevenBit: false, left: nothing };
  return {
    fields: rewriteFields(fields, found),
    body: rewriteBody(inside, body, found),
    sevenBit: !found.left.eightBit,
    left: found.left,
  };
}

function sign<S, R>(
  entity: Step,
  { signer, format }: NonNullable<WrapPlan<S, R>["sign"]>,
  { cms, now, random }: WrapDeps<S, R>,
): Step {
  if (format === "opaque")
    return { ...pkcs7Entity("signed-data", cms.signOpaque(octetsOf(entity), signer, { now })), sevenBit: true };
  const signing = {
    micalg: cms.micalg(signer),
    hash: cms.hash(signer),
    sign: (digest: Buffer) => cms.signDetached(digest, signer, { now }),
  };
  const boundary = `=_${random(24).toString("hex")}`; // 24 random octets: it is not in the entity
  return { ...signedEntity(entity, signing, boundary), sevenBit: entity.sevenBit };
}

function encrypt<S, R>(entity: Entity, recipients: readonly R[], { cms, random }: WrapDeps<S, R>): Step {
  const content = cms.envelope(octetsOf(entity), recipients, random);
  return { ...pkcs7Entity(cms.envelopeType(recipients), content), sevenBit: true };
}
