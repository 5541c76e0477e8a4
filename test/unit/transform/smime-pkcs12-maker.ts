/** PKCS#12 files as OpenSSL writes none: several keys, safes within safes, PBMAC1, and lengths left open (RFC 7292). */
import { createHmac, pbkdf2Sync } from "node:crypto";
import { element, type Element, elementsOf, TAG } from "../../../src/mail/der.ts";
import { type Held, oid, seq } from "../../peers/mail-authority.ts";

export interface Pkcs12Parts {
  readonly keys?: readonly Held[];
  readonly certificates?: readonly Held[];
  /** Of the MAC; absent: there is none. */
  readonly password?: string;
  readonly rounds?: number;
  /** So many safes around the bags. */
  readonly nested?: number;
}

const explicit = (content: Buffer): Buffer => element(0xa0, content);
const octets = (content: Buffer): Buffer => element(TAG.octetString, content);
const data = (content: Buffer): Buffer => seq(oid("1.2.840.113549.1.7.1"), explicit(octets(content)));
const bag = (last: number, value: Buffer): Buffer => seq(oid(`1.2.840.113549.1.12.10.1.${last}`), explicit(value));

export function pkcs12({ keys = [], certificates = [], password, rounds = 2, nested = 0 }: Pkcs12Parts): Buffer {
  const bags = [
    ...certificates.map(({ der }) => bag(3, seq(oid("1.2.840.113549.1.9.22.1"), explicit(octets(der))))),
    ...keys.map(({ key }) => bag(1, key.export({ type: "pkcs8", format: "der" }))),
  ];
  const wrapped = Array.from({ length: nested }).reduce<Buffer>((inner) => seq(bag(6, inner)), seq(...bags));
  const safes = seq(data(wrapped));
  const macData = password === undefined ? [] : [pbmac1(safes, password, rounds)];
  return seq(element(TAG.integer, Buffer.of(3)), data(safes), ...macData);
}

/** RFC 9579 §4 */
function pbmac1(content: Buffer, password: string, rounds: number): Buffer {
  const salt = Buffer.alloc(8, 1);
  const count = Buffer.alloc(4);
  count.writeInt32BE(rounds);
  const hmac = seq(oid("1.2.840.113549.2.9"), element(TAG.null));
  const parameters = seq(octets(salt), element(TAG.integer, count), element(TAG.integer, Buffer.of(32)), hmac);
  const algorithm = seq(oid("1.2.840.113549.1.5.14"), seq(seq(oid("1.2.840.113549.1.5.12"), parameters), hmac));
  const key = pbkdf2Sync(password, salt, Math.min(rounds, 1_000), 32, "sha256");
  const mac = createHmac("sha256", key).update(content).digest();
  return seq(seq(algorithm, octets(mac)), octets(Buffer.from("NOT USED")), element(TAG.integer, Buffer.of(1)));
}

const END = Buffer.alloc(2);

/** The same with lengths left open and octet strings in pieces, as NSS and key stores write it (ITU-T X.690 §8.1.3.6). */
export function inBer(der: Buffer): Buffer {
  return Buffer.concat((elementsOf(der) ?? []).map(oneInBer));
}

function oneInBer({ tag, content, whole }: Element): Buffer {
  if (tag === TAG.octetString) {
    const half = content.length >> 1;
    const pieces = [octets(content.subarray(0, half)), octets(content.subarray(half))];
    return Buffer.concat([Buffer.of(0x24, 0x80), ...pieces, END]);
  }
  return (tag & 0x20) === 0 ? whole : Buffer.concat([Buffer.of(tag, 0x80), inBer(content), END]);
}
