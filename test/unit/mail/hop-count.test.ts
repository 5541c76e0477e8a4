import { describe, expect, it } from "vitest";
import { countHops } from "../../../src/mail/hop-count.ts";

const ours = (n: number, by = "us.example"): string =>
  `Received: by ${by} (sealpost) with ESMTPS id 1 (hop ${n}); x\r\n`;
const other = "Received: from a by b; x\r\n";

describe("hops [RFC 5321 §6.3]", () => {
  it.each([
    ["none", "", 0],
    ["every Received field", other + other, 2],
    ["no other field", "X-Received: by a\r\nReceived-SPF: by b\r\n", 0],
    ["those one of ours says were there", ours(7), 8],
    ["those above ours, too", other + other + ours(7), 10],
    ["what is still there below ours only once", ours(3) + other + other + other, 4],
    ["what is there when ours says less", ours(0) + other + other, 3],
    ["several of ours only once", ours(8) + other + ours(6) + other, 9],
    ["those of another sealpost", ours(7, "other.example"), 8],
    ["words of other servers as nothing", "Received: by other.example with ESMTP (hop 7)\r\n", 1],
    ["ours without a number", "Received: from x by us.example (sealpost) with ESMTP id 1; x\r\n", 1],
    ["ours in another case", "RECEIVED: BY US.EXAMPLE (SEALPOST) WITH ESMTPS ID 1 (HOP 7); X\r\n", 8],
    ["ours folded elsewhere", "Received:\r\n by us.example\r\n\t(sealpost) with ESMTPS id 1 (hop\r\n 7);\r\n x\r\n", 8],
    ["a broken number as none", "Received: by us.example (sealpost) (hop 12345678)\r\n", 1],
  ])("are %s", (_, fields, expected) => expect(countHops(Buffer.from(`${fields}\r\n`))).toBe(expected));
});
