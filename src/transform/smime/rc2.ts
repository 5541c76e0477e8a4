/**
 * RC2 in CBC mode, to read (RFC 2268): what PKCS#12 files of Windows before 2019 and of `openssl pkcs12 -legacy` encrypt
 * certificates with, and OpenSSL no longer decrypts without its legacy provider. Protects nothing; never encrypts.
 */

/** Padding (RFC 2898 §6.1.1) is taken off; undefined when there is none. `effectiveBits` is that of the algorithm's name. */
export function decryptRc2(
  { key, effectiveBits, iv }: { readonly key: Buffer; readonly effectiveBits: number; readonly iv: Buffer },
  encrypted: Buffer,
): Buffer | undefined {
  if (encrypted.length === 0 || encrypted.length % BLOCK !== 0 || iv.length !== BLOCK) return undefined;
  const words = expandKey(key, effectiveBits);
  const text = Buffer.alloc(encrypted.length);
  let before = iv;
  for (let at = 0; at < encrypted.length; at += BLOCK) {
    const block = encrypted.subarray(at, at + BLOCK);
    decryptBlock(block, words).forEach((octet, index) => (text[at + index] = octet ^ (before[index] ?? 0)));
    before = block;
  }
  const padding = text.at(-1) ?? 0;
  const isPadded = padding >= 1 && padding <= BLOCK && text.subarray(-padding).every((octet) => octet === padding);
  return isPadded ? text.subarray(0, -padding) : undefined;
}

const BLOCK = 8;

/** 64 words of 16 bits (RFC 2268 §2). */
function expandKey(key: Buffer, effectiveBits: number): Uint16Array {
  const octets = new Uint8Array(128);
  octets.set(key);
  const at = (index: number): number => octets[index] ?? 0;
  for (let i = key.length; i < 128; i += 1) octets[i] = pi(at(i - 1) + at(i - key.length));
  const effective = Math.ceil(effectiveBits / 8);
  octets[128 - effective] = pi(at(128 - effective) & (0xff >> (8 * effective - effectiveBits)));
  for (let i = 127 - effective; i >= 0; i -= 1) octets[i] = pi(at(i + 1) ^ at(i + effective));
  return Uint16Array.from({ length: 64 }, (_, i) => at(2 * i) | (at(2 * i + 1) << 8));
}

const ROTATIONS = [1, 2, 3, 5] as const;

/** 5 mixing rounds, a mash, 6, a mash, 5: backwards (RFC 2268 §4). */
function decryptBlock(block: Buffer, words: Uint16Array): Buffer {
  const r = [0, 2, 4, 6].map((at) => block.readUInt16LE(at));
  const of = (index: number): number => r[index & 3] ?? 0;
  let next = 63;
  for (let round = 15; round >= 0; round -= 1) {
    for (let i = 3; i >= 0; i -= 1) {
      const rotation = ROTATIONS[i] ?? 0;
      const turned = ((of(i) >> rotation) | (of(i) << (16 - rotation))) & 0xffff;
      const mixed = (words[next] ?? 0) + (of(i - 1) & of(i - 2)) + (~of(i - 1) & of(i - 3));
      r[i] = (turned - mixed) & 0xffff;
      next -= 1;
    }
    if (round !== 11 && round !== 5) continue;
    for (let i = 3; i >= 0; i -= 1) r[i] = (of(i) - (words[of(i - 1) & 63] ?? 0)) & 0xffff;
  }
  const text = Buffer.alloc(BLOCK);
  r.forEach((word, index) => text.writeUInt16LE(word, 2 * index));
  return text;
}

function pi(index: number): number {
  return PI_TABLE[index & 0xff] ?? 0;
}

/** RFC 2268 §2. */
const PI_TABLE = Buffer.from(
  "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2" +
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82" +
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626" +
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7" +
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec" +
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731" +
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9" +
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad",
  "hex",
);
