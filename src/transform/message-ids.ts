/**
 * Message-IDs for outside (RFC 5322 §3.6.4): the inner one encrypted, so that replies can be mapped back without any
 * store. Deterministic, since threads hold together by equal ids; authenticated, so that nothing foreign is ever taken
 * for one of ours. Synthetic IV as in RFC 5297, of HMAC-SHA256 and AES-256-CTR.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

/** Ids with their angle brackets; octets as latin1. */
export interface MessageIds {
  /** The id as others see it. The same again for one that is already such. */
  readonly outward: (id: string) => string;
  /** The inner id; undefined for others' and for those that were too long. */
  readonly inward: (id: string) => string | undefined;
}

const REVERSIBLE = "sp1.";
const ONE_WAY = "sp0.";
const IV_BYTES = 16;
/** Octets without brackets that still fit a line of 998 with prefix, domain and field name. */
const LONGEST = 400;

/** `key`: 32 octets. `domain`: the right side of all ids, a public name of ours. */
export function createMessageIds(key: Buffer, domain: string): MessageIds {
  const keys = { mac: subkey(key, "mac"), cipher: subkey(key, "cipher"), digest: subkey(key, "digest") };
  const inward = (id: string): string | undefined => {
    const sealed = sealedPart(id, REVERSIBLE);
    const plain = sealed && unseal(keys, sealed);
    return plain && `<${plain.toString("latin1")}>`;
  };
  return {
    inward,
    outward: (id) => {
      if (inward(id) !== undefined || isDigest(keys, id)) return id;
      const plain = Buffer.from(id.replace(/^<|>$/g, ""), "latin1");
      const local =
        plain.length > LONGEST
          ? `${ONE_WAY}${base32(digest(keys, plain))}`
          : `${REVERSIBLE}${base32(seal(keys, plain))}`;
      return `<${local}@${domain}>`;
    },
  };
}

interface Keys {
  readonly mac: Buffer;
  readonly cipher: Buffer;
  readonly digest: Buffer;
}

function subkey(key: Buffer, use: string): Buffer {
  return Buffer.from(hkdfSync("sha256", key, "", `sealpost message-id ${use}`, 32));
}

function hmac(key: Buffer, content: Buffer): Buffer {
  return createHmac("sha256", key).update(content).digest();
}

function seal({ mac, cipher }: Keys, plain: Buffer): Buffer {
  const iv = hmac(mac, plain).subarray(0, IV_BYTES);
  return Buffer.concat([iv, createCipheriv("aes-256-ctr", cipher, iv).update(plain)]);
}

function unseal({ mac, cipher }: Keys, sealed: Buffer): Buffer | undefined {
  if (sealed.length <= IV_BYTES) return undefined;
  const iv = sealed.subarray(0, IV_BYTES);
  const plain = createDecipheriv("aes-256-ctr", cipher, iv).update(sealed.subarray(IV_BYTES));
  return timingSafeEqual(hmac(mac, plain).subarray(0, IV_BYTES), iv) ? plain : undefined;
}

/** What is too long is hashed with the key: no way back, but threads still hold. The second half vouches for the first. */
function digest(keys: Keys, plain: Buffer): Buffer {
  const name = hmac(keys.digest, plain).subarray(0, IV_BYTES);
  return Buffer.concat([name, voucher(keys, name)]);
}

function isDigest(keys: Keys, id: string): boolean {
  const sealed = sealedPart(id, ONE_WAY);
  if (sealed?.length !== 2 * IV_BYTES) return false;
  return timingSafeEqual(voucher(keys, sealed.subarray(0, IV_BYTES)), sealed.subarray(IV_BYTES));
}

function voucher(keys: Keys, name: Buffer): Buffer {
  return hmac(keys.digest, Buffer.concat([Buffer.from("voucher"), name])).subarray(0, IV_BYTES);
}

/** The octets between prefix and `@`, whatever the domain, which may have changed since. */
function sealedPart(id: string, prefix: string): Buffer | undefined {
  const local = /^<?([a-z0-9.]+)@/i.exec(id)?.[1]?.toLowerCase(); // there are servers that change the case
  return local?.startsWith(prefix) === true ? fromBase32(local.slice(prefix.length)) : undefined;
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** RFC 4648 §6, lower case, without padding: letters of one case survive where case does not. */
function base32(octets: Buffer): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const octet of octets) {
    held = (held << 8) | octet;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET.charAt((held >> (bits - 5)) & 31);
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + ALPHABET.charAt((held << (5 - bits)) & 31);
}

/** Undefined for what `base32` would not have written, so that one id has one form. */
function fromBase32(text: string): Buffer | undefined {
  const octets: number[] = [];
  let bits = 0;
  let held = 0;
  for (const character of text) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return undefined;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      octets.push(held >> bits);
      held &= (1 << bits) - 1;
    }
  }
  const decoded = Buffer.from(octets);
  return base32(decoded) === text ? decoded : undefined;
}
