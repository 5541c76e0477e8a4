import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maxSizeOf, parseEhlo, parseReply } from "../../../src/connect/peer-reply.ts";
import { createReplyLimits } from "../../../src/connect/reply-limits.ts";

describe("a reply", () => {
  it.each([
    ["a code alone", "250", { code: 250, text: "" }],
    ["code and text", "250 Ok", { code: 250, text: "Ok" }],
    [
      "an enhanced code [RFC 2034 §3]",
      "550 5.1.1 No such user",
      { code: 550, enhancedCode: "5.1.1", text: "No such user" },
    ],
    ["an enhanced code alone", "250 2.0.0", { code: 250, enhancedCode: "2.0.0", text: "" }],
    [
      "several lines, the enhanced code on each [RFC 2034 §4]",
      "550-5.7.1 Go away\n550 5.7.1 and stay there",
      { code: 550, enhancedCode: "5.7.1", text: "Go away and stay there" },
    ],
    ["numbers that are no enhanced code", "250 10.0.0.1 is welcome", { code: 250, text: "10.0.0.1 is welcome" }],
    ["control characters", "550 a\x1b[31mb\x07c", { code: 550, text: "a [31mb c" }],
  ])("is read: %s", (_, raw, expected) => expect(parseReply(raw)).toEqual(expected));

  it.each(["", "hello", "25", "2500 Ok", "150 wait", "650 what"])("is none: %j", (raw) =>
    expect(parseReply(raw)).toBeUndefined(),
  );

  it("is cut to a length that fits a log line", () => {
    expect(parseReply(`550 ${"x".repeat(5_000)}`)?.text).toHaveLength(1_000);
  });
});

describe("an EHLO reply", () => {
  const raw = "250-mx.test STARTTLS\n250-SIZE 1000\n250-pipelining\n250-AUTH=PLAIN LOGIN\n250 DSN";

  it("offers its keywords in any letter case, never the words of its greeting [RFC 5321 §4.1.1.1]", () => {
    expect([...parseEhlo(raw).keys()]).toEqual(["SIZE", "PIPELINING", "AUTH", "DSN"]);
  });

  it.each([
    ["SIZE 1000", 1000],
    ["SIZE 0", undefined],
    ["SIZE", undefined],
    ["SIZE many", undefined],
    ["SIZE 99999999999999999999", undefined],
    ["DSN", undefined],
  ])("tells the largest message [RFC 1870 §3]: %s", (line, size) =>
    expect(maxSizeOf(parseEhlo(`250-mx.test\n250 ${line}`))).toBe(size),
  );
});

describe("limits of replies", () => {
  const feedAll = (...chunks: (string | Buffer)[]): string | undefined => {
    const limits = createReplyLimits();
    return chunks.map((chunk) => limits.feed(Buffer.from(chunk))).findLast((fault) => fault !== undefined);
  };

  it.each<[string, string[], string | undefined]>([
    ["one line", ["250 Ok\r\n"], undefined],
    ["bytes one by one", "250-a\r\n250 b\r\n".split(""), undefined],
    ["an empty line between", ["250 Ok\r\n\r\n250 Ok\r\n"], undefined],
    ["100 lines", [`${"250-x\r\n".repeat(99)}250 x\r\n`], undefined],
    ["100 lines, often", Array.from({ length: 50 }, () => `${"250-x\r\n".repeat(99)}250 x\r\n`), undefined],
    ["101 lines", [`${"250-x\r\n".repeat(100)}250 x\r\n`], "reply-too-long"],
    ["a line without end", Array.from({ length: 65 }, () => "250 ".repeat(250)), "reply-too-long"],
    ["lines that are long together", Array.from({ length: 90 }, () => `250-${"x".repeat(800)}\r\n`), "reply-too-long"],
    ["no code", ["HTTP/1.1 400 Bad Request\r\n"], "reply-malformed"],
    ["a code of no class", ["199 x\r\n"], "reply-malformed"],
    ["a code too long", ["2500 x\r\n"], "reply-malformed"],
    ["what comes after a fault", ["x\r\n", "250 Ok\r\n"], "reply-malformed"],
  ])("%s", (_, chunks, fault) => expect(feedAll(...chunks)).toBe(fault));

  it("do not depend on how the bytes are cut", () => {
    const line = fc.constantFrom("250 a\r\n", "250-b\r\n", "x\r\n", "\r\n", "25\n", `550 ${"y".repeat(40_000)}\r\n`);
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 120 }),
        fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1 }),
        (lines, cuts) => {
          const all = Buffer.from(lines.join(""));
          const chunks: Buffer[] = [];
          for (let at = 0, turn = 0; at < all.length; turn += 1) {
            const length = cuts[turn % cuts.length] ?? 1;
            chunks.push(all.subarray(at, at + length));
            at += length;
          }
          expect(feedAll(...chunks)).toBe(feedAll(all));
        },
      ),
    );
  });
});
