/**
 * Is a body what multipart/signed and multipart/encrypted promise (RFC 1847, RFC 3156, RFC 8551 §3.5.3): two parts, of
 * which the second is a signature or the encrypted content? One pass by lines, of which at most a beginning is held.
 * Around what is encrypted nothing may stand that a reader can read.
 */
import { armour, type LineReader } from "./armour.ts";
import { CmsProof } from "./cms-proof.ts";
import { contentTypeOf, encodingOf, type Field, splitFields, trimBlanks } from "./mime-fields.ts";
import { StrictBase64 } from "./strict-base64.ts";

/** Pieces of lines with their line ends; `whole`: of one whole line. */
export interface PieceReader {
  /** False: it is not what it should be, whatever follows. */
  readonly push: (piece: Buffer, whole: boolean) => boolean;
  readonly end: () => boolean;
}

const LONGEST_PART_HEADER = 16 * 1024;
/** Longer lines come in pieces. */
export const LONGEST_HELD = 1000;
/** What mail programs write for readers that know no MIME: nothing of the message is in it. */
const NOTICE =
  /^This is (?:an OpenPGP\/MIME encrypted message(?: \(RFC \d{4} and \d{4}\))?|a multi-part message in MIME format|a MIME-encapsulated message)\.?$/;

export function signedBySmime(boundary: string): PieceReader {
  const types = ["application/pkcs7-signature", "application/x-pkcs7-signature"];
  const signature = headed((fields) => (isOf(fields, types) ? cmsSignature(fields) : undefined));
  return multipart(boundary, { preamble: anything, parts: [anything, signature], epilogue: anything });
}

export function signedByPgp(boundary: string): PieceReader {
  const signature = headed((fields) => plainly(fields, "application/pgp-signature", armour("SIGNATURE")));
  return multipart(boundary, { preamble: anything, parts: [anything, signature], epilogue: anything });
}

export function encryptedByPgp(boundary: string): PieceReader {
  const version = headed((fields) => plainly(fields, "application/pgp-encrypted", only(/^Version: *1$/i)));
  const message = headed((fields) => plainly(fields, "application/octet-stream", armour("MESSAGE")));
  return multipart(boundary, { preamble: byLines(atMostOne(NOTICE)), parts: [version, message], epilogue: blank() });
}

interface Sections {
  readonly preamble: PieceReader;
  readonly parts: readonly PieceReader[];
  readonly epilogue: PieceReader;
}

/** Only its own delimiters count: those of parts inside of parts are content (RFC 2046 §5.1.2). */
function multipart(boundary: string, { preamble, parts, epilogue }: Sections): PieceReader {
  const order = [preamble, ...parts, epilogue];
  const last = order.length - 1;
  let at = 0;
  return {
    push: (piece, whole) => {
      const delimiter = whole ? delimiterIn(piece, boundary) : undefined;
      const current = order[at];
      if (current === undefined) return false;
      if (delimiter === undefined || at === last) return current.push(piece, whole);
      at++;
      return current.end() && (delimiter === "closes") === (at === last);
    },
    end: () => at === last && epilogue.end(),
  };
}

const DASH = 45;

function delimiterIn(line: Buffer, boundary: string): "opens" | "closes" | undefined {
  if (line[0] !== DASH || line[1] !== DASH) return undefined;
  const text = trimBlanks(line.toString("latin1")).slice(2);
  if (text === boundary) return "opens";
  return text === `${boundary}--` ? "closes" : undefined;
}

const anything: PieceReader = { push: () => true, end: () => true };

/** A part with its header, whose content is read as its fields tell. */
function headed(open: (fields: readonly Field[]) => PieceReader | undefined): PieceReader {
  const header: Buffer[] = [];
  let length = 0;
  let content: PieceReader | undefined;
  return {
    push: (piece, whole) => {
      if (content !== undefined) return content.push(piece, whole);
      length += piece.length;
      if (length > LONGEST_PART_HEADER) return false;
      header.push(Buffer.from(piece));
      if (!whole || trimEnd(piece) !== "") return true;
      content = open(splitFields(Buffer.concat(header)));
      return content !== undefined;
    },
    end: () => content?.end() ?? false,
  };
}

function isOf(fields: readonly Field[], types: readonly string[]): boolean {
  const type = contentTypeOf(fields);
  return typeof type === "object" && types.includes(type.type);
}

/** Not encoded, with no other fields than MIME has. */
function plainly(fields: readonly Field[], type: string, reader: LineReader): PieceReader | undefined {
  const isMime = fields.every(({ name }) => name.startsWith("content-"));
  return isMime && isOf(fields, [type]) && encodingOf(fields) === "identity" ? byLines(reader) : undefined;
}

function cmsSignature(fields: readonly Field[]): PieceReader | undefined {
  const reader = cmsReader(encodingOf(fields));
  return reader && { push: (piece) => reader.push(piece), end: () => reader.end() === "signed" };
}

/** Undefined: nothing is read in such an encoding. */
export function cmsReader(encoding: ReturnType<typeof encodingOf>): Pick<CmsProof, "push" | "end"> | undefined {
  const proof = new CmsProof();
  if (encoding === "identity") return proof;
  if (encoding !== "base64") return undefined;
  const base64 = new StrictBase64();
  const pass = (octets: Buffer | undefined) => octets !== undefined && proof.push(octets);
  return {
    push: (octets) => pass(base64.push(octets)),
    end: () => (pass(base64.end()) ? proof.end() : undefined),
  };
}

export function byLines(reader: LineReader): PieceReader {
  return { push: (piece, whole) => reader.push(whole ? trimEnd(piece) : undefined), end: reader.end };
}

function trimEnd(piece: Buffer): string {
  return piece.toString("latin1").replace(/\r?\n$/, "");
}

function blank(): PieceReader {
  return { push: (piece) => piece.every((octet) => " \t\r\n".includes(String.fromCharCode(octet))), end: () => true };
}

function atMostOne(pattern: RegExp): LineReader & { readonly count: () => number } {
  let count = 0;
  return {
    push: (line) => {
      const text = line && trimBlanks(line);
      if (text === "") return true;
      return text !== undefined && pattern.test(text) && ++count === 1;
    },
    end: () => true,
    count: () => count,
  };
}

function only(pattern: RegExp): LineReader {
  const one = atMostOne(pattern);
  return { push: one.push, end: () => one.count() === 1 };
}

/** What cuts a stream into pieces of lines for a reader. */
export class Pieces {
  readonly #reader: PieceReader;
  #rest = Buffer.alloc(0);
  #lineStart = true;

  constructor(reader: PieceReader) {
    this.#reader = reader;
  }

  push(octets: Buffer): boolean {
    const data = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets]);
    this.#rest = Buffer.alloc(0);
    for (let at = 0; at < data.length; ) {
      const lf = data.indexOf(10, at);
      const end = lf < 0 ? data.length : lf + 1;
      const isShort = this.#lineStart && end - at <= LONGEST_HELD;
      if (lf < 0 && isShort) {
        this.#rest = Buffer.from(data.subarray(at));
        return true;
      }
      this.#lineStart = lf >= 0;
      if (!this.#reader.push(data.subarray(at, end), lf >= 0 && isShort)) return false;
      at = end;
    }
    return true;
  }

  end(): boolean {
    return (this.#rest.length === 0 || this.#reader.push(this.#rest, true)) && this.#reader.end();
  }
}
