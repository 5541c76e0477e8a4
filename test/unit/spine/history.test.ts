/** What the history hears, when it stores it, and what becomes of it when it cannot. */
import { describe, expect, it } from "vitest";
import { createHistory } from "../../../src/history.ts";
import type { Events } from "../../../src/report/events.ts";
import type { HistoryEntry } from "../../../src/store/history.ts";
import { deliveryFields } from "../report/fixtures.ts";
import { fakeClock } from "../store/fake-clock.ts";

const ID = "1".repeat(32);
const HOUR_MS = 3_600_000;

function rig(options: { keepMs?: number; add?: (entries: readonly HistoryEntry[]) => Promise<void> } = {}) {
  const clock = fakeClock();
  const kept: HistoryEntry[] = [];
  const calls: string[] = [];
  const errors: string[] = [];
  const state = { keepMs: options.keepMs ?? 10 * HOUR_MS };
  const store = {
    add: async (entries: readonly HistoryEntry[]) => {
      calls.push(`add ${entries.length}`);
      await options.add?.(entries);
      kept.push(...entries);
    },
    find: () => Promise.resolve(kept),
    erase: (address: string) => Promise.resolve(calls.push(`erase ${address}`)),
    forget: (before: number) => Promise.resolve(calls.push(`forget ${before}`)),
    figures: () => Promise.resolve({ deliveries: kept.length, wouldDefer: [] }),
  };
  const history = createHistory({
    clock,
    store: () => store,
    keepMs: () => state.keepMs,
    emit: (event, fields) => void errors.push(`${event} ${(fields as Events["error"]).detail}`),
  });
  return { clock, kept, calls, errors, state, history };
}

function acceptedFields(over: Partial<Events["message.accepted"]> = {}): Events["message.accepted"] {
  return {
    queueId: ID,
    messageId: "<1@example.org>",
    session: "s",
    listener: "smarthost",
    client: { address: "192.0.2.7", port: 1, helo: "h", via: "network" },
    sender: "anna@example.org",
    fromDomain: "example.org",
    recipients: ["bea@acme.example"],
    size: 1,
    partners: [],
    rules: [],
    requireTls: false,
    tlsRequiredNo: undefined,
    headersKept: undefined,
    ...over,
  };
}

function refusedFields(over: Partial<Events["message.refused"]> = {}): Events["message.refused"] {
  return {
    session: "s",
    listener: "mx",
    address: "192.0.2.7",
    port: 1,
    stage: "rcpt",
    code: 550,
    enhancedCode: "5.7.1",
    reason: "no",
    rules: undefined,
    sender: "eve@example.net",
    recipients: ["bea@acme.example"],
    client: undefined,
    ...over,
  };
}

const shown = (entries: readonly HistoryEntry[]) => entries.map(({ kind, queueId, found }) => [kind, queueId, found]);

describe("an event about a message", () => {
  it("is stored within a second, with the time at which it happened", async () => {
    const { clock, history, kept } = rig();
    await clock.advance(5_000);
    history.hear("message.accepted", acceptedFields());
    await clock.advance(999);
    expect(kept).toEqual([]);
    await clock.advance(1);
    expect(shown(kept)).toEqual([["accepted", ID, ["anna@example.org", "bea@acme.example", "<1@example.org>"]]]);
    expect(kept[0]?.at).toBe(5_000);
  });

  it("is stored at once when many wait, when somebody looks, and at the end", async () => {
    const { clock, history, calls } = rig();
    for (let n = 0; n < 501; n += 1) history.hear("message.accepted", acceptedFields());
    await clock.advance(0);
    expect(calls).toEqual(["add 500"]);
    await history.reader.find({ queueId: ID }, 1);
    history.hear("delivery", deliveryFields());
    await history.reader.erase("x@y.example");
    history.hear("delivery", deliveryFields());
    expect((await history.reader.figures("acme", 0)).deliveries).toBe(503);
    history.hear("delivery", deliveryFields());
    await history.stop();
    expect(calls).toEqual(["add 500", "add 1", "add 1", "erase x@y.example", "add 1", "add 1"]);
  });

  it("is not kept when nothing is to be, nor behind the end", async () => {
    const { history, kept, state } = rig({ keepMs: 0 });
    history.hear("message.accepted", acceptedFields());
    state.keepMs = 1;
    await history.stop();
    history.hear("message.accepted", acceptedFields());
    await history.reader.find({ queueId: ID }, 1);
    expect(kept).toEqual([]);
  });
});

describe("an entry is found by", () => {
  const after = async (hear: (history: ReturnType<typeof rig>["history"]) => void) => {
    const { history, kept } = rig();
    hear(history);
    await history.stop();
    return shown(kept);
  };

  it("the addresses of its message once, those that a peer names besides, and the account", () =>
    expect(
      after(({ hear }) => {
        const client = { ...acceptedFields().client, user: "carl@example.org" };
        hear("message.accepted", acceptedFields({ client }));
        const smtp = { code: 550, enhancedCode: "5.1.6", text: "moved to <dora@acme.example>, not bea@acme.example" };
        const fields = { queueId: ID, sender: "anna@example.org", recipients: ["bea@acme.example"], detail: undefined };
        hear("delivery", deliveryFields({ ...fields, smtp, exception: undefined }));
      }),
    ).resolves.toEqual([
      ["accepted", ID, ["anna@example.org", "bea@acme.example", "<1@example.org>", "carl@example.org"]],
      ["delivery", ID, ["dora@acme.example"]],
    ]));

  it("its own addresses where it is not known that another entry has them: the message came before this start", () =>
    expect(
      after(({ hear }) => {
        const fields = { queueId: ID, sender: "", recipients: ["bea@acme.example"], exception: undefined };
        hear("delivery", deliveryFields({ ...fields, smtp: undefined, detail: undefined }));
      }),
    ).resolves.toEqual([["delivery", ID, ["bea@acme.example"]]]));

  it("both messages, where it is about two; an alarm is about none", () =>
    expect(
      after(({ hear }) => {
        const other = "2".repeat(32);
        const to = { recipient: "anna@example.org", status: [] };
        hear("notice.queued", { queueId: other, about: ID, kind: "delay", ...to });
        hear("notice.queued", { queueId: other, about: "certificate-expired", kind: "alarm", ...to });
        hear("message.moved", { queueId: ID, into: other, reason: "ladder", approvedBy: "ops@example.org" });
      }),
    ).resolves.toEqual([
      ["notice", ID, ["anna@example.org"]],
      ["notice", "2".repeat(32), ["anna@example.org"]],
      ["notice", "2".repeat(32), ["anna@example.org"]],
      ["moved", ID, ["ops@example.org"]],
      ["moved", "2".repeat(32), ["ops@example.org"]],
    ]));

  it("who was refused, once a sender is known; of very many recipients the first", () =>
    expect(
      after(({ hear }) => {
        hear("message.refused", refusedFields({ sender: undefined }));
        hear("message.refused", refusedFields());
        hear(
          "message.refused",
          refusedFields({ recipients: Array.from({ length: 1_000 }, (_, n) => `r${n}@x.example`) }),
        );
      }).then((entries) => entries.map(([kind, id, found]) => [kind, id, (found as string[]).length])),
    ).resolves.toEqual([
      ["refused", null, 2],
      ["refused", null, 101],
    ]));

  it("an action on one message, and the end of one that was removed", () =>
    expect(
      after(({ hear }) => {
        const action = { matched: 1, reason: "asked by anna@example.org" };
        hear("queue.action", { action: "hold", ...action, filter: { id: `${ID}-3` } });
        hear("queue.action", { action: "hold", ...action, filter: { domain: "acme.example" } });
        hear("queue.action", { action: "retry", ...action, matched: 0, filter: { id: ID } });
        hear("message.finished", {
          queueId: ID,
          outcome: [{ recipient: "b@x.example", end: "removed" }],
          shredded: true,
        });
        hear("message.finished", {
          queueId: ID,
          outcome: [{ recipient: "b@x.example", end: "delivered" }],
          shredded: true,
        });
        hear("error", { kind: "x", detail: "y" });
      }),
    ).resolves.toEqual([
      ["action", ID, ["anna@example.org"]],
      ["finished", ID, ["b@x.example"]],
    ]));

  it("no address that its fields do not have, and every address that they have", async () => {
    const { history, kept } = rig();
    const recipients = Array.from({ length: 300 }, (_, n) => `r${n}@x.example`);
    history.hear("message.refused", refusedFields({ recipients, reason: "ask postmaster@x.example" }));
    await history.stop();
    const [entry] = kept;
    const named = JSON.stringify(entry?.fields).match(/[\w.]+@[\w.]+/g) ?? [];
    expect(new Set(entry?.found)).toEqual(new Set(named));
  });
});

describe("a store that fails", () => {
  it("leaves a gap that is told once a minute; what comes later is found by addresses of its own", async () => {
    let broken = true;
    const { clock, history, kept, errors } = rig({
      add: () => (broken ? Promise.reject(new Error("disk full")) : Promise.resolve()),
    });
    history.hear("message.accepted", acceptedFields());
    await clock.advance(1_000);
    history.hear("message.accepted", acceptedFields());
    await clock.advance(1_000);
    expect(errors).toEqual(["error The history has a gap of 1 entries: disk full"]);
    broken = false;
    const fields = { queueId: ID, sender: "anna@example.org", recipients: ["bea@acme.example"], exception: undefined };
    history.hear("delivery", deliveryFields({ ...fields, smtp: undefined, detail: undefined }));
    await clock.advance(1_000);
    expect(shown(kept)).toEqual([["delivery", ID, ["anna@example.org", "bea@acme.example"]]]);
    broken = true;
    await clock.advance(60_000);
    history.hear("message.accepted", acceptedFields());
    await clock.advance(1_000);
    expect(errors[1]).toContain("gap of 2 entries");
  });

  it("that never answers holds up nobody, and takes a bounded memory", async () => {
    const { history, calls, errors, clock } = rig({ add: () => new Promise(() => undefined) });
    const recipients = Array.from({ length: 1_000 }, (_, n) => `r${n}@x.example`);
    for (let n = 0; n < 5_000; n += 1) history.hear("message.accepted", acceptedFields({ recipients }));
    await clock.advance(0);
    expect(errors).toEqual([expect.stringContaining("too slowly")]);
    expect(calls).toEqual([]);
    await clock.advance(1_000);
    expect(calls).toEqual(["add 49"]);
  });
});

it("refusals in great number are kept up to a bound, and mail beside them is", async () => {
  const { history, kept, clock } = rig();
  for (let n = 0; n < 3_000; n += 1) history.hear("message.refused", refusedFields());
  history.hear("message.accepted", acceptedFields());
  await clock.advance(60_000);
  history.hear("message.refused", refusedFields());
  await history.stop();
  const count = (kind: string) => kept.filter((one) => one.kind === kind).length;
  expect([count("refused"), count("accepted")]).toEqual([1_001, 1]);
});

it("what is old is forgotten at the start and every hour, by what is configured then", async () => {
  const { history, calls, clock, state } = rig({ keepMs: HOUR_MS });
  await clock.advance(2 * HOUR_MS);
  history.start();
  await clock.advance(0);
  await clock.advance(HOUR_MS);
  state.keepMs = 0;
  await clock.advance(HOUR_MS);
  await history.stop();
  await clock.advance(5 * HOUR_MS);
  expect(calls).toEqual([`forget ${HOUR_MS}`, `forget ${2 * HOUR_MS}`, `forget ${4 * HOUR_MS}`]);
});
