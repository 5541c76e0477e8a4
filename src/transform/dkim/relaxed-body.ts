/**
 * A body in DKIM's relaxed form (RFC 6376 §3.4.4), while it passes. Memory is constant and time linear, for runs of
 * blanks and of empty lines too, and however it is cut. What is in that form already, which most mail is, is passed on
 * as it stands; only the rest is looked at octet by octet.
 */
import { type Canonicaliser, giveLineEnds, type Sink } from "./simple-body.ts";

const [TAB, LF, CR, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
/** A window with a blank that must go is rewritten as a whole. */
const WINDOW = 4096;
const CRLF = 0x0d0a;
const TWO_BLANKS = Buffer.from("  ");
const BLANK_BEFORE_END = Buffer.from(" \r");

export class RelaxedBody implements Canonicaliser {
  readonly #sink: Sink;
  /** Each octet adds at most itself, a blank and a CR that were held back. */
  readonly #rewritten = Buffer.allocUnsafe(WINDOW + 2);
  /** Line ends that count once something follows them: those at the very end do not. */
  #lines = 0;
  /** Blanks that count as one once something follows them on their line. */
  #blank = false;
  /** A CR whose LF may be in the next chunk. */
  #cr = false;
  #isEmpty = true;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  update(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; at += WINDOW) this.#take(chunk.subarray(at, at + WINDOW));
  }

  #take(window: Buffer): void {
    let start = 0;
    while ((this.#blank || this.#cr) && start < window.length) start = this.#rewrite(window, start, start + 1);
    let end = window.length;
    while (end > start && isBlankOrEnd(window[end - 1])) end -= 1;
    if (end > start) {
      const octets = window.subarray(start, end);
      if (isRelaxed(octets)) this.#give(octets, this.#lines);
      else this.#rewrite(window, start, end);
    }
    if (end < window.length) this.#rewrite(window, end, window.length);
  }

  end(): void {
    if (this.#cr) this.#give(Buffer.from(this.#blank ? " \r" : "\r"), this.#lines);
    if (!this.#isEmpty) giveLineEnds(1, this.#sink);
  }

  /** Octet by octet; the answer is `end`. */
  #rewrite(window: Buffer, start: number, end: number): number {
    const out = this.#rewritten;
    let length = 0;
    let [lines, blank, cr] = [this.#lines, this.#blank, this.#cr];
    for (let at = start; at < end; at += 1) {
      const octet = window[at] ?? 0;
      if (octet > SPACE && !blank && !cr && lines === 0)
        out[length++] = octet; // the most
      else if (cr && octet === LF) {
        lines += 1;
        blank = false;
        cr = false;
      } else if (!cr && (octet === SPACE || octet === TAB)) blank = true;
      else if (!cr && octet === CR) cr = true;
      else {
        if (lines > 0 && length === 0) giveLineEnds(lines, this.#sink);
        else for (; lines > 0; lines -= 1) length = out.writeUInt16BE(CRLF, length);
        lines = 0;
        if (blank) out[length++] = SPACE;
        if (cr) out[length++] = CR; // alone: an octet like any other
        blank = octet === SPACE || octet === TAB;
        cr = octet === CR;
        if (!blank && !cr) out[length++] = octet;
      }
    }
    if (length > 0) this.#give(out.subarray(0, length), 0);
    [this.#lines, this.#blank, this.#cr] = [lines, blank, cr];
    return end;
  }

  /** What certainly belongs to the body, and the line ends before it. */
  #give(octets: Buffer, lines: number): void {
    giveLineEnds(lines, this.#sink);
    this.#lines = 0;
    this.#isEmpty = false;
    this.#sink(octets);
  }
}

function isBlankOrEnd(octet: number | undefined): boolean {
  return octet === SPACE || octet === TAB || octet === CR || octet === LF;
}

/** No tab, no blank beside another or before a line end. */
function isRelaxed(octets: Buffer): boolean {
  return !octets.includes(TAB) && !octets.includes(TWO_BLANKS) && !octets.includes(BLANK_BEFORE_END);
}
