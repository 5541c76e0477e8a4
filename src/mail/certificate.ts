/**
 * A peer's certificate as data (RFC 5280): names, dates, key, digests; and its own words on what it may be used for.
 * Judges nothing. What cannot be read is told as such and never guessed.
 */
import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import type { PeerCertificate } from "./peer-evidence.ts";

export function readCertificate(certificate: X509Certificate): PeerCertificate {
  const key = publicKeyOf(certificate);
  const keyBits = key === undefined ? undefined : bitsOf(key);
  return {
    subject: nameParts(certificate.subject).join(", "),
    names: dnsNames(certificate.subjectAltName ?? ""),
    issuer: nameParts(certificate.issuer).join(", "),
    ...(validityOf(certificate) ?? { notBefore: 0, notAfter: 0 }), // dates that cannot be read: it is over
    keyType: key?.asymmetricKeyType ?? "unknown",
    ...(keyBits !== undefined && { keyBits }),
    sha256: sha256(certificate.raw),
    spkiSha256: key === undefined ? "" : sha256(key.export({ type: "spki", format: "der" })),
    der: certificate.raw,
  };
}

/**
 * Node writes `DNS:a.example, IP Address:192.0.2.1, DNS:"odd\u002c value"`: an entry with anything unusual in it
 * stands in quotes, so that it cannot pass for two. Those are no host names and are left out.
 */
export function dnsNames(subjectAltName: string): string[] {
  const entries = subjectAltName.matchAll(/([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/gy);
  return [...entries].flatMap(([, type, value = ""]) => (type === "DNS" && !value.startsWith('"') ? [value] : []));
}

const CURVE_BITS: Readonly<Record<string, number>> = { prime256v1: 256, secp384r1: 384, secp521r1: 521 };

function bitsOf(key: KeyObject): number | undefined {
  const { modulusLength, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  return modulusLength ?? CURVE_BITS[namedCurve];
}

/**
 * Epoch ms. Undefined when a date cannot be read: Node's `validToDate` is then made of whatever lay in its memory, and
 * was seen to lie thousands of years ahead (Node 24.21).
 */
export function validityOf({
  validFrom,
  validTo,
}: Pick<X509Certificate, "validFrom" | "validTo">):
  | { readonly notBefore: number; readonly notAfter: number }
  | undefined {
  const [notBefore, notAfter] = [Date.parse(validFrom), Date.parse(validTo)];
  return Number.isNaN(notBefore + notAfter) ? undefined : { notBefore, notAfter };
}

export function isInTime(certificate: Pick<X509Certificate, "validFrom" | "validTo">, now: number): boolean {
  const at = validityOf(certificate);
  return at !== undefined && at.notBefore <= now && now <= at.notAfter;
}

export function certificateOf(der: Buffer): X509Certificate | undefined {
  return readable(() => new X509Certificate(der));
}

/** Node throws for key types it does not know; such a certificate has no pin and signs nothing. */
export function publicKeyOf(certificate: X509Certificate): KeyObject | undefined {
  return readable(() => certificate.publicKey);
}

/** Of a SubjectPublicKeyInfo. */
export function keyOf(spki: Buffer): KeyObject | undefined {
  return readable(() => createPublicKey({ key: spki, format: "der", type: "spki" }));
}

/** The one place where OpenSSL's word on what it cannot read ends. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

export function sha256(der: Buffer): string {
  return createHash("sha256").update(der).digest("hex");
}

/** Of a subject or issuer; none of an empty one, which Node tells as undefined (RFC 5280 §4.1.2.6). */
export function nameParts(name: string | undefined): readonly string[] {
  return name?.split("\n") ?? [];
}

/** A subject or issuer on one line, the most telling part first; "" for an empty one. */
export function nameText(name: string | undefined): string {
  return nameParts(name).toReversed().join(", ");
}

/** What Node does not tell of a certificate. */
export interface CertificateParts {
  /** DER of its SubjectPublicKeyInfo, octet for octet. */
  readonly spki: Buffer;
  /** How many issuers may stand between it and the leaf; Infinity where it does not say. */
  readonly pathLength: number;
  /** False: it restricts its use in a way that is not understood here, so nothing may be built on it. */
  readonly understood: boolean;
}

/** Undefined when it is no DER of a certificate. */
export function partsOf(certificate: Buffer): CertificateParts | undefined {
  const fields = inside(inside(certificate)?.[0]?.whole) ?? [];
  const spki = fields.filter(({ tag }) => tag !== VERSION)[5]; // after number, signature, issuer, validity and subject
  if (spki?.tag !== SEQUENCE) return undefined;
  const extensions = extensionsOf(fields.find(({ tag }) => tag === EXTENSIONS)?.content);
  const pathLength = pathLengthOf(extensions?.find(({ id }) => id === BASIC_CONSTRAINTS)?.value);
  const known = extensions?.every(({ id, critical }) => id !== NAME_CONSTRAINTS && (!critical || KNOWN.has(id)));
  if (known !== true || pathLength === undefined) return { spki: spki.whole, pathLength: 0, understood: false };
  return { spki: spki.whole, pathLength, understood: true };
}

const SEQUENCE = 0x30;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
// By the octets of their identifiers, 2.5.29.x (RFC 5280 §4.2.1).
const NAME_CONSTRAINTS = "551d1e";
const BASIC_CONSTRAINTS = "551d13";
/** Key usage, subject alternative name, basic constraints, policies, extended key usage. */
const KNOWN: ReadonlySet<string> = new Set(["551d0f", "551d11", BASIC_CONSTRAINTS, "551d20", "551d25"]);

interface Extension {
  /** Octets of the object identifier in hex. */
  readonly id: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** None where there is no such field; undefined when they cannot be read, or one is there twice. */
function extensionsOf(field: Buffer | undefined): readonly Extension[] | undefined {
  if (field === undefined) return [];
  const extensions = inside(field)?.map(({ content }): Extension | undefined => {
    const [id, ...rest] = elements(content) ?? [];
    const value = rest.at(-1);
    if (id === undefined || value?.tag !== 0x04) return undefined;
    return { id: id.content.toString("hex"), critical: rest.length > 1, value: value.content };
  });
  const read = extensions?.filter((extension) => extension !== undefined) ?? [];
  return new Set(read.map(({ id }) => id)).size === extensions?.length ? read : undefined;
}

/** `SEQUENCE { cA BOOLEAN, pathLenConstraint INTEGER }`; undefined when it cannot be read. */
function pathLengthOf(value: Buffer | undefined): number | undefined {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  const fields = inside(value);
  const length = fields?.find(({ tag }) => tag === 0x02);
  if (length === undefined) return fields && Number.POSITIVE_INFINITY;
  const octets = length.content.length;
  return octets >= 1 && octets <= 4 ? length.content.readUIntBE(0, octets) : undefined;
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag and length included. */
  readonly whole: Buffer;
}

/** Those within the one element that stands there. */
function inside(der: Buffer | undefined): readonly Element[] | undefined {
  const found = der && elements(der);
  return found?.length === 1 && found[0] !== undefined ? elements(found[0].content) : undefined;
}

/** The elements that follow each other in DER (ITU-T X.690 §8.1); undefined when one of them is cut short. */
function elements(der: Buffer): readonly Element[] | undefined {
  const found: Element[] = [];
  for (let at = 0; at < der.length; ) {
    if (at + 2 > der.length) return undefined;
    const first = der.readUInt8(at + 1);
    const sizeOctets = first < 0x80 ? 0 : first - 0x80;
    const start = at + 2 + sizeOctets;
    if (first === 0x80 || sizeOctets > 4 || start > der.length) return undefined;
    const end = start + (sizeOctets === 0 ? first : der.readUIntBE(at + 2, sizeOctets));
    if (end > der.length) return undefined;
    found.push({ tag: der.readUInt8(at), content: der.subarray(start, end), whole: der.subarray(at, end) });
    at = end;
  }
  return found;
}
