/**
 * Which header fields are held by a signature of somebody else: they must not be edited. Where it cannot be found out
 * whether such a signature holds, it counts as one that does, so that nothing is destroyed on a guess.
 */
import { coveredFields, isOwnSignature } from "../own-signatures.ts";
import { type LookUpTxt, signatureFields, type StreamedMessage, verifyMessage } from "./verify.ts";

export interface ForeignDeps {
  /** Our own, A-labels; what they or names below them sign is ours to sign anew. */
  readonly ownDomains: readonly string[];
  readonly txt: LookUpTxt;
  /** Epoch ms. */
  readonly now: number;
}

/** Lower-case names. Reads the body only if there is a signature of others. Rejects when it cannot be read. */
export async function coveredByOthers(message: StreamedMessage, deps: ForeignDeps): Promise<ReadonlySet<string>> {
  const fields = signatureFields(message.header);
  const others = fields.filter((field) => !isOwnSignature(field, deps.ownDomains));
  if (others.length === 0) return new Set();
  const verified = await verifyMessage(message, deps.txt, deps.now);
  const held =
    verified === undefined
      ? others
      : verified.signatures
          .filter(({ result }) => result === "pass" || result === "temperror")
          .map(({ field }) => field)
          .filter((field) => !isOwnSignature(field, deps.ownDomains));
  return new Set(held.flatMap(coveredFields).filter((name) => name !== ""));
}
