import { finished } from "node:stream/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CommandStream } from "../../../src/accept/command-stream.ts";

/** RFC 5321 §4.5.2 and §4.1.1.4, by the letter: the content before CRLF.CRLF, and what follows it. */
function byTheBook(sent: string): { content: string; after: string } | undefined {
  const whole = `\r\n${sent}`;
  const end = whole.indexOf("\r\n.\r\n");
  if (end < 0) return undefined;
  const content = `${whole.slice(0, end)}\r\n`.replaceAll("\r\n.", "\r\n").slice(2);
  return { content, after: whole.slice(end + 5) };
}

/** Feeds `bytes`, cut at `cuts`, to a parser in DATA. */
async function feed(
  bytes: Buffer,
  cuts: readonly number[],
): Promise<{ content: string; after: string; ended: boolean }> {
  const parser = new CommandStream();
  const after: string[] = [];
  let ended = false;
  parser.oncommand = (line, next) => {
    after.push(line.toString("latin1"));
    next?.();
  };
  parser.onBadLine = (kind, next) => {
    after.push(kind);
    if (kind === "bare-line-end") parser.isClosed = true; // as a session does
    next();
  };
  parser.onContentEnd = () => {
    ended = true;
  };
  const stream = parser.startDataMode();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("end", () => parser.continue());
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  edges.slice(1).forEach((edge, index) => parser.write(Buffer.from(bytes.subarray(edges[index] ?? 0, edge))));
  parser.end();
  if (ended) {
    await finished(stream);
    await finished(parser);
  } else await new Promise((resolve) => setImmediate(resolve));
  return { content: Buffer.concat(chunks).toString("latin1"), after: after.join("|"), ended };
}

const fragments = fc.array(fc.constantFrom("\r", "\n", "\r\n", ".", "..", "\r\n.", "a", "\0", "\r\n.\r\n", "x y"), {
  maxLength: 40,
});
const cuts = fc.array(fc.nat(200), { maxLength: 12 });

describe("DATA", () => {
  it("is un-stuffed and ended as the RFC says, however it is cut [RFC 5321 §4.5.2]", async () => {
    await fc.assert(
      fc.asyncProperty(fragments, cuts, async (parts, where) => {
        const sent = `${parts.join("")}\r\n.\r\n`;
        const expected = byTheBook(sent);
        const seen = await feed(Buffer.from(sent, "latin1"), where);
        expect(seen.ended).toBe(true);
        expect(seen.content).toBe(expected?.content);
      }),
      { numRuns: 500 },
    );
  });

  it("gives the same, content and what follows, in one piece and in many", async () => {
    await fc.assert(
      fc.asyncProperty(fragments, cuts, async (parts, where) => {
        const sent = Buffer.from(`${parts.join("")}\r\n.\r\nNOOP\r\nQUIT\r\n`, "latin1");
        expect(await feed(sent, where)).toEqual(await feed(sent, []));
      }),
      { numRuns: 200 },
    );
  });

  it("of any bytes with legal line ends comes out as it went in", async () => {
    const lines = fc.array(fc.string({ unit: fc.constantFrom(".", "a", "\0", "\xff", " ") }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(lines, cuts, async (text, where) => {
        const content = text.map((line) => `${line}\r\n`).join("");
        const stuffed = text.map((line) => `${line.startsWith(".") ? "." : ""}${line}\r\n`).join("");
        const seen = await feed(Buffer.from(`${stuffed}.\r\n`, "latin1"), where);
        expect(seen).toEqual({ content, after: "", ended: true });
      }),
    );
  });

  it.each([
    ["an empty message", ".\r\n", ""],
    ["a message of one stuffed dot", "..\r\n.\r\n", ".\r\n"],
    ["a dot that is not alone", ".a\r\n.\r\n", "a\r\n"],
  ])("%s", async (_, sent, content) => {
    expect(await feed(Buffer.from(sent), [1])).toEqual({ content, after: "", ended: true });
  });
});

describe("commands", () => {
  const run = async (bytes: Buffer, size: number): Promise<string[]> => {
    const parser = new CommandStream();
    const seen: string[] = [];
    parser.oncommand = (line, next) => {
      seen.push(line.toString("utf8"));
      if (seen.length % 3 === 0) setImmediate(() => next?.());
      else next?.();
    };
    parser.onBadLine = (kind, next) => {
      seen.push(kind);
      next();
    };
    for (let at = 0; at < bytes.length; at += size) parser.write(Buffer.from(bytes.subarray(at, at + size)));
    parser.end();
    await finished(parser);
    return seen;
  };

  it.each([1, 2, 3, 7, 1000])("come out line by line, in order, in pieces of %i", async (size) => {
    const lines = Array.from({ length: 250 }, (_, index) => `NOOP ${index}`);
    expect(await run(Buffer.from(`${lines.join("\r\n")}\r\nunfinished`), size)).toEqual(lines);
  });

  it.each([1, 2, 3, 1000])("with anything but CRLF at their end do not come out, in pieces of %i", async (size) => {
    for (const bad of ["MAIL\nRCPT\r\n", "MAIL\rRCPT\r\n", "MAIL\r\r\n", "\nMAIL\r\n"])
      expect((await run(Buffer.from(bad), size))[0]).toBe("bare-line-end");
  });

  it("never come out with a control character or broken UTF-8", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.integer({ min: 1, max: 60 }), async (bytes, size) => {
        const seen = await run(Buffer.concat([Buffer.from(bytes), Buffer.from("\r\n")]), size);
        for (const line of seen) expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f\ufffd]/);
      }),
    );
  });
});
