import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/mail/delivery.ts";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import { type Outcome, problem } from "../../../src/mail/outcome.ts";
import { graceful, nextAttempt, retryDelay } from "../../../src/schedule/retry-schedule.ts";
import { reasonsToHasten, settle } from "../../../src/schedule/settle.ts";

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
  it.each([
    ["ended before the start: it gets the time of the longest step", 9_000, 10_000, 310_000],
    ["ended at the start", 10_000, 10_000, 310_000],
    ["ends after it: it ends on time", 10_001, 10_000, 10_001],
    ["is not known when it started", 9_000, undefined, 9_000],
  ])("mail that %s", (_, expiresAt, startedAt, expected) =>
    expect(graceful({ ...schedule, ...(startedAt !== undefined && { startedAt }) }, expiresAt)).toBe(expected),
  );
  it("holds whatever the figures: later than now, by the list within a tenth, at the latest on the expiry, never before two attempts", () => {
    let seed = 7;
    const below = (most: number): number => Math.floor(((seed = (seed * 48_271) % 0x7fff_ffff) / 0x7fff_ffff) * most);
    for (let round = 0; round < 5_000; round += 1) {
      const retryMs = Array.from({ length: 1 + below(6) }, () => 1_000 + below(7_200_000));
      const now = below(1e9);
      const expiresAt = now - 5e8 + below(1e9);
      const attempts = 1 + below(10);
      const at = { now, expiresAt, attempts, fraction: below(1_000) / 1_000 };
      const startedAt = now - below(1e8);
      const base = retryMs[Math.min(attempts, retryMs.length) - 1]!;
      const end = graceful({ retryMs, startedAt }, expiresAt);
      const next = nextAttempt({ retryMs, startedAt }, at);
      if (next === "expired") {
        expect(attempts).toBeGreaterThanOrEqual(2);
        expect(now).toBeGreaterThanOrEqual(end);
        expect(end).toBeGreaterThanOrEqual(Math.min(expiresAt, startedAt));
        continue;
      }
      expect(next).toBeGreaterThan(now);
      expect(next).toBeLessThanOrEqual(now + Math.round(base * 1.1));
      if (next < end) expect(next - now).toBeGreaterThanOrEqual(Math.floor(base * 0.9));
      if (attempts >= 2) expect(next).toBeLessThanOrEqual(end);
    }
  });
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
  it("a look-up that only this policy waits for held up mail of every policy: it closes for those under the same one", () => {
    const lookup = problem("deferred", "dns-failed", "_mta-sts.acme.example: no answer");
    const closedBy = (outcome: Outcome) =>
      settle(delivery(0), new Map([[0, outcome]]), schedule, { now: 0, fraction: 0.5 }).report.closedBy;
    expect(closedBy(lookup)).toMatchObject({ reason: "dns-failed", tls: false });
    expect(closedBy({ ...lookup, ofPolicy: true })).toMatchObject({ reason: "dns-failed", tls: true });
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

  const closingOf = (outcome: Outcome, demands?: Delivery["message"]["demands"], requireTls = false) => {
    const envelope = { mail: { requireTls } } as Delivery["message"]["envelope"];
    const message = { envelope, ...(demands && { demands }) } as Delivery["message"];
    return settle({ ...delivery(0), message }, new Map([[0, outcome]]), schedule, { now: 0, fraction: 0.5 }).report
      .closedBy;
  };
  it.each([
    ["connection-failed", false],
    ["connection-lost", false],
    ["dns-failed", false],
    ["host-not-found", false],
    ["starttls-not-supported", true],
    ["validation-failure", true],
    ["tls-parameters-too-weak", true],
    ["certificate-not-trusted", true],
    ["certificate-expired", true],
    ["certificate-host-mismatch", true],
    ["fingerprint-mismatch", true],
    ["client-certificate-demanded", true],
    ["tlsa-invalid", true],
    ["dnssec-invalid", true],
    ["dane-required", true],
    ["sts-policy-fetch-error", true],
    ["sts-policy-invalid", true],
    ["sts-webpki-invalid", true],
    ["mx-not-in-policy", true],
    ["requiretls-not-supported", undefined],
    ["treatment-required", undefined],
    ["smtputf8-not-supported", undefined],
    ["8bitmime-not-supported", undefined],
    ["smtp-4xx", undefined],
    ["loop", undefined],
    ["internal-error", undefined],
  ] as const)("whether %s closes the destination, and by TLS: %s", (reason, tls) => {
    expect(closingOf(problem("deferred", reason, "why"))?.tls).toBe(tls);
    expect(reasonsToHasten(new Set()).includes(reason)).toBe(tls !== undefined);
  });
  it("a problem that ended the mail closes nothing", () =>
    expect(closingOf(problem("failed", "host-not-found", "the domain does not exist"))).toBeUndefined());
  it.each([
    ["REQUIRETLS", undefined, true, false],
    ["a TLS-only alias", { alias: true } as const, false, false],
    ["a rule with a level", { rules: [{ name: "r", tls: { level: "authenticated" } }] } as const, false, false],
    ["a rule without", { rules: [{ name: "r" }] } as const, false, true],
    ["less, by TLS-Required: No", { tlsRequiredNo: true } as const, false, true],
  ])(
    "a TLS problem of a message that demands %s says of the others only what it can",
    (_, demands, require, closes) => {
      expect(closingOf(tls, demands, require) !== undefined).toBe(closes);
      expect(closingOf(problem("deferred", "connection-failed", "why"), demands, require)).toBeDefined();
    },
  );
});
