import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { MessageFacts } from "../../../src/mail/delivery.ts";
import { createKeyRing } from "../../../src/store/key-ring.ts";
import type { NewMessage } from "../../../src/store/queue.ts";
import {
  createMessageKey,
  openMessageKey,
  openRecord,
  queueKeyFrom,
  seal,
  sealCourse,
  sealDetail,
  sealRecord,
  unseal,
} from "../../../src/store/seal.ts";
import {
  checkMessageId,
  checkPart,
  toDelivery,
  toFinished,
  toMessageRow,
  toQueueItem,
} from "../../../src/store/sealed-rows.ts";
import type { SpooledBody } from "../../../src/store/spool.ts";
import type { DeliveryRow, MessageRow } from "../../../src/store/sqlite-protocol.ts";
import { facts as oneContent } from "../spine/fixtures.ts";

const random = { bytes: (length: number) => randomBytes(length), fraction: () => 0.5 };
const queueKey = queueKeyFrom(Buffer.alloc(32, 1));
const { tagging } = queueKey;
const keys = { ring: createKeyRing(queueKey), tagging, history: tagging };
const id = oneContent.id;
const damaged = expect.objectContaining({ name: "StoreError", kind: "damaged" });

const facts: MessageFacts = {
  ...oneContent,
  contents: [
    { size: 30, positions: [0] },
    { size: 40, positions: [1] },
  ],
};

function bodyOf(part: number, sealed: Buffer | undefined = Buffer.from(`sealed ${part}`)): SpooledBody {
  return { messageId: id, part, length: 8, key: createMessageKey(queueKey, id, random, part), sealed };
}

function header(number: number): Buffer {
  return Buffer.from(`Subject: content ${number}\r\n\r\n`);
}

/** Recipient n gets content n, which has body `of[n]` of `bodies`. */
function made(bodies: readonly SpooledBody[], of: readonly number[]): NewMessage {
  const deliveries = [0, 1].map((content) => ({
    id: `${id}-${content}`,
    domain: "acme.example",
    partner: null,
    positions: [content],
    content,
    state: "waiting" as const,
    nextAttemptAt: 0,
    expiresAt: 1,
  }));
  const contents = of.map((at, number) => ({ header: header(number), body: bodies[at] ?? bodyOf(9) }));
  return { facts, contents, deliveries };
}

/** As the database gives a delivery back. */
function stored(row: MessageRow, change: Partial<DeliveryRow> = {}): DeliveryRow {
  const [first] = row.deliveries;
  if (first === undefined) throw new TypeError("No delivery");
  const { keyId, part, wrapped, size, receivedAt } = row;
  const ofMessage = { messageId: row.id, keyId, part, wrapped, facts: row.facts, size, receivedAt };
  return { ...first, ...ofMessage, attempts: 0, reason: null, detail: null, course: null, seq: 1, ...change };
}

describe("a message with several contents", () => {
  it("has the first header and body in its own row, a header for each other, a part for each other body", () => {
    const bodies = [bodyOf(0), bodyOf(1)];
    const row = toMessageRow(made(bodies, [0, 1]), bodies, keys);
    expect(row).toMatchObject({ id, part: 0, body: Buffer.from("sealed 0"), bodyLength: 8 });
    expect(row.variants.map(({ number, part }) => [number, part])).toEqual([[1, 1]]);
    expect(row.parts.map(({ number, length, body }) => [number, length, body?.toString()])).toEqual([
      [1, 8, "sealed 1"],
    ]);
    const key = openMessageKey(queueKey, id, row.wrapped);
    expect(unseal(key, "header", row.header)).toEqual(header(0));
    expect(unseal(key, "header", row.variants[0]!.header, { number: 1, part: 1 })).toEqual(header(1));
    expect(JSON.parse(unseal(key, "facts", row.facts).toString())).toEqual(facts);
  });

  it("that share their body has no part, and one in a file no octets of it", () => {
    const filed = [{ ...bodyOf(0), sealed: undefined }];
    const row = toMessageRow(made(filed, [0, 0]), filed, keys);
    expect([row.body, row.parts, row.variants.map(({ part }) => part)]).toEqual([null, [], [0]]);
  });

  it("whose first body is not the first that was made is opened by that body's number", () => {
    const bodies = [bodyOf(3), bodyOf(0)];
    const row = toMessageRow(made(bodies, [0, 1]), bodies, keys);
    expect([row.part, row.parts.map(({ number }) => number)]).toEqual([3, [0]]);
    expect(toDelivery(stored(row), keys).delivery).toMatchObject({ content: 0, message: facts });
    expect(() => toDelivery(stored({ ...row, part: 0 }), keys)).toThrow(damaged);
  });

  it("seals each body's key for that body alone", () => {
    const bodies = [bodyOf(0), bodyOf(1)];
    const { wrapped, parts } = toMessageRow(made(bodies, [0, 1]), bodies, keys);
    const place = { stream: "body", record: 0, last: true } as const;
    const own = Buffer.concat(sealRecord(bodies[1]!.key, place, Buffer.from("x")));
    const second = openMessageKey(queueKey, id, parts[0]!.wrapped, 1);
    expect(openRecord(second, place, own).toString()).toBe("x");
    expect(() => openMessageKey(queueKey, id, parts[0]!.wrapped, 0)).toThrow(damaged);
    expect(() => openMessageKey(queueKey, id, wrapped, 1)).toThrow(damaged);
    expect(() => openRecord(openMessageKey(queueKey, id, wrapped), place, own)).toThrow(damaged);
  });
});

describe("a delivery that is read back", () => {
  const bodies = [bodyOf(0), bodyOf(1)];
  const row = toMessageRow(made(bodies, [0, 1]), bodies, keys);
  const single: NewMessage = { ...made(bodies, [0]), facts: oneContent };
  const deliveries = [{ ...single.deliveries[0]!, positions: [0, 1] }];
  const one = toMessageRow({ ...single, deliveries }, bodies.slice(0, 1), keys);

  it("names its recipients' content", () => {
    expect(toDelivery(stored(row), keys).delivery).toMatchObject({ content: 0, recipients: [{ position: 0 }] });
    const second = toDelivery(stored(row, { content: 1, positions: [1] }), keys).delivery;
    expect(second).toMatchObject({ content: 1, recipients: [{ position: 1 }] });
    expect(toDelivery(stored(one), keys).delivery.recipients).toHaveLength(2);
  });

  it.each<[string, MessageRow, Partial<DeliveryRow>]>([
    ["another recipient's content", row, { content: 1 }],
    ["one recipient more than the content is for", row, { positions: [0, 1] }],
    ["a domain that is not its recipients'", row, { domain: "elsewhere.example" }],
    ["a domain that is not its recipients', of one content", one, { domain: "elsewhere.example" }],
    ["a recipient that the message has not", one, { positions: [0, 1, 2] }],
    ["one recipient twice", one, { positions: [0, 0] }],
    ["no recipient", one, { positions: [] }],
    ["a content that is not there", row, { content: 2 }],
    ["a negative content", row, { content: -1 }],
    ["a second content of a message that has one", one, { content: 1 }],
    ["facts cut short", row, { facts: row.facts.subarray(1) }],
    ["the key of another body", row, { wrapped: toMessageRow(made(bodies, [1, 0]), bodies, keys).parts[0]!.wrapped }],
    ["another body's number", row, { part: 1 }],
    ["another queue key's name", row, { keyId: "0123456789abcdef" }],
  ])("with %s is damaged, and listed without what cannot be trusted", (_, message, change) => {
    const bad = stored(message, change);
    expect(() => toDelivery(bad, keys)).toThrow(damaged);
    expect(toQueueItem(bad, keys)).toMatchObject({ delivery: { id: `${id}-0`, recipients: [] } });
    expect(toQueueItem(bad, keys).detail).toContain(id);
  });

  it("is of one content where it was stored before there were several", () => {
    const { contents: _, ...former } = oneContent;
    const sealed = seal(bodies[0]!.key, "facts", Buffer.from(JSON.stringify(former)));
    const { delivery } = toDelivery(stored(one, { facts: sealed }), keys);
    expect(delivery).toMatchObject({ content: 0, message: oneContent });
    expect(() => toDelivery(stored(one, { facts: sealed, content: 1 }), keys)).toThrow(damaged);
  });
});

describe("of a delivery that goes on", () => {
  const bodies = [bodyOf(0), bodyOf(1)];
  const row = toMessageRow(made(bodies, [0, 1]), bodies, keys);
  const { key } = bodies[0]!;
  const course = sealCourse(key, `${id}-0`, JSON.stringify({ step: 2 }), random);
  const detail = sealDetail(key, "450 later", random);

  it("the course is read back, and how its last attempt ended", () => {
    const { delivery } = toDelivery(stored(row, { course, reason: "smtp-4xx", detail }), keys);
    expect(delivery).toMatchObject({ course: { step: 2 }, last: { reason: "smtp-4xx", detail: "450 later" } });
    const untried = toDelivery(stored(row), keys).delivery;
    expect([untried.course, untried.last]).toEqual([undefined, undefined]);
  });

  it.each([
    ["changed", course.with(20, (course[20] ?? 0) ^ 1)],
    ["another delivery's", sealCourse(key, `${id}-1`, JSON.stringify({ step: 2 }), random)],
    ["a sentence", sealDetail(key, JSON.stringify({ step: 2 }), random)],
    ["cut short", course.subarray(0, 9)],
    ["empty", course.subarray(0, 0)],
  ])("a course that is %s is damage: it would be sent another way", (_, bad) => {
    expect(() => toDelivery(stored(row, { course: bad }), keys)).toThrow(damaged);
    const item = toQueueItem(stored(row, { course: bad, state: "parked" }), keys);
    expect(item).toMatchObject({ state: "parked", delivery: { recipients: [] } });
  });

  it("a sentence that cannot be read keeps no mail from going, and is missing in what is listed", () => {
    const bad = stored(row, { reason: "smtp-4xx", detail: detail.subarray(1) });
    expect(toDelivery(bad, keys).delivery.last).toEqual({ reason: "smtp-4xx", detail: null });
    expect(toQueueItem(bad, keys).detail).toContain(id);
  });
});

describe("a message that ended", () => {
  const bodies = [bodyOf(2), bodyOf(0)];
  const { keyId, part, wrapped, facts: sealed } = toMessageRow(made(bodies, [0, 1]), bodies, keys);
  const gone = { messageId: id, keyId, part, wrapped, facts: sealed, filed: [], ends: [] };
  it("says how, recipient by recipient, whatever its first body's number is", () => {
    const ends = [[1, "failed"] as const, [0, "delivered"] as const];
    expect(toFinished({ ...gone, ends }, keys)).toEqual({
      id,
      recipients: [
        { address: "a@acme.example", end: "delivered" },
        { address: "b@acme.example", end: "failed" },
      ],
    });
  });
  it("and is damaged has lost its addresses, not its endings", () => {
    const recipients = [{ address: "", end: "removed" }];
    expect(toFinished({ ...gone, part: 0, ends: [[0, "removed"]] }, keys)).toEqual({ id, recipients });
  });
});

describe("what becomes a file's name", () => {
  it.each(["", "../x", `${id}.1`, id.toUpperCase(), `${id}0`, `${id}\n`])("is no message id: %j", (text) => {
    expect(() => checkMessageId(text)).toThrow(TypeError);
  });
  it.each([-1, 1.5, 65_536, Number.NaN, Number.POSITIVE_INFINITY, "1" as unknown as number])(
    "is no body's number: %s",
    (part) => {
      expect(() => checkPart(part)).toThrow(TypeError);
    },
  );
  it("is 32 hex digits and a whole number", () => {
    expect([checkMessageId(id), checkPart(0), checkPart(65_535)]).toEqual([undefined, undefined, undefined]);
  });
});
