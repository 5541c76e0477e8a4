/**
 * Which of a host's TLSA records can be used with SMTP (RFC 7672 §3.1, RFC 7671 §9). Pure.
 * What cannot be used is left out and never makes another record count for less.
 */
import { createPublicKey, X509Certificate } from "node:crypto";
import type { TlsaRecord } from "../mail/published.ts";

const FULL = 0;
/** Octets of a digest by matching type: SHA2-256, SHA2-512. The stronger one has the higher number. */
const DIGEST_OCTETS: ReadonlyMap<number, number> = new Map([
  [1, 32],
  [2, 64],
]);

/** Those to match against; empty when none can be used. */
export function usableRecords(records: readonly TlsaRecord[]): readonly TlsaRecord[] {
  const usable = records.filter(isUsable);
  return usable.filter((record) => record.matchingType === FULL || !usable.some((other) => outdoes(other, record)));
}

/** Digest agility (RFC 7671 §9): a weaker digest does not count beside a stronger one of the same usage and selector. */
function outdoes(other: TlsaRecord, record: TlsaRecord): boolean {
  return other.usage === record.usage && other.selector === record.selector && other.matchingType > record.matchingType;
}

/** RFC 7672 §3.1.3: PKIX-TA(0) and PKIX-EE(1) are not used with SMTP; nor is what we do not know (RFC 6698 §4.1). */
function isUsable({ usage, selector, matchingType, data }: TlsaRecord): boolean {
  if (usage !== 2 && usage !== 3) return false;
  if (selector !== 0 && selector !== 1) return false;
  if (matchingType === FULL) return selector === 0 ? isCertificate(data) : isPublicKey(data);
  return DIGEST_OCTETS.get(matchingType) === data.length;
}

/** Whole, with nothing behind it, as OpenSSL demands of such records. */
function isCertificate(der: Buffer): boolean {
  return isReadable(() => {
    const certificate = new X509Certificate(der);
    return certificate.raw.equals(der) && certificate.publicKey.type === "public";
  });
}

function isPublicKey(der: Buffer): boolean {
  return isReadable(() => {
    const key = createPublicKey({ key: der, format: "der", type: "spki" });
    return key.export({ format: "der", type: "spki" }).length === der.length;
  });
}

/** The one place where OpenSSL's word on a certificate or key out of DNS ends. */
function isReadable(read: () => boolean): boolean {
  try {
    return read();
  } catch {
    return false;
  }
}
