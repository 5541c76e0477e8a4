/**
 * BER made DER (ITU-T X.690 §8.1, §10.1), for PKCS#12 files that mail programs and key stores write with lengths left open and
 * octet strings in pieces. For files of the operator only; bounded in depth, and it never throws.
 */
import { element, TAG } from "../../mail/der.ts";

const DEEPEST = 32;
const CONSTRUCTED = 0x20;
const CONSTRUCTED_OCTETS = TAG.octetString | CONSTRUCTED;

/** The first element that stands there, with definite lengths and whole octet strings; undefined: it is none. */
export function toDer(ber: Buffer): Buffer | undefined {
  return elementAt(ber, 0, 0)?.der;
}

interface Read {
  readonly tag: number;
  readonly der: Buffer;
  readonly content: Buffer;
  readonly end: number;
}

function elementAt(ber: Buffer, at: number, depth: number): Read | undefined {
  const head = headAt(ber, at);
  if (head === undefined || depth > DEEPEST) return undefined;
  const { tag, start, end } = head;
  if ((tag & CONSTRUCTED) === 0) {
    if (end === undefined) return undefined;
    const content = ber.subarray(start, end);
    return { tag, der: element(tag, content), content, end };
  }
  const within = childrenFrom(ber, { start, end }, depth);
  if (within === undefined) return undefined;
  if (tag !== CONSTRUCTED_OCTETS) {
    const content = Buffer.concat(within.children.map(({ der }) => der));
    return { tag, der: element(tag, content), content, end: within.end };
  }
  if (within.children.some((piece) => piece.tag !== TAG.octetString)) return undefined;
  const content = Buffer.concat(within.children.map((piece) => piece.content));
  return { tag: TAG.octetString, der: octets(content), content, end: within.end };
}

function octets(content: Buffer): Buffer {
  return element(TAG.octetString, content);
}

/** Up to `end`, or to the two zeros that end what has no length. */
function childrenFrom(
  ber: Buffer,
  { start, end }: { readonly start: number; readonly end: number | undefined },
  depth: number,
): { readonly children: readonly Read[]; readonly end: number } | undefined {
  const children: Read[] = [];
  let at = start;
  while (end === undefined ? ber[at] !== 0 || ber[at + 1] !== 0 : at < end) {
    const child = elementAt(ber, at, depth + 1);
    if (child === undefined || (end !== undefined && child.end > end)) return undefined;
    children.push(child);
    at = child.end;
  }
  return { children, end: end ?? at + 2 };
}

/** `end` is undefined where the length is left open. */
function headAt(
  ber: Buffer,
  at: number,
): { readonly tag: number; readonly start: number; readonly end: number | undefined } | undefined {
  if (at + 2 > ber.length) return undefined;
  const tag = ber.readUInt8(at);
  const first = ber.readUInt8(at + 1);
  if ((tag & 0x1f) === 0x1f) return undefined; // tags of several octets are in none of these files
  if (first === 0x80) return { tag, start: at + 2, end: undefined };
  const sizeOctets = first < 0x80 ? 0 : first - 0x80;
  const start = at + 2 + sizeOctets;
  if (sizeOctets > 4 || start > ber.length) return undefined;
  const end = start + (sizeOctets === 0 ? first : ber.readUIntBE(at + 2, sizeOctets));
  return end > ber.length ? undefined : { tag, start, end };
}
