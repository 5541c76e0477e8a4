import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/mail/delivery.ts";
import { type AttemptReport, createDispatcher } from "../../../src/schedule/dispatcher.ts";
import { type Completion, StoreError } from "../../../src/store/queue.ts";

interface Row {
  readonly id: string;
  readonly domain: string;
  at: number;
  leased: boolean;
}

/** A queue of rows in memory, a clock that stands still, and attempts that end when the test says so. */
function rig(rows: Row[], concurrency = 2, claimMs = 0) {
  const clock = { now: 0, ahead: 0, timers: [] as { at: number; run: () => void }[] };
  const open = new Map<string, { resolve: (report: AttemptReport) => void; reject: (error: Error) => void }>();
  const tried: string[] = [];
  const store = { failures: 0 };
  const errors: unknown[] = [];
  let busy = 0;
  const answer = async <T>(value: T): Promise<T> => {
    busy += 1;
    await Promise.resolve();
    busy -= 1;
    return value;
  };
  const due = (now: number) => rows.filter((row) => !row.leased && row.at <= now);
  const dispatcher = createDispatcher({
    clock: {
      now: () => clock.now,
      monotonic: () => clock.now - clock.ahead,
      sleep: () => Promise.resolve(),
      after: (ms, run) => {
        const timer = { at: clock.now + ms, run };
        clock.timers.push(timer);
        return () => void (clock.timers = clock.timers.filter((other) => other !== timer));
      },
    },
    queue: {
      dueDomains: (now, except) =>
        answer([...new Set(due(now).map(({ domain }) => domain))].filter((domain) => !except.has(domain))),
      nextDue: (now) =>
        answer(rows.filter((row) => !row.leased && row.at > now).toSorted((a, b) => a.at - b.at)[0]?.at),
      claim: (domain, now, limit) => {
        const claimed = due(now)
          .filter((row) => row.domain === domain)
          .slice(0, limit);
        for (const row of claimed) row.leased = true;
        clock.now += claimMs;
        return answer(claimed.map(({ id }) => ({ id, domain }) as Delivery));
      },
      complete: ({ deliveryId, next }: Completion) => {
        if (store.failures > 0) {
          store.failures -= 1;
          return Promise.reject(new StoreError("failed", "the database is down"));
        }
        const row = rows.find(({ id }) => id === deliveryId)!;
        row.leased = false;
        row.at = next!.at;
        return answer([]);
      },
      retry: (_, now) => {
        for (const waiting of rows) if (!waiting.leased) waiting.at = now;
        return answer(rows.length);
      },
    },
    attempt: ({ id }) =>
      new Promise((resolve, reject) => {
        tried.push(id);
        open.set(id, { resolve, reject });
      }),
    destinationOf: (domain) => domain,
    concurrencyPerDestination: () => concurrency,
    onError: (error) => void errors.push(error),
  });
  const settled = async () => {
    for (let quiet = 0; quiet < 1_000; quiet += 1) {
      await Promise.resolve();
      if (busy > 0) quiet = 0;
    }
  };
  /** Ends an attempt: without a report the delivery is gone from the queue. */
  const end = async (id: string, report: AttemptReport = {}) => {
    const index = rows.findIndex((row) => row.id === id);
    if (report.nextAttemptAt === undefined) rows.splice(index, 1);
    else Object.assign(rows[index]!, { leased: false, at: report.nextAttemptAt });
    open.get(id)!.resolve(report);
    await settled();
  };
  const fail = async (id: string) => {
    open.get(id)!.reject(new TypeError("a defect"));
    await settled();
  };
  const advance = async (to: number) => {
    clock.now = to;
    for (const timer of clock.timers.filter(({ at }) => at <= to)) {
      clock.timers = clock.timers.filter((other) => other !== timer);
      timer.run();
    }
    await settled();
  };
  /** Sets the wall clock, as an administrator does. */
  const setClock = (to: number) => {
    clock.ahead += to - clock.now;
    clock.now = to;
  };
  return { dispatcher, rows, store, tried, errors, settled, end, fail, advance, setClock };
}

const row = (id: string, domain = "acme.example", at = 0): Row => ({ id, domain, at, leased: false });
const many = (count: number, domain: string) =>
  Array.from({ length: count }, (_, index) => row(`${domain}${index}`, domain));
const closed = {
  closedUntil: 60_000,
  nextAttemptAt: 60_000,
  closedBy: { reason: "connection-failed", detail: "no answer" },
} as const;

describe("the dispatcher", () => {
  it("tries at most the permitted number at once, and each of the others in turn", async () => {
    const { dispatcher, tried, settled, end } = rig(many(5, "a"));
    dispatcher.wake();
    await settled();
    expect(tried).toEqual(["a0", "a1"]);
    for (const id of ["a0", "a1", "a2", "a3", "a4"]) await end(id);
    expect(tried).toEqual(["a0", "a1", "a2", "a3", "a4"]);
  });
  it("a full destination never costs another one its turn", async () => {
    const { dispatcher, tried, settled } = rig([...many(50, "dead"), row("b0", "b")]);
    dispatcher.wake();
    await settled();
    expect(tried).toContain("b0");
  });
  it("what was claimed for a destination that closes goes back to wait, untried", async () => {
    const { dispatcher, rows, tried, settled, end } = rig(many(10, "a"));
    dispatcher.wake();
    await settled();
    await end("a0", closed);
    await end("a1", closed);
    expect(tried).toEqual(["a0", "a1"]);
    expect(rows.filter(({ leased }) => leased)).toEqual([]);
    expect(dispatcher.reserve("a")).toBeUndefined();
  });
  it("and stayed leased until the next start when the store failed just then: it is tried until it is stored", async () => {
    const { dispatcher, rows, store, errors, settled, end } = rig(many(4, "a"), 1);
    dispatcher.wake();
    await settled();
    store.failures = 4;
    await end("a0", closed);
    expect(rows.filter(({ leased, at }) => leased || at !== 60_000)).toEqual([]);
    expect(errors.length).toBe(3);
  });
  it("a closed destination is tried again by itself when its time has come", async () => {
    const { dispatcher, tried, settled, end, advance } = rig(many(1, "a"));
    dispatcher.wake();
    await settled();
    await end("a0", closed);
    await advance(59_999);
    expect(tried.length).toBe(1);
    await advance(60_000);
    expect(tried.length).toBe(2);
  });
  it("many destinations that were closed when last tried once took every slot there is", async () => {
    const dead = Array.from({ length: 150 }, (_, index) => row(`dead${index}`, `dead${index}`));
    const { dispatcher, rows, tried, settled, end, advance } = rig(dead, 1);
    dispatcher.wake();
    await settled();
    for (const { id } of dead) await end(id, closed);
    await advance(60_000);
    expect(tried.length).toBe(150 + 100);
    rows.push(...Array.from({ length: 100 }, (_, index) => row(`b${index}`, `b${index}`)));
    dispatcher.wake();
    await settled();
    expect(tried.filter((id) => id.startsWith("b")).length).toBe(100);
    await end(tried[150]!, { ...closed, closedUntil: 120_000, nextAttemptAt: 120_000 });
    expect(tried.slice(250).filter((id) => id.startsWith("dead")).length).toBe(1);
    await end(tried[151]!);
    expect(tried.slice(250).filter((id) => id.startsWith("dead")).length).toBe(2);
  });
  it("a person can reopen it sooner", async () => {
    const { dispatcher, rows, tried, settled, end } = rig(many(1, "a"));
    dispatcher.wake();
    await settled();
    await end("a0", closed);
    rows[0]!.at = 0;
    dispatcher.reopen("a");
    await settled();
    expect(tried.length).toBe(2);
  });
  it("reserves a slot for fresh mail only while one is free, and takes it back", async () => {
    const { dispatcher, tried, settled } = rig([], 1);
    const slot = dispatcher.reserve("a");
    expect(dispatcher.reserve("a")).toBeUndefined();
    slot?.giveBack();
    dispatcher.reserve("a")?.submit({ id: "fresh", domain: "a" } as Delivery);
    await settled();
    expect(tried).toEqual(["fresh"]);
  });
  it("fresh mail that found no slot is tried when one is free, without new mail coming", async () => {
    const { dispatcher, rows, tried, settled, end } = rig([row("a0", "a")], 1);
    dispatcher.wake();
    await settled();
    expect(dispatcher.reserve("a")).toBeUndefined();
    rows.push(row("a1", "a"));
    await end("a0");
    expect(tried).toEqual(["a0", "a1"]);
  });
  it("fresh mail whose storing took longer than all attempts in hand is tried all the same", async () => {
    const { dispatcher, rows, tried, settled, end } = rig([row("a0", "a")], 1);
    dispatcher.wake();
    await settled();
    expect(dispatcher.reserve("a")).toBeUndefined();
    await end("a0");
    rows.push(row("a1", "a"));
    dispatcher.arrived("a");
    await settled();
    expect(tried).toEqual(["a0", "a1"]);
  });
  it("fresh mail stored while its destination is full is tried when a slot is free", async () => {
    const { dispatcher, rows, tried, settled, end } = rig([row("a0", "a")], 1);
    dispatcher.wake();
    await settled();
    rows.push(row("a1", "a"));
    dispatcher.arrived("a");
    await settled();
    expect(tried).toEqual(["a0"]);
    await end("a0");
    expect(tried).toEqual(["a0", "a1"]);
  });
  it("mail that comes due while others of its domain are claimed does not wait for the next look", async () => {
    const { dispatcher, tried, settled, advance } = rig([row("a0", "a"), row("a1", "a", 5)], 2, 10);
    dispatcher.wake();
    await settled();
    expect(tried).toEqual(["a0"]);
    await advance(11);
    expect(tried).toEqual(["a0", "a1"]);
  });
  it("a delivery whose attempt ended with a defect stayed leased until the next start: it waits", async () => {
    const { dispatcher, rows, errors, settled, fail } = rig([row("a0", "a")]);
    dispatcher.wake();
    await settled();
    await fail("a0");
    expect(errors.length).toBe(1);
    expect(rows).toEqual([{ id: "a0", domain: "a", at: 15 * 60_000, leased: false }]);
  });
  it("a clock that is set back does not make mail wait for the time it showed before", async () => {
    const year = 365 * 86_400_000;
    const { dispatcher, tried, settled, end, setClock } = rig([row("a0", "a"), row("b0", "b")]);
    setClock(year);
    dispatcher.wake();
    await settled();
    await end("a0", { ...closed, closedUntil: year + 60_000, nextAttemptAt: year + 60_000 });
    await end("b0", { nextAttemptAt: year + 60_000 });
    setClock(1_000);
    dispatcher.wake(); // as its timer does, within a minute
    await settled();
    expect(tried).toEqual(["a0", "b0", "a0", "b0"]);
  });
  it("mail stored for a reserved slot while the gateway stops is tried before it has stopped", async () => {
    const { dispatcher, tried, settled, end, rows } = rig([]);
    const slot = dispatcher.reserve("a");
    let stopped = false;
    const stop = dispatcher.stop().then(() => (stopped = true));
    await settled();
    expect(stopped).toBe(false);
    rows.push({ ...row("fresh", "a"), leased: true });
    slot?.submit({ id: "fresh", domain: "a" } as Delivery);
    await settled();
    expect([tried, stopped]).toEqual([["fresh"], false]);
    await end("fresh");
    await stop;
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
