/**
 * Encrypts for recipients as the message streams by: AuthEnvelopedData with AES-256-GCM (RFC 5083, RFC 5084) where all
 * of them have announced that they read it, else EnvelopedData with AES-256-CBC (RFC 5652 §6). A weaker cipher, or one
 * recipient less than was asked for, is never chosen in silence.
 */
import { createCipheriv } from "node:crypto";
import { setImmediate as breathe } from "node:timers/promises";
import { aes256Cbc, aes256Gcm, type Capabilities, UNANNOUNCED } from "./algorithms.ts";
import { type Candidate } from "./candidate.ts";
import { smimeCertificate, type SmimeCertificate } from "./certificate.ts";
import { end, octetString, oid, OPEN, segments, setOf, smallInteger } from "./der.ts";
import { type KeyEncryption, keyEncryptionFor, recipientInfo } from "./recipient-info.ts";

export interface EnvelopeRecipient {
  readonly certificate: Candidate;
  /** Learned elsewhere, as from a signature of theirs. Absent: what the certificate says, else nothing is announced. */
  readonly capabilities?: Capabilities;
  /** How the certificate is named. Default: by issuer and serial number. */
  readonly namedBy?: "issuer-and-serial" | "key-identifier";
}

export interface EnvelopeAlgorithms {
  readonly content: "aes-256-gcm" | "aes-256-cbc";
  /** In the order of the recipients. */
  readonly keys: readonly KeyEncryption[];
}

/** A recipient that nothing can be encrypted for, or none at all. `whyNotFor` says so before. */
export class SmimeRecipientError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SmimeRecipientError";
  }
}

/** Completes "the certificate …"; undefined: mail can be encrypted for it. */
export function whyNotFor(certificate: Candidate): string | undefined {
  const read = smimeCertificate(certificate);
  if (read === undefined) return "cannot be read";
  const how = keyEncryptionFor(read, UNANNOUNCED);
  return typeof how === "string" ? undefined : how.unfit;
}

/** What `envelope` uses for these. Throws SmimeRecipientError. */
export function algorithmsFor(recipients: readonly EnvelopeRecipient[]): EnvelopeAlgorithms {
  return planFor(recipients).algorithms;
}

export function envelopeType(recipients: readonly EnvelopeRecipient[]): "enveloped-data" | "authEnveloped-data" {
  return algorithmsFor(recipients).content === "aes-256-gcm" ? "authEnveloped-data" : "enveloped-data";
}

/** `random` makes the content's key and nonce; the same recipient twice is one. Throws SmimeRecipientError. */
export async function* envelope(
  content: AsyncIterable<Buffer>,
  recipients: readonly EnvelopeRecipient[],
  random: (length: number) => Buffer,
): AsyncGenerator<Buffer> {
  const { algorithms, readers } = planFor(recipients);
  const key = random(32);
  const infos = await recipientInfos(readers, key);
  const sealed = algorithms.content === "aes-256-gcm" ? authenticated(infos, key, random) : plain(infos, key, random);
  yield sealed.head;
  yield* segments(encrypted(content, sealed.cipher));
  yield sealed.tail();
}

/** One recipient with all that is known of it. */
interface Reader {
  readonly certificate: SmimeCertificate;
  readonly how: KeyEncryption;
  readonly byKeyIdentifier: boolean;
}

function planFor(recipients: readonly EnvelopeRecipient[]): { algorithms: EnvelopeAlgorithms; readers: Reader[] } {
  const each = recipients.map(({ certificate: candidate, capabilities, namedBy }) => {
    const certificate = smimeCertificate(candidate);
    if (certificate === undefined) throw new SmimeRecipientError("A recipient's certificate cannot be read");
    const announced = capabilities ?? certificate.capabilities ?? UNANNOUNCED;
    const how = keyEncryptionFor(certificate, announced);
    if (typeof how !== "string") throw new SmimeRecipientError(`The certificate of ${candidate.subject} ${how.unfit}`);
    const byKeyIdentifier = namedBy === "key-identifier" && certificate.subjectKeyIdentifier !== undefined;
    return { certificate, how, byKeyIdentifier, gcm: announced.gcm };
  });
  if (each.length === 0) throw new SmimeRecipientError("There is no recipient to encrypt for");
  const content = each.every(({ gcm }) => gcm) ? "aes-256-gcm" : "aes-256-cbc";
  return {
    algorithms: { content, keys: each.map(({ how }) => how) },
    readers: [...new Map(each.map((one) => [one.certificate.sha256, one])).values()],
  };
}

/** Public-key work of so many recipients is done without a pause. */
const WITHOUT_PAUSE = 8;

async function recipientInfos(readers: readonly Reader[], key: Buffer): Promise<Infos> {
  const infos: Buffer[] = [];
  for (const [index, { certificate, how, byKeyIdentifier }] of readers.entries()) {
    if (index % WITHOUT_PAUSE === WITHOUT_PAUSE - 1) await breathe();
    infos.push(await recipientInfo({ certificate, how, byKeyIdentifier, key }));
  }
  const isOldForm = readers.every(({ how, byKeyIdentifier }) => how !== "ecdh" && !byKeyIdentifier);
  return { set: setOf(...infos), isOldForm };
}

interface Infos {
  readonly set: Buffer;
  /** Nothing but key transport to certificates named by issuer and serial number. */
  readonly isOldForm: boolean;
}

interface Sealed {
  readonly head: Buffer;
  readonly cipher: Cipher;
  /** What follows the content; asked for when the cipher has ended. */
  readonly tail: () => Buffer;
}

interface Cipher {
  readonly update: (chunk: Buffer) => Buffer;
  readonly final: () => Buffer;
}

const ENVELOPED_DATA = oid("1.2.840.113549.1.7.3");
const AUTH_ENVELOPED_DATA = oid("1.2.840.113549.1.9.16.1.23");
const DATA = oid("1.2.840.113549.1.7.1");
const TAG_LENGTH = 16;

function plain({ set, isOldForm }: Infos, key: Buffer, random: (length: number) => Buffer): Sealed {
  const iv = random(16);
  const version = smallInteger(isOldForm ? 0 : 2); // RFC 5652 §6.1
  const cipher = createCipheriv("aes-256-cbc", key, iv);
  return { head: head(ENVELOPED_DATA, [version, set], aes256Cbc(iv)), cipher, tail: () => end(5) };
}

function authenticated({ set }: Infos, key: Buffer, random: (length: number) => Buffer): Sealed {
  const nonce = random(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_LENGTH });
  const tail = () => Buffer.concat([end(2), octetString(cipher.getAuthTag()), end(3)]);
  return { head: head(AUTH_ENVELOPED_DATA, [smallInteger(0), set], aes256Gcm(nonce, TAG_LENGTH)), cipher, tail };
}

/** Up to the encrypted octets: frames of ContentInfo, its [0], the content type, EncryptedContentInfo and its [0]. */
function head(type: Buffer, fields: readonly Buffer[], algorithm: Buffer): Buffer {
  const { sequence: open, context0 } = OPEN;
  return Buffer.concat([open, type, context0, open, ...fields, open, DATA, algorithm, context0]);
}

async function* encrypted(content: AsyncIterable<Buffer>, cipher: Cipher): AsyncGenerator<Buffer> {
  for await (const chunk of content) yield cipher.update(chunk);
  yield cipher.final();
}
