import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/mail/delivery.ts";
import { many, row } from "./fake-queue.ts";
import { closedUntil, rig } from "./rig.ts";

const fresh = { id: "fresh", domain: "a", expiresAt: 1e15 } as Delivery;

describe("the dispatcher", () => {
  it("tries at most the permitted number at once, and each of the others in turn", async () => {
    const { dispatcher, tried, settled, end } = rig(many(5, "a"));
    dispatcher.wake();
    await settled();
    expect(tried).toEqual(["a0", "a1"]);
    for (const id of ["a0", "a1", "a2", "a3", "a4"]) await end(id);
    expect(tried).toEqual(["a0", "a1", "a2", "a3", "a4"]);
  });
  it("begins with few at a destination that is new, and gives it one more with each success", async () => {
    const { dispatcher, tried, settled, end } = rig(many(30, "a"), { concurrency: 5 });
    dispatcher.wake();
    await settled();
    expect(tried.length).toBe(2);
    await end("a0");
    expect(tried.length - 1).toBe(3);
    for (const id of ["a1", "a2", "a3"]) await end(id);
    expect(tried.length - 4).toBe(5);
  });
  it("remembers a destination that was reached: a burst later has all its slots at once", async () => {
    const { dispatcher, rows, tried, settled, end } = rig(many(1, "a"), { concurrency: 5 });
    dispatcher.wake();
    await settled();
    await end("a0");
    rows.push(...many(5, "later").map((one) => ({ ...one, domain: "a" })));
    dispatcher.wake();
    await settled();
    expect(tried.length).toBe(6);
  });
  it("a full destination never costs another one its turn", async () => {
    const { dispatcher, tried, settled } = rig([...many(50, "dead"), row("b0", "b")]);
    dispatcher.wake();
    await settled();
    expect(tried).toContain("b0");
  });
  it("works off many lanes of one destination without asking for all of them again and again", async () => {
    const lanes = Array.from({ length: 1_000 }, (_, index) => row(`m${index}`, `d${index}.host`));
    const { dispatcher, tried, calls, settled, end } = rig(lanes, { concurrency: 5 });
    dispatcher.wake();
    await settled();
    for (let next = 0; next < 300; next += 1) await end(tried[next]!);
    expect(tried.slice(0, 305)).toEqual(lanes0(305));
    expect(calls["dueDomains"]).toBeLessThan(20);
  });
  it("what is due while all slots of the gateway are taken is tried when one is free, each destination in turn", async () => {
    const alive = Array.from({ length: 60 }, (_, index) => `h${index}`);
    const { dispatcher, rows, tried, settled, end } = rig(
      alive.map((host) => row(`${host}-first`, host)),
      { concurrency: 5 },
    );
    dispatcher.wake();
    await settled();
    for (const host of alive) await end(`${host}-first`);
    rows.push(...alive.flatMap((host) => many(20, host)));
    tried.length = 0;
    dispatcher.wake();
    await settled();
    expect(tried.length).toBe(200);
    for (let next = 0; next < 1_200; next += 1) await end(tried[next]!);
    expect(rows).toEqual([]);
  });
  it("mail that comes due while others of its domain are claimed does not wait for the next look", async () => {
    const { dispatcher, tried, settled, advance } = rig([row("a0", "a"), row("a1", "a", 5)], { claimMs: 10 });
    dispatcher.wake();
    await settled();
    expect(tried).toEqual(["a0"]);
    await advance(40);
    expect(tried).toEqual(["a0", "a1"]);
  });
  it("stops when the attempts in hand have ended, and starts none", async () => {
    const { dispatcher, tried, settled, end } = rig(many(5, "a"));
    dispatcher.wake();
    await settled();
    let stopped = false;
    const stop = dispatcher.stop().then(() => (stopped = true));
    await end("a0");
    expect(stopped).toBe(false);
    await end("a1");
    await stop;
    expect(tried).toEqual(["a0", "a1"]);
  });
});

const lanes0 = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index}`);

describe("dead destinations", () => {
  it("once took every slot there is: they leave room for what is new, and both for what is alive", async () => {
    const hosts = (name: string, count: number) =>
      Array.from({ length: count }, (_, index) => row(`${name}${index}`, `${name}${index}`));
    const alive = hosts("alive", 100);
    const dead = hosts("dead", 150);
    const { dispatcher, rows, tried, settled, end, advance } = rig([...alive, ...dead], { concurrency: 1 });
    const triedOf = (name: string, from = 0) => tried.slice(from).filter((id) => id.startsWith(name)).length;
    dispatcher.wake();
    await settled();
    for (let next = 0; next < 250; next += 1)
      await end(tried[next]!, tried[next]!.startsWith("dead") ? closedUntil(60_000) : { reached: true });
    await advance(60_000);
    expect(triedOf("dead", 250)).toBe(100);
    rows.push(...hosts("new", 100));
    dispatcher.wake();
    await settled();
    rows.push(...hosts("alive", 100));
    dispatcher.wake();
    await settled();
    expect([triedOf("dead", 250), triedOf("new"), triedOf("alive", 250)]).toEqual([100, 50, 50]);
  });
  it("are claimed for no more than is tried there, since what is leased is out of reach for people", async () => {
    const { dispatcher, rows, settled } = rig(many(50, "a"), { concurrency: 5 });
    dispatcher.wake();
    await settled();
    expect(rows.filter(({ leased }) => leased).length).toBe(2);
  });
});

describe("fresh mail", () => {
  it("is given a slot only while one is free, and gives it back", async () => {
    const { dispatcher, take, tried, settled } = rig([], { concurrency: 1 });
    const slot = take("a");
    expect(dispatcher.reserve("a")).toBeUndefined();
    slot?.giveBack();
    take("a")?.submit(fresh);
    await settled();
    expect(tried).toEqual(["fresh"]);
  });
  it("that found no slot is tried when one is free, without new mail coming", async () => {
    const { dispatcher, rows, tried, settled, end } = rig([row("a0", "a")], { concurrency: 1 });
    dispatcher.wake();
    await settled();
    expect(dispatcher.reserve("a")).toBeUndefined();
    rows.push(row("a1", "a"));
    dispatcher.arrived("a");
    await settled();
    expect(tried).toEqual(["a0"]);
    await end("a0");
    expect(tried).toEqual(["a0", "a1"]);
  });
  it("whose storing took longer than all attempts in hand is tried all the same", async () => {
    const { dispatcher, rows, tried, settled, end } = rig([row("a0", "a")], { concurrency: 1 });
    dispatcher.wake();
    await settled();
    expect(dispatcher.reserve("a")).toBeUndefined();
    await end("a0");
    rows.push(row("a1", "a"));
    dispatcher.arrived("a");
    await settled();
    expect(tried).toEqual(["a0", "a1"]);
  });
  it("never overtakes what waits for a slot there", async () => {
    const { dispatcher, settled, end } = rig(many(4, "a"), { concurrency: 2 });
    dispatcher.wake();
    await settled();
    await end("a0");
    await end("a1");
    expect(dispatcher.reserve("a")).toBeUndefined();
  });
  it("stored for a reserved slot while the gateway stops is tried before it has stopped", async () => {
    const { dispatcher, take, tried, settled, end, rows } = rig([]);
    const slot = take("a");
    let stopped = false;
    const stop = dispatcher.stop().then(() => (stopped = true));
    await settled();
    expect(stopped).toBe(false);
    rows.push(row("fresh", "a", 0, { leased: true }));
    slot?.submit(fresh);
    await settled();
    expect([tried, stopped]).toEqual([["fresh"], false]);
    await end("fresh");
    await stop;
  });
});

describe("a lease", () => {
  it("of a delivery whose attempt ended with a defect was kept until the next start: it waits", async () => {
    const { dispatcher, rows, errors, settled, fail } = rig([row("a0", "a")]);
    dispatcher.wake();
    await settled();
    await fail("a0");
    expect(errors.length).toBe(1);
    expect(rows).toEqual([row("a0", "a", 15 * 60_000, { reason: "internal-error", attempts: 1 })]);
  });
  it("is given back though the store fails just then: it is tried until it is stored", async () => {
    const { dispatcher, rows, store, errors, settled, fail } = rig([row("a0", "a")]);
    dispatcher.wake();
    await settled();
    store.failures = 4;
    await fail("a0");
    expect(rows.filter(({ leased }) => leased)).toEqual([]);
    expect(errors.length).toBe(2);
  });
  it("that could not be had is asked for again in a second", async () => {
    const { dispatcher, store, tried, errors, settled, advance } = rig([row("a0", "a")]);
    store.failures = 2; // the look for notices, and the claim
    dispatcher.wake();
    await settled();
    expect([tried, errors.length]).toEqual([[], 2]);
    await advance(999);
    expect(tried).toEqual([]);
    await advance(1_000);
    expect(tried).toEqual(["a0"]);
  });
});

describe("a rate limit", () => {
  it("spaces what goes to one destination, and slows no other", async () => {
    const { dispatcher, tried, settled, end, advance } = rig([...many(3, "a"), row("b0", "b")], {
      concurrency: 5,
      rate: 60,
    });
    dispatcher.wake();
    await settled();
    expect(tried).toEqual(["a0", "b0"]);
    await end("a0");
    expect(dispatcher.reserve("a")).toBeUndefined();
    await advance(999);
    expect(tried).toEqual(["a0", "b0"]);
    await advance(1_000);
    expect(tried).toEqual(["a0", "b0", "a1"]);
    await advance(2_000);
    expect(tried).toEqual(["a0", "b0", "a1", "a2"]);
  });
  it("leases nothing ahead of its time", async () => {
    const { dispatcher, rows, settled, end } = rig(many(30, "a"), { concurrency: 5, rate: 1 });
    dispatcher.wake();
    await settled();
    await end("a0");
    expect(rows.filter(({ leased }) => leased).length).toBeLessThan(2);
  });
});

describe("delay notices", () => {
  it("are handed out when they are due, also for mail that nobody tries just now", async () => {
    const { dispatcher, reminded, settled, end, advance } = rig([row("a0", "a", 0, { noticeAt: 40_000 })]);
    dispatcher.wake();
    await settled();
    await end("a0", closedUntil(60_000));
    await advance(39_999);
    expect(reminded).toEqual([]);
    await advance(40_000);
    expect(reminded).toEqual(["a0"]);
  });
  it("that cannot be made leave the mail waiting for its attempt, and come later", async () => {
    const { dispatcher, rows, errors, reminded, settled } = rig([row("broken", "a", 70_000, { noticeAt: 0 })]);
    dispatcher.wake();
    await settled();
    expect([reminded, errors.length]).toEqual([["broken"], 1]);
    expect(rows).toEqual([row("broken", "a", 70_000, { noticeAt: 15 * 60_000 })]);
  });
  it("do not cost mail its turn that comes due while they are made", async () => {
    const { dispatcher, reminded, tried, settled } = rig([row("a0", "a", 0, { noticeAt: 0 })]);
    dispatcher.wake();
    await settled();
    expect([reminded, tried]).toEqual([["a0"], ["a0"]]);
  });
});
