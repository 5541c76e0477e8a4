/**
 * The content's key, once for each recipient (RFC 5652 §6.2): RSA key transport, or ECDH with a key made for this message
 * alone (RFC 5753 §3.1). The content's key leaves this file encrypted only.
 */
import {
  constants,
  createCipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPair,
  type KeyObject,
  publicEncrypt,
} from "node:crypto";
import { inside, TAG } from "../../mail/der.ts";
import { AES256_WRAP, type Capabilities, CURVES, ECDH, LEAST_RSA_BITS, RSA_OAEP, RSA_PKCS1 } from "./algorithms.ts";
import type { SmimeCertificate } from "./certificate.ts";
import { context, contextPrimitive, octetString, oid, sequence, smallInteger } from "./der.ts";

/** How the content's key reaches one recipient. */
export type KeyEncryption = "rsa-oaep-sha256" | "rsa-pkcs1" | "ecdh";

/** `unfit` completes "the certificate …". */
export function keyEncryptionFor(
  { keyType }: SmimeCertificate,
  { oaep }: Capabilities,
): KeyEncryption | { readonly unfit: string } {
  switch (keyType.kind) {
    case "rsa":
      if (keyType.bits < LEAST_RSA_BITS)
        return { unfit: `has a key of ${keyType.bits} bits, less than ${LEAST_RSA_BITS}` };
      return oaep ? "rsa-oaep-sha256" : "rsa-pkcs1";
    case "ec":
      return CURVES.has(keyType.curve) ? "ecdh" : { unfit: `has a key on an unknown curve (${keyType.curve})` };
    case "other":
      return { unfit: `has a key that nothing can be encrypted for (${keyType.name})` };
  }
}

export interface Sealing {
  readonly certificate: SmimeCertificate;
  readonly how: KeyEncryption;
  readonly byKeyIdentifier: boolean;
  /** The content's. */
  readonly key: Buffer;
}

export async function recipientInfo(sealing: Sealing): Promise<Buffer> {
  return sealing.how === "ecdh" ? keyAgreement(sealing) : keyTransport(sealing);
}

/** KeyTransRecipientInfo (RFC 5652 §6.2.1). */
function keyTransport({ certificate, how, byKeyIdentifier, key }: Sealing): Buffer {
  const { subjectKeyIdentifier } = certificate;
  const oaep = how === "rsa-oaep-sha256";
  const padding = oaep
    ? { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }
    : { padding: constants.RSA_PKCS1_PADDING };
  const named = byKeyIdentifier ? subjectKeyIdentifier : undefined;
  return sequence(
    smallInteger(named === undefined ? 0 : 2),
    named === undefined ? issuerAndSerial(certificate) : contextPrimitive(0, named),
    oaep ? RSA_OAEP : RSA_PKCS1,
    octetString(publicEncrypt({ key: certificate.key, ...padding }, key)),
  );
}

/** KeyAgreeRecipientInfo (RFC 5652 §6.2.2, RFC 5753 §3.1.1). */
async function keyAgreement({ certificate, byKeyIdentifier, key }: Sealing): Promise<Buffer> {
  const ephemeral = await ephemeralKey(certificate);
  const shared = await agree(ephemeral, certificate.key);
  const { subjectKeyIdentifier } = certificate;
  const named = byKeyIdentifier ? subjectKeyIdentifier : undefined;
  const recipient = sequence(
    named === undefined ? issuerAndSerial(certificate) : context(0, octetString(named)),
    octetString(wrapKey(keyEncryptionKey(shared), key)),
  );
  // The curve is that of the recipient's certificate, so no parameters say it (RFC 5753 §3.1.1).
  const originatorKey = context(1, sequence(oid("1.2.840.10045.2.1")), pointOf(ephemeral));
  return context(1, smallInteger(3), context(0, originatorKey), ECDH, sequence(recipient));
}

function issuerAndSerial({ issuer, serial }: SmimeCertificate): Buffer {
  return sequence(issuer, serial);
}

function ephemeralKey({ keyType }: SmimeCertificate): Promise<KeyObject> {
  const namedCurve = keyType.kind === "ec" ? keyType.curve : "";
  return new Promise((resolve, reject) => {
    generateKeyPair("ec", { namedCurve }, (error, _, privateKey) => {
      if (error === null) resolve(privateKey);
      else reject(error);
    });
  });
}

function agree(privateKey: KeyObject, publicKey: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    diffieHellman({ privateKey, publicKey }, (error, shared) => {
      if (error === null) resolve(shared);
      else reject(error);
    });
  });
}

/** BIT STRING of the uncompressed point, as it stands in SubjectPublicKeyInfo. */
function pointOf(privateKey: KeyObject): Buffer {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const point = inside(spki)?.find(({ tag }) => tag === TAG.bitString);
  if (point === undefined) throw new Error("A public key without a point");
  return point.whole;
}

/** ECC-CMS-SharedInfo for a key of 256 bits (RFC 5753 §7.2). */
const SHARED_INFO = sequence(AES256_WRAP, context(2, octetString(Buffer.of(0, 0, 1, 0))));

/** One round of the X9.63 key derivation gives all of the 32 octets (SEC 1 §3.6.1). */
function keyEncryptionKey(shared: Buffer): Buffer {
  return createHash("sha256")
    .update(shared)
    .update(Buffer.of(0, 0, 0, 1))
    .update(SHARED_INFO)
    .digest();
}

/** RFC 3394 §2.2. */
function wrapKey(by: Buffer, key: Buffer): Buffer {
  const cipher = createCipheriv("id-aes256-wrap", by, Buffer.alloc(8, 0xa6));
  return Buffer.concat([cipher.update(key), cipher.final()]);
}
