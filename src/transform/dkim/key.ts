/** A DKIM key that signs, made once from its settings, and how it signs (RFC 6376 §3.3, RFC 8463 §3). */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import type { DkimAlgorithm, DkimKeySettings } from "../../mail/treatment.ts";

export interface DkimKey {
  /** d=, an A-label. */
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** Epoch ms. */
  readonly notBefore?: number;
  readonly endsAt?: number;
}

/** No key that could sign as it is said to. `message` is for people and has nothing of the key. */
export class DkimKeyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DkimKeyError";
  }
}

/** RFC 8301 §3.2: signers must not use less. What is wise is asked where keys are configured. */
const LEAST_RSA_BITS = 1024;

/** Throws DkimKeyError. */
export function dkimSigner(settings: DkimKeySettings): DkimKey {
  const { domain, selector, algorithm, notBefore, endsAt } = settings;
  const privateKey = readKey(settings);
  const type = algorithm === "rsa-sha256" ? "rsa" : "ed25519";
  const named = `The DKIM key ${selector}._domainkey.${domain}`;
  if (privateKey.asymmetricKeyType !== type) throw new DkimKeyError(`${named} is no ${type} key`);
  if (type === "rsa" && (privateKey.asymmetricKeyDetails?.modulusLength ?? 0) < LEAST_RSA_BITS)
    throw new DkimKeyError(`${named} has fewer than ${LEAST_RSA_BITS} bits`);
  return {
    domain,
    selector,
    algorithm,
    privateKey,
    publicKey: createPublicKey(privateKey),
    ...(notBefore !== undefined && { notBefore }),
    ...(endsAt !== undefined && { endsAt }),
  };
}

function readKey({ key, selector, domain }: DkimKeySettings): KeyObject {
  try {
    return createPrivateKey(key);
  } catch {
    throw new DkimKeyError(`The DKIM key ${selector}._domainkey.${domain} cannot be read: it is no private key in PEM`);
  }
}

/** Those that sign at this time. */
export function keysNow<K extends Pick<DkimKeySettings, "notBefore" | "endsAt">>(
  keys: readonly K[],
  now: number,
): readonly K[] {
  return keys.filter(({ notBefore = now, endsAt = Number.POSITIVE_INFINITY }) => notBefore <= now && now < endsAt);
}

/** Base64. In the thread pool; rejects with what node:crypto throws. */
export async function signOctets({ algorithm, privateKey }: DkimKey, octets: Buffer): Promise<string> {
  const made = await new Promise<Buffer>((resolve, reject) => {
    sign(digestOf(algorithm), toSign(algorithm, octets), privateKey, (error, signature) =>
      error === null ? resolve(signature) : reject(error),
    );
  });
  return made.toString("base64");
}

export async function isSignatureOf(
  { algorithm, publicKey }: Pick<DkimKey, "algorithm" | "publicKey">,
  octets: Buffer,
  signature: string,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const made = Buffer.from(signature, "base64");
    verify(digestOf(algorithm), toSign(algorithm, octets), publicKey, made, (error, holds) =>
      error === null ? resolve(holds) : reject(error),
    );
  });
}

function digestOf(algorithm: DkimAlgorithm): string | null {
  return algorithm === "rsa-sha256" ? "sha256" : null;
}

/** RFC 8463 §3: Ed25519 signs the hash. */
function toSign(algorithm: DkimAlgorithm, octets: Buffer): Buffer {
  return algorithm === "rsa-sha256" ? octets : createHash("sha256").update(octets).digest();
}
