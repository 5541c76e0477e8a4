/**
 * Reads what the CMS side writes, by node:crypto: verifies signatures and decrypts. It insists on the forms of the RFCs
 * where others are lenient, so that a test fails before a strict mail program does.
 */
import {
  constants,
  createDecipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  privateDecrypt,
  verify,
  X509Certificate,
} from "node:crypto";
import { element, type Element, elementsOf, inside, oidOctets, TAG } from "../../../src/mail/der.ts";
import { toDer } from "../../../src/transform/smime/ber.ts";

const hex = (dotted: string): string => oidOctets(dotted).toString("hex");
const idOf = (algorithm: Element | undefined): string => inside(algorithm?.whole)?.[0]?.content.toString("hex") ?? "";

function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`no ${what}`);
  return value;
}

/** The fields under `[0]` of a ContentInfo of this type. */
function contentOf(cms: Buffer, type: string): readonly Element[] {
  const der = must(toDer(cms), "CMS object");
  const [id, content] = must(inside(der), "ContentInfo");
  if (id?.content.toString("hex") !== hex(type)) throw new Error(`content type ${id?.content.toString("hex")}`);
  return must(inside(inside(content?.whole, 0xa0)?.[0]?.whole), "content");
}

export interface ReadSignature {
  /** Of opaque ones. */
  readonly content: Buffer | undefined;
  readonly certificates: readonly X509Certificate[];
  /** Value by dotted type. */
  readonly attribute: (type: string) => Buffer | undefined;
  readonly attributeTypes: readonly string[];
  readonly signer: X509Certificate;
  readonly hash: string;
  readonly verified: boolean;
}

const HASHES: Readonly<Record<string, string>> = {
  [hex("2.16.840.1.101.3.4.2.1")]: "sha256",
  [hex("2.16.840.1.101.3.4.2.2")]: "sha384",
  [hex("2.16.840.1.101.3.4.2.3")]: "sha512",
};
const SIGNATURES: Readonly<Record<string, string>> = {
  [hex("1.2.840.113549.1.1.1")]: "rsa",
  [hex("1.2.840.10045.4.3.2")]: "sha256",
  [hex("1.2.840.10045.4.3.3")]: "sha384",
  [hex("1.2.840.10045.4.3.4")]: "sha512",
};

/** `detached`: what was signed beside. */
export function readSignature(cms: Buffer, detached?: Buffer): ReadSignature {
  const [version, digests, encapsulated, certificateSet, infos] = contentOf(cms, "1.2.840.113549.1.7.2");
  const certificates = must(inside(certificateSet?.whole, 0xa0), "certificates").map(
    ({ whole }) => new X509Certificate(whole),
  );
  const [type, octets] = must(inside(encapsulated?.whole), "content");
  const content = inside(octets?.whole, 0xa0)?.[0]?.content;
  if (type?.content.toString("hex") !== hex("1.2.840.113549.1.7.1")) throw new Error("content is no data");
  const [info, ...more] = must(inside(infos?.whole, 0x31), "signers");
  if (more.length > 0 || version?.content[0] !== 1) throw new Error("not one signer of version 1");
  const [infoVersion, sid, digest, attributes, algorithm, signature] = must(inside(info?.whole), "signer");
  if (infoVersion?.content[0] !== 1) throw new Error("signer of another version");
  const hash = must(HASHES[idOf(digest)], "known hash");
  if (idOf(inside(digests?.whole, 0x31)?.[0]) !== idOf(digest)) throw new Error("digest algorithms differ");
  const signer = must(
    certificates.find(({ raw }) => sid?.whole.equals(element(TAG.sequence, ...issuerAndSerial(raw))) === true),
    "certificate of the signer",
  );
  const listed = must(inside(attributes?.whole, 0xa0), "signed attributes");
  const sorted = listed.map(({ whole }) => whole).toSorted((a, b) => Buffer.compare(a, b));
  if (!sorted.every((one, index) => one.equals(listed[index]?.whole ?? one))) throw new Error("no DER SET");
  const values = new Map(
    listed.map(({ whole }) => {
      const [id, set] = must(inside(whole), "attribute");
      return [id?.content.toString("hex") ?? "", must(inside(set?.whole, 0x31)?.[0]?.whole, "value")] as const;
    }),
  );
  const stated = values.get(hex("1.2.840.113549.1.9.4"));
  const computed = createHash(hash)
    .update(detached ?? content ?? Buffer.of())
    .digest();
  const how = must(SIGNATURES[idOf(algorithm)], "known signature algorithm");
  if (how !== (signer.publicKey.asymmetricKeyType === "rsa" ? "rsa" : hash)) throw new Error("algorithms differ");
  const signed = element(0x31, ...sorted);
  const fits = verify(hash, signed, signer.publicKey, must(signature, "signature").content);
  return {
    content,
    certificates,
    attribute: (dotted) => values.get(hex(dotted)),
    attributeTypes: [...values.keys()],
    signer,
    hash,
    verified: fits && stated?.equals(element(TAG.octetString, computed)) === true,
  };
}

/** Certificates in the order in which they stand there. */
function issuerAndSerial(certificate: Buffer): readonly Buffer[] {
  const fields = must(inside(inside(certificate)?.[0]?.whole), "certificate").filter(({ tag }) => tag !== 0xa0);
  return [must(fields[2], "issuer").whole, must(fields[0], "serial").whole];
}

export interface ReadEnvelope {
  readonly version: number;
  readonly content: "gcm" | "cbc";
  readonly recipients: readonly ReadRecipient[];
  /** Throws when the key is not that of the recipient, or authentication fails. */
  readonly decrypt: (recipient: ReadRecipient, key: KeyObject) => Buffer;
}

export interface ReadRecipient {
  readonly how: "rsa-pkcs1" | "rsa-oaep-sha256" | "ecdh";
  readonly version: number;
  readonly named: "issuer-and-serial" | "key-identifier";
  /** Of issuer and serial, or of the identifier: DER. */
  readonly name: Buffer;
  readonly encryptedKey: Buffer;
  /** Uncompressed point. */
  readonly ephemeral?: Buffer;
}

export function readEnvelope(cms: Buffer): ReadEnvelope {
  const isAuthenticated = inside(toDer(cms))?.[0]?.content.equals(oidOctets("1.2.840.113549.1.9.16.1.23")) === true;
  const type = isAuthenticated ? "1.2.840.113549.1.9.16.1.23" : "1.2.840.113549.1.7.3";
  const [version, infos, encrypted, mac] = contentOf(cms, type);
  const [, algorithm, field] = must(inside(encrypted?.whole), "encrypted content");
  const [cipher, parameters] = must(inside(algorithm?.whole), "cipher");
  const isGcm = cipher?.content.equals(oidOctets("2.16.840.1.101.3.4.1.46")) === true;
  if (!isGcm && cipher?.content.equals(oidOctets("2.16.840.1.101.3.4.1.42")) !== true) throw new Error("cipher");
  if (isGcm !== isAuthenticated) throw new Error("cipher and content type do not fit");
  const octets = Buffer.concat(must(elementsOf(field?.content), "octets").map(({ content }) => content));
  return {
    version: version?.content[0] ?? -1,
    content: isGcm ? "gcm" : "cbc",
    recipients: must(inside(infos?.whole, 0x31), "recipients").map(readRecipient),
    decrypt: (recipient, key) => {
      const contentKey = openKey(recipient, key);
      if (!isGcm) {
        const decipher = createDecipheriv("aes-256-cbc", contentKey, must(parameters, "IV").content);
        return Buffer.concat([decipher.update(octets), decipher.final()]);
      }
      const [nonce, length] = must(inside(parameters?.whole), "GCM parameters");
      const authTagLength = length?.content[0] ?? 0;
      const decipher = createDecipheriv("aes-256-gcm", contentKey, must(nonce, "nonce").content, { authTagLength });
      decipher.setAuthTag(must(mac, "mac").content);
      return Buffer.concat([decipher.update(octets), decipher.final()]);
    },
  };
}

function readRecipient({ tag, whole }: Element): ReadRecipient {
  if (tag === 0xa1) return readAgreement(whole);
  const [version, rid, algorithm, key] = must(inside(whole), "recipient");
  const byIdentifier = rid?.tag === 0x80;
  const oaep = idOf(algorithm) === hex("1.2.840.113549.1.1.7");
  if (!oaep && idOf(algorithm) !== hex("1.2.840.113549.1.1.1")) throw new Error("key transport");
  return {
    how: oaep ? "rsa-oaep-sha256" : "rsa-pkcs1",
    version: version?.content[0] ?? -1,
    named: byIdentifier ? "key-identifier" : "issuer-and-serial",
    name: byIdentifier ? rid.content : must(rid, "recipient's name").whole,
    encryptedKey: must(key, "encrypted key").content,
  };
}

function readAgreement(whole: Buffer): ReadRecipient {
  const [version, originator, algorithm, keys] = must(inside(whole, 0xa1), "key agreement");
  const [, point] = must(inside(inside(originator?.whole, 0xa0)?.[0]?.whole, 0xa1), "originator's key");
  if (idOf(algorithm) !== hex("1.3.132.1.11.1")) throw new Error("key agreement");
  const [rid, key] = must(inside(inside(keys?.whole)?.[0]?.whole), "encrypted key");
  const byIdentifier = rid?.tag === 0xa0;
  return {
    how: "ecdh",
    version: version?.content[0] ?? -1,
    named: byIdentifier ? "key-identifier" : "issuer-and-serial",
    name: byIdentifier ? must(inside(rid.whole, 0xa0)?.[0], "identifier").content : must(rid, "name").whole,
    encryptedKey: must(key, "encrypted key").content,
    ephemeral: must(point, "point").content.subarray(1),
  };
}

function openKey({ how, encryptedKey, ephemeral }: ReadRecipient, key: KeyObject): Buffer {
  if (how === "rsa-pkcs1") return privateDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, encryptedKey);
  if (how === "rsa-oaep-sha256")
    return privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }, encryptedKey);
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  const algorithm = must(inside(spki)?.[0], "algorithm").whole;
  const point = element(TAG.bitString, Buffer.of(0), must(ephemeral, "ephemeral key"));
  const publicKey = createPublicKey({ key: element(TAG.sequence, algorithm, point), format: "der", type: "spki" });
  const shared = diffieHellman({ privateKey: key, publicKey });
  // RFC 5753 §7.2, octet for octet: aes256-wrap without parameters, 256 bits.
  const info = Buffer.from("3015300b060960864801650304012da206040400000100", "hex");
  const by = createHash("sha256").update(shared).update(Buffer.from("00000001", "hex")).update(info).digest();
  const unwrap = createDecipheriv("id-aes256-wrap", by, Buffer.alloc(8, 0xa6));
  return Buffer.concat([unwrap.update(encryptedKey), unwrap.final()]);
}
