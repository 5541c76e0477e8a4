/**
 * A body in DKIM's simple form (RFC 6376 §3.4.3), while it passes: it ends with exactly one line end. We do not sign so,
 * but others do. Memory is constant and time linear.
 */

/** Gets the octets of the form; it must have used them when it returns. */
export type Sink = (octets: Buffer) => void;

export interface Canonicaliser {
  /** `chunk` may be reused by its maker afterwards. */
  readonly update: (chunk: Buffer) => void;
  readonly end: () => void;
}

const [LF, CR] = [0x0a, 0x0d];
const MANY = 4096;
const LINE_ENDS = Buffer.from("\r\n".repeat(MANY));
const LONE_CR = Buffer.from("\r");
const LONE_LF = Buffer.from("\n");

export function giveLineEnds(count: number, sink: Sink): void {
  for (let left = count; left > 0; left -= MANY) sink(LINE_ENDS.subarray(0, 2 * Math.min(left, MANY)));
}

export class SimpleBody implements Canonicaliser {
  readonly #sink: Sink;
  /** Line ends that count once something follows them. */
  #lines = 0;
  /** A CR whose LF may be in the next chunk. */
  #cr = false;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  update(chunk: Buffer): void {
    let start = 0;
    for (; start < chunk.length && (chunk[start] === CR || chunk[start] === LF); start += 1) this.#count(chunk[start]);
    if (start === chunk.length) return;
    this.#flush();
    let end = chunk.length;
    while (chunk[end - 1] === CR || chunk[end - 1] === LF) end -= 1;
    this.#sink(chunk.subarray(start, end));
    for (let at = end; at < chunk.length; at += 1) this.#count(chunk[at]);
  }

  end(): void {
    if (this.#cr) this.#flush();
    giveLineEnds(1, this.#sink); // an empty body has one, too
  }

  #count(octet: number | undefined): void {
    if (octet === LF && this.#cr) {
      this.#lines += 1;
      this.#cr = false;
    } else if (octet === LF) {
      this.#flush();
      this.#sink(LONE_LF);
    } else {
      if (this.#cr) this.#flush();
      this.#cr = true;
    }
  }

  #flush(): void {
    giveLineEnds(this.#lines, this.#sink);
    if (this.#cr) this.#sink(LONE_CR);
    this.#lines = 0;
    this.#cr = false;
  }
}
