/**
 * Walks through the body of a message as it streams by (RFC 2046 §5.1) and tells a visitor of headers, content and what
 * stands between. What the visitor is handed is, in order, every octet of the body, however it was cut. Holds back one
 * line at most; content is handed on as views of the chunk, which the visitor must copy to keep.
 */
import { type Field, splitFields, trimBlanks } from "./mime-fields.ts";
import { LONGEST_DELIMITER, type Shape, shapeOf } from "./mime-shape.ts";

export interface Part {
  /** In the order of their headers; the message itself is 0. */
  readonly ordinal: number;
  readonly parent: Part | undefined;
  /** Of containers around it. */
  readonly depth: number;
  readonly shape: Shape;
}

export interface Visitor {
  /** `raw` includes the empty line, which may be missing. Not called for the message itself. */
  readonly header: (part: Part, raw: Buffer, fields: readonly Field[]) => void;
  /** Of a leaf, without the line end that belongs to the delimiter. */
  readonly content: (part: Part, octets: Buffer) => void;
  /** A leaf's content is complete. */
  readonly end: (part: Part) => void;
  /** Delimiters, preambles, epilogues, and all of a part that must stay as it is. */
  readonly frame: (part: Part, octets: Buffer) => void;
  /** A line of a body is longer than SMTP carries (RFC 5321 §4.5.3.1.6). */
  readonly longLine: (part: Part) => void;
}

export type MimeProblem = "mime-too-deep" | "mime-too-many-parts" | "mime-part-header-too-large";

export const MOST_PARTS = 10_000;
export const DEEPEST = 100;
const LARGEST_HEADER = 256 * 1024;
export const LONGEST_LINE = 998;

const EMPTY = Buffer.alloc(0);
const CRLF = Buffer.from("\r\n");
const DASH = 45;
const LF = 10;
const CR = 13;

interface Delimiter {
  readonly level: number;
  readonly closes: boolean;
  /** Behind its line. */
  readonly end: number;
}

export class MimeWalk {
  problem: MimeProblem | undefined;
  readonly #visitor: Visitor;
  /** Multiparts whose delimiters count, outermost first. */
  readonly #open: { readonly part: Part; readonly boundary: string }[] = [];
  /** Levels in #open by boundary, innermost last: a line is looked up, not compared with each. */
  readonly #levels = new Map<string, number[]>();
  #count = 1;
  #part: Part;
  /** Lines of the header of the next part inside #part; undefined within a body. */
  #header: Buffer[] | undefined;
  #headerLength = 0;
  #rest = EMPTY;
  #lineStart = true;
  #lineLength = 0;
  /** A line end has been read and not handed on: it may belong to a delimiter. */
  #eolHeld = false;

  constructor(root: Shape, visitor: Visitor) {
    this.#visitor = visitor;
    this.#part = { ordinal: 0, parent: undefined, depth: 0, shape: root };
    this.#enter(this.#part);
  }

  push(chunk: Buffer): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const used = this.#take(data, false);
    this.#rest = used === data.length ? EMPTY : Buffer.from(data.subarray(used));
  }

  end(): void {
    this.#take(this.#rest, true);
    this.#rest = EMPTY;
    if (this.problem !== undefined) return;
    if (this.#header !== undefined) this.#finishHeader(false);
    if (this.#eolHeld) this.#hand(CRLF);
    this.#eolHeld = false;
    this.#endLeaf();
  }

  #take(data: Buffer, final: boolean): number {
    let at = 0;
    while (at < data.length && this.problem === undefined) {
      const next = this.#header === undefined ? this.#body(data, at, final) : this.#headerLine(data, at, final);
      if (next === at) break; // the rest of the line is needed
      at = next;
    }
    return this.problem === undefined ? at : data.length;
  }

  #headerLine(data: Buffer, at: number, final: boolean): number {
    const lineEnd = endOfLine(data, at);
    const end = lineEnd < 0 ? data.length : lineEnd;
    if (this.#headerLength + end - at > LARGEST_HEADER) this.problem = "mime-part-header-too-large";
    const delimiter = this.#delimiter(data, at, final);
    if (delimiter === "wait" || (lineEnd < 0 && !final)) return at;
    if (delimiter !== undefined) {
      this.#finishHeader(false);
      this.#delimit(delimiter, data.subarray(at, end));
      return end;
    }
    this.#header?.push(Buffer.from(data.subarray(at, end)));
    this.#headerLength += end - at;
    if (lineEnd - at === 2) this.#finishHeader(true);
    return end;
  }

  /** Up to the next delimiter or the end of the data. */
  #body(data: Buffer, at: number, final: boolean): number {
    let position = at;
    while (position < data.length) {
      if (this.#lineStart) {
        const found = this.#delimiter(data, position, final);
        if (found === "wait") break;
        if (found !== undefined) {
          const before = position > at ? position - 2 : position; // its line end is part of the delimiter
          this.#hand(data.subarray(at, before));
          this.#delimit(found, data.subarray(before, found.end));
          return found.end;
        }
        if (this.#eolHeld) this.#hand(CRLF);
        this.#eolHeld = false;
        this.#lineStart = false;
      }
      const end = endOfLine(data, position);
      if (end < 0) {
        const stop = !final && data.at(-1) === CR ? data.length - 1 : data.length;
        this.#measure(stop - position);
        position = stop;
        break;
      }
      this.#measure(end - 2 - position);
      this.#startLine();
      position = end;
    }
    const endsLine = this.#lineStart && position > at;
    this.#hand(data.subarray(at, endsLine ? position - 2 : position));
    if (endsLine) this.#eolHeld = true;
    return position;
  }

  #startLine(): void {
    this.#lineStart = true;
    this.#lineLength = 0;
  }

  /** RFC 2046 §5.1.1: two hyphens, the boundary, two more to close, blanks. The innermost multipart comes first. */
  #delimiter(data: Buffer, at: number, final: boolean): Delimiter | "wait" | undefined {
    if (this.#open.length === 0 || data[at] !== DASH) return undefined;
    if (at + 1 >= data.length) return final ? undefined : "wait";
    if (data[at + 1] !== DASH) return undefined;
    const lineEnd = endOfLine(data, at);
    const end = lineEnd < 0 ? data.length : lineEnd;
    if (end - at > LONGEST_DELIMITER) return undefined;
    if (lineEnd < 0 && !final) return end - at === LONGEST_DELIMITER ? undefined : "wait";
    const text = trimBlanks(data.toString("latin1", at, end)).slice(2);
    const opens = this.#levels.get(text)?.at(-1) ?? -1;
    const closed = text.endsWith("--") ? (this.#levels.get(text.slice(0, -2))?.at(-1) ?? -1) : -1;
    const level = Math.max(opens, closed);
    return level < 0 ? undefined : { level, closes: closed > opens, end };
  }

  #delimit({ level, closes }: Delimiter, octets: Buffer): void {
    this.#endLeaf();
    const multipart = this.#open[level]?.part ?? this.#part;
    this.#close(closes ? level : level + 1);
    if (this.#eolHeld) this.#visitor.frame(multipart, CRLF);
    this.#eolHeld = false;
    this.#visitor.frame(multipart, octets);
    this.#startLine();
    this.#part = multipart; // what follows a close is the epilogue
    if (!closes) this.#startHeader();
  }

  #startHeader(): void {
    this.#header = [];
    this.#headerLength = 0;
  }

  #finishHeader(hasBody: boolean): void {
    const raw = Buffer.concat(this.#header ?? []);
    this.#header = undefined;
    this.#startLine();
    const parent = this.#part;
    const fields = splitFields(raw);
    const shape = shapeOf(fields, parent.shape.kind === "multipart" && parent.shape.digest);
    const part: Part = { ordinal: this.#count++, parent, depth: parent.depth + 1, shape };
    if (this.#count > MOST_PARTS) this.problem = "mime-too-many-parts";
    const contains = shape.kind === "multipart" || shape.kind === "message";
    if (contains && part.depth > DEEPEST) this.problem = "mime-too-deep";
    if (this.problem !== undefined) return;
    this.#visitor.header(part, raw, fields);
    this.#part = part;
    if (hasBody) this.#enter(part);
  }

  #enter(part: Part): void {
    if (part.shape.kind === "multipart") this.#openMultipart(part, part.shape.boundary);
    if (part.shape.kind === "message") this.#startHeader();
  }

  #openMultipart(part: Part, boundary: string): void {
    const levels = this.#levels.get(boundary) ?? [];
    levels.push(this.#open.length);
    this.#levels.set(boundary, levels);
    this.#open.push({ part, boundary });
  }

  /** All from this level inwards. */
  #close(level: number): void {
    for (const { boundary } of this.#open.splice(level)) {
      const levels = this.#levels.get(boundary);
      levels?.pop();
      if (levels?.length === 0) this.#levels.delete(boundary);
    }
  }

  #endLeaf(): void {
    if (this.#part.shape.kind === "leaf") this.#visitor.end(this.#part);
  }

  #hand(octets: Buffer): void {
    if (octets.length === 0) return;
    if (this.#part.shape.kind === "leaf") this.#visitor.content(this.#part, octets);
    else this.#visitor.frame(this.#part, octets);
  }

  #measure(octets: number): void {
    const before = this.#lineLength;
    this.#lineLength += octets;
    if (before <= LONGEST_LINE && this.#lineLength > LONGEST_LINE) this.#visitor.longLine(this.#part);
  }
}

/** Behind the next CRLF; -1 when there is none. */
function endOfLine(data: Buffer, from: number): number {
  for (let lf = data.indexOf(LF, from); lf >= 0; lf = data.indexOf(LF, lf + 1))
    if (lf > from && data[lf - 1] === CR) return lf + 1;
  return -1;
}
