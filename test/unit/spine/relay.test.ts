import { describe, expect, it } from "vitest";
import type { Session } from "../../../src/mail/session.ts";
import { problem } from "../../../src/mail/outcome.ts";
import { splitByPolicy } from "../../../src/parts.ts";
import { type Attempted, createRelay, type RelayDeps } from "../../../src/relay.ts";
import type { StoredNotice } from "../../../src/notices.ts";
import { type Completion, type NewMessage, StoreError } from "../../../src/store/queue.ts";
import { outbound, tls } from "../decide/policies.ts";
import { delivered, delivery, host, type Script, scripted, session } from "./fixtures.ts";

interface Case {
  readonly script: Partial<Script>;
  readonly over?: Partial<RelayDeps<Session>>;
  /** Rejections of `complete` before it works. */
  readonly broken?: number;
}

const everyone = outbound();
const NOTICE = { message: { facts: { id: "notice" } } as NewMessage, told: {} } as StoredNotice;

function relay({ script, over, broken = 0 }: Case) {
  const completions: Completion[] = [];
  const attempts: Attempted[] = [];
  const events: string[] = [];
  const parked: string[] = [];
  let failures = broken;
  const { steps } = scripted({ hosts: [host("mx1")], connect: ({ name }) => session(name), ...script });
  const run = createRelay<Session>({
    clock: { now: () => 1_000_000, monotonic: () => 0, sleep: () => Promise.resolve(), after: () => () => undefined },
    random: { bytes: (length) => Buffer.alloc(length), fraction: () => 0.5 },
    steps,
    queue: {
      complete: (completion) => {
        if (failures-- > 0) return Promise.reject(new StoreError("no-space", "full"));
        completions.push(completion);
        return Promise.resolve([]);
      },
      park: (id) => Promise.resolve(void parked.push(id)),
    },
    policy: () => ({ outbound: () => everyone, rules: [], schedule: { retryMs: [60_000] }, generation: 1 }),
    delayNoticesMs: () => [],
    notices: (_, badly) => Promise.resolve(badly.length === 0 ? [] : [NOTICE]),
    encrypt: () => Promise.resolve({ unknown: [] }),
    reportAttempt: (attempted) => void attempts.push(attempted),
    completed: () => undefined,
    emit: (event) => void events.push(event),
    stopping: new AbortController().signal,
    ...over,
  });
  return { run, completions, attempts, events, parked };
}

const untrusted = problem("deferred", "certificate-not-trusted", "its certificate is not trusted");

describe("relaying a delivery", () => {
  it("Every accepted recipient reaches exactly one end", async () => {
    const refused = problem("failed", "smtp-5xx", "no such user");
    const { run, completions } = relay({
      script: {
        deliver: () =>
          new Map([
            [0, delivered],
            [1, refused],
          ]),
      },
    });
    await run(delivery());
    expect(completions[0]?.ended).toEqual([
      { position: 0, end: "delivered" },
      { position: 1, end: "failed" },
    ]);
    expect(completions[0]?.notices.length).toBe(1);
    expect(completions[0]?.next).toBeUndefined();
  });
  it("A TLS problem never bounces before the schedule expires", async () => {
    const { run, completions, attempts } = relay({ script: { refuse: () => untrusted } });
    await run(delivery({ attempts: 9, expiresAt: 1_000_001 }));
    expect(completions[0]).toMatchObject({ ended: [], notices: [], next: { reason: "certificate-not-trusted" } });
    expect(attempts[0]?.nextAttemptAt).toBe(1_000_001);
  });
  it("and is told when it has", async () => {
    const { run, completions } = relay({ script: { refuse: () => untrusted } });
    await run(delivery({ attempts: 9, expiresAt: 1_000_000 }));
    expect(completions[0]?.ended.map(({ end }) => end)).toEqual(["expired", "expired"]);
    expect(completions[0]?.notices.length).toBe(1);
  });
  it("a clock that is put forward while mail is tried does not make it expire", async () => {
    const time = { now: 1_000_000, monotonic: 0 };
    const { run, completions } = relay({
      script: {
        refuse: () => {
          Object.assign(time, { now: time.now + 86_400_000 });
          return untrusted;
        },
      },
      over: {
        clock: {
          now: () => time.now,
          monotonic: () => time.monotonic,
          sleep: () => Promise.resolve(),
          after: () => () => undefined,
        },
      },
    });
    await run(delivery({ attempts: 9, expiresAt: 1_500_000 }));
    expect(completions[0]).toMatchObject({ ended: [], next: { at: 87_400_000 + 60_000 } });
  });
  it("says which policy was not met: an address may have a partner of its own", async () => {
    const acme = outbound({ partner: "acme" });
    const { run } = relay({
      script: { refuse: () => untrusted },
      over: {
        policy: () => ({
          outbound: () => acme,
          rules: [],
          schedule: { retryMs: [60_000] },
          generation: 1,
        }),
      },
    });
    expect((await run(delivery())).closedBy).toMatchObject({ tls: true, policy: "acme" });
    const apart = delivery({ lane: "acme.example at encrypt tls-required-no" });
    expect((await run(apart)).closedBy).toMatchObject({ tls: true, policy: "acme/at encrypt/tls-required-no" });
  });
  it("mail is never lost to a defect: it waits", async () => {
    const { run, completions, events } = relay({
      script: {
        deliver: () => {
          throw new TypeError("a defect");
        },
      },
    });
    await run(delivery());
    expect(completions[0]).toMatchObject({ ended: [], next: { reason: "internal-error" } });
    expect(events).toEqual(["error"]);
  });
  it("nobody ends badly without a notice: a defect in making it lets them wait", async () => {
    const { run, completions } = relay({
      script: { refuse: () => untrusted },
      over: { notices: () => Promise.reject(new TypeError("a defect")) },
    });
    await run(delivery({ attempts: 9, expiresAt: 1_000_000 }));
    expect(completions[0]).toMatchObject({ ended: [], notices: [], next: { reason: "internal-error" } });
  });
  it("an ending that cannot be stored is stored later, never forgotten", async () => {
    const { run, completions } = relay({ script: {}, broken: 3 });
    await run(delivery());
    expect(completions.length).toBe(1);
  });
  it("damaged content is parked, and nothing of it counts as tried", async () => {
    const { run, completions, parked, events } = relay({
      script: {
        deliver: () => {
          throw new StoreError("damaged", "record 1 fails authentication");
        },
      },
    });
    await run(delivery());
    expect(parked).toEqual([delivery().id]);
    expect(completions).toEqual([]);
    expect(events).toEqual(["alarm"]);
  });
  it("damage that shows after others of the delivery have ended does not make them get it again", async () => {
    const [mine, other] = [outbound(), outbound({ partner: "acme" })];
    let delivers = 0;
    const { run, completions, parked } = relay({
      script: {
        deliver: () => {
          if (++delivers > 1) throw new StoreError("damaged", "record 1 fails authentication");
          return new Map([[0, delivered]]);
        },
      },
      over: {
        policy: () => ({
          outbound: ({ localPart }) => (localPart === "a" ? mine : other),
          rules: [],
          schedule: { retryMs: [60_000] },
          generation: 1,
        }),
      },
    });
    await run(delivery());
    expect(parked).toEqual([]);
    expect(completions[0]).toMatchObject({
      ended: [{ position: 0, end: "delivered" }],
      next: { reason: "internal-error" },
    });
  });
  it("a defect in reporting kept what was delivered from being stored, so that it was delivered again", async () => {
    const { run, completions, events } = relay({
      script: {},
      over: {
        reportAttempt: () => {
          throw new RangeError("Invalid time value");
        },
      },
    });
    await run(delivery());
    expect(completions[0]?.ended.length).toBe(2);
    expect(events).toEqual(["error"]);
  });
  it("a shutdown in the middle of an attempt does not count it", async () => {
    const stopping = AbortSignal.abort();
    const lost = problem("deferred", "connection-lost", "closed by us");
    const { run, completions } = relay({ script: { connect: () => lost }, over: { stopping } });
    await run(delivery());
    expect(completions[0]?.counts).toBe(false);
  });
});

describe("a policy that changes while an attempt is under way", () => {
  const lax = outbound({ tls: tls({ level: "may" }) });
  const strict = outbound({ tls: tls({ level: "secure" }) });
  const changing = () => {
    let [current, generation] = [lax, 1];
    const use = () => ([current, generation] = [strict, 2]);
    const policy = () => ({ outbound: () => current, rules: [], schedule: { retryMs: [60_000] }, generation });
    return { use, over: { policy } };
  };
  it("lets no session through that was opened under the old one: mail once left below the level in force", async () => {
    const { use, over } = changing();
    const { steps, diary } = scripted({
      hosts: [host("mx1")],
      connect: ({ name }) => {
        use(); // the reload comes while the connection is being made
        return session(name);
      },
    });
    const demanded: string[] = [];
    const admit: typeof steps.admit = (open, requirement, id) => {
      demanded.push(requirement.level);
      return steps.admit(open, requirement, id);
    };
    const { run, attempts, completions } = relay({ script: {}, over: { ...over, steps: { ...steps, admit } } });
    await run(delivery());
    expect(demanded).toEqual(["mandatory"]);
    expect(diary).toEqual([
      "connect mx1 if-offered",
      "dismiss mx1",
      "connect mx1 required",
      "deliver mx1",
      "release mx1",
    ]);
    expect(attempts.map(({ generation, outbound: used }) => [generation, used])).toEqual([[2, strict]]);
    expect(completions[0]?.ended.length).toBe(2);
  });
  it("is tried at once by the new one when the old one found no way", async () => {
    const { use, over } = changing();
    const refused = problem("deferred", "connection-failed", "no answer");
    let tries = 0;
    const connect = ({ name }: { name: string }) => {
      if (tries++ > 0) return session(name);
      use();
      return refused;
    };
    const { run, completions } = relay({ script: { connect }, over });
    await run(delivery());
    expect(completions[0]?.next).toBeUndefined();
    expect(completions[0]?.ended.length).toBe(2);
  });
  it("does not send again what a session has already decided", async () => {
    const { use, over } = changing();
    let delivers = 0;
    const { run, attempts } = relay({
      script: {
        deliver: () => {
          delivers += 1;
          use();
          return new Map([0, 1].map((position) => [position, delivered]));
        },
      },
      over,
    });
    await run(delivery());
    expect(delivers).toBe(1);
    expect(attempts[0]?.generation).toBe(1);
  });
});

describe("recipients of one delivery", () => {
  it("are tried apart once a reload has made their policies differ", () => {
    const [mine, other] = [outbound(), outbound({ partner: "acme" })];
    const parts = splitByPolicy(delivery(), ({ localPart }) => (localPart === "a" ? mine : other), 0);
    expect(parts.map((part) => [part.outbound.partner, part.delivery.recipients.length])).toEqual([
      [null, 1],
      ["acme", 1],
    ]);
  });
});
