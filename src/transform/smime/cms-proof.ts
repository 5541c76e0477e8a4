/**
 * Is a stream of octets one CMS object and nothing else (RFC 5652 §3)? Walks BER by its tags and lengths down to where
 * signers and recipients stand, and skips the rest: constant memory, linear time. Verifies no signature and decrypts
 * nothing: what a structure holds is not looked into. Never takes for whole what has octets behind it.
 */
export type CmsKind = "signed" | "encrypted";

const SIGNED_DATA = "2a864886f70d010702"; // RFC 5652 §5.1
const ENVELOPED_DATA = "2a864886f70d010703"; // RFC 5652 §6.1
const AUTH_ENVELOPED_DATA = "2a864886f70d0109100117"; // RFC 5083 §2.1

const CONSTRUCTED = 0x20;
const OID = 0x06;
const SEQUENCE = 0x30;
const SET = 0x31;
const CONTEXT_0 = 0xa0;
/** Below, elements of definite length are skipped whole. */
const LOOKED_INTO = 3;
const DEEPEST = 64;
const MOST_PARTS = 8;
const LONGEST_OID = 16;
const LONGEST_HEAD = 8;
const EMPTY = Buffer.alloc(0);

interface Frame {
  /** Undefined: two zeros end it. */
  readonly end: number | undefined;
  /** Of the innermost frame around that has a length. */
  readonly limit: number;
  children: number;
}

interface Head {
  readonly tag: number;
  readonly size: number;
  /** Undefined: left open. */
  readonly length: number | undefined;
}

export class CmsProof {
  readonly #frames: Frame[] = [];
  /** What SignedData or EnvelopedData consists of, with the tags of the first elements in each. */
  readonly #parts: { readonly tag: number; readonly children: number[] }[] = [];
  #type = "";
  #rest = EMPTY;
  #position = 0;
  #skip = 0;
  #started = false;
  #broken = false;

  /** False: it is none, whatever follows. */
  push(octets: Buffer): boolean {
    if (this.#broken) return false;
    const data = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets]);
    const used = this.#take(data);
    this.#broken = used < 0;
    this.#rest = this.#broken ? EMPTY : Buffer.from(data.subarray(used));
    return !this.#broken;
  }

  end(): CmsKind | undefined {
    if (this.#broken || !this.#isWhole() || this.#rest.length > 0) return undefined;
    const shape = this.#parts.map(({ tag }) => tag.toString(16).padStart(2, "0")).join(" ");
    if (this.#type === SIGNED_DATA) {
      const hasSigner = this.#parts.at(-1)?.children[0] === SEQUENCE;
      return hasSigner && /^02 31 30( a0)?( a1)? 31$/.test(shape) ? "signed" : undefined;
    }
    const known =
      (this.#type === ENVELOPED_DATA && /^02( a0)? 31 30( a1)?$/.test(shape)) ||
      (this.#type === AUTH_ENVELOPED_DATA && /^02( a0)? 31 30( a1)? (04|24)( a2)?$/.test(shape));
    return known && this.#hasRecipientAndContent() ? "encrypted" : undefined;
  }

  #hasRecipientAndContent(): boolean {
    const recipients = this.#parts.find(({ tag }) => tag === SET)?.children ?? [];
    const [type, algorithm, content] = this.#parts.find(({ tag }) => tag === SEQUENCE)?.children ?? [];
    return (
      recipients.length > 0 && type === OID && algorithm === SEQUENCE && (content === 0x80 || content === CONTEXT_0)
    );
  }

  #isWhole(): boolean {
    return this.#started && this.#frames.length === 0 && this.#skip === 0;
  }

  /** How much was read, -1 where it is broken. */
  #take(data: Buffer): number {
    let at = 0;
    for (;;) {
      const skipped = Math.min(this.#skip, data.length - at);
      at += skipped;
      this.#skip -= skipped;
      this.#position += skipped;
      if (this.#skip > 0) return at;
      while (this.#frames.at(-1)?.end === this.#position) this.#frames.pop();
      if (this.#isWhole()) return data.subarray(at).every((octet) => octet === 13 || octet === 10) ? data.length : -1;
      const used = this.#element(data, at);
      if (used <= 0) return used < 0 ? -1 : at;
      at += used;
      this.#position += used;
    }
  }

  /** Octets of its head; 0 where more are needed. */
  #element(data: Buffer, at: number): number {
    const head = headAt(data, at);
    if (head === undefined) return data.length - at < LONGEST_HEAD ? 0 : -1;
    const { tag, size, length } = head;
    const frame = this.#frames.at(-1);
    const limit = frame?.limit ?? Number.POSITIVE_INFINITY;
    const start = this.#position + size;
    if (start + (length ?? 0) > limit || (tag & 0x1f) === 0x1f) return -1;
    if (tag === 0) {
      if (frame === undefined || frame.end !== undefined || length !== 0) return -1;
      this.#frames.pop();
      return size;
    }
    if (this.#frames.length === 1 && tag === OID) {
      if (length === undefined || length > LONGEST_OID) return -1;
      if (at + size + length > data.length) return 0;
      this.#type = data.toString("hex", at + size, at + size + length);
    }
    if (!this.#note(tag)) return -1;
    const isConstructed = (tag & CONSTRUCTED) !== 0;
    if (length !== undefined && (!isConstructed || this.#frames.length > LOOKED_INTO)) this.#skip = length;
    else if (!isConstructed || this.#frames.length >= DEEPEST) return -1;
    else {
      const end = length === undefined ? undefined : start + length;
      this.#frames.push({ end, limit: end ?? limit, children: 0 });
    }
    return size;
  }

  /** Whether it may stand where it stands. */
  #note(tag: number): boolean {
    const frame = this.#frames.at(-1);
    const index = frame === undefined ? 0 : frame.children++;
    const part = this.#parts.at(-1);
    switch (this.#frames.length) {
      case 0:
        this.#started = true;
        return tag === SEQUENCE;
      case 1:
        return tag === [OID, CONTEXT_0][index];
      case 2:
        return index === 0 && tag === SEQUENCE;
      case 3:
        return this.#parts.push({ tag, children: [] }) <= MOST_PARTS;
      case 4:
        if (part !== undefined && part.children.length < 4) part.children.push(tag);
        return true;
      default:
        return true;
    }
  }
}

/** Undefined: more octets are needed, or no length is so long. */
function headAt(data: Buffer, at: number): Head | undefined {
  if (at + 2 > data.length) return undefined;
  const tag = data.readUInt8(at);
  const first = data.readUInt8(at + 1);
  if (first < 0x80) return { tag, size: 2, length: first };
  if (first === 0x80) return { tag, size: 2, length: undefined };
  const octets = first - 0x80;
  if (octets > LONGEST_HEAD - 2 || at + 2 + octets > data.length) return undefined;
  return { tag, size: 2 + octets, length: data.readUIntBE(at + 2, octets) };
}
