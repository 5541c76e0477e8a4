/** What every engine of the queue must do. An engine's test file calls this with a way to open its store. */
import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { formatMailbox } from "../../src/mail/mailbox.ts";
import type { QueueFilter, QueueStore } from "../../src/store/queue.ts";
import { type EngineUnderTest, storeForEach } from "./engine-under-test.ts";
import { bodyOf, newId, NOW, prepare, put, spoolBody } from "./messages.ts";

const NONE: ReadonlySet<string> = new Set();
const LATER = { at: NOW + 60_000, reason: "connection-failed", detail: "No answer from mx.partner.test" } as const;

export function queueContract(engine: EngineUnderTest): void {
  describe(`the queue on ${engine.name}`, () => {
    let queue: QueueStore;
    const reopen = storeForEach(engine, (opened) => void (queue = opened));
    const states = async (): Promise<string[]> => (await queue.list({})).map(({ state }) => state);

    describe("keeps", () => {
      it.each([
        ["an empty body", 0],
        ["a small body", 4096],
        ["exactly one record", 65_536],
        ["one octet more than a record", 65_537],
        ["the largest body that is kept in the database", 131_072],
        ["the smallest body that goes to a file", 131_073],
        ["exactly three records", 196_608],
        ["a large body", 5_000_001],
      ])("%s, octet by octet, over a restart", async (_, size) => {
        const body = randomBytes(size);
        const { facts, contents } = await put(queue, { body });
        await reopen();
        expect((await bodyOf(queue, facts.id)).equals(body)).toBe(true);
        expect(await queue.header(facts.id, 0)).toEqual(contents[0]?.header);
      });

      it.each([1, 7, 65_535, 65_536, 65_537, 200_000])("the same body when it comes in pieces of %i", async (chunk) => {
        const message = await prepare(queue);
        const body = randomBytes(chunk === 1 ? 140_000 : 300_000);
        const id = newId();
        const sealed = await spoolBody(queue, id, body, chunk);
        const deliveries = message.deliveries.map((delivery) => ({ ...delivery, id: `${id}-0` }));
        const contents = message.contents.map(({ header }) => ({ header, body: sealed }));
        await queue.enqueue({ facts: { ...message.facts, id }, contents, deliveries });
        expect(sealed.length).toBe(body.length);
        expect((await bodyOf(queue, id)).equals(body)).toBe(true);
      });

      it("everything about a message", async () => {
        const { facts } = await put(queue, {
          sender: "alice@inside.test",
          recipients: ["erin@partner.test", "frank@partner.test"],
          messageId: "<1@inside.test>",
          partner: "partner",
        });
        await reopen();
        const [item] = await queue.list({});
        expect(item).toMatchObject({
          state: "waiting",
          partner: "partner",
          nextAttemptAt: NOW,
          reason: null,
          detail: null,
        });
        expect(item?.delivery).toEqual({
          id: `${facts.id}-0`,
          message: facts,
          domain: "partner.test",
          recipients: facts.envelope.recipients,
          attempts: 0,
          content: 0,
          expiresAt: NOW + 86_400_000,
        });
      });

      it("nothing of a body that was discarded, and refuses to store one twice", async () => {
        const message = await prepare(queue);
        await queue.enqueue(message);
        await expect(queue.enqueue(message)).rejects.toThrow(TypeError);
        const spool = queue.openSpool(newId());
        await spool.write(randomBytes(300_000));
        await spool.discard();
        await expect(spool.end()).rejects.toThrow(TypeError);
        expect((await queue.stats()).messages).toBe(1);
      });

      it("all of 64 messages that arrive at once", async () => {
        const stored = await Promise.all(Array.from({ length: 64 }, () => put(queue)));
        await reopen();
        const found = (await queue.list({ limit: 1000 })).map(({ delivery }) => delivery.message.id);
        expect(found.sort()).toEqual(stored.map(({ facts }) => facts.id).sort());
      });

      it("refuses ids that are not its own random hex", () => {
        for (const id of ["../../etc/passwd", "", "A".repeat(32), "a".repeat(31)]) {
          expect(() => queue.openSpool(id)).toThrow(TypeError);
        }
      });
    });

    describe("leases", () => {
      it("a delivery to one claim only", async () => {
        const stored = await Promise.all(Array.from({ length: 30 }, () => put(queue)));
        const claims = await Promise.all(Array.from({ length: 10 }, () => queue.claim("partner.test", NOW, 5)));
        const ids = claims.flat().map(({ id }) => id);
        expect(ids.sort()).toEqual(stored.map(({ facts }) => `${facts.id}-0`).sort());
        expect(await queue.claim("partner.test", NOW, 5)).toEqual([]);
      });

      it("the longest due first, nothing that is not due, nothing of another domain", async () => {
        const third = await put(queue, { at: NOW - 1 });
        const first = await put(queue, { at: NOW - 3 });
        const second = await put(queue, { at: NOW - 2 });
        await put(queue, { at: NOW + 1 });
        await put(queue, { recipients: ["x@other.test"], at: NOW - 9 });
        const claimed = await queue.claim("partner.test", NOW, 10);
        expect(claimed.map(({ message }) => message.id)).toEqual([first, second, third].map(({ facts }) => facts.id));
        expect(await states()).toEqual(["leased", "leased", "leased", "waiting", "waiting"]);
      });

      it("fresh deliveries to the one who stored them", async () => {
        const { facts } = await put(queue, { state: "leased" });
        expect(await queue.claim("partner.test", NOW, 10)).toEqual([]);
        await queue.complete({ deliveryId: `${facts.id}-0`, ended: [], next: LATER, counts: true, notices: [] });
        expect((await queue.claim("partner.test", LATER.at, 10))[0]?.attempts).toBe(1);
      });

      it("are void after a restart, and due at once", async () => {
        const fresh = await put(queue, { state: "leased" });
        await put(queue, { recipients: ["x@other.test"] });
        await queue.claim("other.test", NOW, 1);
        await reopen();
        expect(await states()).toEqual(["waiting", "waiting"]);
        expect((await queue.claim("partner.test", NOW, 9)).map(({ message }) => message.id)).toEqual([fresh.facts.id]);
      });

      it("and waits reckoned by a clock that was wrong, are bounded by a restart", async () => {
        const year = 365 * 86_400_000;
        await put(queue, { at: Date.now() + 3_600_000 });
        await put(queue, { at: Date.now() + year });
        await reopen();
        const [soon, wrong] = (await queue.list({})).map(({ nextAttemptAt }) => nextAttemptAt);
        expect(soon).toBeGreaterThan(Date.now() + 3_000_000);
        expect(wrong).toBeLessThanOrEqual(Date.now());
      });

      it("tell which destinations are due, the longest due first", async () => {
        await put(queue, { recipients: ["a@b.test"], at: NOW - 1 });
        await put(queue, { recipients: ["a@c.test"], at: NOW - 2 });
        await put(queue, { recipients: ["b@c.test"], at: NOW + 500 });
        await put(queue, { recipients: ["a@d.test"], at: NOW + 100 });
        await put(queue, { recipients: ["a@e.test"], at: NOW - 3, state: "leased" });
        expect(await queue.dueDomains(NOW, NONE, 10)).toEqual(["c.test", "b.test"]);
        expect(await queue.dueDomains(NOW, new Set(["c.test"]), 10)).toEqual(["b.test"]);
        expect(await queue.dueDomains(NOW, NONE, 1)).toEqual(["c.test"]);
        expect(await queue.nextDue(NOW)).toBe(NOW + 100);
        expect(await queue.nextDue(NOW + 500)).toBeUndefined();
      });
    });

    describe("ends", () => {
      it("a message with its last recipient, and says how each ended", async () => {
        const { facts } = await put(queue, {
          recipients: ["a@one.test", "b@two.test", "c@one.test", "d@one.test"],
          state: "leased",
        });
        const [one, two] = [`${facts.id}-0`, `${facts.id}-1`];
        const still = await queue.complete({
          deliveryId: one,
          ended: [
            { position: 0, end: "delivered" },
            { position: 3, end: "failed" },
          ],
          next: LATER,
          counts: true,
          notices: [],
        });
        expect(still).toEqual([]);
        const [waiting] = await queue.list({ id: one });
        expect(waiting).toMatchObject({ state: "waiting", nextAttemptAt: LATER.at, reason: LATER.reason });
        expect(waiting?.detail).toBe(LATER.detail);
        expect(waiting?.delivery.recipients.map(({ mailbox }) => formatMailbox(mailbox))).toEqual(["c@one.test"]);
        expect(
          await queue.complete({
            deliveryId: two,
            ended: [{ position: 1, end: "expired" }],
            counts: true,
            notices: [],
          }),
        ).toEqual([]);
        await reopen();
        const [last] = await queue.claim("one.test", LATER.at, 1);
        expect(last?.attempts).toBe(1);
        const gone = await queue.complete({
          deliveryId: one,
          ended: [{ position: 2, end: "delivered" }],
          counts: true,
          notices: [],
        });
        expect(gone).toEqual([
          {
            id: facts.id,
            recipients: [
              { address: "a@one.test", end: "delivered" },
              { address: "b@two.test", end: "expired" },
              { address: "c@one.test", end: "delivered" },
              { address: "d@one.test", end: "failed" },
            ],
          },
        ]);
        expect(await queue.stats()).toEqual({
          messages: 0,
          deliveries: { waiting: 0, leased: 0, held: 0, parked: 0 },
        });
        await expect(queue.header(facts.id, 0)).rejects.toMatchObject({ kind: "failed" });
      });

      it("with the notices that the ending causes, stored together", async () => {
        const { facts } = await put(queue, { state: "leased" });
        const notice = await prepare(queue, { sender: "", recipients: ["alice@inside.test"], state: "leased" });
        const gone = await queue.complete({
          deliveryId: `${facts.id}-0`,
          ended: [{ position: 0, end: "failed" }],
          counts: true,
          notices: [notice],
        });
        expect(gone.map(({ id }) => id)).toEqual([facts.id]);
        await reopen();
        expect((await queue.list({})).map(({ delivery }) => delivery.message)).toEqual([notice.facts]);
      });

      it("neither message nor notice when one of them cannot be stored", async () => {
        const { facts } = await put(queue, { state: "leased" });
        const good = await prepare(queue, { sender: "", recipients: ["alice@inside.test"] });
        const bad = await prepare(queue, { sender: "", recipients: ["alice@inside.test"] });
        const notices = [good, { ...bad, deliveries: bad.deliveries.map((d) => ({ ...d, id: `${facts.id}-0` })) }];
        const completion = {
          deliveryId: `${facts.id}-0`,
          ended: [{ position: 0, end: "failed" as const }],
          counts: true,
        };
        // Its delivery id is taken as long as the first delivery lives, and the notices are stored before that ends.
        await expect(queue.complete({ ...completion, notices })).rejects.toMatchObject({ kind: "failed" });
        expect((await queue.list({})).map(({ delivery, state }) => [delivery.id, state])).toEqual([
          [`${facts.id}-0`, "leased"],
        ]);
        const again = await prepare(queue, { sender: "", recipients: ["alice@inside.test"] });
        expect(await queue.complete({ ...completion, notices: [again] })).toHaveLength(1);
      });

      it("once: a second completion stores nothing, no notice either", async () => {
        const { facts } = await put(queue, { state: "leased" });
        const complete = async (): Promise<number> => {
          const notices = [await prepare(queue, { sender: "", recipients: ["alice@inside.test"] })];
          const ended = [{ position: 0, end: "failed" as const }];
          return (await queue.complete({ deliveryId: `${facts.id}-0`, ended, counts: true, notices })).length;
        };
        expect([await complete(), await complete()]).toEqual([1, 0]);
        expect((await queue.stats()).messages).toBe(1);
      });

      it("no attempt that does not count", async () => {
        const { facts } = await put(queue, { state: "leased" });
        await queue.complete({ deliveryId: `${facts.id}-0`, ended: [], next: LATER, counts: false, notices: [] });
        expect((await queue.claim("partner.test", LATER.at, 1))[0]?.attempts).toBe(0);
      });

      it("a recipient that was forgotten waits on", async () => {
        const { facts } = await put(queue, { state: "leased" });
        await queue.complete({ deliveryId: `${facts.id}-0`, ended: [], counts: true, notices: [] });
        expect(await states()).toEqual(["waiting"]);
      });
    });

    describe("finds and acts", () => {
      const rows = [
        { sender: "alice@inside.test", recipients: ["erin@partner.test"], partner: "p", messageId: "<1@x>" },
        { sender: "bob@inside.test", recipients: ["erin@partner.test", "frank@other.test"], receivedAt: NOW + 10 },
        { sender: "", recipients: ["Frank@other.test"], receivedAt: NOW + 20 },
        { sender: "carol@elsewhere.test", recipients: ["grace@third.test"], receivedAt: NOW + 30 },
      ];
      let ids: string[];
      beforeEach(async () => {
        ids = [];
        for (const row of rows) ids.push((await put(queue, row)).facts.id);
        const [delivery] = await queue.claim("third.test", NOW + 30, 1);
        await queue.complete({ deliveryId: delivery?.id ?? "", ended: [], next: LATER, counts: true, notices: [] });
      });
      const found = async (filter: QueueFilter): Promise<string[]> =>
        (await queue.list(filter)).map(({ delivery }) => {
          const [id = "", index] = delivery.id.split("-");
          return `${ids.indexOf(id)}-${index}`;
        });

      it.each<[string, QueueFilter, string[]]>([
        ["all, in order of arrival", {}, ["0-0", "1-0", "1-1", "2-0", "3-0"]],
        ["by domain", { domain: "other.test" }, ["1-1", "2-0"]],
        ["by partner", { partner: "p" }, ["0-0"]],
        ["by sender", { sender: "bob@inside.test" }, ["1-0", "1-1"]],
        ["by sender in any case", { sender: "Bob@Inside.Test" }, ["1-0", "1-1"]],
        ["by the null sender", { sender: "<>" }, ["2-0"]],
        ["by sender domain", { senderDomain: "inside.test" }, ["0-0", "1-0", "1-1"]],
        ["by recipient", { recipient: "frank@other.test" }, ["1-1", "2-0"]],
        ["by Message-ID", { messageId: "<1@x>" }, ["0-0"]],
        ["by reason", { reason: "connection-failed" }, ["3-0"]],
        ["by age", { before: NOW + 10 }, ["0-0"]],
        ["by several", { domain: "partner.test", sender: "alice@inside.test" }, ["0-0"]],
        ["nothing that does not match in all", { domain: "other.test", sender: "alice@inside.test" }, []],
        ["a limited number", { limit: 2 }, ["0-0", "1-0"]],
      ])("%s", async (_, filter, expected) => {
        expect(await found(filter)).toEqual(expected);
      });

      it("by the id of a message or of a delivery", async () => {
        expect(await found({ id: ids[1] ?? "" })).toEqual(["1-0", "1-1"]);
        expect(await found({ id: `${ids[1]}-1` })).toEqual(["1-1"]);
      });

      it("page by page, also when the last item of a page is gone", async () => {
        const [, second] = await queue.list({ limit: 2 });
        expect(await found({ after: second?.delivery.id ?? "", limit: 2 })).toEqual(["1-1", "2-0"]);
        await queue.remove({ id: second?.delivery.id ?? "" });
        expect(await found({ after: second?.cursor ?? "" })).toEqual(["1-1", "2-0", "3-0"]);
      });

      it("makes due what is asked for, but not what is leased", async () => {
        await queue.claim("partner.test", NOW, 1);
        expect(await queue.retry({ reason: "connection-failed" }, NOW)).toBe(1);
        expect(await queue.retry({}, NOW - 5)).toBe(4);
        expect(await queue.dueDomains(NOW - 5, NONE, 10)).toHaveLength(3);
        expect((await states()).filter((state) => state === "leased")).toHaveLength(1);
      });

      it("removes what is asked for, but not what is leased", async () => {
        const [leased] = await queue.claim("partner.test", NOW, 1);
        const gone = await queue.remove({});
        expect(new Set(gone.map(({ id }) => id))).toEqual(new Set(ids.slice(1)));
        expect(gone.find(({ id }) => id === ids[1])?.recipients).toEqual([
          { address: "erin@partner.test", end: "removed" },
          { address: "frank@other.test", end: "removed" },
        ]);
        expect((await queue.list({})).map(({ delivery }) => delivery.id)).toEqual([leased?.id]);
        expect(await queue.remove({})).toEqual([]);
      });

      it("removes more than one batch", async () => {
        await Promise.all(Array.from({ length: 1_100 }, () => put(queue, { recipients: ["x@many.test"] })));
        expect(await queue.remove({ domain: "many.test" })).toHaveLength(1_100);
        expect((await queue.stats()).messages).toBe(4);
      });

      it("counts by state and tells the oldest", async () => {
        await queue.claim("partner.test", NOW, 1);
        const deliveries = { waiting: 4, leased: 1, held: 0, parked: 0 };
        expect(await queue.stats()).toEqual({ messages: 4, deliveries, oldest: NOW });
      });
    });

    describe("parks", () => {
      it("a delivery until a person retries or removes it", async () => {
        const { facts } = await put(queue, { state: "leased" });
        await queue.park(`${facts.id}-0`, "The body fails authentication");
        await reopen();
        expect(await queue.claim("partner.test", NOW + 1e9, 1)).toEqual([]);
        const [item] = await queue.list({});
        expect(item).toMatchObject({ state: "parked", detail: "The body fails authentication" });
        expect(await queue.retry({ id: facts.id }, NOW, true)).toBe(1);
        expect(await queue.claim("partner.test", NOW, 1)).toHaveLength(1);
      });
    });
  });
}
