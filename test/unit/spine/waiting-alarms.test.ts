import { describe, expect, it } from "vitest";
import type { MessageFacts } from "../../../src/mail/delivery.ts";
import { type Outcome, problem } from "../../../src/mail/outcome.ts";
import type { Events } from "../../../src/report/events.ts";
import type { QueueFilter, QueueItem } from "../../../src/store/queue.ts";
import { createWaitingAlarms } from "../../../src/waiting-alarms.ts";
import { outbound } from "../decide/policies.ts";
import { delivered, delivery, facts } from "./fixtures.ts";

const HOUR = 3_600_000;
const untrusted = problem("deferred", "certificate-not-trusted", "Its certificate is not trusted");

function rig({ waitingMs = HOUR, fails = false } = {}) {
  const clock = { now: 2 * HOUR };
  const timers = new Set<() => void>();
  const alarms: Events["alarm"][] = [];
  const asked: QueueFilter[] = [];
  let items: Partial<QueueItem>[] = [{ state: "waiting", delivery: delivery() }];
  const watch = createWaitingAlarms({
    clock: {
      now: () => clock.now,
      after: (_, run) => {
        timers.add(run);
        return () => void timers.delete(run);
      },
    },
    emit: (_, fields) => void alarms.push(fields as Events["alarm"]),
    waitingMs: () => waitingMs,
    list: (filter) => {
      asked.push(filter);
      return fails ? Promise.reject(new Error("the store is down")) : Promise.resolve(items as QueueItem[]);
    },
  });
  const look = (outcome: Outcome, of: { message?: Partial<MessageFacts>; partner?: string } = {}) =>
    watch.look({
      delivery: delivery({ message: { ...facts, ...of.message } }),
      outbound: outbound({ partner: of.partner ?? null }),
      trial: { outcomes: new Map([[0, outcome]]) },
    });
  const pass = async () => {
    for (const run of timers) {
      timers.delete(run);
      run();
    }
    for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
  };
  const told = () => alarms.map(({ partner, state }) => `${partner} ${state}`);
  return { watch, look, alarms, told, asked, pass, timers, holds: (next: typeof items) => (items = next) };
}

describe("mail that waits longer than alarms.waiting", () => {
  it("is an alarm, once for a domain: since when, and what to do", () => {
    const { look, alarms } = rig();
    for (let attempt = 0; attempt < 3; attempt += 1) look(untrusted, { partner: "acme" });
    expect(alarms).toEqual([
      {
        code: "mail-waiting",
        partner: "acme",
        state: "raised",
        since: "1970-01-01T00:00:00.000Z",
        until: undefined,
        remedy:
          "Mail to acme.example waits (Its certificate is not trusted). Ask the other side for the whole chain of a public CA, or name their CA under ca.",
      },
    ]);
  });

  it.each([
    ["that is younger", untrusted, { message: { receivedAt: HOUR + 1 } }, {}],
    ["that has arrived", delivered, {}, {}],
    ["that was refused", problem("failed", "smtp-5xx", "no"), {}, {}],
    ["of our own making", untrusted, { message: { notice: true } }, {}],
    ["where nobody wants to know", untrusted, {}, { waitingMs: 0 }],
  ])("no mail %s", (_, outcome, of, over) => {
    const { look, alarms, timers } = rig(over);
    look(outcome, of);
    expect(alarms).toEqual([]);
    expect(timers.size).toBe(0);
  });

  it("is no alarm any more when the queue holds no such mail: asked for what is raised only", async () => {
    const { look, told, asked, pass, holds, timers } = rig();
    look(untrusted, { partner: "acme" });
    await pass();
    expect(told()).toEqual(["acme raised"]);
    holds([]);
    await pass();
    expect(told()).toEqual(["acme raised", "acme cleared"]);
    expect(asked[0]).toMatchObject({ domain: "acme.example", partner: "acme", before: HOUR });
    expect(timers.size).toBe(0);
  });

  it("is told again when it waits anew", async () => {
    const { look, told, pass, holds } = rig();
    look(untrusted);
    holds([{ state: "held", delivery: delivery() }]); // it waits for a person, who knows
    await pass();
    look(untrusted);
    expect(told()).toEqual(["null raised", "null cleared", "null raised"]);
  });

  it("stays an alarm while the store cannot tell", async () => {
    const { look, told, pass, timers } = rig({ fails: true });
    look(untrusted);
    await pass();
    expect(told()).toEqual(["null raised"]);
    expect(timers.size).toBe(1);
  });

  it("is looked for no more after a stop", async () => {
    const { watch, look, timers } = rig();
    look(untrusted);
    watch.stop();
    expect(timers.size).toBe(0);
  });
});
