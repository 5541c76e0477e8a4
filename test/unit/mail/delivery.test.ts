import fc from "fast-check";
import { expect, it } from "vitest";
import { laneFor, readLane } from "../../../src/mail/delivery.ts";

const word = fc.stringMatching(/^[a-z0-9.:[\]-]{1,20}$/);
const apart = fc.record(
  { via: word, level: word, tlsRequiredNo: fc.constant(true), partner: fc.stringMatching(/^[a-z ]{1,20}$/) },
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
  [{ tlsRequiredNo: false }, "acme.example"],
  [{ tlsRequiredNo: true }, "acme.example tls-required-no"],
  [
    { via: "[mx.test]:25", level: "encrypt", tlsRequiredNo: true, partner: "a b" },
    "acme.example via [mx.test]:25 at encrypt tls-required-no for a b",
  ],
])("mail that is apart by %j is claimed as %j", (from, lane) => expect(laneFor("acme.example", from)).toBe(lane));
