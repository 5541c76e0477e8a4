/** Which notices come of what happened, to whom, and how many: the texts have tests of their own. */
import { describe, expect, it } from "vitest";
import { decisions } from "../../../src/decide/decide.ts";
import type { Delivery, MessageFacts } from "../../../src/mail/delivery.ts";
import type { Recipient } from "../../../src/mail/envelope.ts";
import { formatMailbox, type Mailbox, parseMailbox } from "../../../src/mail/mailbox.ts";
import { problem } from "../../../src/mail/outcome.ts";
import { createNotices, type StoredNotice } from "../../../src/notices.ts";
import type { Delivered } from "../../../src/notify/reached-notice.ts";
import type { EndedBadly } from "../../../src/schedule/settle.ts";
import type { Snapshot } from "../../../src/snapshot.ts";
import { StoreError } from "../../../src/store/queue.ts";
import { outbound, partner, policy, tls } from "../decide/policies.ts";
import { delivery, facts } from "./fixtures.ts";

const HOUR = 3_600_000;
const NOW = 5_000_000;
/** Its time, then what the generator gives first. */
const QUEUE_ID = `0000004c4b40${"01".repeat(10)}`;

interface Case {
  readonly policy?: Parameters<typeof policy>[0];
  readonly header?: string | StoreError;
  readonly postmaster?: string;
}

function rig(of: Case = {}) {
  const events: [string, unknown][] = [];
  const bodies = new Map<string, string>();
  let ids = 0;
  let hours = 0;
  let fails = false;
  const rules = policy({
    partners: [partner("acme", { name: "ACME AG", domains: ["acme.example"], owner: "olga@example.org" })],
    ownDomains: [
      {
        domain: "example.org",
        outbound: outbound({ source: "own-domain" }),
        language: "de",
        dkim: [],
        smime: [],
        tlsOnlyAlias: "secure.example.org",
      },
    ],
    ...of.policy,
  });
  const settings = {
    hostname: "relay.example.org",
    postmaster: of.postmaster ?? "postmaster@example.org",
    noticeLanguage: "auto",
    policy: rules,
  };
  const notices = createNotices({
    clock: {
      now: () => NOW,
      monotonic: () => hours * HOUR,
      sleep: () => Promise.resolve(),
      after: () => () => undefined,
    },
    random: { bytes: (length) => Buffer.alloc(length, ++ids), fraction: () => 0 },
    snapshot: () => ({ settings, decide: decisions(rules) }) as unknown as Snapshot,
    queue: {
      header: () => {
        const header = of.header ?? "Subject: Lunch\r\n\r\n";
        return typeof header === "string" ? Promise.resolve(Buffer.from(header)) : Promise.reject(header);
      },
      openSpool: (messageId) => ({
        write: (chunk) => {
          if (fails) return Promise.reject(new StoreError("no-space", "full"));
          return Promise.resolve(void bodies.set(messageId, chunk.toString()));
        },
        end: () => Promise.resolve({ messageId, part: 0, length: 1 }),
        discard: () => Promise.resolve(),
      }),
    },
    emit: (event, fields) => void events.push([event, fields]),
  });
  return {
    notices,
    events,
    bodies,
    later: () => void (hours += 1),
    fail: (now: boolean) => void (fails = now),
  };
}

const box = (text: string): Mailbox => parseMailbox(text)!;

function message(sender: string | null, over: Partial<MessageFacts> = {}): MessageFacts {
  return { ...facts, envelope: { ...facts.envelope, reversePath: sender === null ? null : box(sender) }, ...over };
}

const to = (address: string, notify?: Recipient["notify"]): Recipient => ({
  position: 0,
  mailbox: box(address),
  ...(notify && { notify }),
});

const bad = (recipient: Recipient): EndedBadly => ({
  recipient,
  end: "failed",
  problem: problem("failed", "smtp-5xx", "no", { code: 550, text: "no" }),
});
const good = (recipient: Recipient, dsnPassedOn = false): Delivered => ({
  recipient,
  smtp: { code: 250, text: "ok" },
  dsnPassedOn,
});

/** Kind and recipient of each. */
const told = (made: readonly StoredNotice[]): string[] => made.map(({ told }) => `${told.kind} ${told.recipient}`);
const OUTSIDE = "otto@other.test";

describe("of what has ended", () => {
  const bob = to("bob@acme.example");

  it("the sender is told that it failed, with what the log needs", async () => {
    const { notices } = rig();
    const [notice, ...more] = await notices.ended(delivery({ message: message(OUTSIDE) }), [bad(bob)], []);
    expect(more).toEqual([]);
    expect(notice?.told).toEqual({
      queueId: QUEUE_ID,
      about: facts.id,
      kind: "failure",
      recipient: OUTSIDE,
      status: ["5.0.0"],
    });
    expect(notice?.message.facts).toMatchObject({
      id: QUEUE_ID,
      notice: true,
      envelope: { reversePath: null, mail: { requireTls: false }, recipients: [{ notify: ["NEVER"] }] },
    });
    expect(notice?.message.deliveries).toMatchObject([{ domain: "other.test", state: "waiting" }]);
  });

  it("nobody is told where all went well and nobody asked, and nothing is read for it", async () => {
    const { notices } = rig({ header: new StoreError("failed", "must not be read") });
    expect(await notices.ended(delivery(), [], [good(bob)])).toEqual([]);
  });

  it("each recipient is in the notice that is meant for it", async () => {
    const { notices, bodies } = rig();
    const asked = to("asked@acme.example", ["SUCCESS"]);
    const badly = [bad(to("gone@acme.example"))];
    const made = await notices.ended(delivery({ course: { delayNotices: 1 } }), badly, [good(bob), good(asked)]);
    expect(told(made)).toEqual(["failure anna@example.org", "delivered anna@example.org", "relayed anna@example.org"]);
    const [failure, delivered, relayed] = made.map(({ told }) => bodies.get(told.queueId) ?? "");
    expect(failure).toContain("Final-Recipient: rfc822; gone@");
    expect(delivered).toContain("Final-Recipient: rfc822; bob@");
    expect(relayed).toContain("Final-Recipient: rfc822; asked@");
    for (const body of [failure, delivered, relayed]) expect(body?.match(/Final-Recipient/g)).toHaveLength(1);
  });

  it("a delay notice that went out for the message it was made of counts", async () => {
    const { notices } = rig();
    const moved = message(OUTSIDE, { fallback: { of: "x", approvedBy: "olga", delayNotices: 2 } });
    expect(told(await notices.ended(delivery({ message: moved }), [], [good(bob)]))).toEqual([`delivered ${OUTSIDE}`]);
  });

  it("a damaged header keeps nobody from being told", async () => {
    const { notices } = rig({ header: new StoreError("damaged", "seal") });
    expect(told(await notices.ended(delivery({ message: message(OUTSIDE) }), [bad(bob)], []))).toHaveLength(1);
  });

  it("a header that cannot be read now is tried again by the caller", async () => {
    const { notices } = rig({ header: new StoreError("failed", "disk") });
    await expect(notices.ended(delivery(), [bad(bob)], [])).rejects.toMatchObject({ kind: "failed" });
  });

  it("mail of others with the null sender causes an alarm and no mail, once however often it is stored", async () => {
    const { notices, events } = rig();
    const bounce = delivery({ message: message(null) });
    for (let time = 0; time < 3; time += 1) expect(await notices.ended(bounce, [bad(bob)], [])).toEqual([]);
    expect(events).toEqual([
      ["alarm", expect.objectContaining({ code: "undeliverable-null-sender", state: "raised" })],
    ]);
    expect(await notices.ended(delivery({ message: message(null) }), [], [good(bob)])).toEqual([]);
    expect(events).toHaveLength(1);
  });
});

describe("of a notice of ours that reached nobody", () => {
  const otto = to(OUTSIDE);
  const lost = () => delivery({ message: message(null, { notice: true }), recipients: [otto], domain: "other.test" });

  it("the postmaster is told, and nobody else", async () => {
    const { notices, events } = rig();
    expect(told(await notices.ended(lost(), [bad(otto)], []))).toEqual(["undeliverable postmaster@example.org"]);
    expect(events).toEqual([]);
  });

  it("nobody is told that one was delivered", async () => {
    const { notices } = rig();
    const one = { ...lost(), course: { delayNotices: 1 } };
    expect(await notices.ended(one, [], [good(to(OUTSIDE, ["SUCCESS"]))])).toEqual([]);
    expect(await notices.delayed(one, NOW)).toEqual([]);
  });

  it("he is told ten times an hour at most; beyond that there is an alarm", async () => {
    const { notices, events, later } = rig();
    const count = async (times: number): Promise<number> => {
      let made = 0;
      for (let time = 0; time < times; time += 1) made += (await notices.ended(lost(), [bad(otto)], [])).length;
      return made;
    };
    expect(await count(13)).toBe(10);
    expect(events.map(([event, fields]) => [event, (fields as { code: string }).code])).toEqual(
      Array.from({ length: 3 }, () => ["alarm", "undeliverable-notice"]),
    );
    later();
    expect(await count(11)).toBe(10);
  });

  it("what the store does not take has its place when it is made again", async () => {
    const { notices, fail } = rig();
    const one = lost();
    fail(true);
    for (let time = 0; time < 12; time += 1) await expect(notices.ended(one, [bad(otto)], [])).rejects.toThrow("full");
    fail(false);
    expect(await notices.ended(one, [bad(otto)], [])).toHaveLength(1);
  });

  it.each([
    ["was for the postmaster himself", "Postmaster@example.org", undefined],
    ["has no postmaster to go to", OUTSIDE, "nobody"],
  ])("one that %s is told of in an alarm", async (_, address, postmaster) => {
    const { notices, events } = rig(postmaster === undefined ? {} : { postmaster });
    const recipient = to(address);
    expect(await notices.ended({ ...lost(), recipients: [recipient] }, [bad(recipient)], [])).toEqual([]);
    expect(events).toEqual([["alarm", expect.objectContaining({ code: "undeliverable-notice" })]]);
  });
});

describe("of mail that waits", () => {
  const bob = to("bob@acme.example");
  const waiting = (over: Partial<Delivery> = {}) =>
    delivery({
      message: message(OUTSIDE),
      recipients: [bob],
      last: { reason: "starttls-not-supported", detail: "mx offers no STARTTLS" },
      ...over,
    });

  it("the sender and the partner's owner are told", async () => {
    const { notices, bodies } = rig();
    const made = await notices.delayed(waiting(), NOW + HOUR);
    expect(told(made)).toEqual([`delay ${OUTSIDE}`, "copy olga@example.org"]);
    expect(made.map(({ told }) => told.status)).toEqual([["4.7.5"], ["4.7.5"]]);
    const [toSender, copy] = made.map(({ told }) => bodies.get(told.queueId) ?? "");
    expect(toSender).toContain("not left the house unencrypted");
    expect(toSender).toContain(`Will-Retry-Until: ${new Date(NOW + HOUR).toUTCString().replace("GMT", "+0000")}`);
    expect(copy).toContain("Was hilft: Bitten Sie"); // her domain speaks German
    expect(copy).not.toContain("Lunch");
  });

  it("the owner is told where the sender does not wish to be", async () => {
    const { notices } = rig();
    const silent = waiting({ recipients: [to("bob@acme.example", ["NEVER"])] });
    expect(told(await notices.delayed(silent, NOW))).toEqual(["copy olga@example.org"]);
  });

  it.each<[string, Delivery, Case]>([
    ["has the null sender", waiting({ message: message(null) }), {}],
    ["is a notice of ours", waiting({ message: message(null, { notice: true }) }), {}],
  ])("nobody is told of mail that %s", async (_, of, over) =>
    expect(await rig(over).notices.delayed(of, NOW)).toEqual([]),
  );

  it.each<[string, Delivery, Case]>([
    ["it is the owner's own", waiting({ message: message("Olga@Example.org") }), {}],
    ["the partner has none", waiting(), { policy: { partners: [partner("acme", { domains: ["acme.example"] })] } }],
    ["there is no partner", waiting({ recipients: [to("x@elsewhere.test")], domain: "elsewhere.test" }), {}],
  ])("no copy is sent where %s", async (_, of, over) => {
    const [kind, ...more] = told(await rig(over).notices.delayed(of, NOW));
    expect(kind).toMatch(/^delay /);
    expect(more).toEqual([]);
  });

  it("an owner has ten copies an hour of one partner at most, whatever waits", async () => {
    const { notices, later } = rig();
    const copies = async (): Promise<number> => {
      let made = 0;
      for (let time = 0; time < 20; time += 1)
        made += told(await notices.delayed(waiting(), NOW)).filter((one) => one.startsWith("copy")).length;
      return made;
    };
    expect(await copies()).toBe(10);
    later();
    expect(await copies()).toBe(10);
  });

  it("the last try is the last of the ladder's", async () => {
    const onExpiry = [
      { kind: "next-hop", nextHop: [{ kind: "mx" }], lifetimeMs: 2 * HOUR },
      { kind: "smime", approvedBy: "olga", lifetimeMs: 3 * HOUR },
    ] as const;
    const acme = partner("acme", { domains: ["acme.example"], outbound: outbound({ partner: "acme", onExpiry }) });
    const { notices, bodies } = rig({ policy: { partners: [acme] } });
    const until = async (over: Partial<Delivery>): Promise<string | undefined> => {
      const [made] = await notices.delayed(waiting(over), NOW);
      return /Will-Retry-Until: (.*)\r/.exec(bodies.get(made?.told.queueId ?? "") ?? "")?.[1];
    };
    const at = (hours: number) => new Date(NOW + hours * HOUR).toUTCString().replace("GMT", "+0000");
    expect(await until({})).toBe(at(5));
    expect(await until({ course: { step: 1 } })).toBe(at(3));
    expect(await until({ course: { step: 2 } })).toBe(at(0));
  });

  it.each<[string, Parameters<typeof outbound>[0], Partial<MessageFacts>, boolean]>([
    ["encrypt", {}, {}, true],
    ["may", { tls: tls({ level: "may" }) }, {}, false],
    ["none", { tls: tls({ level: "none" }) }, {}, false],
    ["report mode", { mode: "report", reportEndsAt: NOW + 1 }, {}, false],
    ["report mode that has ended, while it waited", { mode: "report", reportEndsAt: NOW - 1 }, {}, false],
    ["report mode that had ended before it came", { mode: "report", reportEndsAt: -1 }, {}, true],
    ["may, and a message that demands REQUIRETLS", { tls: tls({ level: "may" }) }, required(), true],
    ["may, and a TLS-only alias", { tls: tls({ level: "may" }) }, { demands: { alias: true } }, true],
  ])("it is said that nothing left in clear only where that is so: %s", async (_, over, about, said) => {
    const acme = partner("acme", { domains: ["acme.example"], outbound: outbound({ partner: "acme", ...over }) });
    const { notices, bodies } = rig({ policy: { partners: [acme] } });
    const [made] = await notices.delayed(waiting({ message: message(OUTSIDE, about) }), NOW);
    expect(bodies.get(made?.told.queueId ?? "")?.includes("not left the house unencrypted")).toBe(said);
  });

  it("an attempt that would have gone in clear is remembered", async () => {
    const { notices, bodies } = rig();
    const [made] = await notices.delayed(waiting({ course: { clear: true } }), NOW);
    expect(bodies.get(made?.told.queueId ?? "")).not.toContain("unencrypted");
  });

  it("an exception that has ended while it waited is remembered", async () => {
    const exception = { approvedBy: "olga", reason: "x", endsAt: NOW - 1, origin: { file: "", line: 1, column: 1 } };
    const weak = outbound({ partner: "acme", tls: tls({ level: "may" }), source: "exception", exception });
    const acme = partner("acme", { domains: ["acme.example"], exceptions: [weak] });
    const { notices, bodies } = rig({ policy: { partners: [acme] } });
    const [made] = await notices.delayed(waiting(), NOW);
    expect(bodies.get(made?.told.queueId ?? "")).not.toContain("unencrypted");
  });
});

function required(): Partial<MessageFacts> {
  const { envelope } = message(OUTSIDE);
  return { envelope: { ...envelope, mail: { ...envelope.mail, requireTls: true } } };
}

describe("the way of a notice", () => {
  const bob = to("bob@acme.example");

  it("to a TLS-only alias is that of the domain that it stands for, and tells nothing of the message", async () => {
    const { notices, bodies } = rig();
    const of = delivery({ message: message("anna@secure.example.org", { demands: { alias: true } }) });
    const [made] = await notices.ended(of, [bad(bob)], []);
    expect(made?.message.deliveries.map(({ domain }) => domain)).toEqual(["example.org"]);
    const [recipient] = made?.message.facts.envelope.recipients ?? [];
    expect(recipient && formatMailbox(recipient.mailbox)).toBe("anna@example.org");
    const header = made?.message.contents[0]?.header.toString();
    expect(header).toMatch(/^To: <anna@secure\.example\.org>\r\n/m);
    expect(header).toMatch(/^Content-Language: de\r\n/m);
    expect(bodies.get(made?.told.queueId ?? "")).not.toContain("Lunch");
  });

  it("expires as mail with the null sender does", async () => {
    const { notices } = rig();
    const [made] = await notices.ended(delivery(), [bad(bob)], []);
    expect(made?.message.deliveries.map(({ expiresAt }) => expiresAt)).toEqual([NOW + 48 * HOUR]);
  });
});
