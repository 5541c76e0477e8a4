import fc from "fast-check";
import { expect, it } from "vitest";
import { laneFor, readLane } from "../../../src/mail/delivery.ts";

const word = fc.stringMatching(/^[a-z0-9.:[\]-]{1,20}$/);
const apart = fc.record(
  { via: word, level: word, lifted: fc.constant(true), partner: fc.stringMatching(/^[a-z ]{1,20}$/) },
  { requiredKeys: [] },
);

it("reads a lane as it was written", () => {
  fc.assert(
    fc.property(word, apart, (domain, from) => {
      expect(readLane(laneFor(domain, from))).toEqual({ domain, ...from });
    }),
  );
});

it.each([
  [{}, "acme.example"],
  [{ lifted: false }, "acme.example"],
  [{ lifted: true }, "acme.example lifted"],
  [
    { via: "[mx.test]:25", level: "encrypt", lifted: true, partner: "a b" },
    "acme.example via [mx.test]:25 at encrypt lifted for a b",
  ],
])("mail that is apart by %j is claimed as %j", (from, lane) => expect(laneFor("acme.example", from)).toBe(lane));
