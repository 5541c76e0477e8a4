/**
 * Signs (CMS SignedData, RFC 5652 §5, RFC 8551 §2): beside a message, over its digest, or around it as it streams by.
 * Private keys work in the thread pool. Never signs with a certificate of another key.
 */
import { createHash, createPrivateKey, type KeyObject, sign, X509Certificate } from "node:crypto";
import type { SmimeSignerSettings } from "../../mail/treatment.ts";
import {
  CURVES,
  curveOf,
  HASHES,
  type HashName,
  LEAST_RSA_BITS,
  OWN_CAPABILITIES,
  RSA_SIGNATURE,
} from "./algorithms.ts";
import { readSmimeCertificate, type SmimeCertificate } from "./certificate.ts";
import {
  context,
  end,
  implicitSetOf,
  octetString,
  oid,
  OPEN,
  segments,
  sequence,
  setOf,
  smallInteger,
  time,
} from "./der.ts";

export interface Signer {
  readonly certificate: SmimeCertificate;
  /** DER; the own certificate among them. */
  readonly certificates: readonly Buffer[];
  readonly privateKey: KeyObject;
  /** As node:crypto names it. */
  readonly hash: HashName;
  /** For multipart/signed. */
  readonly micalg: string;
}

export interface SigningTime {
  /** Epoch ms. */
  readonly now: number;
}

/** Settings that no signer can be made of: `readSigner` gives none of these. The message has nothing of the key. */
export class SmimeSignerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SmimeSignerError";
  }
}

/** The message cannot be signed now, and must not leave as if it were. The message has nothing of the key. */
export class SmimeSigningError extends Error {
  constructor(cause: unknown) {
    super("The S/MIME signature could not be made", { cause });
    this.name = "SmimeSigningError";
  }
}

/** The hash that goes with a key; `unfit` completes "the key …". */
export function signingHash(key: KeyObject): { readonly hash: HashName } | { readonly unfit: string } {
  if (key.asymmetricKeyType === "rsa") {
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    return bits < LEAST_RSA_BITS ? { unfit: `has ${bits} bits, less than ${LEAST_RSA_BITS}` } : { hash: "sha256" };
  }
  const curve = curveOf(key);
  const hash = CURVES.get(curve ?? "");
  if (hash !== undefined) return { hash };
  const kind = curve === undefined ? (key.asymmetricKeyType ?? "unknown") : `on curve ${curve}`;
  return { unfit: `is of a kind that hardly any mail program verifies: ${kind}` };
}

/** Throws SmimeSignerError. */
export function toSigner({ certificate: pem, chain, key }: SmimeSignerSettings): Signer {
  const certificate = readSmimeCertificate(Buffer.from(pem));
  if (certificate === undefined) throw new SmimeSignerError("The certificate cannot be read");
  const privateKey = readKey(key);
  if (privateKey === undefined) throw new SmimeSignerError("The private key cannot be read");
  if (!certificate.x509.checkPrivateKey(privateKey)) throw new SmimeSignerError("The key is not the certificate's");
  const how = signingHash(privateKey);
  if ("unfit" in how) throw new SmimeSignerError(`The key ${how.unfit}`);
  const others = chain.map((one) => new X509Certificate(one).raw);
  return {
    certificate,
    certificates: [certificate.der, ...others],
    privateKey,
    hash: how.hash,
    micalg: HASHES[how.hash].micalg,
  };
}

function readKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

/** DER, without content. `digest`: of the content, by the signer's hash. */
export async function signDetached(digest: Buffer, signer: Signer, at: SigningTime): Promise<Buffer> {
  const info = await signerInfo(digest, signer, at);
  const content = sequence(DATA);
  const parts = [VERSION_1, setOf(HASHES[signer.hash].digest), content, certificatesOf(signer), setOf(info)];
  return sequence(SIGNED_DATA, context(0, sequence(...parts)));
}

/** BER, the content within, the signature behind it. */
export async function* signOpaque(
  content: AsyncIterable<Buffer>,
  signer: Signer,
  at: SigningTime,
): AsyncGenerator<Buffer> {
  const { sequence: open, octetString: octets, context0 } = OPEN;
  const head = [open, SIGNED_DATA, context0, open, VERSION_1, setOf(HASHES[signer.hash].digest)];
  yield Buffer.concat([...head, open, DATA, context0, octets]);
  const hash = createHash(signer.hash);
  yield* segments(hashed(content, hash));
  const info = await signerInfo(hash.digest(), signer, at);
  yield Buffer.concat([end(3), certificatesOf(signer), setOf(info), end(3)]);
}

async function* hashed(content: AsyncIterable<Buffer>, hash: { update: (chunk: Buffer) => unknown }) {
  for await (const chunk of content) {
    hash.update(chunk);
    yield chunk;
  }
}

const SIGNED_DATA = oid("1.2.840.113549.1.7.2");
const DATA = oid("1.2.840.113549.1.7.1");
/** Of SignedData with nothing but X.509 certificates and data, and of a signer named by issuer and number. */
const VERSION_1 = smallInteger(1);

function certificatesOf({ certificates }: Signer): Buffer {
  return implicitSetOf(0, certificates);
}

async function signerInfo(digest: Buffer, signer: Signer, at: SigningTime): Promise<Buffer> {
  const { certificate, privateKey, hash } = signer;
  const attributes = attributesFor(digest, certificate, at);
  // Signed as a SET, sent under [0] (RFC 5652 §5.4).
  const signature = await signInPool(hash, setOf(...attributes), privateKey);
  const algorithm = privateKey.asymmetricKeyType === "rsa" ? RSA_SIGNATURE : HASHES[hash].ecdsa;
  const who = sequence(certificate.issuer, certificate.serial);
  const signed = implicitSetOf(0, attributes);
  return sequence(VERSION_1, who, HASHES[hash].digest, signed, algorithm, octetString(signature));
}

const CONTENT_TYPE = oid("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST = oid("1.2.840.113549.1.9.4");
const SIGNING_TIME = oid("1.2.840.113549.1.9.5");
const CAPABILITIES = oid("1.2.840.113549.1.9.15");
const SIGNING_CERTIFICATE_V2 = oid("1.2.840.113549.1.9.16.2.47");

function attributesFor(digest: Buffer, certificate: SmimeCertificate, { now }: SigningTime): Buffer[] {
  return [
    attribute(CONTENT_TYPE, DATA),
    attribute(MESSAGE_DIGEST, octetString(digest)),
    attribute(SIGNING_TIME, time(now)),
    attribute(CAPABILITIES, OWN_CAPABILITIES),
    attribute(SIGNING_CERTIFICATE_V2, signingCertificate(certificate)),
  ];
}

function attribute(type: Buffer, value: Buffer): Buffer {
  return sequence(type, setOf(value));
}

/** So that no other certificate of the same key can be put in its place (RFC 5035 §3); SHA-256 is its default hash. */
function signingCertificate({ sha256, issuer, serial }: SmimeCertificate): Buffer {
  const names = sequence(context(4, issuer)); // GeneralNames: directoryName
  const id = sequence(octetString(Buffer.from(sha256, "hex")), sequence(names, serial));
  return sequence(sequence(id));
}

async function signInPool(hash: HashName, data: Buffer, key: KeyObject): Promise<Buffer> {
  const made = new Promise<Buffer>((resolve, reject) => {
    sign(hash, data, key, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
  return made.catch((error: unknown) => {
    throw new SmimeSigningError(error);
  });
}
