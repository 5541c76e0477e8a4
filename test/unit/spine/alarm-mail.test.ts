import { describe, expect, it } from "vitest";
import { createAlarmMail } from "../../../src/alarm-mail.ts";
import { formatMailbox } from "../../../src/mail/mailbox.ts";
import type { Events } from "../../../src/report/events.ts";
import type { Snapshot } from "../../../src/snapshot.ts";
import { type NewMessage, StoreError } from "../../../src/store/queue.ts";
import { outbound, partner, policy } from "../decide/policies.ts";

const ALARM: Events["alarm"] = {
  code: "mail-waiting",
  partner: "acme",
  state: "raised",
  since: "2026-11-25T12:00:00.000Z",
  until: undefined,
  remedy: "Mail to acme.example waits",
};

function rig({ mail = true, fails = false, postmaster = "postmaster@example.org" } = {}) {
  const stored: NewMessage[] = [];
  const bodies: string[] = [];
  const events: [string, unknown][] = [];
  let woken = 0;
  let ids = 0;
  const settings = {
    hostname: "relay.example.org",
    postmaster,
    noticeLanguage: "auto",
    alarms: { mail, waitingMs: 0, certificateDays: [] },
    policy: policy({
      partners: [partner("acme", { name: "ACME AG", owner: "anna@example.org" }), partner("other")],
      ownDomains: [{ domain: "example.org", outbound: outbound(), language: "de", dkim: [], smime: [] }],
    }),
  };
  const clock = { now: () => 1_800_000_000_000, monotonic: () => 0, sleep: () => Promise.resolve() };
  const alarms = createAlarmMail({
    clock: { ...clock, after: () => () => undefined },
    random: { bytes: (length) => Buffer.alloc(length, ++ids), fraction: () => 0 },
    snapshot: () => ({ settings, decide: () => outbound() }) as unknown as Snapshot,
    queue: {
      openSpool: (messageId) => ({
        write: (chunk) => Promise.resolve(void bodies.push(chunk.toString())),
        end: () => Promise.resolve({ messageId, part: 0, length: 1 }),
        discard: () => Promise.resolve(),
      }),
      enqueue: (message) =>
        fails ? Promise.reject(new StoreError("no-space", "full")) : Promise.resolve(void stored.push(message)),
    },
    emit: (event, fields) => void events.push([event, fields]),
    queued: () => void (woken += 1),
  });
  const readers = () =>
    stored.map(({ facts }) => facts.envelope.recipients.map(({ mailbox }) => formatMailbox(mailbox)).join());
  return { alarms, stored, bodies, events, readers, woken: () => woken };
}

describe("an alarm", () => {
  it("goes to the partner's owner, in the language of its domain, as mail of our own that causes no notice", async () => {
    const { alarms, stored, bodies, events, readers, woken } = rig();
    alarms.emit("alarm", ALARM);
    await alarms.ended();
    expect(readers()).toEqual(["anna@example.org"]);
    expect(stored[0]?.facts).toMatchObject({ notice: true, envelope: { reversePath: null } });
    expect(stored[0]?.contents[0]?.header.toString()).toMatch(/^Content-Language: de\r\n/m);
    expect(bodies.join("")).toContain("Mail to acme.example waits");
    expect(events).toEqual([
      ["alarm", ALARM],
      [
        "notice.queued",
        {
          queueId: `01a3185c5000${"01".repeat(10)}`,
          about: "mail-waiting",
          kind: "alarm",
          recipient: "anna@example.org",
          status: [],
        },
      ],
    ]);
    expect(woken()).toBe(1);
  });

  it.each([
    ["of a partner without an owner", "other"],
    ["of a partner that is gone", "gone"],
    ["of none", null],
  ])("%s goes to the postmaster", async (_, id) => {
    const { alarms, readers } = rig();
    alarms.emit("alarm", { ...ALARM, partner: id, state: "cleared" });
    await alarms.ended();
    expect(readers()).toEqual(["postmaster@example.org"]);
  });

  it("is written to each reader ten times an hour at most, and always logged", async () => {
    const { alarms, readers, events } = rig();
    for (let time = 0; time < 12; time += 1) {
      alarms.emit("alarm", ALARM);
      alarms.emit("alarm", { ...ALARM, partner: null });
    }
    await alarms.ended();
    expect(readers().filter((reader) => reader === "anna@example.org").length).toBe(10);
    expect(readers().length).toBe(20);
    expect(events.filter(([event]) => event === "alarm").length).toBe(24);
  });

  it.each([
    ["alarms.mail is off", { mail: false }],
    ["the postmaster's address is none", { postmaster: "nobody" }],
  ])("is only logged where %s", async (_, over) => {
    const { alarms, stored, events } = rig(over);
    alarms.emit("alarm", { ...ALARM, partner: null });
    await alarms.ended();
    expect(stored).toEqual([]);
    expect(events.length).toBe(1);
  });

  it.each(["undeliverable-null-sender", "undeliverable-notice"])(
    "about mail that nobody can be told of is only logged: %s",
    async (code) => {
      const { alarms, stored, events } = rig();
      alarms.emit("alarm", { ...ALARM, code });
      await alarms.ended();
      expect(stored).toEqual([]);
      expect(events.length).toBe(1);
    },
  );

  it("that cannot be stored is an error in the log, and no alarm about an alarm", async () => {
    const { alarms, events } = rig({ fails: true });
    alarms.emit("alarm", ALARM);
    await alarms.ended();
    expect(events.map(([event]) => event)).toEqual(["alarm", "error"]);
  });

  it("other events pass by", async () => {
    const { alarms, stored, events } = rig();
    alarms.emit("gateway.stopped", { reason: "SIGTERM" });
    await alarms.ended();
    expect(stored).toEqual([]);
    expect(events).toEqual([["gateway.stopped", { reason: "SIGTERM" }]]);
  });
});
