/**
 * What a part is to a walk through a message: something with parts inside, content that may be encoded another way, or
 * something that must stay as it is. In doubt it stays: an octet of mail is never changed on a guess.
 */
import { contentTypeOf, encodingOf, type Field, trimBlanks } from "./mime-fields.ts";

export type Shape =
  | { readonly kind: "multipart"; readonly boundary: string; readonly digest: boolean }
  /** A whole message with its header (RFC 2046 §5.2.1). */
  | { readonly kind: "message" }
  | { readonly kind: "leaf"; readonly encoding: "identity" | "quoted-printable" | "base64"; readonly text: boolean }
  /** Signed or encrypted by others, or not to be read with certainty. */
  | { readonly kind: "fixed" };

const FIXED: Shape = { kind: "fixed" };

/** Delimiter lines are read up to this length; RFC 2046 §5.1.1 allows boundaries of 70 characters. */
export const LONGEST_DELIMITER = 1000;

const SEALED = ["multipart/signed", "multipart/encrypted"];
/** `inDigest`: the part stands in a multipart/digest, where another default holds (RFC 2046 §5.1.5). */
export function shapeOf(fields: readonly Field[], inDigest: boolean): Shape {
  const encoding = encodingOf(fields);
  const given = contentTypeOf(fields);
  if (encoding === "unknown" || given === "ambiguous" || !isReadable(fields)) return FIXED;
  const type = given === "none" ? (inDigest ? "message/rfc822" : "text/plain") : given.type;
  if (type.startsWith("multipart/")) {
    const boundary = given === "none" ? "" : trimBlanks(given.parameters.get("boundary") ?? "");
    if (encoding !== "identity" || SEALED.includes(type)) return FIXED;
    if (boundary === "" || boundary.length > LONGEST_DELIMITER - 6) return FIXED;
    return { kind: "multipart", boundary, digest: type === "multipart/digest" };
  }
  const isMessage = type === "message/rfc822" || type === "message/news";
  if (isMessage && encoding === "identity") return { kind: "message" };
  // Pieces, reports, message/global: most may not be encoded, and many readers decode none of them.
  if (type.startsWith("message/")) return FIXED;
  return { kind: "leaf", encoding, text: type.startsWith("text/") };
}

/** A line that is no field may be where another reader lets the content begin. The line of an mbox does no harm. */
function isReadable(fields: readonly Field[]): boolean {
  return fields.every(({ name, raw }, index) => {
    if (name !== "") return true;
    return index === 0 && /^>?From /.test(raw.toString("latin1", 0, 6));
  });
}
