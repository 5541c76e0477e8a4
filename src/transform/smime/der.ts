/**
 * What CMS is written with: small DER structures, held whole, and the BER frames that a message of any size streams
 * through (ITU-T X.690 §8.1.3.6, RFC 5652 §5.2). Message octets pass by in segments and are never held.
 */
import { element, oidOctets, TAG } from "../../mail/der.ts";

export function sequence(...parts: readonly Buffer[]): Buffer {
  return element(TAG.sequence, ...parts);
}

/** SET OF in the one order that DER permits (ITU-T X.690 §11.6). */
export function setOf(...parts: readonly Buffer[]): Buffer {
  return element(TAG_SET, ...sorted(parts));
}

function sorted(parts: readonly Buffer[]): Buffer[] {
  return parts.toSorted((a, b) => Buffer.compare(a, b));
}

/** The same under `[number]` instead of the tag of SET. */
export function implicitSetOf(number: number, parts: readonly Buffer[]): Buffer {
  return context(number, ...sorted(parts));
}

/** `[number]`, constructed: EXPLICIT around one element, or IMPLICIT in place of a SEQUENCE. */
export function context(number: number, ...parts: readonly Buffer[]): Buffer {
  return element(CONTEXT | CONSTRUCTED | number, ...parts);
}

/** `[number] IMPLICIT` in place of a primitive type. */
export function contextPrimitive(number: number, content: Buffer): Buffer {
  return element(CONTEXT | number, content);
}

export function oid(dotted: string): Buffer {
  return element(TAG.oid, oidOctets(dotted));
}

/** 0 to 127. */
export function smallInteger(value: number): Buffer {
  return element(TAG.integer, Buffer.of(value));
}

export function octetString(content: Buffer): Buffer {
  return element(TAG.octetString, content);
}

/** Whole octets. */
export function bitString(content: Buffer): Buffer {
  return element(TAG.bitString, Buffer.of(0), content);
}

export const NULL = element(TAG.null);

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5652 §11.3). `at`: epoch ms. */
export function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/[-:T]|\.\d+/g, "");
  return digits < "2050"
    ? element(TAG.utcTime, Buffer.from(digits.slice(2), "latin1"))
    : element(TAG.generalizedTime, Buffer.from(digits, "latin1"));
}

/** First octets of a frame of unknown length; `END` closes it. */
export const OPEN = {
  sequence: Buffer.of(0x30, 0x80),
  octetString: Buffer.of(0x24, 0x80),
  context0: Buffer.of(0xa0, 0x80),
} as const;

/** As many frames end as are given. */
export function end(frames: number): Buffer {
  return Buffer.alloc(2 * frames);
}

const TAG_SET = 0x31;
const CONTEXT = 0x80;
const CONSTRUCTED = 0x20;
/** Octets of message in a segment: what a reader must hold at once. */
const SEGMENT = 16 * 1024;

/** OCTET STRINGs of one size but for the last, however the content was cut; each in memory of its own. */
export async function* segments(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let segment = openSegment();
  let filled = SEGMENT_HEAD.length;
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length; ) {
      const length = chunk.copy(segment, filled, at);
      at += length;
      filled += length;
      if (filled < segment.length) continue;
      yield segment;
      segment = openSegment();
      filled = SEGMENT_HEAD.length;
    }
  }
  if (filled > SEGMENT_HEAD.length) yield octetString(segment.subarray(SEGMENT_HEAD.length, filled));
}

const SEGMENT_HEAD = Buffer.of(TAG.octetString, 0x82, SEGMENT >> 8, SEGMENT & 0xff);

function openSegment(): Buffer {
  const segment = Buffer.allocUnsafeSlow(SEGMENT_HEAD.length + SEGMENT);
  SEGMENT_HEAD.copy(segment);
  return segment;
}
