/**
 * What every engine of the queue must do with what waits: expiry, delay notices, closed destinations, a clock that was
 * put right, and what changes of a delivery that goes on. Called as `queueContract` is.
 */
import { describe, expect, it } from "vitest";
import type { Course } from "../../src/mail/delivery.ts";
import type { CourseChange, NewMessage, QueueItem, QueueStore } from "../../src/store/queue.ts";
import { type EngineUnderTest, storeForEach } from "./engine-under-test.ts";
import { NOW, prepare, put, type Wanted } from "./messages.ts";

const LATER = { at: NOW + 60_000, reason: "connection-failed", detail: "No answer from mx.partner.test" } as const;
const HOUR = 3_600_000;

export function waitingContract(engine: EngineUnderTest): void {
  describe(`what waits on ${engine.name}`, () => {
    let queue: QueueStore;
    const reopen = storeForEach(engine, (opened) => void (queue = opened));
    /** Stores them in this order; answers the ids of their first deliveries. */
    const putAll = async (...wanted: Wanted[]): Promise<string[]> => {
      const ids: string[] = [];
      for (const one of wanted) ids.push(`${(await put(queue, one)).facts.id}-0`);
      return ids;
    };
    const itemOf = async (id: string): Promise<QueueItem> => {
      const [item] = await queue.list({ id });
      if (item === undefined) throw new Error(`${id} is gone`);
      return item;
    };
    const nothing = { ended: [], counts: false, notices: [] } as const;
    const notice = (): Promise<NewMessage> => prepare(queue, { sender: "", recipients: ["alice@inside.test"] });

    describe("is leased", () => {
      it("by the time that it was due, and among equals by arrival", async () => {
        const [a, b, c, d] = await putAll({ at: NOW }, { at: NOW - 1 }, { at: NOW }, { at: NOW - 1 });
        expect((await queue.claim("partner.test", NOW, 3)).map(({ id }) => id)).toEqual([b, d, a]);
        expect((await queue.claim("partner.test", NOW, 3)).map(({ id }) => id)).toEqual([c]);
      });

      it("when it is due and its lifetime has passed, the longest expired first", async () => {
        const [, third, first, second] = await putAll(
          { expiresAt: NOW + 1 },
          { expiresAt: NOW, at: NOW - HOUR },
          { expiresAt: NOW - 9 },
          { expiresAt: NOW - 8, at: NOW - HOUR },
          { expiresAt: NOW - 9, at: NOW + 1 },
          { expiresAt: NOW - 9, recipients: ["x@other.test"] },
          { expiresAt: NOW - 9, state: "leased" },
        );
        expect((await queue.claimExpired("partner.test", NOW, 2)).map(({ id }) => id)).toEqual([first, second]);
        expect((await queue.claimExpired("partner.test", NOW, 9)).map(({ id }) => id)).toEqual([third]);
        expect(await queue.claimExpired("partner.test", NOW, 9)).toEqual([]);
      });

      it("when a delay notice is owed, wherever it goes, the longest owed first", async () => {
        const [second, , first, third] = await putAll(
          { noticeAt: NOW - 1 },
          { noticeAt: NOW + 1 },
          { noticeAt: NOW - 2, recipients: ["x@other.test"], at: NOW + HOUR },
          { noticeAt: NOW },
          {},
          { noticeAt: NOW - 3, state: "leased" },
        );
        expect((await queue.claimNotices(NOW, 2)).map(({ id }) => id)).toEqual([first, second]);
        expect((await queue.claimNotices(NOW, 9)).map(({ id }) => id)).toEqual([third]);
        expect(await queue.claimNotices(NOW, 9)).toEqual([]);
      });

      it("by its lane, which is its domain unless it takes another way, and changes with its way", async () => {
        const lane = "partner.test backup";
        const [plain = "", other = ""] = await putAll({ expiresAt: NOW }, { lane, at: NOW - 1, expiresAt: NOW });
        expect(await queue.dueDomains(NOW, new Set(), 9)).toEqual([lane, "partner.test"]);
        expect(await queue.dueDomains(NOW, new Set([lane]), 9)).toEqual(["partner.test"]);
        expect(await queue.claimExpired("partner.test", NOW, 9)).toMatchObject([{ id: plain, domain: "partner.test" }]);
        const [claimed] = await queue.claim(lane, NOW, 9);
        expect(claimed).toMatchObject({ id: other, domain: "partner.test", lane });
        await queue.complete({ deliveryId: plain, ...nothing, change: { lane } });
        await queue.complete({ deliveryId: other, ...nothing, change: { lane: "partner.test" } });
        await reopen();
        const closed = { now: NOW, until: NOW + HOUR, reason: "dns-failed" } as const;
        expect(await queue.postpone([lane], { ...closed, now: NOW - 1 })).toBe(0);
        expect(await queue.dueDomains(NOW, new Set(), 9)).toEqual(["partner.test", lane]);
        expect((await queue.list({ domain: "partner.test" })).map(({ delivery }) => delivery.lane)).toEqual([
          lane,
          undefined,
        ]);
        expect((await queue.claim("partner.test", NOW, 9)).map(({ id }) => id)).toEqual([other]);
        expect((await queue.claimExpired(lane, NOW, 9)).map(({ id }) => id)).toEqual([plain]);
      });

      it("by one claim only, whichever it is", async () => {
        await putAll(...Array.from({ length: 40 }, () => ({ expiresAt: NOW, noticeAt: NOW })));
        const claims = await Promise.all(
          Array.from({ length: 8 }, () => [
            queue.claim("partner.test", NOW, 2),
            queue.claimExpired("partner.test", NOW, 2),
            queue.claimNotices(NOW, 2),
            queue.seize({ domain: "partner.test" }, 2),
          ]).flat(),
        );
        const ids = claims.flat().map(({ id }) => id);
        expect([ids.length, new Set(ids).size]).toEqual([40, 40]);
      });

      it("and the next time that something is due is that of an attempt or of a delay notice", async () => {
        await putAll(
          { at: NOW + 50, noticeAt: NOW + 20 },
          { at: NOW + 30 },
          { at: NOW + 1, state: "leased", noticeAt: NOW + 2 },
        );
        const times = [NOW, NOW + 20, NOW + 30, NOW + 50];
        expect(await Promise.all(times.map((now) => queue.nextDue(now)))).toEqual([
          NOW + 20,
          NOW + 30,
          NOW + 50,
          undefined,
        ]);
      });

      it("and what the peer said in it, as it said it", async () => {
        const [id = ""] = await putAll({});
        const smtp = { code: 451, enhancedCode: "4.7.1", text: "4.7.1 Grey\0listed" };
        await queue.claim("partner.test", NOW, 1);
        const next = { at: NOW + 1, reason: "smtp-4xx", detail: "It was\0 refused", smtp } as const;
        await queue.complete({ deliveryId: id, ended: [], next, counts: true, notices: [] });
        const item = await itemOf(id);
        expect(item.delivery.last).toEqual({ reason: "smtp-4xx", detail: "It was refused", smtp });
        expect(item.detail).toBe("It was refused");
      });
      it("and says how the last attempt ended, once there was one", async () => {
        const [id = ""] = await putAll({ state: "leased" });
        const [fresh = ""] = await putAll({ recipients: ["x@other.test"], reason: "dns-failed" });
        expect((await itemOf(id)).delivery).not.toHaveProperty("last");
        await queue.complete({ deliveryId: id, ended: [], next: LATER, counts: true, notices: [] });
        const { reason, detail } = LATER;
        for (const turn of ["now", "after a restart"]) {
          expect([turn, (await itemOf(id)).delivery.last]).toEqual([turn, { reason, detail }]);
          await reopen();
        }
        expect((await queue.claim("partner.test", LATER.at, 1))[0]?.last).toEqual({ reason, detail });
        expect(await itemOf(fresh)).toMatchObject({ reason: "dns-failed", detail: null, delivery: { attempts: 0 } });
        expect((await queue.claim("other.test", NOW, 1))[0]?.last).toEqual({ reason: "dns-failed", detail: null });
      });
    });

    describe("goes on", () => {
      const course: Course = {
        step: 1,
        delayNotices: 2,
        route: { kind: "host", host: "backup.partner.test", port: 25, implicitTls: false },
      };

      it("with its notice and what the notice changes in one transaction, untouched in all else", async () => {
        const [id = ""] = await putAll({ noticeAt: NOW + 1, state: "leased" });
        await queue.complete({ deliveryId: id, ended: [], next: LATER, counts: true, notices: [] });
        expect((await queue.claimNotices(NOW + 1, 1)).map(({ id: leased }) => leased)).toEqual([id]);
        const told = await notice();
        const change = { course: { delayNotices: 1 }, noticeAt: NOW + HOUR };
        expect(await queue.complete({ deliveryId: id, ...nothing, notices: [told], change })).toEqual([]);
        await reopen();
        expect(await itemOf(id)).toMatchObject({
          state: "waiting",
          nextAttemptAt: LATER.at,
          noticeAt: NOW + HOUR,
          reason: LATER.reason,
          detail: LATER.detail,
          delivery: { attempts: 1, expiresAt: NOW + 24 * HOUR, course: { delayNotices: 1 } },
        });
        expect((await queue.list({ id: told.facts.id })).map(({ delivery }) => delivery.message)).toEqual([told.facts]);
      });

      it("without the change when a notice cannot be stored, and without the notice", async () => {
        const [id = ""] = await putAll({ noticeAt: NOW });
        await queue.claimNotices(NOW, 1);
        const [good, bad] = [await notice(), await notice()];
        const notices = [good, { ...bad, deliveries: bad.deliveries.map((delivery) => ({ ...delivery, id })) }];
        const change = { course, noticeAt: null, expiresAt: NOW + HOUR };
        const completing = queue.complete({ deliveryId: id, ...nothing, notices, change });
        await expect(completing).rejects.toMatchObject({ kind: "failed" });
        const items = await queue.list({});
        expect(items).toMatchObject([{ state: "leased", noticeAt: NOW, delivery: { id, expiresAt: NOW + 24 * HOUR } }]);
        expect(items[0]?.delivery).not.toHaveProperty("course");
        await queue.complete({ deliveryId: id, ...nothing, change });
        expect(await itemOf(id)).toMatchObject({ state: "waiting", noticeAt: null, delivery: { course } });
      });

      it("by the first completion of a lease: a second stores neither notice nor change", async () => {
        const [id = ""] = await putAll({ noticeAt: NOW });
        await queue.claimNotices(NOW, 1);
        for (const delayNotices of [1, 2]) {
          const change = { course: { delayNotices }, noticeAt: NOW + delayNotices * HOUR };
          await queue.complete({ deliveryId: id, ...nothing, notices: [await notice()], change });
        }
        expect(await itemOf(id)).toMatchObject({ noticeAt: NOW + HOUR, delivery: { course: { delayNotices: 1 } } });
        expect((await queue.stats()).messages).toBe(2);
      });

      it.each<[string, CourseChange, object, object]>([
        ["its course", { course }, {}, { course }],
        ["its lifetime", { expiresAt: NOW + 9 }, {}, { expiresAt: NOW + 9 }],
        ["when its sender hears of it", { noticeAt: NOW + 9 }, { noticeAt: NOW + 9 }, {}],
        ["that its sender hears no more of it", { noticeAt: null }, { noticeAt: null }, {}],
        ["the count of its attempts", { attempts: 0 }, {}, { attempts: 0 }],
        ["nothing", {}, {}, {}],
      ])("with %s changed, and what is not named as it was", async (_, change, item, delivery) => {
        const [id = ""] = await putAll({ noticeAt: NOW + 5, state: "leased" });
        const before: CourseChange = { course: { step: 7 }, expiresAt: NOW + 7 };
        await queue.complete({ deliveryId: id, ended: [], next: LATER, counts: true, notices: [], change: before });
        await queue.claim("partner.test", LATER.at, 1);
        const next = { ...LATER, at: NOW + 2 * HOUR };
        await queue.complete({ deliveryId: id, ended: [], next, counts: true, notices: [], change });
        await reopen();
        const expected = { attempts: 2, expiresAt: NOW + 7, course: { step: 7 }, ...delivery };
        expect(await itemOf(id)).toMatchObject({
          noticeAt: NOW + 5,
          nextAttemptAt: next.at,
          ...item,
          delivery: expected,
        });
        expect((await queue.claim("partner.test", next.at, 1))[0]).toMatchObject(expected);
      });

      it("while recipients move into another message, that is stored with their ending or not at all", async () => {
        const { facts } = await put(queue, {
          recipients: ["a@partner.test", "b@partner.test"],
          state: "leased",
        });
        const id = `${facts.id}-0`;
        const moved = (message: NewMessage, ...positions: number[]) =>
          queue.complete({
            deliveryId: id,
            ended: positions.map((position) => ({ position, end: "moved" as const })),
            counts: true,
            notices: [message],
          });
        const into = await prepare(queue, { recipients: ["a@partner.test"] });
        const bad = { ...into, deliveries: into.deliveries.map((delivery) => ({ ...delivery, id })) };
        await expect(moved(bad, 0)).rejects.toMatchObject({ kind: "failed" });
        expect((await itemOf(id)).delivery.recipients).toHaveLength(2);
        const first = await prepare(queue, { recipients: ["a@partner.test"] });
        expect(await moved(first, 0)).toEqual([]);
        await reopen();
        expect((await itemOf(id)).delivery.recipients.map(({ position }) => position)).toEqual([1]);
        expect((await itemOf(`${first.facts.id}-0`)).state).toBe("waiting");
        await queue.claim("partner.test", NOW, 9);
        expect(await moved(await prepare(queue, { recipients: ["b@partner.test"] }), 1)).toEqual([
          {
            id: facts.id,
            recipients: [
              { address: "a@partner.test", end: "moved" },
              { address: "b@partner.test", end: "moved" },
            ],
          },
        ]);
        expect((await queue.stats()).messages).toBe(2);
      });
    });

    describe("moves in time", () => {
      const closed = { now: NOW, until: NOW + HOUR, reason: "connection-failed" } as const;

      it("with its destination: what is due waits as well, and the attempt counts for it", async () => {
        const ids = await putAll(
          { recipients: ["x@partner.test"] },
          { recipients: ["x@second.test"], expiresAt: NOW + 9 },
          { recipients: ["x@other.test"] },
          { recipients: ["x@partner.test"], at: NOW + 1 },
          { recipients: ["x@partner.test"], expiresAt: NOW },
          { recipients: ["x@partner.test"], state: "leased" },
        );
        expect(await queue.postpone(["partner.test", "second.test"], closed)).toBe(2);
        const items = await Promise.all(ids.map(itemOf));
        const seen = items.map(({ nextAttemptAt, reason, delivery }) => [
          nextAttemptAt - NOW,
          reason,
          delivery.attempts,
        ]);
        expect(seen).toEqual([
          [HOUR, "connection-failed", 1],
          [9, "connection-failed", 1],
          [0, null, 0],
          [1, null, 0],
          [0, null, 0],
          [0, null, 0],
        ]);
        expect(await queue.postpone(["partner.test", "second.test"], closed)).toBe(0);
        expect(await queue.postpone([], closed)).toBe(0);
      });

      it.each([
        ["the sentence of its last attempt where the reason is the same", "connection-failed", LATER.detail],
        ["no sentence of another reason", "dns-failed", null],
      ] as const)("and keeps %s", async (_, reason, detail) => {
        const [id = ""] = await putAll({ state: "leased" });
        await queue.complete({ deliveryId: id, ended: [], next: LATER, counts: true, notices: [] });
        const until = LATER.at + HOUR;
        expect(await queue.postpone(["partner.test"], { now: LATER.at, until, reason })).toBe(1);
        expect(await itemOf(id)).toMatchObject({ reason, detail, nextAttemptAt: until, delivery: { attempts: 2 } });
      });

      it("at once when its destination recovers, if it waits for that: then in order of arrival", async () => {
        const ids = await putAll(
          { at: NOW + 9, reason: "connection-failed" },
          { at: NOW + 8, reason: "dns-failed" },
          { at: NOW + 7, reason: "smtp-4xx" },
          { at: NOW + 6 },
          { at: NOW + 5, reason: "dns-failed", recipients: ["x@other.test"] },
          { at: NOW + 5, reason: "dns-failed", state: "leased" },
          { at: NOW - 5, reason: "dns-failed", recipients: ["x@second.test"] },
        );
        expect(await queue.hasten(["partner.test", "second.test"], NOW, ["dns-failed", "connection-failed"])).toBe(2);
        expect((await queue.claim("partner.test", NOW, 9)).map(({ id }) => id)).toEqual(ids.slice(0, 2));
        expect((await itemOf(ids[6] ?? "")).nextAttemptAt).toBe(NOW - 5);
        expect(await queue.hasten([], NOW, ["dns-failed"])).toBe(0);
        expect(await queue.hasten(["other.test"], NOW, [])).toBe(0);
      });

      it("with its lane alone, where it takes another way than the rest of its domain", async () => {
        const [plain = "", other = ""] = await putAll({}, { lane: "partner.test backup" });
        expect(await queue.postpone(["partner.test backup"], closed)).toBe(1);
        expect(await queue.hasten(["partner.test"], NOW + 1, ["connection-failed"])).toBe(0);
        const times = [plain, other].map(async (id) => (await itemOf(id)).nextAttemptAt);
        expect(await Promise.all(times)).toEqual([NOW, NOW + HOUR]);
        expect(await queue.hasten(["partner.test backup"], NOW + 1, ["connection-failed"])).toBe(1);
      });

      it("however much it is", async () => {
        await Promise.all(Array.from({ length: 2_100 }, () => put(queue)));
        expect(await queue.postpone(["partner.test"], closed)).toBe(2_100);
        expect(await queue.hasten(["partner.test"], NOW + 1, ["connection-failed"])).toBe(2_100);
        expect([await queue.hold({}), await queue.release({}, NOW), await queue.retry({}, NOW)]).toEqual([
          2_100, 2_100, 2_100,
        ]);
        const waiting = await queue.list({ limit: 3_000 });
        expect(new Set(waiting.map(({ nextAttemptAt, delivery }) => `${nextAttemptAt} ${delivery.attempts}`))).toEqual(
          new Set([`${NOW} 1`]),
        );
      });

      it("with the wall clock, in every state; no expiry is left beyond the latest", async () => {
        const ids = await putAll(
          { expiresAt: NOW, noticeAt: NOW + 1, recipients: ["x@held.test"] },
          { expiresAt: NOW + 2 * HOUR, noticeAt: NOW + 3, state: "leased" },
          { expiresAt: NOW + 5, state: "leased" },
          { expiresAt: NOW + 5, at: NOW + 7 },
        );
        await queue.hold({ domain: "held.test" });
        await queue.park(ids[1] ?? "", "damaged");
        const times = async (): Promise<unknown[]> => {
          const items = await Promise.all(ids.map(itemOf));
          return items.map(({ delivery, noticeAt }) => [delivery.expiresAt - NOW, noticeAt && noticeAt - NOW]);
        };
        await queue.shiftClock(HOUR, NOW + 2 * HOUR);
        expect(await times()).toEqual([
          [HOUR, HOUR + 1],
          [2 * HOUR, HOUR + 3],
          [HOUR + 5, null],
          [HOUR + 5, null],
        ]);
        await queue.shiftClock(-HOUR, NOW + 4);
        await reopen();
        expect(await times()).toEqual([
          [0, 1],
          [4, 3],
          [4, null],
          [4, null],
        ]);
        expect((await itemOf(ids[3] ?? "")).nextAttemptAt).toBe(NOW + 7);
      });
    });
  });
}
