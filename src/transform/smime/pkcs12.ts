/**
 * Certificates and private keys of a PKCS#12 file (RFC 7292), old and new encryption alike, as mail programs, Windows, Java
 * and OpenSSL write them. Own code: OpenSSL 3 refuses the old ciphers, and others take seconds for files of Firefox.
 */
import { type Element, inside, oidOctets, TAG } from "../../mail/der.ts";
import { toDer } from "./ber.ts";
import { decryptByPassword, judgeMac } from "./password-encryption.ts";

export interface Pkcs12 {
  /** DER. */
  readonly certificates: readonly Buffer[];
  /** DER of PrivateKeyInfo (PKCS#8). */
  readonly keys: readonly Buffer[];
}

export type Pkcs12Problem = "not-pkcs12" | "wrong-password" | "unsupported";

/** `password` undefined: none is known; files that were written with none or with the empty one open. */
export function openPkcs12(file: Buffer, password: string | undefined): Pkcs12 | Pkcs12Problem {
  const [version, authSafe, macData] = inside(toDer(file)) ?? [];
  if (version?.tag !== TAG.integer || authSafe === undefined) return "not-pkcs12";
  const content = dataOf(authSafe);
  if (content === undefined) return typeOf(authSafe) === SIGNED_DATA ? "unsupported" : "not-pkcs12";
  const mac = macData === undefined ? "fits" : checkMac(macData.whole, content, password);
  if (mac !== "fits") return mac === "differs" ? "wrong-password" : "unsupported";
  const safes = inside(toDer(content));
  if (safes === undefined) return "not-pkcs12";
  const found: Found = { certificates: [], keys: [], password: password ?? "" };
  for (const safe of safes) {
    const problem = openSafe(safe, found);
    if (problem !== undefined) return problem;
  }
  return found;
}

interface Found {
  readonly certificates: Buffer[];
  readonly keys: Buffer[];
  readonly password: string;
}

const hex = (dotted: string): string => oidOctets(dotted).toString("hex");
const DATA = hex("1.2.840.113549.1.7.1");
const SIGNED_DATA = hex("1.2.840.113549.1.7.2");
const ENCRYPTED_DATA = hex("1.2.840.113549.1.7.6");
const X509_CERTIFICATE = hex("1.2.840.113549.1.9.22.1");
const BAG = {
  key: hex("1.2.840.113549.1.12.10.1.1"),
  encryptedKey: hex("1.2.840.113549.1.12.10.1.2"),
  certificate: hex("1.2.840.113549.1.12.10.1.3"),
  safe: hex("1.2.840.113549.1.12.10.1.6"),
} as const;
/** Safes within safes. */
const DEEPEST = 4;

/** Without a password a file may have been written with the empty one, or with none: they differ. */
function checkMac(macData: Buffer, content: Buffer, password: string | undefined): ReturnType<typeof judgeMac> {
  const verdict = judgeMac(macData, content, password ?? "");
  return password === undefined && verdict === "differs" ? judgeMac(macData, content, undefined) : verdict;
}

function typeOf(contentInfo: Element): string | undefined {
  return inside(contentInfo.whole)?.[0]?.content.toString("hex");
}

/** What is under the [0] of a ContentInfo. */
function contentOf(contentInfo: Element): Element | undefined {
  return inside(inside(contentInfo.whole)?.[1]?.whole, 0xa0)?.[0];
}

function dataOf(contentInfo: Element): Buffer | undefined {
  const content = typeOf(contentInfo) === DATA ? contentOf(contentInfo) : undefined;
  return content?.tag === TAG.octetString ? content.content : undefined;
}

function openSafe(contentInfo: Element, found: Found): Pkcs12Problem | undefined {
  const data = dataOf(contentInfo);
  if (data !== undefined) return readBags(data, found, 0);
  if (typeOf(contentInfo) !== ENCRYPTED_DATA) return "unsupported";
  const [, encryptedContent] = inside(contentOf(contentInfo)?.whole) ?? [];
  const [, algorithm, encrypted] = inside(encryptedContent?.whole) ?? [];
  if (algorithm === undefined || encrypted === undefined) return "not-pkcs12";
  const opened = decryptByPassword(algorithm.whole, wholeOf(encrypted), found.password);
  if ("not" in opened) return opened.not === "supported" ? "unsupported" : "wrong-password";
  // One wrong password in some 256 leaves what looks like padding.
  return inside(toDer(opened.text)) === undefined ? "wrong-password" : readBags(opened.text, found, 0);
}

/** [0] IMPLICIT OCTET STRING, which may have been written in pieces. */
function wholeOf(encrypted: Element): Buffer {
  if (encrypted.tag === 0x80) return encrypted.content;
  return Buffer.concat((inside(encrypted.whole, 0xa0) ?? []).map(({ content }) => content));
}

function readBags(safe: Buffer, found: Found, depth: number): Pkcs12Problem | undefined {
  const bags = inside(toDer(safe));
  if (bags === undefined || depth > DEEPEST) return "not-pkcs12";
  for (const { whole } of bags) {
    const [id, field] = inside(whole) ?? [];
    const value = inside(field?.whole, 0xa0)?.[0];
    if (id === undefined || value === undefined) return "not-pkcs12";
    const problem = readBag(id.content.toString("hex"), value, found, depth);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Lists and secrets are passed over. */
function readBag(id: string, value: Element, found: Found, depth: number): Pkcs12Problem | undefined {
  if (id === BAG.safe) return readBags(value.whole, found, depth + 1);
  if (id === BAG.key) found.keys.push(value.whole);
  if (id === BAG.certificate) {
    const [type, field] = inside(value.whole) ?? [];
    const octets = inside(field?.whole, 0xa0)?.[0];
    if (type?.content.toString("hex") === X509_CERTIFICATE && octets !== undefined)
      found.certificates.push(octets.content);
  }
  if (id !== BAG.encryptedKey) return undefined;
  const [algorithm, encrypted] = inside(value.whole) ?? [];
  if (algorithm === undefined || encrypted === undefined) return "not-pkcs12";
  const opened = decryptByPassword(algorithm.whole, encrypted.content, found.password);
  if ("not" in opened) return opened.not === "supported" ? "unsupported" : "wrong-password";
  if (inside(opened.text) === undefined) return "wrong-password";
  found.keys.push(opened.text);
  return undefined;
}
