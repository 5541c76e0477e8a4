/**
 * DANE (RFC 7672 §3, RFC 7671 §5): whether what the server showed is what its usable TLSA records say. Pure.
 * A match is the whole proof; without one nothing else counts, and no authority of ours ever mends it.
 */
import { createHash, type KeyObject, type X509Certificate } from "node:crypto";
import { certificateOf, dnsNames, isInTime, keyOf, partsOf, publicKeyOf } from "../mail/certificate.ts";
import type { PeerCertificate } from "../mail/peer-evidence.ts";
import type { TlsaRecord } from "../mail/published.ts";
import type { CheckResult } from "./check-result.ts";
import { matchingName } from "./names.ts";

export interface DaneCheck {
  /** The usable ones only: usage 2 or 3, known selectors and matching types. */
  readonly records: readonly TlsaRecord[];
  /** Reference names for usage 2. */
  readonly names: readonly string[];
}

/** Certificates looked at, as sent and out of DNS: bounds what a hostile chain can cost. */
const MOST = 16;

/** Any one record suffices. `now` in epoch ms. */
export function checkDane(chain: readonly PeerCertificate[], { records, names }: DaneCheck, now: number): CheckResult {
  const [leaf, ...sent] = chain.slice(0, MOST).map(({ der }) => certificateOf(der));
  if (leaf === undefined) return { failure: "certificate-not-trusted", detail: "The server showed no certificate" };
  // RFC 7671 §5.1: this record itself binds key and name; the certificate's names, dates and issuer do not count.
  const ee = records.find((record) => record.usage === 3 && matches(record, leaf));
  if (ee !== undefined) return { by: "dane-ee", matched: describe(ee) };
  const anchors = records.filter(({ usage }) => usage === 2).slice(0, MOST);
  const whole = anchors.filter(isCertificate).map(({ data }) => certificateOf(data));
  const issuers = [...sent, ...whole].filter((one) => one !== undefined);
  const inTime = (one: X509Certificate) => isInTime(one, now);
  const anchor = anchorOf(leaf, issuers.filter(inTime), anchors);
  if (anchor !== undefined && inTime(leaf)) return named(leaf, names, anchor);
  if (anchor === undefined && anchorOf(leaf, issuers, anchors) === undefined)
    return { failure: "tlsa-invalid", detail: "The server's certificate matches none of its TLSA records" };
  return { failure: "certificate-expired", detail: "A certificate on the way to the TLSA record is out of date" };
}

function named(leaf: X509Certificate, names: readonly string[], anchor: TlsaRecord): CheckResult {
  const patterns = names.map((host) => ({ host }));
  const matched = matchingName(dnsNames(leaf.subjectAltName ?? ""), patterns);
  if (matched !== undefined) return { by: "dane-ta", matched: `${matched}, ${describe(anchor)}` };
  const detail = `The server's certificate does not name ${names.join(" or ")}, as its TLSA record demands`;
  return { failure: "certificate-host-mismatch", detail };
}

/**
 * The record at which a path from the leaf ends (RFC 7671 §5.2). Breadth first: each issuer is reached with as few
 * below it as can be, and those count against its pathLenConstraint, self-issued ones included.
 */
function anchorOf(leaf: X509Certificate, issuers: readonly X509Certificate[], anchors: readonly TlsaRecord[]) {
  const left = new Set(issuers);
  for (let level = isServer(leaf) ? [leaf] : [], below = 0; level.length > 0; below += 1) {
    const under = level;
    const key = anchors.find((anchor) => isKey(anchor) && under.some((one) => isSignedBy(one, keyOf(anchor.data))));
    if (key !== undefined) return key;
    level = [...left].filter((issuer) => mayIssue(issuer, below) && under.some((one) => isIssuedBy(one, issuer)));
    const reached = anchors.find((anchor) => level.some((issuer) => matches(anchor, issuer)));
    if (reached !== undefined) return reached;
    for (const issuer of level) left.delete(issuer);
  }
  return undefined;
}

/** RFC 5280 §4.2.1.12 */
function isServer({ raw, keyUsage }: X509Certificate): boolean {
  return partsOf(raw)?.understood === true && (keyUsage === undefined || keyUsage.includes("1.3.6.1.5.5.7.3.1"));
}

/** `below`: issuers between it and the leaf (RFC 5280 §4.2.1.9). */
function mayIssue(issuer: X509Certificate, below: number): boolean {
  const parts = partsOf(issuer.raw);
  return issuer.ca && parts?.understood === true && below <= parts.pathLength;
}

function isIssuedBy(one: X509Certificate, issuer: X509Certificate): boolean {
  return one.checkIssued(issuer) && isSignedBy(one, publicKeyOf(issuer));
}

/** Signatures that can be forged prove nothing: over MD2 to SHA-1, or by RSA keys below 2048 bits. */
const WEAK = /^1\.(2\.840\.(113549\.1\.1\.[2-5]|10045\.4\.1|10040\.4\.3)|3\.14\.3\.2\.\d+)$/;
function isSignedBy(one: X509Certificate, key: KeyObject | undefined): boolean {
  if (key === undefined || (key.asymmetricKeyDetails?.modulusLength ?? 2048) < 2048) return false;
  return !WEAK.test(one.signatureAlgorithmOid) && one.verify(key);
}

/** RFC 6698 §2.1 */
function matches({ selector, matchingType, data }: TlsaRecord, { raw }: X509Certificate): boolean {
  const selected = selector === 0 ? raw : partsOf(raw)?.spki;
  if (selected === undefined || matchingType === 0) return selected?.equals(data) === true;
  return createHash(matchingType === 1 ? "sha256" : "sha512")
    .update(selected)
    .digest()
    .equals(data);
}

const isCertificate = ({ selector, matchingType }: TlsaRecord) => selector === 0 && matchingType === 0;
const isKey = ({ selector, matchingType }: TlsaRecord) => selector === 1 && matchingType === 0;
const describe = ({ usage, selector, matchingType }: TlsaRecord) => `TLSA ${usage} ${selector} ${matchingType}`;
