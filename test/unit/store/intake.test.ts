import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createFreeSpace } from "../../../src/store/free-space.ts";
import { createIntake } from "../../../src/store/intake.ts";
import type { Recipient } from "../../../src/mail/envelope.ts";
import type { NewMessage } from "../../../src/store/queue.ts";
import { createKeyRing } from "../../../src/store/key-ring.ts";
import { createMessageKey, queueKeyFrom } from "../../../src/store/seal.ts";
import type { SpooledBody } from "../../../src/store/spool.ts";
import { InDoubt } from "../../../src/store/sqlite-link.ts";
import { facts } from "../spine/fixtures.ts";
import { fakeClock } from "./fake-clock.ts";
import { fakeDisk } from "./fake-disk.ts";

const random = { bytes: (length: number) => randomBytes(length), fraction: () => 0.5 };
const INDEX_BYTES = 32_768;

function rig() {
  const disk = fakeDisk();
  const doubt = new Set<string>();
  const held: number[] = [];
  const key = queueKeyFrom(randomBytes(32));
  const free = createFreeSpace({ disk, folder: "/data", reserve: () => 0, clock: fakeClock() });
  const hold = (octets: number): (() => void) => {
    held.push(octets);
    return free.hold(octets);
  };
  const space = { ...free, hold };
  const ring = createKeyRing(key);
  const keys = { ring, tagging: key.tagging, history: key.tagging };
  const deps = { disk, keys, random, bodies: "/data/bodies", space, doubt };
  const intake = createIntake({ ...deps, onTaken: () => undefined });
  const body = (part: number, sealed: Buffer | undefined): SpooledBody => {
    const made = { messageId: facts.id, part, length: 1, key: createMessageKey(key, facts.id, random, part), sealed };
    intake.spools.onEnd(made);
    return made;
  };
  return { disk, intake, doubt, held, body, ring };
}

/** One content for each body, and a recipient and a delivery for each. */
function messageOf(bodies: readonly SpooledBody[]): NewMessage {
  const contents = bodies.map((body) => ({ header: Buffer.from("Subject: x\r\n\r\n"), body }));
  const treated = bodies.map((_, at) => ({ size: 15, positions: [at] }));
  const deliveries = bodies.map((_, at) => ({
    id: `${facts.id}-${at}`,
    domain: "acme.example",
    partner: null,
    positions: [at],
    content: at,
    state: "waiting" as const,
    nextAttemptAt: 0,
    expiresAt: 1,
  }));
  const [{ mailbox }] = facts.envelope.recipients as [Recipient];
  const envelope = { ...facts.envelope, recipients: bodies.map((_, position) => ({ position, mailbox })) };
  return { facts: { ...facts, envelope, contents: treated }, contents, deliveries };
}

const lost = () => Promise.reject(new InDoubt("the thread has ended"));

describe("a message of which nobody knows whether it was stored", () => {
  it("is forgotten when it was refused: its sender hands it in again", async () => {
    const { intake, doubt, body } = rig();
    const message = messageOf([body(0, Buffer.alloc(17))]);
    await expect(intake.store([message], true, lost)).rejects.toBeInstanceOf(InDoubt);
    expect([...doubt]).toEqual([facts.id]);
  });
  it("is forgotten with the files of all its contents, which stay until then", async () => {
    const { disk, intake, doubt, body } = rig();
    const [first, second] = [body(0, undefined), body(2, undefined)];
    await expect(intake.store([messageOf([first, second, first])], true, lost)).rejects.toBeInstanceOf(InDoubt);
    expect([...doubt]).toEqual([facts.id, `${facts.id}.2`]);
    expect(disk.log.filter((line) => line.startsWith("remove"))).toEqual([]);
  });
  it("a notice was lost: it was forgotten, and the endings that it told of had been stored", async () => {
    const { intake, doubt, body } = rig();
    await expect(intake.store([messageOf([body(0, Buffer.alloc(17))])], false, lost)).rejects.toBeInstanceOf(InDoubt);
    expect([...doubt]).toEqual([]);
  });
});

describe("of several notices that are stored together", () => {
  const nothing = () => Promise.resolve(null);
  const OTHER_ID = "f123456789abcdef0123456789abcdef";
  it.each<[string, (good: NewMessage) => NewMessage]>([
    [
      "has another message's body",
      ({ contents }) => ({ ...messageOf([]), facts: { ...facts, id: OTHER_ID }, contents }),
    ],
    ["has a body of the first", (good) => good],
  ])(
    "one that %s refuses all, and the bodies of the others stay their callers' to store or discard",
    async (_, bad) => {
      const { disk, intake, body } = rig();
      const good = messageOf([body(0, undefined)]);
      await expect(intake.store([good, bad(good)], false, nothing)).rejects.toThrow(TypeError);
      expect(good.contents.map((content) => intake.spools.taken(content.body))).toEqual([false]);
      expect(disk.log).toEqual([]);
      await intake.store([good], false, () => Promise.resolve("stored"));
      expect(intake.spools.taken(good.contents[0]!.body)).toBe(true);
    },
  );
  it("all files go when the endings that cause them are not stored", async () => {
    const { disk, intake, body } = rig();
    await intake.store(
      [messageOf([body(0, undefined), body(1, Buffer.alloc(17)), body(2, undefined)])],
      false,
      nothing,
    );
    expect(disk.log).toEqual([`remove /data/bodies/${facts.id}`, `remove /data/bodies/${facts.id}.2`]);
  });
});

describe("the octets that storing takes", () => {
  const store = async (pick: (body: ReturnType<typeof rig>["body"]) => readonly SpooledBody[]): Promise<number[]> => {
    const { intake, held, body } = rig();
    await intake.store([messageOf(pick(body))], true, () => Promise.resolve(null));
    return held;
  };
  const HEADER = 2 * 14 + INDEX_BYTES;
  it.each<[string, Parameters<typeof store>[0], number]>([
    ["of one content", (body) => [body(0, Buffer.alloc(1_000))], 2_000 + HEADER],
    [
      "count a shared body once",
      (body) => {
        const one = body(0, Buffer.alloc(1_000));
        return [one, one, one];
      },
      2_000 + 3 * HEADER,
    ],
    [
      "count each body that is new, but for those that lie in files already",
      (body) => [body(0, Buffer.alloc(1_000)), body(1, undefined), body(2, Buffer.alloc(300))],
      2_600 + 3 * HEADER,
    ],
  ])("%s", async (_, pick, octets) => {
    expect(await store(pick)).toEqual([octets]);
  });
});
