/**
 * Lets content through whose lines all end with CRLF and refuses the rest: a bare CR or LF that a laxer next hop takes
 * for a line end smuggles a second message. Never repairs a bare CR; repairs a bare LF only where the client entry says so.
 */
import { ContentRefused } from "./content-refused.ts";

export interface LineEndings {
  /** The chunk as it may be passed on. Throws ContentRefused. */
  readonly check: (chunk: Buffer) => Buffer;
  /** Call once after the last chunk. Throws ContentRefused. */
  readonly end: () => void;
}

const LF = 10;
const CR = 13;

export function createLineEndings(normalizeBareLf: boolean): LineEndings {
  let openCr = false;
  return {
    check: (chunk) => {
      const bare: number[] = [];
      let start = 0;
      if (openCr && chunk.length > 0) {
        if (chunk[0] !== LF) throw bareLineEnd();
        start = 1;
        openCr = false;
      }
      while (start < chunk.length) {
        const lf = chunk.indexOf(LF, start);
        const cr = chunk.indexOf(CR, start);
        if (cr >= 0 && cr === chunk.length - 1) openCr = true;
        else if (cr >= 0 && cr !== lf - 1 && (lf < 0 || cr < lf)) throw bareLineEnd();
        if (lf < 0) break;
        if (cr < 0 || cr !== lf - 1) {
          if (!normalizeBareLf) throw bareLineEnd();
          bare.push(lf);
        }
        start = lf + 1;
      }
      return bare.length === 0 ? chunk : withCarriageReturns(chunk, bare);
    },
    end: () => {
      if (openCr) throw bareLineEnd();
    },
  };
}

function bareLineEnd(): ContentRefused {
  return new ContentRefused(550, "6.0", "The message has lines that do not end with CRLF", true);
}

function withCarriageReturns(chunk: Buffer, bare: readonly number[]): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const lf of bare) {
    parts.push(chunk.subarray(from, lf), Buffer.from("\r"));
    from = lf;
  }
  return Buffer.concat([...parts, chunk.subarray(from)]);
}
