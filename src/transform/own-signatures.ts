/** DKIM-Signature fields (RFC 6376 §3.5) of our own domains: whose they are and what they cover. Verifies nothing. */
import { isBelow } from "../mail/domain-name.ts";
import { type Field, fieldText, formatHeader, parseHeader } from "./header-block.ts";

/** Signed with `d=` one of these domains, or a name below one. */
export function isOwnSignature(field: Field, domains: readonly string[]): boolean {
  if (field.name.toLowerCase() !== "dkim-signature") return false;
  const signer = tag(field, "d").toLowerCase().replace(/\.$/, "");
  return domains.some((domain) => signer === domain || isBelow(signer, domain));
}

/** The names of `h=`, lower case. */
export function coveredFields(signature: Field): readonly string[] {
  return tag(signature, "h").toLowerCase().split(":");
}

/** The block without them, for whoever is about to change what they cover or to sign anew. All else octet for octet. */
export function withoutOwnSignatures(header: Buffer, domains: readonly string[]): Buffer {
  return formatHeader(parseHeader(header).filter((field) => !isOwnSignature(field, domains)));
}

/** Without white space, which no value of a tag needs here (RFC 6376 §3.2). */
function tag(field: Field, name: string): string {
  const tags = fieldText(field).replace(/[ \t]/g, "").split(";");
  return tags.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}
