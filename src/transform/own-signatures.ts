/** DKIM-Signature fields (RFC 6376 §3.5) of our own side: whose they are and what they cover. Verifies nothing. */
import { type Field, fieldText, formatHeader, parseHeader } from "./header-block.ts";
import { isOwnName, type OwnSide } from "./own-side.ts";

/** `d=` in lower case, of an ARC field, too. Empty where there is none. */
export function signerOf(field: Field): string {
  return tag(field, "d").toLowerCase().replace(/\.$/, "");
}

/**
 * Signed with `d=` exactly one of these domains: ours to sign anew. A name below one may be given to somebody else, such
 * as who sends its newsletters.
 */
export function isOwnSignature(field: Field, domains: readonly string[]): boolean {
  return isSignature(field) && domains.includes(signerOf(field));
}

/** Signed in any name of our side: what we break of these, nobody need see. */
export function isSignatureOfOwnSide(field: Field, own: OwnSide): boolean {
  return isSignature(field) && isOwnName(signerOf(field), own);
}

/** The names of `h=`, lower case. */
export function coveredFields(signature: Field): readonly string[] {
  return tag(signature, "h").toLowerCase().split(":");
}

/** The block without our own, for whoever is about to sign anew. All else octet for octet. */
export function withoutOwnSignatures(header: Buffer, domains: readonly string[]): Buffer {
  return formatHeader(parseHeader(header).filter((field) => !isOwnSignature(field, domains)));
}

/** The block without those of our side, for whoever has changed the body that they are over. */
export function withoutSignaturesOfOwnSide(header: Buffer, own: OwnSide): Buffer {
  return formatHeader(parseHeader(header).filter((field) => !isSignatureOfOwnSide(field, own)));
}

function isSignature({ name }: Field): boolean {
  return name.toLowerCase() === "dkim-signature";
}

/** Without white space, which no value of a tag needs here (RFC 6376 §3.2). */
function tag(field: Field, name: string): string {
  const tags = fieldText(field).replace(/[ \t]/g, "").split(";");
  return tags.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}
