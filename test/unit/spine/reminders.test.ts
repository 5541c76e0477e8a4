import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/mail/delivery.ts";
import type { StoredNotice } from "../../../src/notices.ts";
import { createRemind, noticeAfter } from "../../../src/reminders.ts";
import { type Completion, StoreError } from "../../../src/store/queue.ts";
import { delivery, facts } from "./fixtures.ts";

const HOUR = 3_600_000;
const STEPS = [4 * HOUR, 24 * HOUR, 48 * HOUR];
const DAYS = 120 * HOUR;

describe("the next delay notice", () => {
  it.each([
    ["the first, when it comes", 0, 0, DAYS, 4],
    ["the second, after the first", 1, 4, DAYS, 24],
    ["not one that has passed while nobody looked", 1, 30, DAYS, 48],
    ["not one told before a clock was set back", 2, 3, DAYS, 48],
    ["none after the last", 3, 48, DAYS, null],
    ["none when mail ends by then: its end is told", 1, 4, 24 * HOUR, null],
    ["none that was due long ago", 0, 100, DAYS, null],
  ])("%s", (_, sent, hours, expiresAt, expected) => {
    const next = noticeAfter(sent, { steps: STEPS, receivedAt: 0, expiresAt, now: hours * HOUR });
    expect(next).toBe(expected === null ? null : expected * HOUR);
  });
});

describe("a delay notice that is due", () => {
  const NOTICE = { message: { facts: { id: "n" } }, told: { kind: "delay" } } as StoredNotice;
  function rig(now: number, { steps = STEPS, fails = false, notices = [NOTICE] } = {}) {
    const completions: Completion[] = [];
    const told: unknown[] = [];
    const asked: [Delivery, number][] = [];
    const remind = createRemind({
      clock: { now: () => now },
      queue: {
        complete: (completion) => {
          if (fails) return Promise.reject(new StoreError("failed", "the disk is gone"));
          completions.push(completion);
          return Promise.resolve([]);
        },
      },
      delayNoticesMs: () => steps,
      delayed: (...of) => {
        asked.push(of);
        return Promise.resolve(notices);
      },
      queued: (made) => void told.push(...made),
    });
    return { remind, completions, told, asked };
  }
  const waiting = (over: Partial<Delivery> = {}) => delivery({ expiresAt: DAYS, ...over });

  it("is stored with the fact that it went out, and nothing else of the delivery changes", async () => {
    const { remind, completions, told, asked } = rig(4 * HOUR);
    await remind(waiting({ course: { step: 1 } }));
    expect(asked.map(([, lastTryAt]) => lastTryAt)).toEqual([DAYS]);
    expect(completions).toEqual([
      {
        deliveryId: waiting().id,
        ended: [],
        counts: false,
        notices: [NOTICE.message],
        change: { course: { step: 1, delayNotices: 1 }, noticeAt: 24 * HOUR },
      },
    ]);
    expect(told).toEqual([NOTICE]);
  });

  it("counts on from those that went out for the message it was made of", async () => {
    const { remind, completions } = rig(24 * HOUR);
    const fallback = { of: "f".repeat(32), approvedBy: "anna@example.org", delayNotices: 1 };
    await remind(waiting({ message: { ...facts, fallback } }));
    expect(completions[0]?.change).toEqual({ course: { delayNotices: 2 }, noticeAt: 48 * HOUR });
  });

  it.each([
    ["once its steps are gone from the configuration", 4, { steps: [] }, {}],
    ["when all of them were told", 60, {}, { course: { delayNotices: 3 } }],
    ["when its time has passed: its end is told", 121, {}, {}],
  ])("goes to nobody %s", async (_, hours, over, of) => {
    const { remind, completions, told, asked } = rig(hours * HOUR, over);
    await remind(waiting(of));
    expect(asked).toEqual([]);
    expect(told).toEqual([]);
    expect(completions[0]).toMatchObject({ notices: [], change: { noticeAt: null } });
  });

  it("to somebody who wants none is done with all the same", async () => {
    const { remind, completions, told } = rig(4 * HOUR, { notices: [] });
    await remind(waiting());
    expect(completions[0]?.change?.noticeAt).toBe(24 * HOUR);
    expect(told).toEqual([]);
  });

  it("that cannot be stored is told to nobody, and its lease is given back by who took it", async () => {
    const { remind, told } = rig(4 * HOUR, { fails: true });
    await expect(remind(waiting())).rejects.toThrow(StoreError);
    expect(told).toEqual([]);
  });
});
