/**
 * Is a message signed or encrypted already, by its user or another server? Its header only claims it; since that spares
 * the message our own, the claim is believed where the whole body is what it promises. In doubt it is plain.
 */
import { armour, clearSigned } from "./armour.ts";
import { type ContentType, contentTypeOf, encodingOf, splitFields, trimBlanks } from "./mime-fields.ts";
import {
  byLines,
  cmsReader,
  encryptedByPgp,
  LONGEST_HELD,
  type PieceReader,
  Pieces,
  signedByPgp,
  signedBySmime,
} from "./sealed-multipart.ts";

export interface Recognised {
  readonly kind: "plain" | "signed" | "encrypted";
  /** Absent where it is plain. */
  readonly by?: "smime" | "pgp";
}

const PLAIN: Recognised = { kind: "plain" };
const SIGNED: Recognised = { kind: "signed", by: "smime" };
const ENCRYPTED: Recognised = { kind: "encrypted", by: "smime" };
const SIGNED_BY_PGP: Recognised = { kind: "signed", by: "pgp" };
const ENCRYPTED_BY_PGP: Recognised = { kind: "encrypted", by: "pgp" };

/** What the header claims. */
export function recognise(header: Buffer): Recognised {
  const type = contentTypeOf(splitFields(header));
  if (type === "none" || type === "ambiguous") return PLAIN;
  switch (type.type) {
    case "multipart/signed":
      return signedBy(type.parameters.get("protocol"));
    case "multipart/encrypted": // RFC 3156 §4
      return type.parameters.get("protocol")?.toLowerCase() === "application/pgp-encrypted" ? ENCRYPTED_BY_PGP : PLAIN;
    case "application/pkcs7-mime":
    case "application/x-pkcs7-mime":
      return cmsKind(type);
    case "application/octet-stream": // how some servers relabel it (RFC 8551 §3.2.1)
      return isNamed(type, ".p7m") ? cmsKind(type) : PLAIN;
    case "application/pgp": // before MIME had a way for it: `x-action=encrypt`, `encryptsign`, `sign`, `signclear`
      return type.parameters.get("x-action")?.toLowerCase().startsWith("encrypt") === true
        ? ENCRYPTED_BY_PGP
        : SIGNED_BY_PGP;
    default:
      return PLAIN;
  }
}

function signedBy(protocol: string | undefined): Recognised {
  switch (protocol?.toLowerCase()) {
    case "application/pkcs7-signature":
    case "application/x-pkcs7-signature":
      return SIGNED;
    case "application/pgp-signature":
      return SIGNED_BY_PGP;
    default:
      return PLAIN;
  }
}

/** RFC 8551 §3.2.2. What only compresses or carries certificates is plain. */
function cmsKind(type: ContentType): Recognised {
  const smimeType = type.parameters.get("smime-type")?.toLowerCase();
  if (smimeType === "certs-only" || smimeType === "compressed-data") return PLAIN;
  if (isNamed(type, ".p7c") || isNamed(type, ".p7z")) return PLAIN;
  if (smimeType === "enveloped-data" || smimeType === "authenveloped-data") return ENCRYPTED;
  return SIGNED; // where the header does not tell, the weaker of the two
}

function isNamed({ parameters }: ContentType, ending: string): boolean {
  return parameters.get("name")?.toLowerCase().endsWith(ending) === true;
}

/** Reads a body to its end, or to where it is no longer what its header claims. */
export interface BodyProof {
  /** False: it is plain, whatever follows. */
  readonly push: (octets: Buffer) => boolean;
  readonly end: () => Recognised;
}

/** Undefined: the header claims nothing, or what no body can be. */
export function proofFor(header: Buffer): BodyProof | undefined {
  const claimed = recognise(header);
  const fields = splitFields(header);
  const type = contentTypeOf(fields);
  const encoding = encodingOf(fields);
  if (claimed.kind === "plain" || typeof type === "string") return undefined;
  if (type.type.startsWith("multipart/")) {
    const boundary = trimBlanks(type.parameters.get("boundary") ?? "");
    if (encoding !== "identity" || boundary === "" || boundary.length > LONGEST_HELD - 6) return undefined;
    const { kind, by } = claimed;
    if (kind === "encrypted") return proofBy([encryptedByPgp(boundary), ENCRYPTED_BY_PGP]);
    return proofBy([by === "pgp" ? signedByPgp(boundary) : signedBySmime(boundary), claimed]);
  }
  if (type.type === "application/pgp")
    return encoding === "identity"
      ? proofBy([byLines(armour("MESSAGE")), ENCRYPTED_BY_PGP], [byLines(clearSigned()), SIGNED_BY_PGP])
      : undefined;
  const reader = cmsReader(encoding);
  const told = { signed: SIGNED, encrypted: ENCRYPTED, none: PLAIN }; // what the body says, not what it is called
  return reader && { push: (octets) => reader.push(octets), end: () => told[reader.end() ?? "none"] };
}

/** The first that fits. */
function proofBy(...ways: readonly (readonly [PieceReader, Recognised])[]): BodyProof {
  let left = ways.map(([reader, found]) => ({ pieces: new Pieces(reader), found }));
  return {
    push: (octets) => {
      left = left.filter(({ pieces }) => pieces.push(octets));
      return left.length > 0;
    },
    end: () => left.find(({ pieces }) => pieces.end())?.found ?? PLAIN,
  };
}
