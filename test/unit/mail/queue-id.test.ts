import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isQueueId, newQueueId } from "../../../src/mail/queue-id.ts";
import { systemRandom } from "../../../src/runtime/random.ts";

const noise = (byte: number) => ({ bytes: (length: number) => Buffer.alloc(length, byte) });

describe("newQueueId", () => {
  it("is 12 digits of milliseconds and 20 random ones", () => {
    expect(newQueueId(Date.parse("2026-11-25T12:00:00.007Z"), noise(0xab))).toBe(`01a21293b607${"ab".repeat(10)}`);
  });

  it("sorts by time, whatever the random part", () => {
    const time = fc.integer({ min: 0, max: 2 ** 48 - 2 });
    fc.assert(
      fc.property(time, fc.integer({ min: 1, max: 1_000_000 }), (now, later) => {
        expect(newQueueId(now, noise(0xff)) < newQueueId(Math.min(now + later, 2 ** 48 - 1), noise(0))).toBe(true);
      }),
    );
  });

  it("differs within a millisecond", () => {
    const ids = Array.from({ length: 1_000 }, () => newQueueId(7, systemRandom));
    expect(new Set(ids).size).toBe(1_000);
  });

  it.each([-1, -1e15, 2 ** 48, 2 ** 53, 0.5, 1e12 + 0.9])("is an id at %d, too, by a clock that is wrong", (now) => {
    expect(isQueueId(newQueueId(now, systemRandom))).toBe(true);
  });
});
