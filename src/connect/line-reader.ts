/** Lines of what a peer says, for people to read: judges nothing, and what has no end yet is kept back. */
export interface LineReader {
  /** The lines that this chunk completes, without their ends. */
  readonly feed: (chunk: Buffer) => readonly string[];
}

/** Replies longer than this have been cut off before (reply-limits.ts). */
const LONGEST = 65_536;

export function createLineReader(): LineReader {
  let rest = "";
  return {
    feed: (chunk) => {
      const lines = `${rest}${chunk.toString("latin1")}`.split("\n");
      rest = (lines.pop() ?? "").slice(0, LONGEST);
      return lines.map((line) => line.replace(/\r$/, ""));
    },
  };
}
