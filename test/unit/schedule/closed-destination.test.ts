import { describe, expect, it } from "vitest";
import { many, row } from "./fake-queue.ts";
import { closedUntil, mistrustedUntil, rig } from "./rig.ts";

const one = { concurrency: 1 };

describe("a closed destination", () => {
  it("is tried again by itself when its time has come", async () => {
    const { dispatcher, tried, settled, end, advance } = rig(many(1, "a"));
    dispatcher.wake();
    await settled();
    await end("a0", closedUntil(60_000));
    await advance(59_999);
    expect(tried.length).toBe(1);
    await advance(60_000);
    expect(tried.length).toBe(2);
  });
  it("is tried again by the retry list, whatever the number of messages for it", async () => {
    const { dispatcher, rows, tried, settled, end, advance } = rig(many(40, "a"), one);
    dispatcher.wake();
    await settled();
    await end("a0", closedUntil(60_000));
    expect(rows.map(({ at, reason, attempts }) => ({ at, reason, attempts }))).toEqual(
      rows.map(() => ({ at: 60_000, reason: "connection-failed", attempts: 1 })),
    );
    for (const [from, until] of [
      [60_000, 360_000],
      [360_000, 660_000],
      [660_000, 960_000],
    ] as const) {
      const before = tried.length;
      await advance(from - 1);
      expect(tried.length).toBe(before);
      await advance(from + 20);
      expect(tried.length).toBe(before + 1);
      await end(tried.at(-1)!, closedUntil(until));
    }
  });
  it("does not fail twice for attempts that ran side by side", async () => {
    const { dispatcher, tried, settled, end, advance } = rig(many(2, "a"));
    dispatcher.wake();
    await settled();
    await end("a0", closedUntil(60_000));
    await end("a1", closedUntil(60_000));
    await advance(60_000);
    expect(tried.length).toBe(3);
  });
  it("gets back to wait what was claimed for it, untried and uncounted", async () => {
    const { dispatcher, rows, tried, settled, end } = rig(many(30, "a"), { concurrency: 2 });
    dispatcher.wake();
    await settled();
    await end("a0");
    expect(rows.filter(({ leased }) => leased).length).toBeGreaterThan(2);
    await end("a1", closedUntil(60_000));
    await end("a2", closedUntil(60_000));
    expect(tried).toEqual(["a0", "a1", "a2"]);
    expect(rows.filter(({ leased, at }) => leased || at !== 60_000)).toEqual([]);
    expect(rows.filter(({ attempts }) => attempts > 1)).toEqual([]);
    expect(dispatcher.reserve("a")).toEqual({ waits: { at: 60_000, reason: "connection-failed" } });
  });
  it("after a TLS failure is closed for those of the same policy only", async () => {
    const { dispatcher, rows, tried, settled, end } = rig([row("a0", "a.host"), row("b0", "b.host")], one);
    dispatcher.wake();
    await settled();
    await end("a0", mistrustedUntil(60_000));
    expect(tried).toEqual(["a0", "b0"]);
    expect(dispatcher.reserve("a.host")).toEqual({ waits: { at: 60_000, reason: "certificate-not-trusted" } });
    await end("b0");
    rows.push(row("b1", "b.host"));
    dispatcher.wake();
    await settled();
    expect(tried).toEqual(["a0", "b0", "b1"]);
  });
  it("is not closed by a policy that its domain does not have: an address may have a partner of its own", async () => {
    const { dispatcher, take, settled, end } = rig([row("a0", "a.host")], one);
    dispatcher.wake();
    await settled();
    const { closedBy, ...report } = mistrustedUntil(60_000);
    await end("a0", { ...report, closedBy: { ...closedBy!, policy: "partner of one address" } });
    expect(take("a.host")).toBeDefined();
  });
  it("after a connection failure is closed for every policy", async () => {
    const { dispatcher, tried, settled, end } = rig([row("a0", "a.host"), row("b0", "b.host")], one);
    dispatcher.wake();
    await settled();
    await end("a0", closedUntil(60_000));
    expect(tried).toEqual(["a0"]);
    expect(dispatcher.reserve("b.host")).toEqual({ waits: { at: 60_000, reason: "connection-failed" } });
  });
  it("with thousands of domains behind it puts them off together", async () => {
    const lanes = Array.from({ length: 3_000 }, (_, index) => row(`m${index}`, `d${index}.host`));
    const { dispatcher, rows, tried, calls, settled, end, advance } = rig(lanes);
    dispatcher.wake();
    await settled();
    await end("m0", closedUntil(60_000));
    await end("m1", closedUntil(60_000));
    expect(rows.filter(({ at }) => at !== 60_000)).toEqual([]);
    expect(calls["postpone"]).toBeLessThan(10);
    await advance(60_020);
    expect(tried.length).toBe(3);
    await end(tried[2]!);
    expect(tried.length).toBe(5);
  });
});

describe("what expires while its destination is closed", () => {
  it("ends on time, without a connection and without waiting for its turn", async () => {
    const dying = many(50, "a", { expiresAt: 30_000, attempts: 2 });
    const { dispatcher, tried, ended, settled, end, advance } = rig([row("a-first", "a"), ...dying], one);
    dispatcher.wake();
    await settled();
    await end("a-first", closedUntil(60_000));
    await advance(29_999);
    expect(ended).toEqual([]);
    await advance(30_020);
    expect(ended.toSorted()).toEqual(dying.map(({ id }) => `${id} connection-failed`).toSorted());
    expect(tried).toEqual(["a-first"]);
  });
  it("lives through two attempts before", async () => {
    const rows = [row("a-first", "a"), row("a-second", "a", 30_000, { expiresAt: 30_000 })];
    const { dispatcher, ended, settled, end, advance, tried } = rig(rows, one);
    dispatcher.wake();
    await settled();
    await end("a-first", closedUntil(60_000));
    await advance(30_020);
    expect(rows[1]).toMatchObject({ attempts: 1, at: 60_000, leased: false, reason: "connection-failed" });
    await advance(60_020);
    await end(tried[1]!, closedUntil(360_000));
    await advance(60_100);
    expect(rows[1]).toMatchObject({ attempts: 2, at: 360_020, leased: false });
    expect(ended).toEqual([]);
    await advance(360_020);
    expect(tried.length).toBe(3);
    await end(tried[2]!, closedUntil(660_000));
    expect([...ended, ...tried.slice(2)].filter((id) => id.startsWith("a-second")).length).toBe(1);
  });
  it("and had expired before the start is given the time of the longest step", async () => {
    const rows = [row("a-first", "a"), row("a-second", "a", 10, { expiresAt: -5, attempts: 9 })];
    const { dispatcher, ended, settled, end, advance } = rig(rows, { ...one, startedAt: 0 });
    dispatcher.wake();
    await settled();
    await end("a-first", closedUntil(60_000));
    await advance(1_000);
    expect(ended).toEqual([]);
    expect(rows[1]).toMatchObject({ at: 60_000, leased: false });
  });
});

describe("a destination that is reached again", () => {
  it("gets at once what waits for it, oldest first, and more at a time with each success", async () => {
    const { dispatcher, rows, tried, settled, end, advance } = rig(many(12, "a"), { concurrency: 3 });
    dispatcher.wake();
    await settled();
    for (const id of ["a0", "a1"]) await end(id, closedUntil(60_000));
    rows.push(row("later", "a", 500_000, { reason: "smtp-4xx" }));
    rows.push(row("stored", "a", 400_000, { reason: "connection-failed" }));
    await advance(60_020);
    expect(tried.slice(2)).toEqual(["a0"]);
    await end("a0");
    expect(tried.slice(2)).toEqual(["a0", "a1", "a2"]);
    await end("a1");
    expect(tried.slice(5)).toEqual(["a3", "a4"]);
    for (let next = 4; next < tried.length; next += 1) await end(tried[next]!);
    expect(tried.slice(2)).toEqual([...many(12, "a").map(({ id }) => id), "stored"]);
  });
  it("gets also what a 421 made wait", async () => {
    const { dispatcher, rows, tried, settled, end, advance } = rig(many(3, "a"), one);
    dispatcher.wake();
    await settled();
    const busy = { reason: "smtp-4xx", detail: "busy", tls: false } as const;
    await end("a0", { ...closedUntil(60_000), closedBy: busy });
    rows.push(row("stored", "a", 400_000, { reason: "smtp-4xx" }));
    await advance(60_020);
    for (let next = 1; next < tried.length; next += 1) await end(tried[next]!);
    expect(tried.at(-1)).toBe("stored");
  });
  it("under one policy leaves waiting what another policy keeps from it", async () => {
    const { dispatcher, rows, tried, settled, end } = rig([row("a0", "a.host"), row("b0", "b.host")], one);
    dispatcher.wake();
    await settled();
    await end("a0", mistrustedUntil(60_000));
    await end("b0");
    expect([tried, rows.map(({ id, at, attempts }) => [id, at, attempts])]).toEqual([
      ["a0", "b0"],
      [["a0", 60_000, 1]],
    ]);
  });
  it("though a person had opened it before gets what waits for it", async () => {
    const { dispatcher, rows, tried, settled, end } = rig(many(4, "a"), one);
    dispatcher.wake();
    await settled();
    await end("a0", closedUntil(60_000));
    dispatcher.reopen();
    rows.push(row("new", "a"));
    dispatcher.wake();
    await settled();
    expect(tried).toEqual(["a0", "new"]);
    await end("new");
    expect(tried.slice(2)).toEqual(["a0"]);
  });
  it("for the first time since the start gets what waited when the gateway stopped", async () => {
    const { dispatcher, rows, tried, settled, end } = rig(
      [row("old", "a", 900_000, { reason: "connection-failed" }), row("new", "a")],
      one,
    );
    dispatcher.wake();
    await settled();
    await end("new");
    expect([tried, rows.length]).toEqual([["new", "old"], 1]);
  });
  it("while fresh mail was being stored as waiting gets that, too", async () => {
    const { dispatcher, rows, tried, settled, end, advance } = rig(many(1, "a"), one);
    dispatcher.wake();
    await settled();
    await end("a0", closedUntil(60_000));
    const reserved = dispatcher.reserve("a");
    const waits = reserved !== undefined && "waits" in reserved ? reserved.waits : undefined;
    await advance(60_020);
    await end("a0");
    rows.push(row("fresh", "a", waits!.at + 5_000, { reason: waits!.reason }));
    dispatcher.arrived("a", waits);
    await settled();
    expect(tried).toEqual(["a0", "a0", "fresh"]);
  });
});

describe("opening a destination", () => {
  it("lets a person have it tried sooner", async () => {
    const { dispatcher, rows, tried, settled, end } = rig(many(1, "a"));
    dispatcher.wake();
    await settled();
    await end("a0", closedUntil(60_000));
    rows[0]!.at = 0;
    dispatcher.reopen("a");
    await settled();
    expect(tried.length).toBe(2);
  });
  it("opens no other", async () => {
    const { dispatcher, settled, end } = rig([row("a0", "a"), row("b0", "b")]);
    dispatcher.wake();
    await settled();
    for (const id of ["a0", "b0"]) await end(id, closedUntil(60_000));
    dispatcher.reopen("a");
    expect(dispatcher.reserve("b")).toHaveProperty("waits");
  });
  it("finds anew where a lane goes when a reload has sent it elsewhere", async () => {
    const hosts = new Map([["a", "old"]]);
    const wayOf = (lane: string) => ({ host: hosts.get(lane) ?? lane, policy: "" });
    const { dispatcher, tried, settled, end } = rig(many(5, "a"), { ...one, wayOf });
    dispatcher.wake();
    await settled();
    hosts.set("a", "new");
    dispatcher.reopen();
    await settled();
    expect(tried).toEqual(["a0", "a1"]);
    for (let next = 0; next < tried.length; next += 1) await end(tried[next]!);
    expect(tried.length).toBe(5);
  });
});
