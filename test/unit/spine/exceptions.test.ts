import { describe, expect, it } from "vitest";
import { createExceptionWatch } from "../../../src/exceptions.ts";
import type { ExceptionRecord, Policy } from "../../../src/decide/policy.ts";
import type { Events } from "../../../src/report/events.ts";
import type { Snapshot } from "../../../src/snapshot.ts";
import { origin, outbound, partner, policy } from "../decide/policies.ts";

const DAY = 86_400_000;
const record = (over: Partial<ExceptionRecord> = {}): ExceptionRecord => ({
  approvedBy: "anna@own.test",
  reason: "their certificate expired",
  endsAt: DAY,
  origin,
  ...over,
});
const withException = (exception: ExceptionRecord): Policy =>
  policy({ partners: [partner("acme", { exceptions: [outbound({ source: "exception", exception })] })] });

function rig(first: Policy) {
  let now = 0;
  let current = first;
  const timers = new Set<{ at: number; run: () => void }>();
  const events: string[] = [];
  const alarms: (Events["alarm"] & { readonly day: number })[] = [];
  const watch = createExceptionWatch({
    clock: {
      now: () => now,
      after: (ms, run) => {
        const timer = { at: now + ms, run };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
    },
    snapshot: () => ({ settings: { policy: current } }) as Snapshot,
    emit: (event, fields) => {
      if (event === "alarm") alarms.push({ ...(fields as Events["alarm"]), day: now / DAY });
      else events.push(`${event} ${"partner" in fields ? fields.partner : ""}`);
    },
  });
  const advance = (to: number) => {
    for (;;) {
      const next = [...timers].toSorted((x, y) => x.at - y.at)[0];
      if (next === undefined || next.at > to) break;
      timers.delete(next);
      now = next.at;
      next.run();
    }
    now = to;
  };
  const told = () => alarms.map(({ day, code, state, partner }) => `${day} ${partner} ${code} ${state}`);
  return { watch, events, alarms, told, advance, timers, use: (next: Policy) => (current = next) };
}

describe("an exception", () => {
  it("is told when it is in force at start, once, and when it ends by itself", () => {
    const { watch, events, advance } = rig(withException(record()));
    watch.look();
    advance(DAY - 1);
    expect(events).toEqual(["exception.started acme"]);
    advance(DAY);
    expect(events).toEqual(["exception.started acme", "exception.ended acme"]);
  });
  it("is told to have ended when a reload takes it away, not when its line moves", () => {
    const { watch, events, use } = rig(withException(record()));
    watch.look();
    use(withException(record({ origin: { ...origin, line: 9 } })));
    watch.look();
    expect(events.length).toBe(1);
    use(policy());
    watch.look();
    expect(events).toEqual(["exception.started acme", "exception.ended acme"]);
  });
  it("of the default names no partner", () => {
    const { watch, events } = rig(
      policy({ defaultExceptions: [outbound({ source: "exception", exception: record() })] }),
    );
    watch.look();
    expect(events).toEqual(["exception.started null"]);
  });
  it("that has ended before the start is not told", () => {
    const { watch, events } = rig(withException(record({ endsAt: 0 })));
    watch.look();
    expect(events).toEqual([]);
  });
});

describe("the end of an exception", () => {
  it("is an alarm 7 and 1 days before, and when it has come", () => {
    const { watch, told, advance } = rig(withException(record({ endsAt: 10 * DAY })));
    watch.look();
    advance(12 * DAY);
    expect(told()).toEqual([
      "3 acme exception-ends raised",
      "9 acme exception-ends raised",
      "10 acme exception-ends cleared",
      "10 acme exception-ended raised",
    ]);
  });
  it("says what was agreed, its last day and what to do", () => {
    const { watch, alarms } = rig(withException(record({ endsAt: 7 * DAY })));
    watch.look();
    expect(alarms).toMatchObject([
      {
        until: "1970-01-08T00:00:00.000Z",
        remedy:
          "The exception of partner acme for “their certificate expired” (sealpost.yaml) ends on 1970-01-07, in 7 days: see that the whole policy can be met, which counts from then on, or have the exception approved anew",
      },
    ]);
  });
  it.each([
    ["approved anew", withException(record({ endsAt: 100 * DAY }))],
    ["taken away", policy()],
  ])("is no alarm any more once it is %s", (_, next) => {
    const { watch, told, use, advance } = rig(withException(record({ endsAt: 5 * DAY })));
    watch.look();
    use(next);
    watch.look();
    advance(20 * DAY);
    expect(told()).toEqual(["0 acme exception-ends raised", "0 acme exception-ends cleared"]);
  });
  it("that a reload no longer has is told all the same, until the next one", () => {
    const { watch, told, use, advance, timers } = rig(withException(record({ endsAt: 2 * DAY })));
    watch.look();
    timers.clear(); // nobody looked in time
    advance(3 * DAY);
    use(policy());
    watch.look();
    expect(told().slice(1)).toEqual(["3 acme exception-ends cleared", "3 acme exception-ended raised"]);
    watch.look();
    expect(told().at(-1)).toBe("3 acme exception-ended cleared");
  });
  it("of long ago is told no more", () => {
    const { watch, told, advance } = rig(withException(record({ endsAt: DAY })));
    advance(9 * DAY);
    watch.look();
    expect(told()).toEqual([]);
  });
  it("is told no more after a stop", () => {
    const { watch, timers } = rig(withException(record()));
    watch.look();
    watch.stop();
    expect(timers.size).toBe(0);
  });
});

describe("the end of report mode", () => {
  const at = (line: number) => ({ ...origin, line });
  const report = (partnerId: string | null, line: number) =>
    outbound({ partner: partnerId, mode: "report", reportEndsAt: 3 * DAY, origins: { mode: at(line) } });
  it("is an alarm before and after, of a partner", () => {
    const { watch, told, alarms, advance } = rig(
      policy({ partners: [partner("acme", { outbound: report("acme", 3) })] }),
    );
    watch.look();
    advance(4 * DAY);
    expect(told()).toEqual([
      "0 acme report-mode-ends raised",
      "2 acme report-mode-ends raised",
      "3 acme report-mode-ends cleared",
      "3 acme report-mode-ended raised",
    ]);
    expect(alarms[0]?.remedy).toContain("Report mode of partner acme (sealpost.yaml) ends on 1970-01-03, in 3 days");
  });
  it("that partners inherit is told of once", () => {
    const { watch, told } = rig(
      policy({ default: report(null, 7), partners: [partner("acme", { outbound: report("acme", 7) })] }),
    );
    watch.look();
    expect(told()).toEqual(["0 null report-mode-ends raised"]);
  });
});
