/**
 * Is a message signed or encrypted already, by its user or another server? Told by its header; a claim of encryption is
 * believed only when the beginning of the body bears it out, since it spares the message our own. In doubt it is plain.
 */
import { type ContentType, contentTypeOf, type Encoding, encodingOf, splitFields } from "./mime-fields.ts";

export interface Recognised {
  readonly kind: "plain" | "signed" | "encrypted";
  /** Absent where it is plain. */
  readonly by?: "smime" | "pgp";
}

/** So much of the body suffices. */
export const BEGINNING = 16 * 1024;

const PLAIN: Recognised = { kind: "plain" };
const SIGNED: Recognised = { kind: "signed", by: "smime" };
const ENCRYPTED: Recognised = { kind: "encrypted", by: "smime" };

/** Without `beginning`, what the header claims. With it, what is so. */
export function recognise(header: Buffer, beginning?: Buffer): Recognised {
  const fields = splitFields(header);
  const type = contentTypeOf(fields);
  if (type === "none" || type === "ambiguous") return PLAIN;
  const body = beginning === undefined ? undefined : { encoding: encodingOf(fields), beginning };
  switch (type.type) {
    case "multipart/signed":
      return signedBy(type.parameters.get("protocol"));
    case "multipart/encrypted":
      return encryptedBy(type.parameters.get("protocol"), body);
    case "application/pkcs7-mime":
    case "application/x-pkcs7-mime":
      return cmsKind(type, body);
    case "application/octet-stream": // how some servers relabel it (RFC 8551 §3.2.1)
      return isNamed(type, ".p7m") ? cmsKind(type, body) : PLAIN;
    case "application/pgp":
      return oldPgp(type, body);
    default:
      return PLAIN;
  }
}

interface Start {
  readonly encoding: Encoding;
  readonly beginning: Buffer;
}

function signedBy(protocol: string | undefined): Recognised {
  switch (protocol?.toLowerCase()) {
    case "application/pkcs7-signature":
    case "application/x-pkcs7-signature":
      return SIGNED;
    case "application/pgp-signature":
      return { kind: "signed", by: "pgp" };
    default:
      return PLAIN;
  }
}

/** RFC 3156 §4 */
function encryptedBy(protocol: string | undefined, body: Start | undefined): Recognised {
  if (protocol?.toLowerCase() !== "application/pgp-encrypted") return PLAIN;
  return body === undefined || isArmoured(body, "MESSAGE") ? { kind: "encrypted", by: "pgp" } : PLAIN;
}

/** RFC 8551 §3.2.2. What only compresses or carries certificates is plain. */
function cmsKind(type: ContentType, body: Start | undefined): Recognised {
  const smimeType = type.parameters.get("smime-type")?.toLowerCase();
  if (smimeType === "certs-only" || smimeType === "compressed-data") return PLAIN;
  if (isNamed(type, ".p7c") || isNamed(type, ".p7z")) return PLAIN;
  if (body !== undefined) return cmsContent(body);
  if (smimeType === "enveloped-data" || smimeType === "authenveloped-data") return ENCRYPTED;
  return SIGNED; // where the header does not tell, the weaker of the two
}

function isNamed({ parameters }: ContentType, ending: string): boolean {
  return parameters.get("name")?.toLowerCase().endsWith(ending) === true;
}

/** Before MIME had a way for it: `x-action=encrypt`, `encryptsign`, `sign`, `signclear`. */
function oldPgp({ parameters }: ContentType, body: Start | undefined): Recognised {
  const action = parameters.get("x-action")?.toLowerCase() ?? "";
  const claims = action.startsWith("encrypt") || (body !== undefined && isArmoured(body, "MESSAGE"));
  if (!claims) return { kind: "signed", by: "pgp" };
  return body === undefined || isArmoured(body, "MESSAGE") ? { kind: "encrypted", by: "pgp" } : PLAIN;
}

function isArmoured({ beginning }: Start, what: string): boolean {
  return `\r\n${beginning.toString("latin1")}`.includes(`\r\n-----BEGIN PGP ${what}-----\r\n`);
}

/** Object identifiers of content types (RFC 5652 §5.1 and §6.1, RFC 5083 §2.1), with tag and length. */
const SIGNED_DATA = Buffer.from("06092a864886f70d010702", "hex");
const ENVELOPED_DATA = Buffer.from("06092a864886f70d010703", "hex");
const AUTH_ENVELOPED_DATA = Buffer.from("060b2a864886f70d0109100117", "hex");

/** What a ContentInfo says it holds (RFC 5652 §3). */
function cmsContent({ encoding, beginning }: Start): Recognised {
  const head = beginning.subarray(0, 1000);
  const der = encoding === "base64" ? Buffer.from(head.toString("latin1"), "base64") : head;
  const length = der[1] ?? 0;
  const type = der.subarray(length > 0x80 ? 2 + (length & 0x7f) : 2);
  const starts = (oid: Buffer) => der[0] === 0x30 && type.subarray(0, oid.length).equals(oid);
  if (starts(SIGNED_DATA)) return SIGNED;
  return starts(ENVELOPED_DATA) || starts(AUTH_ENVELOPED_DATA) ? ENCRYPTED : PLAIN;
}
