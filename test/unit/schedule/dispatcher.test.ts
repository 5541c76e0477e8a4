import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/mail/delivery.ts";
import type { AttemptReport } from "../../../src/schedule/destinations.ts";
import { createDispatcher, type Slot } from "../../../src/schedule/dispatcher.ts";
import { type Completion, StoreError } from "../../../src/store/queue.ts";

interface Row {
  readonly id: string;
  readonly domain: string;
  at: number;
  leased: boolean;
  expiresAt?: number;
  noticeAt?: number;
  reason?: string;
}

/** A queue of rows in memory, a clock that stands still, and attempts that end when the test says so. */
function rig(rows: Row[], concurrency = 2, claimMs = 0, rate = 0) {
  const clock = { now: 0, ahead: 0, timers: [] as { at: number; run: () => void }[] };
  const open = new Map<string, { resolve: (report: AttemptReport) => void; reject: (error: Error) => void }>();
  const tried: string[] = [];
  const ended: string[] = [];
  const reminded: string[] = [];
  const shifts: number[] = [];
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
      nextDue: (now) => {
        const waiting = rows.filter((row) => !row.leased).flatMap(({ at, noticeAt = 1e15 }) => [at, noticeAt]);
        const later = waiting.filter((at) => at > now && at < 1e15);
        return answer(later.length === 0 ? undefined : Math.min(...later));
      },
      claim: (domain, now, limit) => {
        const claimed = due(now)
          .filter((row) => row.domain === domain)
          .slice(0, limit);
        for (const row of claimed) row.leased = true;
        clock.now += claimMs;
        return answer(claimed.map(({ id, expiresAt = 1e15 }) => ({ id, domain, expiresAt }) as Delivery));
      },
      complete: ({ deliveryId, next, change }: Completion) => {
        if (store.failures > 0) {
          store.failures -= 1;
          return Promise.reject(new StoreError("failed", "the database is down"));
        }
        const row = rows.find(({ id }) => id === deliveryId)!;
        row.leased = false;
        if (next !== undefined) Object.assign(row, { at: next.at, reason: next.reason });
        if (change?.noticeAt !== undefined) row.noticeAt = change.noticeAt ?? Number.POSITIVE_INFINITY;
        return answer([]);
      },
      postpone: ([domain], { now, until, reason }) => {
        const found = due(now).filter((row) => row.domain === domain && (row.expiresAt ?? 1e15) > now);
        for (const row of found) Object.assign(row, { at: Math.min(until, row.expiresAt ?? until), reason });
        return answer(found.length);
      },
      hasten: (domains, now, reasons) => {
        const found = rows.filter((row) => !row.leased && domains.includes(row.domain) && row.at > now);
        for (const row of found) if (reasons.some((reason) => reason === row.reason)) row.at = now;
        return answer(found.length);
      },
      claimExpired: (domain, now) => {
        const claimed = due(now).filter((row) => row.domain === domain && (row.expiresAt ?? 1e15) <= now);
        for (const row of claimed) row.leased = true;
        return answer(claimed.map(({ id }) => ({ id, domain }) as Delivery));
      },
      claimNotices: (now, limit) => {
        const claimed = rows.filter((row) => !row.leased && (row.noticeAt ?? 1e15) <= now).slice(0, limit);
        for (const row of claimed) row.leased = true;
        return answer(claimed.map(({ id, domain }) => ({ id, domain }) as Delivery));
      },
      shiftClock: (ms) => {
        shifts.push(ms);
        return answer(undefined);
      },
      retry: (_, now) => {
        for (const waiting of rows) if (!waiting.leased) waiting.at = now;
        return answer(rows.length);
      },
    },
    attempt: ({ id }, closedBy) => {
      if (closedBy !== undefined) {
        ended.push(`${id} ${closedBy.reason}`);
        rows.splice(
          rows.findIndex((row) => row.id === id),
          1,
        );
        return answer({ reached: false });
      }
      return new Promise((resolve, reject) => {
        tried.push(id);
        open.set(id, { resolve, reject });
      });
    },
    remind: ({ id }) => {
      reminded.push(id);
      const reminding = rows.find((row) => row.id === id)!;
      if (id.startsWith("broken")) return Promise.reject(new TypeError("a defect"));
      Object.assign(reminding, { leased: false, noticeAt: Number.POSITIVE_INFINITY });
      return answer(undefined);
    },
    random: { fraction: () => 0.5 },
    // `a@1.host`: one host, several policies
    wayOf: (domain) => ({ host: domain.split(".").at(-1) ?? domain, policy: domain.split(".")[0] ?? "" }),
    schedule: () => ({ retryMs: [60_000, 300_000] }),
    ratePerDestination: () => rate,
    longestLifetimeMs: () => 432_000_000,
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
  const end = async (id: string, report: AttemptReport = { reached: true }) => {
    const index = rows.findIndex((row) => row.id === id);
    if (report.nextAttemptAt === undefined) rows.splice(index, 1);
    else
      Object.assign(rows[index]!, {
        leased: false,
        at: report.nextAttemptAt,
        ...(report.closedBy && { reason: report.closedBy.reason }),
      });
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
  const take = (domain: string): Slot | undefined => {
    const reserved = dispatcher.reserve(domain);
    return reserved !== undefined && "submit" in reserved ? reserved : undefined;
  };
  return {
    dispatcher,
    take,
    rows,
    store,
    tried,
    ended,
    reminded,
    shifts,
    errors,
    settled,
    end,
    fail,
    advance,
    setClock,
  };
}

const row = (id: string, domain = "acme.example", at = 0): Row => ({ id, domain, at, leased: false });
const many = (count: number, domain: string) =>
  Array.from({ length: count }, (_, index) => row(`${domain}${index}`, domain));
const closed = {
  nextAttemptAt: 60_000,
  reached: false,
  closedBy: { reason: "connection-failed", detail: "no answer", tls: false },
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
    expect(dispatcher.reserve("a")).toEqual({ waits: { at: 60_000, reason: "connection-failed" } });
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
    await end(tried[150]!, { ...closed, nextAttemptAt: 120_000 });
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
    const { dispatcher, take, tried, settled } = rig([], 1);
    const slot = take("a");
    expect(dispatcher.reserve("a")).toBeUndefined();
    slot?.giveBack();
    take("a")?.submit({ id: "fresh", domain: "a" } as Delivery);
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
    expect(rows).toEqual([{ id: "a0", domain: "a", at: 15 * 60_000, leased: false, reason: "internal-error" }]);
  });
  it("a clock that is set back does not make mail wait for the time it showed before", async () => {
    const year = 365 * 86_400_000;
    const { dispatcher, tried, settled, end, setClock } = rig([row("a0", "a"), row("b0", "b")]);
    setClock(year);
    dispatcher.wake();
    await settled();
    await end("a0", { ...closed, nextAttemptAt: year + 60_000 });
    await end("b0", { nextAttemptAt: year + 60_000, reached: true });
    setClock(1_000);
    dispatcher.wake(); // as its timer does, within a minute
    await settled();
    expect(tried).toEqual(["a0", "b0", "a0", "b0"]);
  });
  it("mail stored for a reserved slot while the gateway stops is tried before it has stopped", async () => {
    const { dispatcher, take, tried, settled, end, rows } = rig([]);
    const slot = take("a");
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

const mistrusted = {
  nextAttemptAt: 60_000,
  reached: false,
  closedBy: { reason: "certificate-not-trusted", detail: "its issuer is not known", tls: true },
} as const;

describe("a closed destination", () => {
  it("is tried again by the retry list, whatever the number of messages for it", async () => {
    const { dispatcher, rows, tried, settled, end, advance } = rig(many(40, "a"), 1);
    dispatcher.wake();
    await settled();
    await end("a0", closed);
    expect(rows.every(({ leased, at, reason }) => !leased && at === 60_000 && reason === "connection-failed")).toBe(
      true,
    );
    await advance(60_000);
    expect(tried.length).toBe(2);
    await end(tried[1]!, { ...closed, nextAttemptAt: 360_000 });
    await advance(359_999);
    expect(tried.length).toBe(2);
    await advance(360_000);
    expect(tried.length).toBe(3);
  });
  it("after a TLS failure is closed for those of the same policy only", async () => {
    const { dispatcher, rows, tried, settled, end } = rig([row("a0", "a.host"), row("b0", "b.host")], 1);
    dispatcher.wake();
    await settled();
    await end("a0", mistrusted);
    expect(tried).toEqual(["a0", "b0"]);
    expect(dispatcher.reserve("a.host")).toEqual({ waits: { at: 60_000, reason: "certificate-not-trusted" } });
    await end("b0");
    rows.push(row("b1", "b.host"));
    dispatcher.wake();
    await settled();
    expect(tried).toEqual(["a0", "b0", "b1"]);
  });
  it("after a connection failure is closed for every policy", async () => {
    const { dispatcher, tried, settled, end } = rig([row("a0", "a.host"), row("b0", "b.host")], 1);
    dispatcher.wake();
    await settled();
    await end("a0", closed);
    expect([tried, dispatcher.reserve("b.host")]).toEqual([
      ["a0"],
      { waits: { at: 60_000, reason: "connection-failed" } },
    ]);
  });
  it("lets what has expired end on time, without a connection and without waiting for its turn", async () => {
    const dying = many(50, "a").map((each) => ({ ...each, expiresAt: 30_000 }));
    const { dispatcher, tried, ended, settled, end, advance } = rig([row("a-first", "a"), ...dying], 1);
    dispatcher.wake();
    await settled();
    await end("a-first", closed);
    await advance(29_999);
    expect(ended).toEqual([]);
    await advance(30_000);
    expect(ended).toEqual(dying.map(({ id }) => `${id} connection-failed`));
    expect(tried).toEqual(["a-first"]);
  });
  it("that is reached again gets at once what waits for it, oldest first, and more at a time with each success", async () => {
    const { dispatcher, rows, tried, settled, end, advance } = rig(many(12, "a"), 3);
    dispatcher.wake();
    await settled();
    for (const id of ["a0", "a1"]) await end(id, closed);
    rows.push({ ...row("later", "a", 500_000), reason: "smtp-4xx" });
    rows.push({ ...row("stored", "a", 400_000), reason: "connection-failed" });
    await advance(60_000);
    expect(tried.slice(2)).toEqual(["a0"]);
    await end("a0");
    expect(tried.slice(2)).toEqual(["a0", "a1", "a2"]);
    await end("a1");
    expect(tried.slice(5)).toEqual(["a3", "a4"]);
    for (let next = 4; next < tried.length; next += 1) await end(tried[next]!);
    expect(tried.slice(2)).toEqual([...many(12, "a").map(({ id }) => id), "stored"]);
  });
  it("does not fail twice for attempts that ran side by side", async () => {
    const { dispatcher, tried, settled, end, advance } = rig(many(2, "a"), 2);
    dispatcher.wake();
    await settled();
    await end("a0", closed);
    await end("a1", closed);
    await advance(60_000);
    expect(tried.length).toBe(3);
  });
});

describe("a rate limit", () => {
  it("spaces what goes to one destination, and slows no other", async () => {
    const { dispatcher, tried, settled, end, advance } = rig([...many(3, "a"), row("b0", "b")], 5, 0, 60);
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
});

describe("delay notices", () => {
  it("are handed out when they are due, also for mail that nobody tries just now", async () => {
    const { dispatcher, reminded, settled, end, advance } = rig([{ ...row("a0", "a"), noticeAt: 40_000 }], 1);
    dispatcher.wake();
    await settled();
    await end("a0", closed);
    await advance(39_999);
    expect(reminded).toEqual([]);
    await advance(40_000);
    expect(reminded).toEqual(["a0"]);
  });
  it("that cannot be made leave the mail waiting for its attempt, and come later", async () => {
    const { dispatcher, rows, errors, reminded, settled } = rig([{ ...row("broken", "a", 70_000), noticeAt: 0 }], 1);
    dispatcher.wake();
    await settled();
    expect([reminded, errors.length]).toEqual([["broken"], 1]);
    expect(rows).toEqual([{ id: "broken", domain: "a", at: 70_000, leased: false, noticeAt: 15 * 60_000 }]);
  });
});

describe("a wall clock that is put", () => {
  it.each([
    ["forward by a week", 7 * 86_400_000],
    ["back by a week", -7 * 86_400_000],
  ])("%s moves what is left to what waits along, once", async (_, ms) => {
    const { dispatcher, shifts, settled, setClock, advance } = rig([row("a0", "a")], 1);
    await advance(8 * 86_400_000);
    setClock(8 * 86_400_000 + ms);
    dispatcher.wake();
    await settled();
    dispatcher.wake();
    await settled();
    expect(shifts).toEqual([ms]);
  });
  it("by less than a minute moves nothing", async () => {
    const { dispatcher, shifts, settled, setClock } = rig([row("a0", "a")], 1);
    setClock(59_000);
    dispatcher.wake();
    await settled();
    expect(shifts).toEqual([]);
  });
});
