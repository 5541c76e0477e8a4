/**
 * Watches the bytes of a peer's replies, so that none can be endless: at most 64 kB and 100 lines each, and every
 * line begins with a code. Linear in what is fed, and keeps no more than the beginning of a line.
 */
export type ReplyFault = "reply-too-long" | "reply-malformed";

const LARGEST_REPLY = 64_000;
const MOST_LINES = 100;
const LF = 0x0a;

export interface ReplyLimits {
  /** The fault of what was fed so far; undefined while there is none. */
  readonly feed: (chunk: Buffer) => ReplyFault | undefined;
}

export function createReplyLimits(): ReplyLimits {
  let octets = 0;
  let lines = 0;
  let start = "";
  let fault: ReplyFault | undefined;

  const endLine = (): void => {
    lines += 1;
    const begin = start.trimEnd();
    if (begin !== "" && !/^[2-5]\d\d(?:[ -]|$)/.test(start.trimEnd())) fault ??= "reply-malformed";
    if (lines > MOST_LINES) fault ??= "reply-too-long";
    if (start[3] !== "-") {
      octets = 0;
      lines = 0;
    }
    start = "";
  };

  return {
    feed: (chunk) => {
      for (let from = 0; from < chunk.length && fault === undefined; ) {
        const at = chunk.indexOf(LF, from);
        const end = at < 0 ? chunk.length : at;
        if (start.length < 4) start += chunk.toString("latin1", from, Math.min(end, from + 4 - start.length));
        octets += end - from;
        if (octets > LARGEST_REPLY) fault = "reply-too-long";
        if (at >= 0) endLine();
        from = end + 1;
      }
      return fault;
    },
  };
}
