import { describe, expect, it } from "vitest";
import type { Asked, QueueActionDeps } from "../../../src/admin/queue-actions.ts";
import { pagesOf } from "../../../src/admin/queue-entry.ts";
import type { Action } from "../../../src/admin/queue-query.ts";
import type { Emit, Events } from "../../../src/report/events.ts";
import { type NewMessage, StoreError } from "../../../src/store/queue.ts";
import { actionsOn, fakeQueue, item } from "./fake-queue.ts";

const clock = { now: () => 7_000 };
const asker = { address: "127.0.0.1", who: "anna", why: "they asked for it" };
const by = { action: "by", address: "127.0.0.1", who: "anna", why: "they asked for it" };

function actionsOver(items: Parameters<typeof fakeQueue>[0], over: Partial<QueueActionDeps> = {}) {
  const queue = fakeQueue(items);
  const events: [keyof Events, unknown][] = [];
  const woken: (string | undefined)[] = [];
  const emit: Emit = (event, fields) => void events.push([event, fields]);
  const dispatcher = {
    reopen: (lane?: string) => void woken.push(`reopen ${lane}`),
    wake: () => void woken.push("wake"),
  };
  const actions = actionsOn(queue, clock, { emit, dispatcher, ...over });
  const act = (action: Action, asked: Partial<Asked> = {}) =>
    actions.act({ action, filter: {}, all: false, to: undefined, asker, ...asked });
  const states = () => queue.items.map(({ state }) => state).join(" ");
  return { queue, events, woken, actions, act, states };
}

const acme = { filter: { domain: "acme.example" } };

describe("the list of the queue", () => {
  it("shows an entry by its envelope, without anything of the content", async () => {
    const [entry] = await actionsOver([item(1)]).actions.list({});
    expect(entry).toMatchObject({
      queueId: "00000000000000000000000000000001",
      sender: "anna@example.org",
      recipients: ["bea@acme.example"],
      received: "1970-01-01T00:00:01.000Z",
      nextAttempt: "1970-01-01T00:01:40.000Z",
      reason: "certificate-expired",
      route: null,
      cursor: "#1",
    });
  });

  it.each([
    ["everything, however many pages that takes", undefined, 2_345],
    ["no more than was asked for", 1_200, 1_200],
    ["all there is, where more was asked for", 5_000, 2_345],
    ["a single page", 3, 3],
  ])("shows %s", async (_, most, shown) => {
    const { actions } = actionsOver(Array.from({ length: 2_345 }, (_, number) => item(number)));
    const seen = new Set<string>();
    for await (const page of pagesOf(actions.list, {}, most)) for (const { queueId } of page) seen.add(queueId);
    expect(seen.size).toBe(shown);
  });
});

describe("a page of the list", () => {
  it("is cut where recipients are many, and the next one goes on behind it", async () => {
    const { delivery } = item(0);
    const recipients = Array.from({ length: 1_000 }, (_, position) => ({ ...delivery.recipients[0]!, position }));
    const wide = (number: number) => ({ ...item(number), delivery: { ...item(number).delivery, recipients } });
    const { actions } = actionsOver(Array.from({ length: 450 }, (_, number) => wide(number)));
    const pages: number[] = [];
    for await (const page of pagesOf(actions.list, {})) pages.push(page.length);
    expect(Math.max(...pages)).toBeLessThanOrEqual(100);
    expect(pages.reduce((sum, length) => sum + length, 0)).toBe(450);
  });
});

describe("what a person does with the queue", () => {
  it("retry makes due what waits and what is parked, and opens its destinations", async () => {
    const all = [
      item(1),
      item(2, { state: "parked" }),
      item(3, { domain: "other.example" }),
      item(4, { state: "held" }),
    ];
    const { act, woken, queue, states } = actionsOver(all);
    expect(await act("retry", acme)).toEqual({ matched: 2, busy: 0 });
    expect(queue.asked).toEqual(['retry {"domain":"acme.example"} at 7000']);
    expect(states()).toBe("waiting waiting waiting held");
    expect(woken).toEqual(["reopen acme.example", "reopen acme.example"]);
  });

  it.each([
    ["retry", undefined, "waiting", "acme.example"],
    ["release", undefined, "held", "acme.example"],
    ["reroute", "mx", "waiting", "acme.example by another way"],
  ] as const)(
    "%s opens what is closed before mail is due there, which would else be put off again, and after it",
    async (...row) => {
      const [action, to, state, lane] = row;
      const { act, queue, woken } = actionsOver([item(1, { state })]);
      const before: (string | undefined)[][] = [];
      const { retry, release } = queue;
      const noted = (): void => void before.push([...woken]);
      queue.retry = (filter, now, parked) => (noted(), retry(filter, now, parked));
      queue.release = (filter, now) => (noted(), release(filter, now));
      await act(action, { ...acme, to });
      expect(before).toEqual([[`reopen ${lane}`]]);
      expect(woken).toEqual([`reopen ${lane}`, `reopen ${lane}`]);
    },
  );

  it("hold stops what waits, and release makes it due again", async () => {
    const { act, woken, states } = actionsOver([
      item(1),
      item(2, { state: "leased" }),
      item(3, { domain: "b.example" }),
    ]);
    expect(await act("hold", acme)).toEqual({ matched: 1, busy: 1 });
    expect(states()).toBe("held leased waiting");
    expect(woken).toEqual([]);
    expect(await act("release", { all: true })).toEqual({ matched: 1, busy: 1 });
    expect(states()).toBe("waiting leased waiting");
    expect(new Set(woken)).toEqual(new Set(["reopen acme.example", "reopen b.example"]));
  });

  it("remove leaves out what is under way, says so, and logs the end of each message", async () => {
    const { act, events } = actionsOver([item(1), item(2, { state: "leased" })]);
    expect(await act("remove", acme)).toEqual({ matched: 1, busy: 1 });
    expect(events).toEqual([
      ["queue.action", { action: "remove", matched: 1, reason: asker.why, filter: { domain: "acme.example" } }],
      ["admin.action", { ...by, action: "queue remove", detail: "1 delivery" }],
      [
        "message.finished",
        {
          queueId: "00000000000000000000000000000001",
          outcome: [{ recipient: "bea@acme.example", end: "removed" }],
          shredded: true,
        },
      ],
    ]);
  });

  it("bounce ends each with its notice in the same transaction, held and parked ones too, and leaves what is under way", async () => {
    const told = {
      queueId: "f",
      about: "1",
      kind: "failure",
      recipient: "anna@example.org",
      status: ["5.7.1"],
    } as const;
    const message = { facts: { id: "f" } } as unknown as NewMessage;
    const ended: string[] = [];
    const { act, queue, events, woken, states } = actionsOver(
      [item(1), item(2, { state: "held" }), item(3, { state: "parked" }), item(4, { state: "leased" })],
      {
        failureNotices: (delivery, badly) => {
          ended.push(
            `${delivery.id} ${badly.map(({ end, problem }) => `${end} ${problem.reason} ${problem.status}`).join()}`,
          );
          return Promise.resolve([{ message, told }]);
        },
      },
    );
    expect(await act("bounce", acme)).toEqual({ matched: 3, busy: 1 });
    expect(ended).toHaveLength(3);
    expect(ended[0]).toBe("00000000000000000000000000000001-0 failed bounced 5.7.1");
    expect(queue.completed).toHaveLength(3);
    for (const { notices, ended: ends } of queue.completed) {
      expect(notices).toEqual([message]);
      expect(ends).toEqual([{ position: 0, end: "failed" }]);
    }
    expect(states()).toBe("leased");
    expect(events.filter(([event]) => event === "notice.queued")).toHaveLength(3);
    expect(events.at(-1)).toEqual(["admin.action", { ...by, action: "queue bounce", detail: "3 deliveries" }]);
    expect(woken).toEqual(["wake"]);
  });

  it("reroute changes the way and nothing else: what is held stays held, what waits is due", async () => {
    const first = item(1);
    const taken = { ...first, delivery: { ...first.delivery, course: { step: 1, delayNotices: 2 } } };
    const { act, queue, woken, states } = actionsOver([taken, item(2, { state: "held" })]);
    expect(await act("reroute", { ...acme, to: "[gate.example]:2525" })).toEqual({ matched: 2, busy: 0 });
    const route = { kind: "host", host: "gate.example", port: 2525, implicitTls: false };
    expect(queue.completed.map(({ change, next, ended }) => ({ change, next, ended }))).toEqual([
      {
        change: { course: { step: 1, delayNotices: 2, route }, lane: "acme.example by another way" },
        next: undefined,
        ended: [],
      },
      { change: { course: { route }, lane: "acme.example by another way" }, next: undefined, ended: [] },
    ]);
    expect(states()).toBe("waiting held");
    expect(queue.asked).toEqual(['retry {"domain":"acme.example"} at 7000']);
    expect(new Set(woken)).toEqual(new Set(["reopen acme.example by another way"]));
  });

  it("reroute to policy takes the configured way again", async () => {
    const first = item(1);
    const rerouted = { ...first, delivery: { ...first.delivery, course: { step: 1, route: { kind: "mx" } as const } } };
    const { act, queue } = actionsOver([rerouted]);
    await act("reroute", { ...acme, to: "policy" });
    expect(queue.completed[0]?.change).toEqual({ course: { step: 1 }, lane: "acme.example" });
  });

  it.each(["bounce", "reroute"] as const)("%s reaches all of many, each once", async (action) => {
    const { act, queue } = actionsOver(Array.from({ length: 345 }, (_, number) => item(number)));
    const to = action === "reroute" ? "mx" : undefined;
    expect(await act(action, { ...acme, to })).toEqual({ matched: 345, busy: 0 });
    expect(new Set(queue.completed.map(({ deliveryId }) => deliveryId)).size).toBe(345);
    expect(queue.completed).toHaveLength(345);
  });

  it("a bounce leaves alone the notices that it makes, though they go to the domain that it names", async () => {
    const all = Array.from({ length: 345 }, (_, number) => item(number));
    const { act, queue } = actionsOver(all, {
      failureNotices: ({ message: { id } }) => {
        const notice = item(0x1_000 + Number.parseInt(id, 16));
        queue.items = [...queue.items, notice];
        const queueId = notice.delivery.message.id;
        const told = {
          queueId,
          about: id,
          kind: "failure",
          recipient: "anna@acme.example",
          status: ["5.7.1"],
        } as const;
        return Promise.resolve([{ message: { facts: notice.delivery.message } as unknown as NewMessage, told }]);
      },
    });
    expect(await act("bounce", acme)).toEqual({ matched: 345, busy: 0 });
    expect(queue.items).toHaveLength(345);
    expect(queue.items.every(({ state }) => state === "waiting")).toBe(true);
  });

  it("a bounce that breaks off gives back what it had in hand, and logs what was done", async () => {
    const all = Array.from({ length: 250 }, (_, number) =>
      item(number, { state: number % 2 === 0 ? "held" : "waiting" }),
    );
    let left = 120;
    const { act, queue, events, woken } = actionsOver(all, {
      failureNotices: () =>
        (left -= 1) < 0 ? Promise.reject(new StoreError("no-space", "full")) : Promise.resolve([]),
    });
    await expect(act("bounce", acme)).rejects.toThrow("full");
    expect(queue.items).toEqual(all.slice(120));
    expect(events.at(-2)).toMatchObject(["queue.action", { action: "bounce", matched: 120 }]);
    expect(woken).toEqual(["wake"]);
  });

  it.each<[string, Action, Partial<Asked>]>([
    ["everything is held without being told so", "hold", {}],
    ["everything is released without being told so", "release", {}],
    ["everything is tried without being told so", "retry", {}],
    ["everything is removed", "remove", { all: true }],
    ["everything is bounced", "bounce", { all: true }],
    ["everything is rerouted", "reroute", { all: true, to: "mx" }],
    ["mail is removed without a reason", "remove", { ...acme, asker: { ...asker, why: undefined } }],
    ["mail is removed by recipient", "remove", { filter: { recipient: "bea@acme.example" } }],
    ["mail is bounced by recipient", "bounce", { filter: { recipient: "bea@acme.example" } }],
    ["mail is rerouted by recipient", "reroute", { filter: { recipient: "bea@acme.example" }, to: "mx" }],
    ["mail is rerouted to nowhere", "reroute", acme],
    ["mail is rerouted to an address without brackets", "reroute", { ...acme, to: "192.0.2.1" }],
    ["a next hop comes with another action", "retry", { ...acme, to: "mx" }],
  ])("nothing is done where %s", async (_, action, asked) => {
    const { act, queue, events } = actionsOver([item(1)]);
    const before = queue.items;
    expect(await act(action, asked)).toEqual({ error: expect.any(String), remedy: expect.any(String) });
    expect(queue.items).toBe(before);
    expect([queue.asked, queue.completed, events]).toEqual([[], [], []]);
  });

  it("works on a stopped gateway, which has no dispatcher", async () => {
    const queue = fakeQueue([item(1)]);
    const actions = actionsOn(queue, clock, { emit: () => undefined });
    for (const action of ["retry", "hold", "release", "reroute", "bounce"] as const) {
      const to = action === "reroute" ? "mx" : undefined;
      expect(await actions.act({ action, ...acme, all: false, to, asker })).toEqual({ matched: 1, busy: 0 });
    }
  });
});

describe("a look at content", () => {
  const id = "1".padStart(32, "0");

  it("is refused and logged where it is not permitted", async () => {
    const { actions, events } = actionsOver([item(1)]);
    expect(await actions.content({ id, asker })).toEqual({ kind: "denied" });
    expect(events.map(([event]) => event)).toEqual(["admin.denied"]);
  });

  it("is logged with who and why before the first octet", async () => {
    const { actions, events } = actionsOver([item(1)], { contentAccess: true });
    const found = await actions.content({ id, asker });
    expect(events).toEqual([["admin.action", { ...by, action: "queue content", detail: `content 0 of ${id}` }]]);
    const chunks: Buffer[] = [];
    if (found.kind === "shown") for await (const chunk of found.chunks) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("Subject: secret\r\n\r\nhello Bea\r\n");
  });

  it.each([
    ["without a reason", { id, asker: { ...asker, why: undefined } }, "no-reason"],
    ["of a message that is not there", { id: "f".repeat(32), asker }, "missing"],
    ["of a content that it does not have", { id, asker, content: 7 }, "missing"],
  ])("%s shows nothing", async (_, asked, kind) => {
    const { actions, events } = actionsOver([item(1)], { contentAccess: true });
    expect(await actions.content(asked)).toEqual({ kind });
    expect(events).toEqual([]);
  });

  it("says so where the content fails authentication", async () => {
    const queue = fakeQueue([item(1)]);
    queue.header = () => Promise.reject(new StoreError("damaged", "bad"));
    const actions = actionsOn(queue, clock, { emit: () => undefined, contentAccess: true });
    expect(await actions.content({ id, asker })).toEqual({ kind: "damaged" });
  });
});
