/**
 * Base64 in lines of 76 characters with CRLF as octets stream by (RFC 2045 §6.8). A piece never ends in a line end, so that
 * the caller decides whether the last line has one.
 */
import type { Encoder } from "./quoted-printable.ts";

const WIDTH = 76;
/** Octets in a full line. */
const LINE = 57;
const CR = 13;
const LF = 10;
const CRLF = Buffer.from("\r\n");

export function createBase64(): Encoder {
  const folding = new Folding();
  let rest = Buffer.alloc(0);
  return {
    push: (octets) => {
      const data = rest.length === 0 ? octets : Buffer.concat([rest, octets]);
      const whole = data.length - (data.length % LINE);
      rest = Buffer.from(data.subarray(whole));
      return folding.fold(Buffer.from(data.toString("base64", 0, whole), "latin1"));
    },
    end: () => folding.fold(Buffer.from(rest.toString("base64"), "latin1")),
  };
}

/** Folds anew what is base64 already, and leaves out what is not of its alphabet (RFC 2045 §6.8). */
export function foldBase64(): Encoder {
  const folding = new Folding();
  return {
    push: (octets) => {
      const kept = Buffer.allocUnsafe(octets.length);
      let length = 0;
      for (const octet of octets) if (ALPHABET[octet] === 1) kept[length++] = octet;
      return folding.fold(kept.subarray(0, length));
    },
    end: () => Buffer.alloc(0),
  };
}

/** The same as a stream, with a line end at its end. */
export async function* base64Lines(content: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const encoder = createBase64();
  for await (const chunk of content) {
    const lines = encoder.push(chunk);
    if (lines.length > 0) yield lines;
  }
  yield Buffer.concat([encoder.end(), CRLF]);
}

const CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
/** 1 at the octets of the alphabet. */
const ALPHABET = Uint8Array.from({ length: 256 }, (_, octet) =>
  CHARACTERS.includes(String.fromCharCode(octet)) ? 1 : 0,
);

class Folding {
  #column = 0;

  fold(characters: Buffer): Buffer {
    const folded = Buffer.allocUnsafe(characters.length + 2 * Math.ceil(characters.length / WIDTH) + 2);
    let length = 0;
    for (let at = 0; at < characters.length; ) {
      if (this.#column === WIDTH) {
        folded[length++] = CR;
        folded[length++] = LF;
        this.#column = 0;
      }
      const end = Math.min(characters.length, at + WIDTH - this.#column);
      length += characters.copy(folded, length, at, end);
      this.#column += end - at;
      at = end;
    }
    return folded.subarray(0, length);
  }
}
