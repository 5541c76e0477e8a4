/**
 * Quoted-printable as octets stream by (RFC 2045 §6.7): encodes any octets with CRLF line ends, and mends what claims to
 * be encoded already. What decodes from the result is what went in. No line starts with a hyphen, a dot or `F`, so none
 * becomes a delimiter, ends the message or is altered as `From ` (RFC 2049 §3).
 */
export interface Encoder {
  readonly push: (octets: Buffer) => Buffer;
  /** What is still due; no line end is added. */
  readonly end: () => Buffer;
}

const WIDTH = 76;
const HEX = Buffer.from("0123456789ABCDEF");
const EQUALS = 61;
const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
/** - . F */
const UNSAFE_FIRST: ReadonlySet<number> = new Set([45, 46, 70]);
const NONE = -1;
const [LITERAL, BLANK] = [1, 2];
/** What an octet within a line is, when it is encoded. */
const KIND = Uint8Array.from({ length: 256 }, (_, octet) => {
  if (octet === SPACE || octet === TAB) return BLANK;
  return octet > SPACE && octet < 127 && octet !== EQUALS ? LITERAL : 0;
});

/** Room for `=XX` and a soft line break for each octet, and for what was held back. */
const LARGEST_STEP = 6;

/** Writes tokens of lines that are at most 76 characters long. */
class Lines {
  out = Buffer.alloc(0);
  length = 0;
  column = 0;

  /** For so many octets of input. */
  start(octets: number): void {
    const room = (octets + 4) * LARGEST_STEP;
    if (this.out.length < room) this.out = Buffer.allocUnsafeSlow(room);
    this.length = 0;
  }

  /** A copy: the next step writes over it. */
  written(): Buffer {
    return Buffer.from(this.out.subarray(0, this.length));
  }

  /** One octet as it is, or as `=XX`. */
  octet(octet: number, literal: boolean): void {
    const asIs = literal && !(this.column === 0 && UNSAFE_FIRST.has(octet));
    const breaks = this.room(asIs ? 1 : 3);
    if (asIs && !(breaks && UNSAFE_FIRST.has(octet))) this.raw(octet);
    else {
      this.raw(EQUALS);
      this.raw(HEX[octet >> 4] ?? 0);
      this.raw(HEX[octet & 15] ?? 0);
    }
  }

  /** Breaks the line softly where `width` more do not fit before the `=` of a break. */
  room(width: number): boolean {
    if (this.column + width < WIDTH) return false;
    this.raw(EQUALS);
    this.lineEnd();
    return true;
  }

  /** Takes what goes on within the line as it is, most of most texts, and answers where something else begins. */
  literals(octets: Buffer, from: number): number {
    if (this.column === 0) return from;
    const end = Math.min(octets.length, from + WIDTH - 1 - this.column);
    let at = from;
    for (; at < end; at += 1) {
      const octet = octets[at] ?? CR;
      const kind = KIND[octet];
      if (kind !== LITERAL && (kind !== BLANK || KIND[octets[at + 1] ?? CR] !== LITERAL)) break;
      this.out[this.length++] = octet;
    }
    this.column += at - from;
    return at;
  }

  raw(octet: number): void {
    this.out[this.length++] = octet;
    this.column++;
  }

  lineEnd(): void {
    this.out[this.length++] = CR;
    this.out[this.length++] = LF;
    this.column = 0;
  }
}

/** Every CR must be followed by LF; together they stay a line end. */
export function createQuotedPrintable(): Encoder {
  const lines = new Lines();
  let blank = NONE; // a blank must not end a line, so it waits for what follows
  const settle = (literal: boolean) => {
    if (blank !== NONE) lines.octet(blank, literal);
    blank = NONE;
  };
  return {
    push: (octets) => {
      lines.start(octets.length);
      for (let at = 0; at < octets.length; at += 1) {
        if (blank === NONE) at = lines.literals(octets, at);
        const octet = octets[at];
        if (octet === undefined) break;
        if (octet === CR) settle(false);
        else if (octet === LF) lines.lineEnd();
        else {
          settle(true);
          if (KIND[octet] === BLANK) blank = octet;
          else lines.octet(octet, KIND[octet] === LITERAL);
        }
      }
      return lines.written();
    },
    end: () => {
      lines.start(1);
      settle(false);
      return lines.written();
    },
  };
}

/**
 * For content that claims to be quoted-printable and has octets or lines that mail does not carry: these are encoded
 * and broken softly, what is encoded already stays so.
 */
export function mendQuotedPrintable(): Encoder {
  const lines = new Lines();
  let escape: number[] | undefined; // `=` and what belongs to it, which no line break may part
  const settle = () => {
    if (escape === undefined) return;
    lines.room(escape.length * 3);
    for (const octet of escape) lines.octet(octet, octet >= SPACE && octet < 127);
    escape = undefined;
  };
  return {
    push: (octets) => {
      lines.start(octets.length);
      for (const octet of octets) {
        if (octet === CR) settle();
        else if (octet === LF) lines.lineEnd();
        else if (octet === EQUALS) {
          settle();
          escape = [octet];
        } else if (escape !== undefined) {
          if (escape.push(octet) === 3) settle();
        } else lines.octet(octet, octet === TAB || (octet >= SPACE && octet < 127));
      }
      return lines.written();
    },
    end: () => {
      lines.start(1);
      settle();
      return lines.written();
    },
  };
}
