/** What every engine of the queue must do for people who stop, seize, release and count mail. Called as `queueContract` is. */
import { beforeEach, describe, expect, it } from "vitest";
import type { DeliveryState, QueueFilter, QueueStore } from "../../src/store/queue.ts";
import { type EngineUnderTest, storeForEach } from "./engine-under-test.ts";
import { NOW, prepare, put, type Wanted } from "./messages.ts";

const LATER = { at: NOW + 60_000, reason: "connection-failed", detail: "No answer from mx.partner.test" } as const;
const YEAR = 365 * 86_400_000;

export function stoppingContract(engine: EngineUnderTest): void {
  describe(`what a person stops on ${engine.name}`, () => {
    let queue: QueueStore;
    const reopen = storeForEach(engine, (opened) => void (queue = opened));
    const states = async (filter: QueueFilter = {}): Promise<DeliveryState[]> =>
      (await queue.list(filter)).map(({ state }) => state);
    const add = async (wanted: Wanted = {}): Promise<string> => `${(await put(queue, wanted)).facts.id}-0`;
    /** One in each state: d0.test waits, d1.test is leased, d2.test held, d3.test parked. */
    const inEachState = async (): Promise<string[]> => {
      const ids = [
        await add({ recipients: ["x@d0.test"], at: NOW + 5 }),
        await add({ recipients: ["x@d1.test"], at: NOW + 5, state: "leased" }),
        await add({ recipients: ["x@d2.test"], at: NOW + 5 }),
        await add({ recipients: ["x@d3.test"], at: NOW + 5, state: "leased" }),
      ];
      await queue.hold({ domain: "d2.test" });
      await queue.park(ids[3] ?? "", "The body fails authentication");
      return ids;
    };

    it("is neither tried nor expired, and causes no notice, until it is released, over a restart, too", async () => {
      const id = await add({ noticeAt: NOW, expiresAt: NOW });
      expect(await queue.hold({ domain: "elsewhere.test" })).toBe(0);
      expect(await queue.hold({ domain: "partner.test" })).toBe(1);
      expect(await queue.hold({})).toBe(0);
      for (const turn of ["held", "after a restart"]) {
        expect([turn, await states()]).toEqual([turn, ["held"]]);
        const late = NOW + YEAR;
        expect(await queue.claim("partner.test", late, 9)).toEqual([]);
        expect(await queue.claimExpired("partner.test", late, 9)).toEqual([]);
        expect(await queue.claimNotices(late, 9)).toEqual([]);
        expect(await queue.dueDomains(late, new Set(), 9)).toEqual([]);
        expect(await queue.nextDue(0)).toBeUndefined();
        expect(await queue.postpone(["partner.test"], { now: NOW, until: late, reason: "dns-failed" })).toBe(0);
        expect(await queue.retry({}, NOW, true)).toBe(0);
        await reopen();
      }
      expect((await queue.stats()).deliveries.held).toBe(1);
      expect(await queue.release({ domain: "elsewhere.test" }, NOW)).toBe(0);
      expect(await queue.release({}, NOW + 3)).toBe(1);
      expect(await queue.list({})).toMatchObject([{ state: "waiting", nextAttemptAt: NOW + 3, noticeAt: NOW }]);
      expect((await queue.claim("partner.test", NOW + 3, 1)).map((delivery) => delivery.id)).toEqual([id]);
    });

    it.each<[string, () => Promise<number>, number, DeliveryState[]]>([
      ["hold stops only what waits", () => queue.hold({}), 1, ["held", "leased", "held", "parked"]],
      [
        "release lets go only what is held",
        () => queue.release({}, NOW),
        1,
        ["waiting", "leased", "waiting", "parked"],
      ],
      [
        "retry leaves alone what is held or parked",
        () => queue.retry({}, NOW),
        1,
        ["waiting", "leased", "held", "parked"],
      ],
      [
        "retry of what is parked, too, leaves alone what is held",
        () => queue.retry({}, NOW, true),
        2,
        ["waiting", "leased", "held", "waiting"],
      ],
    ])("%s", async (_, act, changed, expected) => {
      await inEachState();
      expect(await act()).toBe(changed);
      expect(await states()).toEqual(expected);
    });

    it("is removed with the rest, but for what is leased", async () => {
      const ids = await inEachState();
      expect(await queue.remove({})).toHaveLength(3);
      expect((await queue.list({})).map(({ delivery }) => delivery.id)).toEqual([ids[1]]);
    });

    describe("and is seized", () => {
      it("whatever its state, but leased, by filter and in order of arrival", async () => {
        const [waiting, , held, parked] = await inEachState();
        await add({ recipients: ["x@d4.test"], partner: "p" });
        expect(await queue.seize({ partner: "q" }, 9)).toEqual([]);
        expect((await queue.seize({ domain: "d2.test" }, 9)).map(({ id }) => id)).toEqual([held]);
        const first = await queue.seize({}, 2);
        expect(first.map(({ id }) => id)).toEqual([waiting, parked]);
        expect((await queue.seize({}, 9)).map(({ domain }) => domain)).toEqual(["d4.test"]);
        expect(new Set(await states())).toEqual(new Set(["leased"]));
      });

      it("page by page, so that what went back is not met again", async () => {
        const ids = [await add(), await add(), await add()];
        const seen: string[] = [];
        for (let after: string | undefined; ; after = seen.at(-1)) {
          const [delivery] = await queue.seize({ domain: "partner.test", ...(after !== undefined && { after }) }, 1);
          if (delivery === undefined) break;
          seen.push(delivery.id);
          await queue.complete({ deliveryId: delivery.id, ended: [], counts: false, notices: [] });
        }
        expect(seen).toEqual(ids);
      });

      it("falls back to what it was when the lease is void: what was held is not sent after a crash", async () => {
        const ids = await inEachState();
        expect(await queue.seize({}, 9)).toHaveLength(3);
        await reopen();
        expect(await states()).toEqual(["waiting", "waiting", "held", "parked"]);
        const due = await Promise.all([0, 1, 2, 3].map((at) => queue.claim(`d${at}.test`, NOW + YEAR, 9)));
        expect(due.flat().map(({ id }) => id)).toEqual(ids.slice(0, 2));
        // What it fell back to then does not follow a lease of another kind.
        await reopen();
        expect(await states()).toEqual(["waiting", "waiting", "held", "parked"]);
      });

      it("and given back without a next time, it is what it was, with its change", async () => {
        const ids = await inEachState();
        await queue.seize({}, 9);
        const route = { kind: "mx-of", domain: "elsewhere.test" } as const;
        for (const deliveryId of ids)
          await queue.complete({ deliveryId, ended: [], counts: false, notices: [], change: { course: { route } } });
        const items = await queue.list({});
        expect(items.map(({ state }) => state)).toEqual(["waiting", "waiting", "held", "parked"]);
        expect(items.map(({ nextAttemptAt }) => nextAttemptAt)).toEqual(items.map(() => NOW + 5));
        expect(items.map(({ delivery }) => delivery.course)).toEqual(items.map(() => ({ route })));
      });

      it("and given back with a next time, it waits", async () => {
        const ids = await inEachState();
        await queue.seize({}, 9);
        for (const deliveryId of ids)
          await queue.complete({ deliveryId, ended: [], next: LATER, counts: false, notices: [] });
        expect(await states()).toEqual(["waiting", "waiting", "waiting", "waiting"]);
      });

      it("and ended, with the notice of it", async () => {
        const id = await add();
        await queue.hold({});
        await queue.seize({}, 1);
        const notices = [await prepare(queue, { sender: "", recipients: ["alice@inside.test"] })];
        const ended = [{ position: 0, end: "failed" as const }];
        const finished = await queue.complete({ deliveryId: id, ended, counts: false, notices });
        expect(finished.map(({ recipients }) => recipients)).toEqual([
          [{ address: "erin@partner.test", end: "failed" }],
        ]);
        expect(await states()).toEqual(["waiting"]);
      });
    });

    describe("and is counted", () => {
      let size: number;
      beforeEach(async () => {
        const { facts } = await put(queue, {
          recipients: ["a@b.test", "a@c.test"],
          partner: "p",
          body: Buffer.alloc(900),
        });
        size = facts.size;
        await add({ recipients: ["b@c.test"], sender: "bob@inside.test", reason: "dns-failed", receivedAt: NOW + 10 });
        await add({ recipients: ["c@c.test"], sender: "bob@inside.test", reason: "dns-failed", receivedAt: NOW + 20 });
        await add({ recipients: ["d@d.test"], state: "leased", receivedAt: NOW + 30 });
        await queue.hold({ domain: "b.test" });
      });
      const small = Buffer.from("Subject: hello\r\n\r\nHello.\r\n").length;

      it("in all", async () => {
        expect(await queue.totals({})).toEqual({
          deliveries: 5,
          messages: 4,
          size: size + 3 * small,
          byDomain: [
            { domain: "c.test", deliveries: 3 },
            { domain: "b.test", deliveries: 1 },
            { domain: "d.test", deliveries: 1 },
          ],
          byReason: [
            { reason: null, deliveries: 3 },
            { reason: "dns-failed", deliveries: 2 },
          ],
          byState: { waiting: 3, leased: 1, held: 1, parked: 0 },
          lanes: expect.toSatisfy((lanes: string[]) => lanes.toSorted().join() === "b.test,c.test,d.test") as string[],
        });
      });

      it.each<[string, QueueFilter, number, number]>([
        ["domain", { domain: "c.test" }, 3, 3],
        ["partner", { partner: "p" }, 2, 1],
        ["sender", { sender: "bob@inside.test" }, 2, 2],
        ["recipient", { recipient: "a@c.test" }, 1, 1],
        ["reason", { reason: "dns-failed" }, 2, 2],
        ["age", { before: NOW + 20 }, 3, 2],
        ["several", { domain: "c.test", before: NOW + 20 }, 2, 2],
        ["what none matches", { domain: "e.test" }, 0, 0],
        ["all, whatever page is asked for", { limit: 1, after: "#3" }, 5, 4],
      ])("by %s", async (_, filter, deliveries, messages) => {
        expect(await queue.totals(filter)).toMatchObject({ deliveries, messages });
      });
    });
  });
}
