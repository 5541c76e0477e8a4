/**
 * Decodes base64 as it streams by, and takes nothing else: readers skip foreign characters (RFC 2045 §6.8), which is
 * where clear text would hide. Blanks and line ends may stand anywhere, padding only at the end.
 */
const FOREIGN = 0;
const DIGIT = 1;
const PADDING = 2;
const BLANK = 3;
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const KIND = Uint8Array.from({ length: 256 }, (_, octet) => {
  const character = String.fromCharCode(octet);
  if (DIGITS.includes(character)) return DIGIT;
  if (character === "=") return PADDING;
  return " \t\r\n".includes(character) ? BLANK : FOREIGN;
});

export class StrictBase64 {
  #rest = Buffer.alloc(0);
  #padding = 0;

  /** Undefined: it is not base64. */
  push(octets: Buffer): Buffer | undefined {
    const digits = Buffer.allocUnsafe(this.#rest.length + octets.length);
    let length = this.#rest.copy(digits);
    for (const octet of octets) {
      const kind = KIND[octet];
      if (kind === FOREIGN || (kind === DIGIT && this.#padding > 0)) return undefined;
      if (kind === DIGIT) digits[length++] = octet;
      else if (kind === PADDING) this.#padding++;
    }
    const whole = length - (length % 4);
    this.#rest = Buffer.from(digits.subarray(whole, length));
    return Buffer.from(digits.toString("latin1", 0, whole), "base64");
  }

  /** The last octets; undefined where its padding is not right. */
  end(): Buffer | undefined {
    const left = this.#rest.length;
    if (this.#padding !== (left === 0 ? 0 : 4 - left) || left === 1) return undefined;
    return Buffer.from(this.#rest.toString("latin1"), "base64");
  }
}
