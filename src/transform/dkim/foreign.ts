/**
 * What is held by a signature of somebody else: the fields it covers must not be edited. Where it cannot be found out
 * whether such a signature holds, it counts as one that does, so that nothing is destroyed on a guess.
 */
import { type Field, formatHeader, parseHeader } from "../header-block.ts";
import { isReservedName } from "../own-side.ts";
import { coveredFields, isOwnSignature, signerOf } from "../own-signatures.ts";
import { type LookUpTxt, MOST_SIGNATURES, signatureFields, type StreamedMessage, verifyMessage } from "./verify.ts";

export interface ForeignDeps {
  /** Our own, A-labels; what they sign is ours to sign anew. */
  readonly ownDomains: readonly string[];
  readonly txt: LookUpTxt;
  /** Epoch ms. */
  readonly now: number;
}

/** All in lower case. */
export interface Held {
  /** Names of fields. */
  readonly fields: ReadonlySet<string>;
  /** `d=` of the signatures that hold. */
  readonly signers: ReadonlySet<string>;
}

export const NOTHING_HELD: Held = { fields: new Set(), signers: new Set() };

/**
 * Of more than ten signatures of others those behind the tenth hold nothing, so that nobody makes a field stay by
 * sheer number. Reads the body only if there is a signature of others. Rejects when it cannot be read.
 */
export async function heldByOthers(message: StreamedMessage, deps: ForeignDeps): Promise<Held> {
  const isOther = (field: Field): boolean =>
    !isOwnSignature(field, deps.ownDomains) && !isReservedName(signerOf(field)); // whose key nobody outside can have
  const all = signatureFields(message.header);
  const others = all.filter(isOther).slice(0, MOST_SIGNATURES);
  if (others.length === 0) return NOTHING_HELD;
  const readable = all.length > MOST_SIGNATURES ? { ...message, header: withOnly(message.header, others) } : message;
  const verified = await verifyMessage(readable, deps.txt, deps.now);
  const held =
    verified === undefined
      ? others
      : verified.signatures
          .filter(({ result }) => result === "pass" || result === "temperror")
          .map(({ field }) => field)
          .filter(isOther);
  return {
    fields: new Set(held.flatMap(coveredFields).filter((name) => name !== "")),
    signers: new Set(held.map(signerOf)),
  };
}

/** The block with these signatures alone. */
function withOnly(header: Buffer, signatures: readonly Field[]): Buffer {
  const starts = new Set(signatures.map(({ raw }) => raw.byteOffset)); // all are views of one header
  const fields = parseHeader(header);
  return formatHeader(
    fields.filter(({ name, raw }) => name.toLowerCase() !== "dkim-signature" || starts.has(raw.byteOffset)),
  );
}
