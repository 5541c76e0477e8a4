/**
 * The algorithms of CMS that are used here, by the names the standards give them (RFC 8551 §2, RFC 5084, RFC 4055,
 * RFC 5753, RFC 5754), and what a mail program says that it can read (SMIMECapabilities, RFC 8551 §2.5.2).
 */
import type { KeyObject } from "node:crypto";
import { elementsOf, inside, oidOctets, TAG } from "../../mail/der.ts";
import { context, NULL, octetString, oid, sequence, smallInteger } from "./der.ts";

export type HashName = "sha256" | "sha384" | "sha512";

interface Hash {
  /** For `micalg` (RFC 8551 §3.5.3.2). */
  readonly micalg: string;
  /** DigestAlgorithmIdentifier; without parameters (RFC 5754 §2). */
  readonly digest: Buffer;
  readonly ecdsa: Buffer;
}

export const HASHES: Readonly<Record<HashName, Hash>> = {
  sha256: hash("sha-256", "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2"),
  sha384: hash("sha-384", "2.16.840.1.101.3.4.2.2", "1.2.840.10045.4.3.3"),
  sha512: hash("sha-512", "2.16.840.1.101.3.4.2.3", "1.2.840.10045.4.3.4"),
};

function hash(micalg: string, digest: string, ecdsa: string): Hash {
  return { micalg, digest: sequence(oid(digest)), ecdsa: sequence(oid(ecdsa)) };
}

/** Curves as OpenSSL names them, and the hash that is as strong (RFC 5754 §3.3, RFC 5639 for Brainpool's). */
export const CURVES: ReadonlyMap<string, HashName> = new Map([
  ["prime256v1", "sha256"],
  ["secp384r1", "sha384"],
  ["secp521r1", "sha512"],
  ["brainpoolP256r1", "sha256"],
  ["brainpoolP384r1", "sha384"],
  ["brainpoolP512r1", "sha512"],
]);

export const LEAST_RSA_BITS = 2048; // RFC 8551 §4.1

export function curveOf(key: KeyObject): string | undefined {
  return key.asymmetricKeyType === "ec" ? key.asymmetricKeyDetails?.namedCurve : undefined;
}

/** NULL is what RFC 3370 §3.2 asks for, and what everyone writes. */
export const RSA_SIGNATURE = sequence(oid("1.2.840.113549.1.1.1"), NULL);
export const RSA_PKCS1 = RSA_SIGNATURE; // rsaEncryption, too (RFC 3370 §4.2.1)

const RSAES_OAEP = "1.2.840.113549.1.1.7";
const SHA256 = sequence(oid("2.16.840.1.101.3.4.2.1"), NULL);
/** With SHA-256 in both places, where the defaults are SHA-1 (RFC 4055 §4.1). */
export const RSA_OAEP = sequence(
  oid(RSAES_OAEP),
  sequence(context(0, SHA256), context(1, sequence(oid("1.2.840.113549.1.1.8"), SHA256))),
);

/** RFC 3565 §2.3.2: without parameters. */
export const AES256_WRAP = sequence(oid("2.16.840.1.101.3.4.1.45"));
/** dhSinglePass-stdDH-sha256kdf-scheme (RFC 5753 §7.1.4). */
export const ECDH = sequence(oid("1.3.132.1.11.1"), AES256_WRAP);

const AES256_GCM = "2.16.840.1.101.3.4.1.46";
const AES256_CBC = "2.16.840.1.101.3.4.1.42";
const AES128_CBC = "2.16.840.1.101.3.4.1.2";

/** GCMParameters; the tag's length is said, for its default is 12 octets (RFC 5084 §3.2). */
export function aes256Gcm(nonce: Buffer, tagLength: number): Buffer {
  return sequence(oid(AES256_GCM), sequence(octetString(nonce), smallInteger(tagLength)));
}

export function aes256Cbc(iv: Buffer): Buffer {
  return sequence(oid(AES256_CBC), octetString(iv));
}

/**
 * What we announce, the best first: what every mail program behind the gateway reads. AES-GCM is not among it, since
 * whoever answers would use it, and few programs can read that.
 */
export const OWN_CAPABILITIES = sequence(...[AES256_CBC, AES128_CBC].map((one) => sequence(oid(one))));

/** What a recipient has announced, as far as it matters here. */
export interface Capabilities {
  /** AES-256-GCM, so AuthEnvelopedData. */
  readonly gcm: boolean;
  /** RSAES-OAEP with SHA-256. */
  readonly oaep: boolean;
}

/** Nothing beyond what every S/MIME program of the last twenty years reads. */
export const UNANNOUNCED: Capabilities = { gcm: false, oaep: false };

/** SMIMECapabilities: of a signature's attribute, or of a certificate's extension (RFC 4262). */
export function readCapabilities(der: Buffer): Capabilities {
  const announced = (inside(der) ?? []).flatMap(({ content }) => {
    const [id, parameters] = elementsOf(content) ?? [];
    return id?.tag === TAG.oid ? [{ id: id.content, parameters: parameters?.whole }] : [];
  });
  const of = (dotted: string) => announced.filter(({ id }) => id.equals(oidOctets(dotted)));
  return {
    gcm: of(AES256_GCM).length > 0,
    oaep: of(RSAES_OAEP).some(({ parameters }) => parameters !== undefined && isSha256Oaep(parameters)),
  };
}

/** Hash and mask generation both SHA-256; how NULL is written within does not matter. */
function isSha256Oaep(parameters: Buffer): boolean {
  const [hashField, maskField] = [0xa0, 0xa1].map((tag) => inside(parameters)?.find((field) => field.tag === tag));
  const [mask] = inside(maskField?.whole, 0xa1) ?? [];
  const [, maskHash] = inside(mask?.whole) ?? [];
  return isSha256(inside(hashField?.whole, 0xa0)?.[0]?.whole) && isSha256(maskHash?.whole);
}

function isSha256(algorithm: Buffer | undefined): boolean {
  const [id] = inside(algorithm) ?? [];
  return id?.content.equals(oidOctets("2.16.840.1.101.3.4.2.1")) === true;
}
