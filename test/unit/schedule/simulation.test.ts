import { describe, expect, it } from "vitest";
import { row, type Row } from "./fake-queue.ts";
import { DAY, type Happening, HOUR, MINUTE, SECOND, world } from "./world.ts";

const DEAD = { ms: 30 * SECOND, well: false };
const WELL = { ms: 50, well: true };
const hostsOf = (kind: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${kind}${index}`);
const mailFor = (hosts: readonly string[], each: number, lifetime = 5 * DAY): Row[] =>
  Array.from({ length: each * hosts.length }, (_, index) =>
    row(`m${index}`, hosts[index % hosts.length], 0, { expiresAt: lifetime }),
  );
const lastOf = (happenings: readonly Happening[]): number => Math.max(...happenings.map(({ at }) => at));
const countOf = (happenings: readonly Happening[], host: string): number =>
  happenings.filter((one) => one.host === host).length;

describe("20,000 messages for 50 destinations, half of them dead", () => {
  const EACH = 400;
  it("go to the healthy half as fast as without the dead half, which is tried once in a step", async () => {
    const [well, dead] = [hostsOf("well", 25), hostsOf("dead", 25)];
    const host = (name: string) => (name.startsWith("dead") ? DEAD : WELL);
    const alone = world({ rows: mailFor(well, EACH), host });
    alone.dispatcher.wake();
    await alone.pass(MINUTE);
    const beside = world({ rows: mailFor([...dead, ...well], EACH), host });
    beside.dispatcher.wake();
    await beside.pass(HOUR);

    expect([alone.delivered.length, beside.delivered.length]).toEqual([25 * EACH, 25 * EACH]);
    expect(lastOf(beside.delivered)).toBeLessThanOrEqual(lastOf(alone.delivered) * 1.1);
    // Two side by side at first, then after 1, 5, 15 and 30 minutes.
    expect(dead.map((name) => countOf(beside.tried, name))).toEqual(dead.map(() => 6));
    expect(beside.calls["postpone"]).toBeLessThan(25 * 6 * 3);
    const gone = new Set(beside.delivered.map(({ id }) => id));
    expect(beside.rows.filter(({ id, leased }) => leased && !gone.has(id))).toEqual([]);
    expect([alone.errors, beside.errors]).toEqual([[], []]);
  });
});

describe("10,000 messages at one dead destination", () => {
  it("once ended up to 33 hours after their time: each ends on it, none before", async () => {
    const rows = mailFor(["dead"], 10_000).map((one, index) => ({
      ...one,
      expiresAt: 2 * HOUR + Math.floor(index / 200) * 20 * SECOND,
    }));
    const ends = new Map(rows.map(({ id, expiresAt }) => [id, expiresAt]));
    const { dispatcher, pass, expired, tried } = world({ rows, host: () => DEAD });
    dispatcher.wake();
    await pass(4 * HOUR);
    const late = expired.map(({ id, at }) => at - (ends.get(id) ?? 0));
    expect(expired.length).toBe(10_000);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...late)).toBeLessThanOrEqual(MINUTE); // one that is just being tried ends with that
    expect(tried.length).toBeLessThan(12);
  });
});

describe("a destination that recovers", () => {
  it("gets what waits at once, in the order in which it came, and within its concurrency", async () => {
    const back = 100 * MINUTE;
    const rows = mailFor(["lazarus"], 500);
    const host = (_: string, at: number) => (at < back ? DEAD : WELL);
    const { dispatcher, pass, tried, delivered } = world({ rows, host });
    dispatcher.wake();
    await pass(4 * HOUR);
    const since = tried.filter(({ at }) => at >= back);
    const [first] = since;
    expect(delivered.length).toBe(500);
    expect(lastOf(delivered) - (first?.at ?? 0)).toBeLessThan(10 * SECOND);
    const probes = new Set(tried.filter(({ at }) => at < back).map(({ id }) => id)); // they wait by their own schedule
    const order = since.filter(({ id }) => !probes.has(id)).map(({ id }) => Number(id.slice(1)));
    expect(order.length).toBeGreaterThan(490);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    const busiest = Math.max(...delivered.map(({ at }) => delivered.filter((other) => other.at === at).length));
    expect(busiest).toBeLessThanOrEqual(5);
  });
});

describe("whatever the wall clock does", () => {
  const random = (seed: number) => () => (seed = (seed * 48_271) % 0x7fff_ffff) / 0x7fff_ffff;
  it.each(Array.from({ length: 8 }, (_, seed) => [seed + 1]))(
    "nothing ends before its time, everything ends, and no lease is left (%i)",
    async (seed) => {
      const next = random(seed);
      const hosts = ["dead", "greylist", "well"];
      const rows = mailFor(hosts, 10, 2 * DAY);
      const host = (name: string, at: number) => (name === "dead" || (name !== "well" && at < HOUR) ? DEAD : WELL);
      const { dispatcher, pass, time, expired, delivered, errors } = world({ rows, host });
      dispatcher.wake();
      let passed = 0;
      for (let jump = 0; jump < 8; jump += 1) {
        passed += next() * 5 * HOUR;
        await pass(passed);
        time.ahead += (next() - 0.5) * 20 * DAY;
      }
      for (let day = 1; day < 30 && rows.length > 0; day += 1) await pass(passed + day * DAY);
      expect(errors).toEqual([]);
      expect([rows, delivered.length, expired.length]).toEqual([[], 20, 10]);
      expect(Math.min(...expired.map(({ at }) => at))).toBeGreaterThanOrEqual(2 * DAY);
    },
  );
});
