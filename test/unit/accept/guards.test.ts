import { scryptSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createAdmission, type Occupant } from "../../../src/accept/admission.ts";
import { createGuessLimit } from "../../../src/accept/guess-limit.ts";
import { createPasswordCheck } from "../../../src/accept/passwords.ts";
import { SessionTimers } from "../../../src/accept/session-timers.ts";
import type { Limits } from "../../../src/accept/settings.ts";
import type { Clock } from "../../../src/runtime/clock.ts";
import { systemRandom } from "../../../src/runtime/random.ts";

/** Time that moves only when told. */
function handClock(): Clock & { advance: (ms: number) => void; slept: number[] } {
  let now = 0;
  const waiting = new Set<{ at: number; run: () => void }>();
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    monotonic: () => now,
    sleep: (ms) => {
      slept.push(ms);
      return Promise.resolve();
    },
    after: (ms, run) => {
      const entry = { at: now + ms, run };
      waiting.add(entry);
      return () => waiting.delete(entry);
    },
    advance: (ms) => {
      const end = now + ms;
      for (;;) {
        const next = [...waiting].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        waiting.delete(next);
        now = next.at;
        next.run();
      }
      now = end;
    },
  };
}

const timersOf = (limits: { idleMs: number; commandMs: number; dataMs: number }) => {
  const clock = handClock();
  const expired: string[] = [];
  const timers = new SessionTimers(
    clock,
    () => limits,
    (what) => expired.push(what),
  );
  return { clock, expired, timers };
};

describe("the times of a session", () => {
  const limits = { idleMs: 300_000, commandMs: 100_000, dataMs: 600_000 };

  it("end it after silence, and not before", () => {
    const { clock, expired } = timersOf(limits);
    clock.advance(299_999);
    expect(expired).toEqual([]);
    clock.advance(1);
    expect(expired).toEqual(["idle_timeout"]);
  });

  it("start anew with progress", () => {
    const { clock, expired, timers } = timersOf(limits);
    for (let count = 0; count < 10; count++) {
      clock.advance(200_000);
      timers.progress();
    }
    expect(expired).toEqual([]);
  });

  it("bound one command as a whole", () => {
    const { clock, expired, timers } = timersOf(limits);
    for (let count = 0; count < 10; count++) {
      timers.lineOpen(true);
      clock.advance(9_000);
    }
    expect(expired).toEqual([]);
    clock.advance(10_000);
    expect(expired).toEqual(["command_timeout"]);
  });

  it("do not run while we work", () => {
    const { clock, expired, timers } = timersOf(limits);
    clock.advance(299_000);
    timers.working(true);
    clock.advance(3_600_000);
    timers.working(false);
    clock.advance(999);
    expect(expired).toEqual([]);
    clock.advance(1);
    expect(expired).toEqual(["idle_timeout"]);
  });

  it.each([
    [499, ["data_timeout"]],
    [500, []],
  ])("let DATA at %i bytes a second end with %j", (rate, expected) => {
    const { clock, expired, timers } = timersOf(limits);
    timers.dataBegins();
    for (let second = 0; second < 3_600 && expired.length === 0; second++) {
      timers.dataBytes(rate);
      clock.advance(1_000);
    }
    expect(expired).toEqual(expected);
  });

  it("do not count the time that we hold DATA back", () => {
    const { clock, expired, timers } = timersOf(limits);
    timers.dataBegins();
    for (let count = 0; count < 100; count++) {
      timers.dataBytes(50_000);
      timers.working(true);
      clock.advance(600_000);
      timers.working(false);
      clock.advance(50_000);
    }
    expect(expired).toEqual([]);
  });

  it("stop with it", () => {
    const { clock, expired, timers } = timersOf(limits);
    timers.stop();
    timers.lineOpen(true);
    clock.advance(10_000_000);
    expect(expired).toEqual([]);
  });
});

const limits: Limits = {
  messageSize: 1,
  recipients: 1,
  connections: 10,
  connectionsPerClient: 3,
  messagesPerMinutePerClient: 2,
  receivedHeaders: 1,
  idleTimeoutMs: 1,
  commandTimeoutMs: 1,
  dataTimeoutMs: 1,
};

describe("admission", () => {
  const crowd = () => {
    const evicted: string[] = [];
    const admission = createAdmission(handClock(), () => limits);
    const enter = (address: string, permitted: boolean, idle?: number) => {
      const occupant: Occupant = {
        address,
        permitted,
        idleSince: () => idle,
        evict: (limit) => evicted.push(`${limit} ${address}`),
      };
      return admission.enter(occupant);
    };
    return { admission, enter, evicted };
  };

  it("keeps a tenth of the places for permitted clients", () => {
    const { enter } = crowd();
    for (let count = 0; count < 9; count++) expect(enter(`192.0.2.${count}`, false).ok).toBe(true);
    expect(enter("192.0.2.9", false)).toMatchObject({ ok: false, limit: "connections" });
    expect(enter("10.0.0.1", true).ok).toBe(true);
  });

  it("closes idle strangers first, then idle permitted clients, and nobody at work", () => {
    const { enter, evicted } = crowd();
    for (let count = 0; count < 8; count++) enter(`192.0.2.${count}`, false);
    enter("192.0.2.8", false, 500);
    enter("10.0.0.1", true, 100);
    expect(enter("10.0.0.2", true).ok).toBe(true);
    expect(enter("10.0.0.3", true).ok).toBe(true);
    expect(evicted).toEqual(["connections 192.0.2.8", "connections 10.0.0.1"]);
    expect(enter("10.0.0.4", true)).toMatchObject({ ok: false, limit: "connections" });
  });

  it("counts one IPv6 customer once", () => {
    const { enter } = crowd();
    for (const host of ["1", "2", "3"]) expect(enter(`2001:db8::${host}`, false).ok).toBe(true);
    expect(enter("2001:db8::4", false)).toMatchObject({ ok: false, limit: "connections_per_client" });
  });

  it("gives a place back once", () => {
    const { admission, enter } = crowd();
    const entered = enter("192.0.2.1", false);
    if (entered.ok) {
      entered.leave();
      entered.leave();
    }
    expect(admission.size()).toBe(0);
  });

  it("counts messages over the last minute", () => {
    const clock = handClock();
    const admission = createAdmission(clock, () => limits);
    expect(admission.mayStartMessage("192.0.2.1")).toBe(true);
    clock.advance(30_000);
    expect(admission.mayStartMessage("192.0.2.1")).toBe(true);
    expect(admission.mayStartMessage("192.0.2.1")).toBe(false);
    expect(admission.mayStartMessage("192.0.2.2")).toBe(true);
    clock.advance(30_001);
    expect(admission.mayStartMessage("192.0.2.1")).toBe(true);
    expect(admission.mayStartMessage("192.0.2.1")).toBe(false);
  });
});

describe("guesses of passwords", () => {
  it("wait longer each time and are cut after ten in one address block", async () => {
    const clock = handClock();
    const guesses = createGuessLimit(clock);
    for (let count = 0; count < 10; count++) {
      expect(guesses.isCut("192.0.2.1")).toBe(false);
      await guesses.failed(`192.0.2.${count}`);
    }
    expect(clock.slept).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000]);
    expect(guesses.isCut("192.0.2.200")).toBe(true);
    expect(guesses.isCut("192.0.3.1")).toBe(false);
    clock.advance(600_001);
    expect(guesses.isCut("192.0.2.200")).toBe(false);
  });

  it("are forgotten when the right password comes", async () => {
    const guesses = createGuessLimit(handClock());
    for (let count = 0; count < 10; count++) await guesses.failed("192.0.2.1");
    guesses.succeeded("192.0.2.1");
    expect(guesses.isCut("192.0.2.1")).toBe(false);
  });
});

describe("a password", () => {
  /** Cheap, for tests alone. */
  const hashed = (password: string): string => {
    const salt = systemRandom.bytes(16);
    const key = scryptSync(password, salt, 32, { N: 16, r: 1, p: 1 });
    return `scrypt:16:1:1:${salt.toString("base64")}:${key.toString("base64")}`;
  };
  const users = [
    { name: "anna", password: hashed("geheim"), senders: "own" as const },
    { name: "bert", password: hashed("anders"), senders: "own" as const },
  ];

  it.each([
    ["anna", "geheim", true],
    ["anna", "Geheim", false],
    ["anna", "", false],
    ["anna", "anders", false],
    ["Anna", "geheim", false],
    ["nobody", "geheim", false],
    ["bert", "anders", true],
  ])("of %s, %j: %s, and the same when asked again", async (name, password, expected) => {
    const verify = createPasswordCheck(systemRandom);
    for (let count = 0; count < 2; count++)
      expect((await verify(users, name, password))?.name).toBe(expected ? name : undefined);
  });

  it("that was right is right no longer after it was changed", async () => {
    const verify = createPasswordCheck(systemRandom);
    await verify(users, "anna", "geheim");
    expect(await verify([{ ...users[0]!, password: hashed("neu") }], "anna", "geheim")).toBeUndefined();
  });

  it("is verified for every one of many that ask at once", async () => {
    const verify = createPasswordCheck(systemRandom);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => verify(users, "anna", index % 2 ? "geheim" : "falsch")),
    );
    expect(answers.filter((user) => user !== undefined)).toHaveLength(10);
  });
});
