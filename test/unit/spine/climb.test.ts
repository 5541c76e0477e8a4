import { describe, expect, it } from "vitest";
import type { LadderStep, OutboundPolicy } from "../../../src/decide/policy.ts";
import type { Encrypted, Encryptions } from "../../../src/fallback.ts";
import type { Delivery } from "../../../src/mail/delivery.ts";
import { type Outcome, problem } from "../../../src/mail/outcome.ts";
import type { Session } from "../../../src/mail/session.ts";
import type { StoredNotice } from "../../../src/notices.ts";
import { type Attempted, type Closed, createRelay } from "../../../src/relay.ts";
import { type Completion, type NewMessage, StoreError } from "../../../src/store/queue.ts";
import { outbound, tls } from "../decide/policies.ts";
import { delivered, delivery, facts, host, scripted, session } from "./fixtures.ts";

const NOW = 1_000_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const BACKUP = { kind: "host", host: "backup.acme.example", port: 2525, implicitTls: false } as const;
const hop: LadderStep = { kind: "next-hop", nextHop: [BACKUP], lifetimeMs: DAY };
const smime: LadderStep = { kind: "smime", approvedBy: "anna@example.org", lifetimeMs: 2 * HOUR };
const untrusted = problem("deferred", "certificate-not-trusted", "its certificate is not trusted");
const refused = problem("failed", "smtp-5xx", "no such user");

interface Case {
  readonly onExpiry?: readonly LadderStep[];
  /** By local part, where it is not everybody's. */
  readonly others?: Readonly<Record<string, OutboundPolicy>>;
  readonly outcomes?: readonly Outcome[];
  readonly encrypt?: (positions: readonly number[]) => Encryptions;
  /** What `complete` rejects with, first to last. */
  readonly failures?: readonly StoreError["kind"][];
  readonly delayNoticesMs?: readonly number[];
}

/** What can be encrypted to these. */
const made = (positions: readonly number[], discarded: string[] = []): Encrypted => ({
  positions,
  message: { facts: { id: "new" } } as NewMessage,
  approvedBy: "anna@example.org",
  discard: () => Promise.resolve(void discarded.push("new")),
});

function rig({ onExpiry = [], others = {}, outcomes = [untrusted, untrusted], failures = [], ...with_ }: Case) {
  const completions: Completion[] = [];
  const attempts: Attempted[] = [];
  const asked: number[][] = [];
  const told: string[] = [];
  const events: string[] = [];
  const parked: string[] = [];
  const left = [...failures];
  const everyone = outbound({ onExpiry });
  const { steps } = scripted({
    hosts: [host("mx1")],
    connect: ({ name }) => session(name),
    deliver: () => new Map(outcomes.map((outcome, position) => [position, outcome])),
  });
  const relay = createRelay<Session>({
    clock: { now: () => NOW, monotonic: () => 0, sleep: () => Promise.resolve(), after: () => () => undefined },
    random: { bytes: (length) => Buffer.alloc(length), fraction: () => 0.5 },
    steps,
    queue: {
      complete: (completion) => {
        const kind = left.shift();
        if (kind !== undefined) return Promise.reject(new StoreError(kind, "not now"));
        completions.push(completion);
        return Promise.resolve([]);
      },
      park: (id) => Promise.resolve(void parked.push(id)),
    },
    policy: () => ({
      outbound: ({ localPart }) => others[localPart] ?? everyone,
      rules: [],
      schedule: { retryMs: [60_000] },
      generation: 1,
    }),
    delayNoticesMs: () => with_.delayNoticesMs ?? [],
    notices: (_, badly) =>
      Promise.resolve(
        badly.map(({ recipient: { position }, end }) => {
          const id = `notice ${position} ${end}`;
          return { message: { facts: { id } } as NewMessage, told: {} } as StoredNotice;
        }),
      ),
    encrypt: ({ delivery: { recipients } }) => {
      asked.push(recipients.map(({ position }) => position));
      return Promise.resolve().then(() => with_.encrypt?.(asked.at(-1) ?? []) ?? { unknown: [] });
    },
    reportAttempt: (attempted) => void attempts.push(attempted),
    completed: (_, { moved }) => void told.push(...moved.map(({ message }) => message.facts.id)),
    emit: (event) => void events.push(event),
    stopping: new AbortController().signal,
  });
  return { relay, completions, attempts, asked, told, events, parked };
}

/** Its time has passed: it was tried often enough, until now. */
const expired = (over: Partial<Delivery> = {}) => delivery({ attempts: 9, expiresAt: NOW, ...over });
const ends = ({ ended }: Completion) => ended.map(({ position, end }) => `${position} ${end}`);
const stored = ({ notices }: Completion) => notices.map((one) => one.facts.id);

describe("mail whose time has passed", () => {
  it("ends with its notice where there is no step", async () => {
    const { relay, completions } = rig({});
    await relay(expired());
    expect(completions.map(ends)).toEqual([["0 expired", "1 expired"]]);
    expect(completions.map(stored)).toEqual([["notice 0 expired", "notice 1 expired"]]);
  });

  it("goes to another next hop at once, for a lifetime and real attempts of its own, in a lane of its own", async () => {
    const { relay, completions, attempts } = rig({ onExpiry: [hop] });
    const report = await relay(expired());
    expect(completions).toEqual([
      {
        deliveryId: expired().id,
        ended: [],
        next: { at: NOW, reason: "certificate-not-trusted", detail: "its certificate is not trusted" },
        counts: true,
        notices: [],
        change: {
          course: { step: 1 },
          expiresAt: NOW + DAY,
          attempts: 0,
          noticeAt: null,
          lane: "acme.example via [backup.acme.example]:2525",
        },
      },
    ]);
    expect(report.nextAttemptAt).toBe(NOW);
    expect(attempts[0]?.nextAttemptAt).toBe(NOW);
  });

  it("stays where a person has sent it", async () => {
    const { relay, completions } = rig({ onExpiry: [hop] });
    const route = { ...BACKUP, host: "person.example" };
    await relay(expired({ course: { route, delayNotices: 1 } }));
    expect(completions[0]?.change).toMatchObject({
      course: { route, delayNotices: 1, step: 1 },
      lane: "acme.example via [person.example]:2525",
    });
  });

  it("takes one step after the other, and ends behind the last", async () => {
    const { relay, completions } = rig({ onExpiry: [hop, hop] });
    for (const step of [1, 2]) await relay(expired({ course: { step } }));
    expect(completions.map(({ change }) => change?.course?.step)).toEqual([2, undefined]);
    expect(completions.map(ends)).toEqual([[], ["0 expired", "1 expired"]]);
  });

  it("is told of delays on a step as before it, those that are still to come", async () => {
    const { relay, completions } = rig({ onExpiry: [hop], delayNoticesMs: [10, NOW + HOUR] });
    await relay(expired({ course: { delayNotices: 1 } }));
    expect(completions[0]?.change).toMatchObject({ course: { step: 1, delayNotices: 1 }, noticeAt: NOW + HOUR });
  });

  it("takes no step before its time has passed", async () => {
    const { relay, completions, asked } = rig({ onExpiry: [smime] });
    await relay(delivery({ attempts: 9, expiresAt: NOW + 1 }));
    expect(completions[0]).toMatchObject({ ended: [], next: { at: NOW + 1 } });
    expect(completions[0]).not.toHaveProperty("change");
    expect(asked).toEqual([]);
  });

  it("takes its step although its destination is closed, and nothing is tried", async () => {
    const { relay, completions, attempts } = rig({ onExpiry: [hop], outcomes: [delivered, delivered] });
    await relay(expired(), { reason: "connection-failed", detail: "No answer" });
    expect(completions[0]).toMatchObject({ ended: [], next: { reason: "connection-failed", detail: "No answer" } });
    expect(completions[0]?.change?.course).toEqual({ step: 1 });
    expect(attempts.map(({ trial }) => [...trial.outcomes.values()].map(({ kind }) => kind))).toEqual([
      ["deferred", "deferred"],
    ]);
  });

  it.each<[string, Partial<Closed>, boolean]>([
    ["by the network", {}, false],
    ["by TLS to the rest of its domain", { tls: true, policy: "" }, false],
    ["by TLS to those of another policy: it once ended untried", { tls: true, policy: "acme" }, true],
  ])("ends where its destination is closed %s", async (_, by, isTried) => {
    const { relay, completions } = rig({ outcomes: [delivered, delivered] });
    await relay(expired(), { reason: "certificate-not-trusted", detail: "Not trusted", ...by });
    const end = isTried ? "delivered" : "expired";
    expect(completions.map(ends)).toEqual([[`0 ${end}`, `1 ${end}`]]);
  });

  it("is tried where it wishes for less than what closed its destination: it once ended untried", async () => {
    const tlsPolicy = tls({ level: "may", tlsRequiredNo: "honour" });
    const policy = outbound({ tls: tlsPolicy });
    const { relay, completions } = rig({ others: { a: policy, b: policy }, outcomes: [delivered, delivered] });
    const wish = expired({ message: { ...delivery().message, demands: { tlsRequiredNo: true } } });
    await relay(wish, { reason: "tlsa-invalid", detail: "No match", tls: true, policy: "" });
    expect(completions.map(ends)).toEqual([["0 delivered", "1 delivered"]]);
  });

  it("ends untried where it waits with others that wish for less, and these closed it", async () => {
    const policy = outbound({ tls: tls({ level: "may", tlsRequiredNo: "honour" }) });
    const { relay, completions } = rig({ others: { a: policy, b: policy }, outcomes: [delivered, delivered] });
    const message = { ...delivery().message, demands: { tlsRequiredNo: true as const } };
    const wish = expired({ message, lane: `${delivery().domain} tls-required-no` });
    await relay(wish, { reason: "certificate-expired", detail: "Expired", tls: true, policy: "/tls-required-no" });
    expect(completions.map(ends)).toEqual([["0 expired", "1 expired"]]);
  });

  it("takes no step where the peer has refused it, or has taken it", async () => {
    const { relay, completions, asked } = rig({ onExpiry: [smime], outcomes: [delivered, refused] });
    await relay(expired());
    expect(completions.map(ends)).toEqual([["0 delivered", "1 failed"]]);
    expect(asked).toEqual([]);
  });

  it("takes it with those only who were not decided", async () => {
    const { relay, completions } = rig({ onExpiry: [hop], outcomes: [refused, untrusted] });
    await relay(expired());
    expect(completions.map(ends)).toEqual([["0 failed"]]);
    expect(completions[0]?.change?.course).toEqual({ step: 1 });
  });
});

describe("the S/MIME step", () => {
  it("ends recipients as moved and stores the other message, in one transaction", async () => {
    const { relay, completions, told } = rig({
      onExpiry: [smime],
      encrypt: (positions) => ({ made: made(positions), unknown: [] }),
    });
    await relay(expired());
    expect(completions.map(ends)).toEqual([["0 moved", "1 moved"]]);
    expect(completions.map(stored)).toEqual([["new"]]);
    expect(told).toEqual(["new"]);
  });

  it("is passed over by those to whom nothing can be encrypted: they end with their notice", async () => {
    const { relay, completions, attempts } = rig({
      onExpiry: [smime],
      encrypt: () => ({ made: made([1]), unknown: [] }),
    });
    await relay(expired());
    expect(completions.map((one) => ends(one).toSorted())).toEqual([["0 expired", "1 moved"]]);
    expect(Object.fromEntries(attempts[0]?.ends ?? [])).toEqual({ 0: "expired", 1: "moved" });
    expect(completions.map(stored)).toEqual([["notice 0 expired", "new"]]);
  });

  it("is passed over by them for the step behind it", async () => {
    const { relay, completions } = rig({ onExpiry: [smime, hop], encrypt: () => ({ made: made([0]), unknown: [] }) });
    await relay(expired());
    expect(completions.map(ends)).toEqual([["0 moved"]]);
    expect(completions[0]?.change).toMatchObject({ course: { step: 2 }, expiresAt: NOW + DAY });
  });

  it("waits on it, for its lifetime, where nobody can tell whether they can be encrypted to", async () => {
    const { relay, completions } = rig({ onExpiry: [smime], encrypt: () => ({ made: made([0]), unknown: [1] }) });
    await relay(expired());
    expect(completions.map(ends)).toEqual([["0 moved"]]);
    expect(completions[0]).toMatchObject({
      next: { at: NOW + 60_000 },
      change: { course: { step: 1 }, expiresAt: NOW + 2 * HOUR, lane: "acme.example" },
    });
  });

  it("is tried again at each attempt while they wait on it", async () => {
    const waits = delivery({ course: { step: 1 }, attempts: 1, expiresAt: NOW + HOUR });
    const { relay, completions } = rig({ onExpiry: [smime], encrypt: (all) => ({ made: made(all), unknown: [] }) });
    await relay(waits);
    expect(completions.map(ends)).toEqual([["0 moved", "1 moved"]]);
  });

  it("changes nothing of those who wait on it still", async () => {
    const waits = delivery({ course: { step: 1 }, attempts: 1, expiresAt: NOW + HOUR });
    const { relay, completions } = rig({ onExpiry: [smime, hop], encrypt: () => ({ unknown: [0] }) });
    await relay(waits);
    expect(completions[0]).toMatchObject({ ended: [], next: { at: NOW + 60_000 } });
    expect(completions[0]).not.toHaveProperty("change");
  });

  it("is left as soon as it is known that nothing can be encrypted to them", async () => {
    const waits = delivery({ course: { step: 1 }, attempts: 1, expiresAt: NOW + HOUR });
    const { relay, completions } = rig({ onExpiry: [smime, hop], encrypt: () => ({ unknown: [] }) });
    await relay(waits);
    expect(completions[0]).toMatchObject({ ended: [], next: { at: NOW }, change: { course: { step: 2 } } });
  });

  it("is left when its own time has passed and nobody can tell still", async () => {
    const { relay, completions } = rig({
      onExpiry: [smime],
      encrypt: () => ({ made: made([0]), unknown: [1] }),
    });
    await relay(expired({ course: { step: 1 } }));
    expect(completions.map((one) => ends(one).toSorted())).toEqual([["0 moved", "1 expired"]]);
  });

  it("is not taken again by what it has made", async () => {
    const fallback = { of: "f".repeat(32), approvedBy: "anna@example.org" };
    const { relay, completions, asked } = rig({ onExpiry: [smime, hop] });
    await relay(expired({ message: { ...facts, fallback } }));
    expect(asked).toEqual([]);
    expect(completions[0]?.change?.course).toEqual({ step: 2 });
  });

  it("is waited for where the other message cannot be stored: a full disk once tried it over and over", async () => {
    const discarded: string[] = [];
    const { relay, completions, told, events } = rig({
      onExpiry: [smime],
      encrypt: (positions) => ({ made: made(positions, discarded), unknown: [] }),
      failures: ["no-space"],
    });
    await relay(expired());
    expect(completions).toMatchObject([{ ended: [], notices: [], change: { course: { step: 1 } } }]);
    expect(told).toEqual([]);
    expect(discarded).toEqual(["new"]);
    expect(events).toEqual(["error"]);
  });

  it("a defect in it loses nobody: they wait on it", async () => {
    const { relay, completions, events } = rig({
      onExpiry: [smime],
      encrypt: () => {
        throw new TypeError("a defect");
      },
    });
    await relay(expired());
    expect(completions).toMatchObject([{ ended: [], change: { course: { step: 1 } } }]);
    expect(events).toEqual(["error"]);
  });

  const damaged = (): never => {
    throw new StoreError("damaged", "record 1 fails authentication");
  };
  it("parks what is damaged, as an attempt does", async () => {
    const { relay, completions, parked, events } = rig({ onExpiry: [smime], encrypt: damaged });
    await relay(expired());
    expect(parked).toEqual([expired().id]);
    expect(completions).toEqual([]);
    expect(events).toEqual(["alarm"]);
  });
  it("but not before it is stored who has it: they would get it again", async () => {
    const { relay, completions, parked } = rig({
      onExpiry: [smime],
      outcomes: [delivered, untrusted],
      encrypt: damaged,
    });
    await relay(expired());
    expect(parked).toEqual([]);
    expect(completions.map(ends)).toEqual([["0 delivered"]]);
  });
});

describe("recipients whose ladders differ", () => {
  it("stand on the first step that any of them takes; who has none ends", async () => {
    const { relay, completions } = rig({ onExpiry: [hop], others: { b: outbound({ partner: "acme" }) } });
    await relay(expired());
    expect(completions.map(ends)).toEqual([["1 expired"]]);
    expect(completions[0]?.change?.course).toEqual({ step: 1 });
  });
  it("none is dropped where one passes over a step that another one waits on", async () => {
    const { relay, completions } = rig({
      onExpiry: [smime, hop],
      others: { b: outbound({ partner: "acme", onExpiry: [smime, hop] }) },
      encrypt: (positions) => ({ unknown: positions.filter((position) => position === 1) }),
    });
    await relay(expired());
    expect(completions.map(ends)).toEqual([[]]);
    expect(completions[0]?.change?.course).toEqual({ step: 1 });
  });
});
