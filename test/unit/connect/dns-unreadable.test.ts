import packet, { type Answer } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeAnswer, type Query, readAnswer } from "../../../src/connect/dns-message.ts";
import { hideUnreadable } from "../../../src/connect/dns-unreadable.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";

const NAME = "_25._tcp.mx.example" as DomainName;
const query: Query = { id: 7, name: NAME, type: "TLSA", edns: true };

/** dns-packet encodes types by number, but has no types for that. */
const raw = (type: number, data: Buffer) =>
  ({ type: `UNKNOWN_${type}`, name: NAME, ttl: 60, data }) as unknown as Answer;
const good: Answer = {
  type: "TLSA",
  name: NAME,
  ttl: 60,
  data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32, 9) },
};
const response = (...answers: Answer[]) =>
  packet.encode({
    type: "response",
    id: 7,
    flags: packet.RECURSION_AVAILABLE,
    questions: [{ type: "TLSA", name: NAME }],
    answers,
  });
const usages = (bytes: Buffer) => {
  const message = decodeAnswer(bytes, query);
  const reading = message && readAnswer(message, NAME, "TLSA");
  return reading?.kind === "found" ? reading.records.map(({ usage, data }) => `${usage}:${data.length}`) : reading;
};

describe("a record that ends too early", () => {
  it.each([0, 1, 2, 3])("does not shift those behind it: TLSA of %d octets [RFC 6698 §2.1]", (octets) => {
    expect(usages(response(raw(52, Buffer.alloc(octets, 3)), good, good))).toEqual(["255:0", "3:32", "3:32"]);
  });

  it.each([
    ["RRSIG", 46],
    ["NSEC3", 50],
    ["SRV", 33],
    ["CAA", 257],
  ])("is skipped by its length where nobody reads it: %s", (_, type) => {
    expect(usages(response(raw(type, Buffer.from([0xff])), good))).toEqual(["3:32"]);
  });
});

describe("hiding", () => {
  it("leaves what is read as it is", () => {
    const bytes = response(good, { type: "CNAME", name: NAME, ttl: 5, data: "x.example" });
    expect(hideUnreadable(bytes)).toEqual(bytes);
  });

  it("takes any bytes, and changes types only", () => {
    const whole = response(raw(46, Buffer.alloc(20)), good, raw(52, Buffer.alloc(1)));
    const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 });
    fc.assert(
      fc.property(changes, fc.nat(whole.length), (edits, length) => {
        const bytes = Buffer.from(whole.subarray(0, length));
        for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
        expect(hideUnreadable(bytes)).toHaveLength(bytes.length);
      }),
      { numRuns: 3_000 },
    );
  });
});
