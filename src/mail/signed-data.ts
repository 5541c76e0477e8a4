/**
 * The frame that certificates, revocation lists and OCSP answers share: what is signed, how, and the signature
 * (RFC 5280 §4.1.1). Checked by node:crypto in its thread pool. SHA-1 and MD5 prove nothing here.
 */
import { constants, type KeyObject, verify } from "node:crypto";
import { type Element, inside, oidOctets, TAG } from "./der.ts";

export interface SignedData {
  /** `SEQUENCE`, tag and length included: what the signature is over. */
  readonly signed: Buffer;
  readonly algorithm: Element;
  readonly signature: Buffer;
}

export function signedData(parts: readonly Element[] | undefined): SignedData | undefined {
  const [signed, algorithm, signature] = parts ?? [];
  if (signed?.tag !== TAG.sequence || algorithm?.tag !== TAG.sequence || signature?.tag !== TAG.bitString) {
    return undefined;
  }
  if (signature.content[0] !== 0) return undefined; // bits left over
  return { signed: signed.whole, algorithm, signature: signature.content.subarray(1) };
}

const byOid = (entries: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(entries).map(([oid, value]) => [oidOctets(oid).toString("hex"), value]));

const HASH_OF_SIGNATURE = byOid({
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
  "1.3.101.112": "none", // Ed25519 and Ed448 hash by themselves (RFC 8410)
  "1.3.101.113": "none",
});
const HASH = byOid({
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
});
const RSASSA_PSS = oidOctets("1.2.840.113549.1.1.10").toString("hex");

/** True when `key` made the signature with a hash that still counts. */
export function isSignedBy({ signed, algorithm, signature }: SignedData, key: KeyObject): Promise<boolean> {
  const [id, parameters] = inside(algorithm.whole) ?? [];
  const oid = id?.content.toString("hex") ?? "";
  const pss = oid === RSASSA_PSS;
  const hash = pss ? hashOfPss(parameters) : HASH_OF_SIGNATURE.get(oid);
  if (hash === undefined) return Promise.resolve(false);
  const how = pss ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO } : {};
  return new Promise((resolve) => {
    const done = (error: Error | null, fits: boolean): void => resolve(error === null && fits);
    try {
      verify(hash === "none" ? null : hash, signed, { key, ...how }, signature, done);
    } catch {
      resolve(false); // a key of another kind than the algorithm's
    }
  });
}

/** `[0] hashAlgorithm` of RSASSA-PSS-params (RFC 4055 §3.1); its default is SHA-1. */
function hashOfPss(parameters: Element | undefined): string | undefined {
  const named = inside(parameters?.whole)?.find(({ tag }) => tag === 0xa0);
  return HASH.get(inside(named?.content)?.[0]?.content.toString("hex") ?? "");
}
