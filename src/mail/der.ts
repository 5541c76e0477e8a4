/**
 * DER (ITU-T X.690) as far as OCSP and revocation lists need it: elements read in place, without copies, and small
 * ones written. What cannot be read is undefined; it never throws and never reads past the end.
 */

export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag and length included. */
  readonly whole: Buffer;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** The element that begins at `at`. */
export function elementAt(der: Buffer, at: number): Element | undefined {
  if (at + 2 > der.length) return undefined;
  const first = der.readUInt8(at + 1);
  const sizeOctets = first < 0x80 ? 0 : first - 0x80;
  const start = at + 2 + sizeOctets;
  if (first === 0x80 || sizeOctets > 4 || start > der.length) return undefined; // no indefinite lengths in DER
  const end = start + (sizeOctets === 0 ? first : der.readUIntBE(at + 2, sizeOctets));
  if (end > der.length) return undefined;
  return { tag: der.readUInt8(at), content: der.subarray(start, end), whole: der.subarray(at, end) };
}

/** All that follow each other; undefined when one of them is cut short. */
export function elementsOf(der: Buffer | undefined): readonly Element[] | undefined {
  if (der === undefined) return undefined;
  const found: Element[] = [];
  for (let at = 0; at < der.length; ) {
    const element = elementAt(der, at);
    if (element === undefined) return undefined;
    found.push(element);
    at += element.whole.length;
  }
  return found;
}

/** What is within the one element that stands there and nothing else. */
export function inside(der: Buffer | undefined, tag: number = TAG.sequence): readonly Element[] | undefined {
  const found = der && elementAt(der, 0);
  return found?.tag === tag && found.whole.length === der?.length ? elementsOf(found.content) : undefined;
}

/** UTCTime or GeneralizedTime in the one form that RFC 5280 §4.1.2.5 permits; epoch ms. */
export function timeOf(element: Element | undefined): number | undefined {
  if (element === undefined || (element.tag !== TAG.utcTime && element.tag !== TAG.generalizedTime)) return undefined;
  const text = element.content.toString("latin1");
  const short = element.tag === TAG.utcTime;
  if (!(short ? /^\d{12}Z$/ : /^\d{14}Z$/).test(text)) return undefined;
  const full = short ? (text < "5" ? "20" : "19") + text : text;
  const [year, month, day, hour, minute, second] = [0, 4, 6, 8, 10, 12].map((at) =>
    Number(full.slice(at, at === 0 ? 4 : at + 2)),
  ) as [number, number, number, number, number, number];
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

export function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const octets: number[] = [];
  for (let left = content.length; left > 0; left >>>= 8) octets.unshift(left & 0xff);
  const size = content.length < 0x80 ? [content.length] : [0x80 + octets.length, ...octets];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

/** Octets of dotted object identifiers in hex, as `Element.content` holds them. */
export function oidOctets(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const octets = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    octets.push(...groups);
  }
  return Buffer.from(octets);
}
