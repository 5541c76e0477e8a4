/**
 * The byte-level parser of a session: strict command lines, and RFC-exact un-stuffing of DATA.
 * Only CRLF ends a command and only CRLF.CRLF ends a message (RFC 5321 §2.3.8, §4.1.1.4); nothing with a bare CR or
 * LF, a control character or broken UTF-8 ever reaches the command handlers.
 */
import { isUtf8 } from "node:buffer";
import { SMTPStream } from "smtp-server/lib/smtp-stream.js";

export type BadLine = "bare-line-end" | "bad-bytes" | "too-long";

type Done = (error?: Error | null) => void;
/** Where in a line of DATA the next byte stands. */
const TEXT = 0,
  LINE_START = 1,
  CR = 2,
  DOT = 3,
  DOT_CR = 4;
type Place = typeof TEXT | typeof LINE_START | typeof CR | typeof DOT | typeof DOT_CR;

/** RFC 4954 §4.5.3.1: AUTH lines may have 12288 octets; all others are far shorter. */
const LONGEST_LINE = 12_288;
/** Commands run in a row before other sessions get their turn. */
const COMMANDS_AT_ONCE = 100;
const LF = 10;
const CARRIAGE_RETURN = 13;
const FULL_STOP = 46;

export class CommandStream extends SMTPStream {
  /** A line that must not be run; `next` goes on with the one after it. */
  onBadLine: (kind: BadLine, next: () => void) => void = (_kind, next) => next();
  /** Bytes came in; `inLine` says whether a command is still incomplete. */
  onBytes: (count: number, inLine: boolean) => void = () => {};
  /** DATA waits for its reader, or goes on. */
  onStall: (stalled: boolean) => void = () => {};
  /** CRLF.CRLF was read. */
  onContentEnd: () => void = () => {};
  private held: Buffer = Buffer.alloc(0);
  private rest = 0;
  private chunkLength = 0;
  private place: Place = LINE_START;

  /** True when the client has sent more than the command at hand (RFC 3207 §4.2 forbids it after STARTTLS). */
  get hasMore(): boolean {
    return this.rest > 0 || this.writableLength > this.chunkLength;
  }

  override startDataMode(maxBytes?: number): ReturnType<SMTPStream["startDataMode"]> {
    this.place = LINE_START;
    return super.startDataMode(maxBytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, next: Done): void {
    if (this.isClosed || chunk.length === 0) return next();
    this.chunkLength = chunk.length;
    if (this._dataMode) return this._feedDataStream(chunk, next);
    const data = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk]);
    this.held = Buffer.alloc(0);
    this.runLines(data, next);
  }

  /** An unfinished command is never run: the client went away in the middle of it. */
  override _flushData(): void {}

  private runLines(data: Buffer, next: Done): void {
    let position = 0;
    let busy = false;
    let again = false;
    let run = 0;
    const step = (): void => {
      if (busy) {
        again = true;
        return;
      }
      busy = true;
      do {
        again = false;
        if (this.isClosed) return next();
        if (this._dataMode) {
          this.rest = 0;
          const content = data.subarray(position);
          return content.length === 0 ? next() : this._feedDataStream(content, next);
        }
        const line = readLine(data, position);
        if (line.kind === "incomplete") return this.hold(data.subarray(position), next);
        position = line.end;
        this.rest = data.length - position;
        this.onBytes(0, false);
        if (line.kind === "good") this.oncommand(line.text, step);
        else this.onBadLine(line.kind, step);
        if (again && ++run % COMMANDS_AT_ONCE === 0) {
          busy = false;
          setImmediate(step);
          return;
        }
      } while (again);
      busy = false;
    };
    step();
  }

  private hold(rest: Buffer, next: Done): void {
    this.rest = 0;
    this.held = Buffer.from(rest); // the chunk's memory is shared with others
    this.onBytes(rest.length, rest.length > 0);
    next();
  }

  /** Removes the dots that stand first in a line after CRLF, and no others (RFC 5321 §4.5.2). Linear, one write a chunk. */
  override _feedDataStream(chunk: Buffer, done: Done): void {
    const out = Buffer.allocUnsafe(chunk.length + 3);
    const { place, length, end } = unstuff(chunk, out, this.place);
    this.place = place;
    const content = out.subarray(0, length);
    this._countDataBytes(length);
    this.onBytes(chunk.length, false);
    if (end >= 0) {
      this.place = LINE_START;
      this.onContentEnd();
      return this._endDataMode(length === 0 ? false : content, chunk.subarray(end), done);
    }
    this.pass(content, done);
  }

  private pass(content: Buffer, done: Done): void {
    const stream = this._dataStream;
    if (stream === null || content.length === 0 || !stream.writable || stream.write(content)) return done();
    if (stream.destroyed) return done();
    this.onStall(true);
    const resume = (): void => {
      stream.removeListener("drain", resume);
      stream.removeListener("close", resume);
      this.onStall(false);
      done();
    };
    stream.once("drain", resume);
    stream.once("close", resume);
  }
}

type Line =
  | { readonly kind: "incomplete" }
  | { readonly kind: "good"; readonly text: Buffer; readonly end: number }
  | { readonly kind: BadLine; readonly end: number };

/** The line that begins at `from`. A CR or LF that is not part of CRLF is told as soon as it is seen. */
function readLine(data: Buffer, from: number): Line {
  const lf = data.indexOf(LF, from);
  const cr = data.indexOf(CARRIAGE_RETURN, from);
  if (lf < 0 && (cr < 0 || cr === data.length - 1))
    return data.length - from > LONGEST_LINE ? { kind: "too-long", end: data.length } : { kind: "incomplete" };
  if (cr < 0 || cr !== lf - 1) return { kind: "bare-line-end", end: data.length };
  const text = data.subarray(from, cr);
  const end = lf + 1;
  if (text.length > LONGEST_LINE) return { kind: "too-long", end };
  return isUtf8(text) && !text.some((byte) => byte < 0x20 || byte === 0x7f) && !hasC1Control(text)
    ? { kind: "good", text, end }
    : { kind: "bad-bytes", end };
}

/** U+0080 to U+009F, two bytes in UTF-8: some readers take U+0085 for a line end. */
function hasC1Control(text: Buffer): boolean {
  for (let at = text.indexOf(0xc2); at >= 0; at = text.indexOf(0xc2, at + 1))
    if ((text[at + 1] ?? 0) < 0xa0) return true;
  return false;
}

/** Un-stuffs `chunk` into `out`. `end` is the position behind CRLF.CRLF, or -1. */
function unstuff(chunk: Buffer, out: Buffer, start: Place): { place: Place; length: number; end: number } {
  let place = start;
  let length = 0;
  for (let index = 0; index < chunk.length; index++) {
    if (place === TEXT) {
      const cr = chunk.indexOf(CARRIAGE_RETURN, index);
      const stop = cr < 0 ? chunk.length : cr + 1;
      length += chunk.copy(out, length, index, stop);
      if (cr < 0) break;
      index = cr;
      place = CR;
      continue;
    }
    const byte = chunk[index] ?? 0;
    if (place === LINE_START && byte === FULL_STOP) {
      place = DOT;
      continue;
    }
    if (place === DOT && byte === CARRIAGE_RETURN) {
      place = DOT_CR;
      continue;
    }
    if (place === DOT_CR) {
      if (byte === LF) return { place, length, end: index + 1 };
      out[length++] = CARRIAGE_RETURN;
    }
    out[length++] = byte;
    place = byte === CARRIAGE_RETURN ? CR : place === CR && byte === LF ? LINE_START : TEXT;
  }
  return { place, length, end: -1 };
}
