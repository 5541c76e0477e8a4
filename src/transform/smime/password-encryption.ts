/**
 * What a password opens in PKCS#12 and PKCS#8: keys derived from it (PBKDF2, RFC 8018 §5.2; the older way of RFC 7292
 * appendix B), and what they decrypt. For files of the operator only. Bounds the rounds that a file may ask for.
 */
import { createDecipheriv, createHmac, hash, pbkdf2Sync } from "node:crypto";
import { elementsOf, inside, oidOctets, TAG } from "../../mail/der.ts";
import { decryptRc2 } from "./rc2.ts";

export type Opened = { readonly text: Buffer } | { readonly not: "decrypted" | "supported" };

/** `algorithm`: AlgorithmIdentifier. `decrypted` fails when the password is wrong, mostly. */
export function decryptByPassword(algorithm: Buffer, encrypted: Buffer, password: string): Opened {
  const cipher = cipherFor(algorithm, password);
  if (cipher === undefined) return { not: "supported" };
  const text = cipher(encrypted);
  return text === undefined ? { not: "decrypted" } : { text };
}

type Decrypt = (encrypted: Buffer) => Buffer | undefined;

const hex = (dotted: string): string => oidOctets(dotted).toString("hex");
const byOid = <T>(entries: Readonly<Record<string, T>>): ReadonlyMap<string, T> =>
  new Map(Object.entries(entries).map(([dotted, value]) => [hex(dotted), value]));

const PBES2 = hex("1.2.840.113549.1.5.13");
const PBKDF2 = hex("1.2.840.113549.1.5.12");
const PBMAC1 = hex("1.2.840.113549.1.5.14");
/** RFC 8018 appendix B.1.2 */
const HMAC = byOid({
  "1.2.840.113549.2.7": "sha1",
  "1.2.840.113549.2.9": "sha256",
  "1.2.840.113549.2.10": "sha384",
  "1.2.840.113549.2.11": "sha512",
});
const CIPHERS = byOid({
  "1.2.840.113549.3.7": { name: "des-ede3-cbc", keyLength: 24 },
  "2.16.840.1.101.3.4.1.2": { name: "aes-128-cbc", keyLength: 16 },
  "2.16.840.1.101.3.4.1.22": { name: "aes-192-cbc", keyLength: 24 },
  "2.16.840.1.101.3.4.1.42": { name: "aes-256-cbc", keyLength: 32 },
});
/** RFC 7292 appendix C; RC4 is in none of the files met. */
const OLD_CIPHERS = byOid({
  "1.2.840.113549.1.12.1.3": { name: "des-ede3", keyLength: 24 },
  "1.2.840.113549.1.12.1.4": { name: "des-ede", keyLength: 16 },
  "1.2.840.113549.1.12.1.5": { name: "rc2", keyLength: 16 },
  "1.2.840.113549.1.12.1.6": { name: "rc2", keyLength: 5 },
} as const);
const HASHES = byOid({
  "1.3.14.3.2.26": { name: "sha1", block: 64 },
  "2.16.840.1.101.3.4.2.1": { name: "sha256", block: 64 },
  "2.16.840.1.101.3.4.2.2": { name: "sha384", block: 128 },
  "2.16.840.1.101.3.4.2.3": { name: "sha512", block: 128 },
});
/** Ten times what Firefox and NSS ask for; some seconds. */
const MOST_ROUNDS = 6_000_000;

function cipherFor(algorithm: Buffer, password: string): Decrypt | undefined {
  const [id, parameters] = inside(algorithm) ?? [];
  const oid = id?.content.toString("hex") ?? "";
  if (oid === PBES2) return newCipher(parameters?.whole, password);
  const old = OLD_CIPHERS.get(oid);
  const [salt, roundsField] = inside(parameters?.whole) ?? [];
  const rounds = numberOf(roundsField?.content);
  if (old === undefined || salt === undefined || rounds === undefined) return undefined;
  const derive = (purpose: number, length: number): Buffer =>
    deriveOldWay({ hash: SHA1, purpose, length, rounds, salt: salt.content, password });
  const [key, iv] = [derive(1, old.keyLength), derive(2, 8)];
  if (old.name === "rc2") return (encrypted) => decryptRc2({ key, effectiveBits: 8 * old.keyLength, iv }, encrypted);
  // With two keys the first is the third, too.
  return decipher("des-ede3-cbc", old.name === "des-ede" ? Buffer.concat([key, key.subarray(0, 8)]) : key, iv);
}

function newCipher(parameters: Buffer | undefined, password: string): Decrypt | undefined {
  const [derivation, encryption] = inside(parameters) ?? [];
  const [id, iv] = inside(encryption?.whole) ?? [];
  const cipher = CIPHERS.get(id?.content.toString("hex") ?? "");
  const key = cipher && pbkdf2(derivation?.whole, cipher.keyLength, password);
  if (cipher === undefined || key === undefined || iv?.tag !== TAG.octetString) return undefined;
  return decipher(cipher.name, key, iv.content);
}

/** `SEQUENCE { PBKDF2, SEQUENCE { salt, rounds, keyLength OPTIONAL, prf DEFAULT HMAC with SHA-1 } }` */
function pbkdf2(derivation: Buffer | undefined, length: number, password: string): Buffer | undefined {
  const [id, parameters] = inside(derivation) ?? [];
  const [salt, roundsField, ...rest] = inside(parameters?.whole) ?? [];
  const rounds = numberOf(roundsField?.content);
  const prf = rest.find(({ tag }) => tag === TAG.sequence);
  const digest = prf === undefined ? "sha1" : HMAC.get(inside(prf.whole)?.[0]?.content.toString("hex") ?? "");
  if (id?.content.toString("hex") !== PBKDF2 || salt?.tag !== TAG.octetString) return undefined;
  if (rounds === undefined || digest === undefined) return undefined;
  return pbkdf2Sync(password, salt.content, rounds, length, digest);
}

/** The edge at which OpenSSL's word on padding ends. */
function decipher(name: string, key: Buffer, iv: Buffer): Decrypt {
  return (encrypted) => {
    try {
      const cipher = createDecipheriv(name, key, iv);
      return Buffer.concat([cipher.update(encrypted), cipher.final()]);
    } catch {
      return undefined;
    }
  };
}

export type MacVerdict = "fits" | "differs" | "unsupported";

/** MacData of PKCS#12 over `content` (RFC 7292 §5.1, RFC 9579). `password` undefined: none, which is not the empty one. */
export function judgeMac(macData: Buffer, content: Buffer, password: string | undefined): MacVerdict {
  const [digestInfo, salt, roundsField] = inside(macData) ?? [];
  const [algorithm, digest] = inside(digestInfo?.whole) ?? [];
  const [id, parameters] = elementsOf(algorithm?.content) ?? [];
  const oid = id?.content.toString("hex") ?? "";
  const rounds = roundsField === undefined ? 1 : numberOf(roundsField.content);
  if (digest === undefined || salt === undefined || rounds === undefined) return "unsupported";
  const mac =
    oid === PBMAC1
      ? newMac(parameters?.whole, password ?? "")
      : oldMac(HASHES.get(oid), { salt: salt.content, rounds, password });
  if (mac === undefined) return "unsupported";
  return createHmac(mac.hash, mac.key).update(content).digest().equals(digest.content) ? "fits" : "differs";
}

function newMac(parameters: Buffer | undefined, password: string): { hash: string; key: Buffer } | undefined {
  const [derivation, scheme] = inside(parameters) ?? [];
  const name = HMAC.get(inside(scheme?.whole)?.[0]?.content.toString("hex") ?? "");
  // Its key is as long as the file says (RFC 9579 §5).
  const length = numberOf(inside(inside(derivation?.whole)?.[1]?.whole)?.[2]?.content);
  const key = length === undefined || length > 64 ? undefined : pbkdf2(derivation?.whole, length, password);
  return name === undefined || key === undefined ? undefined : { hash: name, key };
}

type Digest = { readonly name: string; readonly block: number };

function oldMac(
  digest: Digest | undefined,
  by: { salt: Buffer; rounds: number; password: string | undefined },
): { hash: string; key: Buffer } | undefined {
  if (digest === undefined) return undefined;
  const length = hash(digest.name, "", "buffer").length;
  return { hash: digest.name, key: deriveOldWay({ hash: digest, purpose: 3, length, ...by }) };
}

const SHA1: Digest = { name: "sha1", block: 64 };

/** RFC 7292 appendix B.2. `purpose`: 1 key, 2 initialisation vector, 3 MAC. */
function deriveOldWay(asked: {
  readonly hash: Digest;
  readonly purpose: number;
  readonly length: number;
  readonly rounds: number;
  readonly salt: Buffer;
  readonly password: string | undefined;
}): Buffer {
  const { name, block } = asked.hash;
  const fill = (octets: Buffer): Buffer =>
    octets.length === 0 ? octets : Buffer.alloc(block * Math.ceil(octets.length / block), octets);
  const purpose = Buffer.alloc(block, asked.purpose);
  const input = Buffer.concat([fill(asked.salt), fill(bmpString(asked.password))]);
  const derived: Buffer[] = [];
  for (let length = 0; length < asked.length; ) {
    let digest = Buffer.concat([purpose, input]);
    for (let round = 0; round < asked.rounds; round += 1) digest = hash(name, digest, "buffer");
    derived.push(digest);
    length += digest.length;
    const addend = Buffer.alloc(block, digest);
    for (let at = 0; at < input.length; at += block) addOne(input.subarray(at, at + block), addend);
  }
  return Buffer.concat(derived).subarray(0, asked.length);
}

/** number := number + addend + 1, big endian, what overflows is dropped. */
function addOne(number: Buffer, addend: Buffer): void {
  let carry = 1;
  for (let at = number.length - 1; at >= 0; at -= 1) {
    const sum = (number[at] ?? 0) + (addend[at] ?? 0) + carry;
    number[at] = sum & 0xff;
    carry = sum >> 8;
  }
}

/** With its two zeros at the end (RFC 7292 appendix B.1). */
function bmpString(password: string | undefined): Buffer {
  return password === undefined ? Buffer.alloc(0) : Buffer.from(`${password}\0`, "utf16le").swap16();
}

/** A positive INTEGER up to the most rounds. */
function numberOf(content: Buffer | undefined): number | undefined {
  if (content === undefined || content.length === 0 || content.length > 4) return undefined;
  const number = content.readIntBE(0, content.length);
  return number >= 1 && number <= MOST_ROUNDS ? number : undefined;
}
