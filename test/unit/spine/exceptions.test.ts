import { describe, expect, it } from "vitest";
import { createExceptionWatch } from "../../../src/exceptions.ts";
import type { ExceptionRecord, Policy } from "../../../src/decide/policy.ts";
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
  let timer: { at: number; run: () => void } | undefined;
  const events: string[] = [];
  const watch = createExceptionWatch({
    clock: {
      now: () => now,
      after: (ms, run) => {
        timer = { at: now + ms, run };
        return () => (timer = undefined);
      },
    },
    snapshot: () => ({ settings: { policy: current } }) as Snapshot,
    emit: (event, fields) => void events.push(`${event} ${"partner" in fields ? fields.partner : ""}`),
  });
  const advance = (to: number) => {
    while (timer !== undefined && timer.at <= to) {
      now = timer.at;
      timer.run();
    }
    now = to;
  };
  return { watch, events, advance, use: (next: Policy) => (current = next) };
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
