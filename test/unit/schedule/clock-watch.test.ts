import { describe, expect, it } from "vitest";
import { forwardSince } from "../../../src/schedule/clock-jump.ts";
import { row } from "./fake-queue.ts";
import { closedUntil, LIFETIME_MS, rig } from "./rig.ts";

const DAY = 86_400_000;

describe("a wall clock that is put", () => {
  it("forward takes no time from what waits: it moves along, once", async () => {
    const { dispatcher, rows, shifts, settled, setClock } = rig([row("a0", "a", 50_000, { expiresAt: 100_000 })]);
    dispatcher.wake();
    await settled();
    setClock(7 * DAY);
    for (let look = 0; look < 2; look += 1) {
      dispatcher.wake();
      await settled();
    }
    expect([shifts, rows[0]?.expiresAt]).toEqual([[7 * DAY], 7 * DAY + 100_000]);
  });
  it("forward and back again has changed nothing", async () => {
    const { dispatcher, rows, shifts, settled, setClock } = rig([row("a0", "a", 50_000, { expiresAt: 100_000 })]);
    for (const to of [7 * DAY, 1_000]) {
      dispatcher.wake();
      await settled();
      setClock(to);
    }
    dispatcher.wake();
    await settled();
    expect(shifts).toEqual([7 * DAY, 1_000 - 7 * DAY]);
    expect(rows[0]?.expiresAt).toBe(101_000);
  });
  it("back, after a start with a clock that was ahead, ends nothing that was stored before by a right one", async () => {
    const { dispatcher, rows, shifts, settled, setClock } = rig([row("a0", "a", DAY, { expiresAt: 2 * DAY })]);
    setClock(0);
    dispatcher.wake();
    await settled();
    setClock(-365 * DAY);
    dispatcher.wake();
    await settled();
    expect(shifts).toEqual([0]);
    expect(rows[0]?.expiresAt).toBe(LIFETIME_MS - 365 * DAY); // and nothing waits longer than mail may
  });
  it("back does not make mail wait for the time it showed before", async () => {
    const { dispatcher, tried, settled, end, setClock, advance } = rig([row("a0", "a"), row("b0", "b")]);
    dispatcher.wake();
    await settled();
    await end("a0", closedUntil(60_000));
    await end("b0", { nextAttemptAt: 60_000, reached: true });
    setClock(-365 * DAY);
    await advance(-365 * DAY + 60_000); // nobody wakes it
    expect(tried).toEqual(["a0", "b0", "a0", "b0"]);
  });
  it("by less than a minute moves nothing", async () => {
    const { dispatcher, shifts, settled, setClock } = rig([row("a0", "a")]);
    setClock(59_000);
    dispatcher.wake();
    await settled();
    expect(shifts).toEqual([]);
  });
  it("forward while what was claimed waits for a slot takes no time from it", async () => {
    const rows = Array.from({ length: 8 }, (_, index) => row(`a${index}`, "a", 0, { expiresAt: 100_000 }));
    const { dispatcher, given, settled, end, setClock } = rig(rows, { concurrency: 1 });
    dispatcher.wake();
    await settled();
    await end("a0");
    setClock(7 * DAY);
    for (const id of ["a1", "a2", "a3"]) await end(id);
    expect(given.slice(2).map(({ id, expiresAt }) => [id, expiresAt])).toEqual(
      ["a2", "a3", "a4"].map((id) => [id, 7 * DAY + 100_000]),
    );
  });
  it("forward is noticed before fresh mail is stored, or that would be moved as well", async () => {
    const { dispatcher, calls, settled, setClock } = rig([]);
    dispatcher.wake();
    await settled();
    setClock(7 * DAY);
    dispatcher.reserve("a");
    expect(calls["shiftClock"]).toBe(1); // at once: what is asked of the store next comes after it
    await settled();
  });
  it("is noticed again and again until what is stored has moved", async () => {
    const { dispatcher, rows, shifts, store, settled, setClock, advance } = rig([
      row("a0", "a", 2 * DAY, { expiresAt: 3 * DAY }),
    ]);
    dispatcher.wake();
    await settled();
    setClock(7 * DAY);
    store.failures = 2;
    dispatcher.wake();
    await settled();
    await advance(7 * DAY + 5_000);
    expect([shifts, rows[0]?.expiresAt]).toEqual([[7 * DAY], 10 * DAY]);
  });
});

describe("a start", () => {
  it("after a clock that was far ahead makes due what would wait longer than mail may, and bounds its end", async () => {
    const { dispatcher, rows, tried, settled } = rig([
      row("a0", "a", 365 * DAY, { expiresAt: 370 * DAY, noticeAt: 366 * DAY }),
    ]);
    dispatcher.wake();
    await settled();
    expect([tried, rows[0]?.expiresAt]).toEqual([["a0"], LIFETIME_MS]);
  });
  it("in the middle of a back-off goes by the times that are stored", async () => {
    const { dispatcher, tried, shifts, settled, advance } = rig([
      row("a0", "a", 60_000, { expiresAt: 2 * DAY, noticeAt: DAY, reason: "connection-failed", attempts: 3 }),
    ]);
    dispatcher.wake();
    await settled();
    await advance(59_000);
    expect([tried, shifts]).toEqual([[], []]);
    await advance(60_020);
    expect(tried).toEqual(["a0"]);
  });
});

it.each([
  ["stands", 0, 0],
  ["is put forward", 3_600_000, 3_600_000],
  ["is put forward by a little", 60_000, 0],
  ["is put back", -3_600_000, 0],
])("a clock that %s gives what is in hand so much more time", (_, jump, expected) => {
  expect(forwardSince({ now: () => 5_000 + jump, monotonic: () => 1_000 }, 4_000)).toBe(expected);
});
