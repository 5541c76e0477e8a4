/** What every engine of the queue must do with several contents of one message. Called as `queueContract` is. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { NewMessage, QueueStore } from "../../src/store/queue.ts";
import { type EngineUnderTest, storeForEach } from "./engine-under-test.ts";
import { bodyOf, newId, NOW, prepare, prepareSeveral, put, putSeveral, spoolBody, wholeOf } from "./messages.ts";

export function contentsContract(engine: EngineUnderTest): void {
  describe(`several contents of one message on ${engine.name}`, () => {
    let queue: QueueStore;
    const reopen = storeForEach(engine, (opened) => void (queue = opened));

    it.each<[string, number[], number[]]>([
      ["that share a small body", [5_000], [0, 0, 0]],
      ["that share a large body", [400_000], [0, 0, 0]],
      ["with bodies of their own", [5_000, 6_000, 7_000], [0, 1, 2]],
      ["with large bodies of their own", [300_000, 200_000, 140_000], [0, 1, 2]],
      ["in any order, shared and not, small and large, empty too", [5_000, 300_000, 0, 131_073], [2, 1, 0, 3, 1, 0, 2]],
      ["of which the first has not the first body", [5_000, 300_000], [1, 0, 1]],
    ])("%s, are kept octet by octet over a restart", async (_, sizes, of) => {
      const bodies = sizes.map((size) => randomBytes(size));
      const { facts, contents } = await putSeveral(queue, bodies, of);
      await reopen();
      for (const [content, part] of of.entries()) {
        expect(await queue.header(facts.id, content)).toEqual(contents[content]?.header);
        expect((await bodyOf(queue, facts.id, content)).equals(bodies[part] ?? Buffer.of(1))).toBe(true);
        const [claimed] = await queue.claim(`d${content}.test`, NOW, 9);
        expect(claimed).toMatchObject({ content, message: facts, recipients: [{ position: content }] });
      }
      for (const none of [of.length, -1]) {
        await expect(queue.header(facts.id, none)).rejects.toMatchObject({ kind: "failed" });
        await expect(queue.body(facts.id, none)).rejects.toMatchObject({ kind: "failed" });
      }
    });

    it("stay until the last delivery of any of them is gone", async () => {
      const bodies = [randomBytes(5_000), randomBytes(300_000)];
      const { facts } = await putSeveral(queue, bodies, [0, 0, 1], { state: "leased" });
      const end = (number: number) =>
        queue.complete({
          deliveryId: `${facts.id}-${number}`,
          ended: [{ position: number, end: "delivered" }],
          counts: true,
          notices: [],
        });
      expect(await end(0)).toEqual([]);
      expect(await end(1)).toEqual([]);
      for (const content of [0, 1, 2]) expect((await bodyOf(queue, facts.id, content)).length).toBeGreaterThan(0);
      expect((await end(2)).map(({ id }) => id)).toEqual([facts.id]);
      expect((await queue.stats()).messages).toBe(0);
      for (const content of [0, 1, 2])
        await expect(queue.body(facts.id, content)).rejects.toMatchObject({ kind: "failed" });
    });

    it("wait, are parked, retried, listed and removed delivery by delivery", async () => {
      const { facts } = await putSeveral(queue, [randomBytes(500), randomBytes(600)], [0, 1], { state: "leased" });
      const next = { at: NOW + 60_000, reason: "connection-failed", detail: "No answer" } as const;
      await queue.complete({ deliveryId: `${facts.id}-1`, ended: [], next, counts: true, notices: [] });
      await queue.park(`${facts.id}-0`, "damaged");
      await reopen();
      const items = await queue.list({ id: facts.id });
      expect(items.map(({ state, detail, delivery }) => [state, detail, delivery.content])).toEqual([
        ["parked", "damaged", 0],
        ["waiting", "No answer", 1],
      ]);
      expect(await queue.remove({ id: `${facts.id}-0` })).toEqual([]);
      expect(await queue.retry({}, NOW)).toBe(1);
      expect((await queue.claim("d1.test", NOW, 1))[0]).toMatchObject({ content: 1, attempts: 1 });
      expect((await bodyOf(queue, facts.id, 1)).length).toBe(600);
    });

    it("may be a notice's, too, stored with the ending that causes it", async () => {
      const { facts } = await put(queue, { state: "leased" });
      const notice = await prepareSeveral(queue, [randomBytes(300), randomBytes(200_000)], [0, 1], { sender: "" });
      const ended = [{ position: 0, end: "failed" as const }];
      await queue.complete({ deliveryId: `${facts.id}-0`, ended, counts: true, notices: [notice] });
      await reopen();
      expect((await bodyOf(queue, notice.facts.id, 1)).length).toBe(200_000);
    });

    describe("a body that is not stored yet", () => {
      it.each([
        [0, 0],
        [1, 3],
        [65_536, 0],
        [131_072, 0],
        [131_073, 1],
        [1_000_000, 0],
        [1_000_000, 3],
      ])("of %i octets and number %i is read back as often as asked for, at the same time, too", async (size, part) => {
        const clear = randomBytes(size);
        const id = newId();
        const body = await spoolBody(queue, id, clear, 16_384, part);
        const again = await Promise.all([1, 2, 3].map(async () => wholeOf(await queue.reread(body))));
        for (const read of [...again, await wholeOf(await queue.reread(body))]) expect(read.equals(clear)).toBe(true);
        const { contents, ...rest } = await prepare(queue, { id, body: Buffer.alloc(0) });
        await queue.enqueue({ ...rest, contents: contents.map(({ header }) => ({ header, body })) });
        expect((await bodyOf(queue, id)).equals(clear)).toBe(true);
        await expect(queue.reread(body)).rejects.toThrow(TypeError);
      });

      it("is made into another one while it is read", async () => {
        const clear = randomBytes(500_000);
        const flipped = (chunk: Buffer): Buffer => Buffer.from(chunk.map((octet) => octet ^ 1));
        const id = newId();
        const base = await spoolBody(queue, id, clear);
        const spool = queue.openSpool(id, 1);
        for await (const chunk of await queue.reread(base)) await spool.write(flipped(chunk as Buffer));
        const made = await spool.end();
        expect(made).toMatchObject({ messageId: id, part: 1, length: clear.length });
        const other = await prepareSeveral(queue, [Buffer.alloc(0)], [0, 0]);
        const deliveries = other.deliveries.map((delivery, at) => ({ ...delivery, id: `${id}-${at}` }));
        const contents = [base, made].map((body, at) => ({ header: other.contents[at]!.header, body }));
        await queue.enqueue({ facts: { ...other.facts, id }, contents, deliveries });
        expect(flipped(await bodyOf(queue, id, 1)).equals(clear)).toBe(true);
        expect((await bodyOf(queue, id, 0)).equals(clear)).toBe(true);
      });

      it.each([5_000, 300_000])("of %i octets and was discarded is neither read nor stored", async (size) => {
        const message = await prepare(queue);
        const id = newId();
        const spool = queue.openSpool(id);
        await spool.write(randomBytes(size));
        const body = await spool.end();
        await spool.discard();
        await spool.discard();
        await expect(queue.reread(body)).rejects.toThrow(TypeError);
        const contents = message.contents.map(({ header }) => ({ header, body }));
        await expect(queue.enqueue({ ...message, facts: { ...message.facts, id }, contents })).rejects.toThrow(
          TypeError,
        );
        expect((await queue.stats()).messages).toBe(0);
      });
    });

    it.each<[string, (message: NewMessage) => NewMessage | Promise<NewMessage>]>([
      ["without a content", (message) => ({ ...message, contents: [] })],
      [
        "whose facts know fewer",
        ({ facts, ...rest }) => ({ ...rest, facts: { ...facts, contents: facts.contents.slice(1) } }),
      ],
      [
        "whose delivery names one that is not there",
        ({ deliveries, ...rest }) => ({ ...rest, deliveries: deliveries.map((one) => ({ ...one, content: 2 })) }),
      ],
      [
        "whose delivery names another recipient's",
        ({ deliveries, ...rest }) => ({ ...rest, deliveries: deliveries.map((one) => ({ ...one, content: 0 })) }),
      ],
      [
        "whose delivery goes to another domain than its recipients'",
        ({ deliveries, ...rest }) => ({
          ...rest,
          deliveries: deliveries.map((one) => ({ ...one, domain: "d0.test" })),
        }),
      ],
      [
        "whose facts do not say whose each is",
        ({ facts, ...rest }) => ({
          ...rest,
          facts: { ...facts, contents: facts.contents.map(({ size }) => ({ size })) },
        }),
      ],
      [
        "with another message's body",
        async ({ contents, ...rest }) => {
          const body = await spoolBody(queue, newId(), Buffer.from("x"), 9, 1);
          return { ...rest, contents: contents.map((one, at) => (at === 1 ? { ...one, body } : one)) };
        },
      ],
      [
        "with two bodies of one number",
        async ({ contents, facts, ...rest }) => {
          const body = await spoolBody(queue, facts.id, Buffer.from("x"), 9, 0);
          return { ...rest, facts, contents: contents.map((one, at) => (at === 1 ? { ...one, body } : one)) };
        },
      ],
    ])("%s are refused, and nothing is stored", async (_, change) => {
      const message = await prepareSeveral(queue, [randomBytes(50), randomBytes(60)], [0, 1]);
      await expect(queue.enqueue(await change(message))).rejects.toThrow(TypeError);
      expect((await queue.stats()).messages).toBe(0);
    });

    it.each([-1, 0.5, Number.NaN, 65_536, "1/../x" as unknown as number])("no body has the number %s", (part) => {
      expect(() => queue.openSpool(newId(), part)).toThrow(TypeError);
    });
  });
}
