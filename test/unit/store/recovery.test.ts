import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createFreeSpace } from "../../../src/store/free-space.ts";
import { StoreError } from "../../../src/store/queue.ts";
import { createStoreCare, type StoreCare } from "../../../src/store/store-care.ts";
import { fakeClock, type FakeClock } from "./fake-clock.ts";
import { failure, type FakeDisk, fakeDisk } from "./fake-disk.ts";

const random = { bytes: (length: number) => randomBytes(length), fraction: () => 0.5 };

describe("free disk", () => {
  const rig = () => {
    const disk = fakeDisk();
    const clock = fakeClock();
    return { disk, clock, space: createFreeSpace({ disk, folder: "/data", reserve: () => 1_000, clock }) };
  };
  it("is measured at most once a second while there is plenty", async () => {
    const { disk, clock, space } = rig();
    for (let ask = 0; ask < 100; ask += 1) await space.demand();
    expect(disk.log).toHaveLength(1);
    await clock.advance(1_000);
    await space.demand();
    expect(disk.log).toHaveLength(2);
  });
  it("is measured again when a part of the room has been written", async () => {
    const { disk, space } = rig();
    disk.free = 9_000;
    await space.demand();
    space.hold(1_000)();
    await space.demand();
    expect(disk.log).toHaveLength(1);
    space.hold(1)();
    disk.free = 999;
    await expect(space.demand()).rejects.toMatchObject({ kind: "no-space" });
    expect(space.enough()).toBe(false);
  });
  it("counts what is being written, by all at once", async () => {
    const { disk, space } = rig();
    disk.free = 5_000;
    const first = space.hold(3_000);
    await space.demand();
    const second = space.hold(1_001);
    await expect(space.demand()).rejects.toMatchObject({ kind: "no-space" });
    expect(space.enough()).toBe(true);
    first();
    second();
    await space.demand();
  });
  it("is enough again as soon as a measurement says so", async () => {
    const { disk, space } = rig();
    disk.free = 999;
    await expect(space.demand()).rejects.toMatchObject({ kind: "no-space" });
    disk.free = 1_000;
    await space.demand();
    expect(space.enough()).toBe(true);
  });
  it("that cannot be measured fails", async () => {
    const { disk, space } = rig();
    disk.before = () => {
      throw failure("EIO");
    };
    await expect(space.demand()).rejects.toMatchObject({ kind: "failed" });
  });
  it("that shrinks while no mail comes is noticed by asking", async () => {
    const { disk, clock, space } = rig();
    await space.demand();
    disk.free = 10;
    await clock.advance(1_000);
    space.enough();
    await clock.advance(0);
    expect(space.enough()).toBe(false);
  });
});

describe("the store's care", () => {
  const rig = (): {
    disk: FakeDisk;
    clock: FakeClock;
    care: StoreCare;
    asked: boolean[];
    answer: { done: boolean };
  } => {
    const disk = fakeDisk();
    const clock = fakeClock();
    const asked: boolean[] = [];
    const answer = { done: true };
    const space = createFreeSpace({ disk, folder: "/data", reserve: () => 1_000, clock });
    const maintain = async (shrink: boolean): Promise<boolean> => {
      asked.push(shrink);
      return answer.done;
    };
    const care = createStoreCare({ clock, random, disk, space, bodies: "/data/bodies", maintain });
    return { disk, clock, care, asked, answer };
  };

  it("empties the log once, soon after messages have gone", async () => {
    const { clock, care, asked } = rig();
    for (let gone = 0; gone < 10; gone += 1) care.shredSoon();
    await clock.advance(1_000);
    expect(asked).toEqual([false]);
    care.shredSoon();
    await clock.advance(1_000);
    expect(asked).toEqual([false, false]);
  });
  it("tries again while somebody reads the log", async () => {
    const { clock, care, asked, answer } = rig();
    answer.done = false;
    care.shredSoon();
    await clock.advance(3_000);
    expect(asked.length).toBeGreaterThan(1);
    answer.done = true;
    await clock.advance(2_000);
    const tries = asked.length;
    await clock.advance(10_000);
    expect(asked).toHaveLength(tries);
  });
  it("makes space while the disk is full, and stops when it is not", async () => {
    const { disk, clock, care, asked } = rig();
    disk.free = 10;
    care.onFailure(new StoreError("no-space", "full"));
    await clock.advance(3_500);
    expect(asked.length).toBeGreaterThan(2);
    expect(asked.every((shrink) => shrink)).toBe(true);
    disk.free = 10_000;
    await clock.advance(2_000);
    const tries = asked.length;
    await clock.advance(10_000);
    expect(asked).toHaveLength(tries);
  });
  it("holds a failed disk for unusable until a file can be written and synced there again", async () => {
    const { disk, clock, care } = rig();
    disk.before = (step) => {
      if (step === "datasync") throw failure("EIO");
    };
    care.onFailure(new StoreError("failed", "EIO"));
    await clock.advance(5_000);
    expect(care.healthy()).toBe(false);
    expect(disk.files.size).toBe(0);
    disk.before = () => undefined;
    await clock.advance(1_500);
    expect(care.healthy()).toBe(true);
    expect(disk.files.size).toBe(0);
  });
});
