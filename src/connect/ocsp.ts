/**
 * OCSP (RFC 6960) for one certificate: the question, and what the answer says. Pure but for the signature check.
 * Believes only the issuer itself, or a responder that the issuer certified for this purpose (§4.2.2.2).
 */
import { createHash, type X509Certificate } from "node:crypto";
import { certificateOf, publicKeyOf } from "../mail/certificate.ts";
import { element, type Element, elementsOf, inside, oidOctets, TAG, timeOf } from "../mail/der.ts";
import { isSignedBy, signedData } from "../mail/signed-data.ts";

/** What names a certificate at its issuer; DER throughout. */
export interface CertificateId {
  readonly serial: Buffer;
  readonly issuerName: Buffer;
  readonly issuer: X509Certificate;
}

export type Answer =
  | { readonly kind: "good"; readonly until: number }
  | { readonly kind: "revoked"; readonly until: number; readonly detail: string }
  /** Nothing that can be relied on. */
  | { readonly kind: "unusable"; readonly detail: string };

const SKEW_MS = 300_000;
const DAY_MS = 86_400_000;
const OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";
const BASIC_RESPONSE = oidOctets("1.3.6.1.5.5.7.48.1.1");
const SHA1 = element(TAG.sequence, element(TAG.oid, oidOctets("1.3.14.3.2.26")), element(TAG.null));

/** Serial number and issuer of a certificate as they stand in it; undefined when they cannot be read. */
export function certificateId(certificate: Buffer, issuer: X509Certificate): CertificateId | undefined {
  const fields = inside(inside(certificate)?.[0]?.whole)?.filter(({ tag }) => tag !== 0xa0);
  const [serial, , issuerName] = fields ?? [];
  if (serial?.tag !== TAG.integer || issuerName?.tag !== TAG.sequence) return undefined;
  return { serial: serial.content, issuerName: issuerName.whole, issuer };
}

/** Without nonce: an answer made for all holds until its nextUpdate (RFC 5019 §2.1). SHA-1 only names here. */
export function ocspRequest(id: CertificateId): Buffer | undefined {
  const identified = certId(id);
  if (identified === undefined) return undefined;
  const seq = (...parts: readonly Buffer[]): Buffer => element(TAG.sequence, ...parts);
  return seq(seq(seq(seq(identified))));
}

function certId({ serial, issuerName, issuer }: CertificateId): Buffer | undefined {
  const key = publicKeyOf(issuer)?.export({ type: "spki", format: "der" });
  const bits = inside(key)?.[1];
  if (bits?.tag !== TAG.bitString) return undefined;
  const hash = (octets: Buffer): Buffer => element(TAG.octetString, createHash("sha1").update(octets).digest());
  return element(TAG.sequence, SHA1, hash(issuerName), hash(bits.content.subarray(1)), element(TAG.integer, serial));
}

const STATUS = ["", "malformed request", "internal error", "try later", "", "signature required", "unauthorized"];

export async function readOcspAnswer(body: Buffer, id: CertificateId, now: number): Promise<Answer> {
  const [status, bytes] = inside(body) ?? [];
  if (status?.tag !== TAG.enumerated || status.content.length !== 1) return unusable("is no OCSP answer");
  const code = status.content.readUInt8(0);
  if (code !== 0) return unusable(`says "${STATUS[code] ?? code}"`);
  const [type, octets] = inside(bytes?.content) ?? [];
  if (type?.content.equals(BASIC_RESPONSE) !== true || octets === undefined) return unusable("is of an unknown kind");
  const parts = inside(octets.content);
  const data = signedData(parts);
  if (data === undefined) return unusable("cannot be read");
  const signers = [id.issuer, ...(await delegated(parts?.[3], id.issuer, now))];
  for (const signer of signers) {
    const key = publicKeyOf(signer);
    if (key !== undefined && (await isSignedBy(data, key))) return statusIn(data.signed, id, now);
  }
  return unusable("is signed by nobody who may speak for the issuer");
}

const MOST_SIGNERS = 4;

/** RFC 6960 §4.2.2.2: issued by the very issuer, for OCSP signing. */
async function delegated(field: Element | undefined, issuer: X509Certificate, now: number): Promise<X509Certificate[]> {
  const found: X509Certificate[] = [];
  if (field?.tag !== 0xa0) return found;
  for (const { whole } of inside(field.content)?.slice(0, MOST_SIGNERS) ?? []) {
    const one = certificateOf(whole);
    if (one === undefined || !(one.keyUsage ?? []).includes(OCSP_SIGNING) || !one.checkIssued(issuer)) continue;
    if (now < one.validFromDate.getTime() - SKEW_MS || now > one.validToDate.getTime() + SKEW_MS) continue;
    const [data, key] = [signedData(inside(whole)), publicKeyOf(issuer)];
    if (data !== undefined && key !== undefined && (await isSignedBy(data, key))) found.push(one);
  }
  return found;
}

function statusIn(signed: Buffer, id: CertificateId, now: number): Answer {
  // Version, responder and extensions have tags of their own.
  const responses = inside(signed)?.find(({ tag }) => tag === TAG.sequence);
  const wanted = certId(id);
  for (const { whole } of elementsOf(responses?.content) ?? []) {
    const [certificate, status, thisUpdate, next] = inside(whole) ?? [];
    if (wanted === undefined || certificate === undefined || !isSame(certificate.whole, wanted)) continue;
    return judge({ status, from: timeOf(thisUpdate), until: nextUpdate(next) }, now);
  }
  return unusable("does not speak of this certificate");
}

/** Equal but for the parameters of the hash, which some leave out. */
function isSame(a: Buffer, b: Buffer): boolean {
  const [x, y] = [inside(a), inside(b)];
  const [left, right] = [inside(x?.[0]?.whole)?.[0], inside(y?.[0]?.whole)?.[0]];
  if (x?.length !== 4 || y?.length !== 4 || left === undefined || right === undefined) return false;
  return left.whole.equals(right.whole) && [1, 2, 3].every((at) => x[at]?.whole.equals(y[at]?.whole ?? Buffer.of()));
}

function nextUpdate(field: Element | undefined): number | "absent" | undefined {
  return field?.tag === 0xa0 ? timeOf(elementsOf(field.content)?.[0]) : "absent";
}

interface Single {
  readonly status: Element | undefined;
  readonly from: number | undefined;
  readonly until: number | "absent" | undefined;
}

function judge({ status, from, until }: Single, now: number): Answer {
  if (from === undefined || until === undefined || status === undefined) return unusable("cannot be read");
  // RFC 6960 §2.4: no nextUpdate says that newer words are always to be had. A day old is too old then.
  const end = until === "absent" ? from + DAY_MS : until;
  if (from > now + SKEW_MS) return unusable(`is of the future (${iso(from)})`);
  if (end < now - SKEW_MS) return unusable(`is too old (it held until ${iso(end)})`);
  const holds = until === "absent" ? now : end;
  if (status.tag === 0x80) return { kind: "good", until: holds };
  if (status.tag !== 0xa1) return unusable("does not know this certificate");
  const at = timeOf(elementsOf(status.content)?.[0]);
  return { kind: "revoked", until: holds, detail: `revoked${at === undefined ? "" : ` on ${iso(at).slice(0, 10)}`}` };
}

function unusable(detail: string): Answer {
  return { kind: "unusable", detail };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
