/** Whether octets that stream by are valid UTF-8 (RFC 3629). Keeps three octets at most. */
import { isUtf8 } from "node:buffer";

export class Utf8Check {
  #valid = true;
  #rest = Buffer.alloc(0);

  push(octets: Buffer): void {
    if (!this.#valid) return;
    const data = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets]);
    const whole = data.length - openOctets(data);
    this.#valid = isUtf8(data.subarray(0, whole));
    this.#rest = Buffer.from(data.subarray(whole));
  }

  isValid(): boolean {
    return this.#valid && this.#rest.length === 0;
  }
}

/** How many octets at the end begin a character that is not complete. */
function openOctets(data: Buffer): number {
  for (let back = 1; back <= Math.min(3, data.length); back++) {
    const octet = data[data.length - back] ?? 0;
    if (octet < 0x80) return 0;
    if (octet >= 0xc0) return (octet >= 0xf0 ? 4 : octet >= 0xe0 ? 3 : 2) > back ? back : 0;
  }
  return 0;
}
