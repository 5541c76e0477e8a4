import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/mail/delivery.ts";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import { type Outcome, problem } from "../../../src/mail/outcome.ts";
import { nextAttempt, retryDelay } from "../../../src/schedule/retry-schedule.ts";
import { settle } from "../../../src/schedule/settle.ts";

const schedule = { retryMs: [60_000, 300_000] };

describe("the retry schedule", () => {
  it.each([
    [1, 0.5, 60_000],
    [2, 0.5, 300_000],
    [9, 0.5, 300_000],
    [1, 0, 54_000],
    [1, 1, 66_000],
  ])("after attempt %i with jitter %d waits %i ms", (attempts, fraction, expected) =>
    expect(retryDelay(schedule, attempts, fraction)).toBe(expected),
  );
  it.each([
    ["waits by the list", { now: 0, attempts: 1, expiresAt: 1e9, fraction: 0.5 }, 60_000],
    ["the last attempt falls on the expiry", { now: 0, attempts: 2, expiresAt: 1_000, fraction: 0.5 }, 1_000],
    ["has expired after two attempts", { now: 1_000, attempts: 2, expiresAt: 1_000, fraction: 0.5 }, "expired"],
    [
      "never expires before two attempts, whatever the clock says",
      { now: 5_000, attempts: 1, expiresAt: 1_000, fraction: 0.5 },
      5_001,
    ],
  ])("%s", (_, at, expected) => expect(nextAttempt(schedule, at)).toBe(expected));
});

describe("settling an attempt", () => {
  const recipients = [0, 1, 2].map((position) => ({ position, mailbox: parseMailbox(`r${position}@acme.example`)! }));
  const delivery = (attempts: number): Delivery => ({
    id: "d",
    message: { envelope: { mail: { requireTls: false } } } as Delivery["message"],
    domain: "acme.example",
    recipients,
    attempts,
    content: 0,
    expiresAt: 1_000_000,
  });
  const delivered: Outcome = { kind: "delivered", smtp: { code: 250, text: "ok" } };
  const tls = problem("deferred", "certificate-expired", "its certificate has expired");
  const greylisted = problem("deferred", "smtp-4xx", "later", { code: 450, text: "later" });
  const refused = problem("failed", "smtp-5xx", "no such user", { code: 550, enhancedCode: "5.1.1", text: "no" });

  it("keeps each recipient's own ending", () => {
    const outcomes = new Map<number, Outcome>([
      [0, delivered],
      [1, greylisted],
      [2, refused],
    ]);
    const settled = settle(delivery(0), outcomes, schedule, { now: 0, fraction: 0.5 });
    expect(settled.delivered.map(({ recipient }) => recipient.position)).toEqual([0]);
    expect(settled.next).toMatchObject({ at: 60_000, reason: "smtp-4xx" });
    expect(settled.failed.map(({ recipient }) => recipient.position)).toEqual([2]);
    expect(settled.report.reached).toBe(true);
  });
  it("a TLS problem waits, and closes the destination for the others", () => {
    const all = new Map<number, Outcome>([0, 1, 2].map((position) => [position, tls]));
    const settled = settle(delivery(5), all, schedule, { now: 999_000, fraction: 0.5 });
    expect([settled.delivered, settled.failed, settled.expired]).toEqual([[], [], []]);
    expect(settled.next?.at).toBe(1_000_000);
    expect(settled.report.closedBy).toMatchObject({ reason: "certificate-expired", tls: true });
  });
  it("a 4xx to a recipient does not close the destination", () => {
    const all = new Map<number, Outcome>([0, 1, 2].map((position) => [position, greylisted]));
    expect(settle(delivery(0), all, schedule, { now: 0, fraction: 0.5 }).report.closedBy).toBeUndefined();
  });
  it("a 421 does", () => {
    const busy = problem("deferred", "smtp-4xx", "busy", { code: 421, text: "busy" });
    const settled = settle(delivery(0), new Map([[0, busy]]), schedule, { now: 0, fraction: 0.5 });
    expect(settled.report).toMatchObject({ closedBy: { tls: false }, reached: false });
  });
  it("what nobody reported waits", () => {
    const settled = settle(delivery(0), new Map(), schedule, { now: 0, fraction: 0.5 });
    expect([settled.failed, settled.expired]).toEqual([[], []]);
    expect(settled.next?.reason).toBe("internal-error");
  });
  it("expires at its end with the last reason", () => {
    const all = new Map<number, Outcome>([0, 1, 2].map((position) => [position, tls]));
    const settled = settle(delivery(5), all, schedule, { now: 1_000_000, fraction: 0.5 });
    expect(settled.expired.map(({ end, problem }) => [end, problem.reason])).toEqual(
      Array.from({ length: 3 }, () => ["expired", "certificate-expired"]),
    );
    expect(settled.next).toBeUndefined();
  });
});
