import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Random } from "../../../src/runtime/random.ts";
import { StoreError } from "../../../src/store/queue.ts";
import {
  createMessageKey,
  openMessageKey,
  openRecord,
  queueKeyFrom,
  type RecordPlace,
  seal,
  sealCourse,
  sealDetail,
  sealRecord,
  tagOf,
  unseal,
  unsealCourse,
  unsealDetail,
} from "../../../src/store/seal.ts";

const random: Random = { bytes: (length) => randomBytes(length), fraction: () => 0.5 };
const queueKey = queueKeyFrom(Buffer.alloc(32, 1));
const otherKey = queueKeyFrom(Buffer.alloc(32, 2));
const ID = "0123456789abcdef0123456789abcdef";
const OTHER_ID = "f123456789abcdef0123456789abcdef";
const key = createMessageKey(queueKey, ID, random);
const damaged = expect.objectContaining({ kind: "damaged" });
const first: RecordPlace = { stream: "body", record: 0, last: false };

describe("a message key", () => {
  it("opens what it sealed after it was wrapped and unwrapped", () => {
    const again = openMessageKey(queueKey, ID, key.wrapped);
    expect(unseal(again, "header", seal(key, "header", Buffer.from("Subject: x")))).toEqual(Buffer.from("Subject: x"));
  });
  it.each([
    ["with another queue key", () => openMessageKey(otherKey, ID, key.wrapped)],
    ["for another message", () => openMessageKey(queueKey, OTHER_ID, key.wrapped)],
    ["cut short", () => openMessageKey(queueKey, ID, key.wrapped.subarray(0, 20))],
    ["empty", () => openMessageKey(queueKey, ID, new Uint8Array(0))],
    ...Array.from({ length: key.wrapped.length }, (_, at): [string, () => unknown] => [
      `with octet ${at} changed`,
      () => openMessageKey(queueKey, ID, flipped(key.wrapped, at)),
    ]),
  ])("is not opened %s", (_, open) => {
    expect(open).toThrow(StoreError);
    expect(open).toThrow(damaged);
  });
  it("differs from message to message", () => {
    const same = createMessageKey(queueKey, ID, random);
    expect(seal(same, "header", Buffer.from("x"))).not.toEqual(seal(key, "header", Buffer.from("x")));
  });
});

describe("a record", () => {
  const sealed = Buffer.concat(sealRecord(key, first, Buffer.from("some clear text")));
  it("opens in its place", () => {
    expect(openRecord(key, first, sealed).toString()).toBe("some clear text");
  });
  it.each<[string, RecordPlace]>([
    ["as another record", { ...first, record: 1 }],
    ["as the last one", { ...first, last: true }],
    ["as a header", { ...first, stream: "header" }],
  ])("does not open %s", (_, place) => {
    expect(() => openRecord(key, place, sealed)).toThrow(damaged);
  });
  it("does not open for another message", () => {
    const other = { ...key, messageId: OTHER_ID };
    expect(() => openRecord(other, first, sealed)).toThrow(damaged);
  });
  it("does not open with any octet changed, or cut anywhere", () => {
    for (let at = 0; at < sealed.length; at += 1) {
      expect(() => openRecord(key, first, flipped(sealed, at))).toThrow(damaged);
      expect(() => openRecord(key, first, sealed.subarray(0, at))).toThrow(damaged);
    }
  });
  it("shares no key stream with any other record, header, detail or course", () => {
    const zeros = Buffer.alloc(64);
    const places: RecordPlace[] = [];
    for (const stream of ["facts", "header", "body"] as const)
      for (let record = 0; record < 50; record += 1) places.push({ stream, record, last: false });
    const streams = places.map((place) => sealRecord(key, place, zeros)[0].toString("hex"));
    const detail = sealDetail(key, "\0".repeat(64), random).subarray(12, 76).toString("hex");
    const course = sealCourse(key, `${ID}-0`, "\0".repeat(64), random).subarray(12, 76).toString("hex");
    expect(new Set([...streams, detail, course]).size).toBe(places.length + 2);
  });
});

describe("of several contents", () => {
  const clear = Buffer.from("Subject: x");
  const places = [
    { number: 0, part: 0 },
    { number: 1, part: 0 },
    { number: 2, part: 0 },
    { number: 2, part: 1 },
  ];
  it("a header opens as that content's, of that body, and as no other", () => {
    for (const sealedAt of places) {
      const sealed = seal(key, "header", clear, sealedAt);
      for (const openedAt of places) {
        if (openedAt === sealedAt) expect(unseal(key, "header", sealed, openedAt)).toEqual(clear);
        else expect(() => unseal(key, "header", sealed, openedAt)).toThrow(damaged);
      }
    }
  });
  it("headers share no key stream", () => {
    const streams = Array.from({ length: 50 }, (_, number) =>
      seal(key, "header", Buffer.alloc(64), { number, part: number % 3 }).toString("hex", 0, 64),
    );
    expect(new Set(streams).size).toBe(50);
  });
  it("a body's key opens as the key of that body only, and no two bodies have the same", () => {
    const keys = [0, 1, 2].map((part) => createMessageKey(queueKey, ID, random, part));
    for (const [sealedAt, { wrapped }] of keys.entries())
      for (const openedAt of [0, 1, 2]) {
        if (openedAt === sealedAt) expect(openMessageKey(queueKey, ID, wrapped, openedAt).part).toBe(openedAt);
        else expect(() => openMessageKey(queueKey, ID, wrapped, openedAt)).toThrow(damaged);
      }
    const streams = keys.map((one) => sealRecord(one, first, Buffer.alloc(64))[0].toString("hex"));
    expect(new Set(streams).size).toBe(3);
  });
});

describe("the sentence of the last attempt", () => {
  it("is sealed anew each time and opens again", () => {
    const [one, two] = [sealDetail(key, "Größe ok", random), sealDetail(key, "Größe ok", random)];
    expect(one).not.toEqual(two);
    expect(unsealDetail(key, one)).toBe("Größe ok");
    expect(() => unsealDetail(key, flipped(two, 3))).toThrow(damaged);
  });
});

describe("the course of a delivery", () => {
  const sealed = sealCourse(key, `${ID}-0`, '{"step":1}', random);
  it("is sealed anew each time and opens again", () => {
    expect(sealCourse(key, `${ID}-0`, '{"step":1}', random)).not.toEqual(sealed);
    expect(unsealCourse(key, `${ID}-0`, sealed)).toBe('{"step":1}');
  });
  it("does not open as that of another delivery or message, nor as a sentence, nor a sentence as a course", () => {
    expect(() => unsealCourse(key, `${ID}-1`, sealed)).toThrow(damaged);
    expect(() => unsealCourse({ ...key, messageId: OTHER_ID }, `${ID}-0`, sealed)).toThrow(damaged);
    expect(() => unsealDetail(key, sealed)).toThrow(damaged);
    expect(() => unsealCourse(key, `${ID}-0`, sealDetail(key, '{"step":1}', random))).toThrow(damaged);
  });
  it("does not open with any octet changed, or cut anywhere", () => {
    for (let at = 0; at < sealed.length; at += 1) {
      expect(() => unsealCourse(key, `${ID}-0`, flipped(sealed, at))).toThrow(damaged);
      expect(() => unsealCourse(key, `${ID}-0`, sealed.subarray(0, at))).toThrow(damaged);
    }
  });
});

it("what is sealed shares no memory with anything else, as it goes to another thread whole", () => {
  const sealed = [
    key.wrapped,
    seal(key, "header", Buffer.from("x")),
    sealDetail(key, "x", random),
    sealCourse(key, `${ID}-0`, "{}", random),
    tagOf(queueKey.tagging, "a", "b"),
  ];
  expect(sealed.map(({ byteLength, buffer }) => buffer.byteLength - byteLength)).toEqual([0, 0, 0, 0, 16]);
});

describe("a tag", () => {
  it("is equal for equal values only, by kind and by queue key", () => {
    const tag = (by: typeof queueKey, kind: string, value: string): string =>
      tagOf(by.tagging, kind, value).toString("hex");
    const mine = tag(queueKey, "sender", "a@b.test");
    expect(tag(queueKey, "sender", "a@b.test")).toBe(mine);
    expect(mine).toHaveLength(32);
    expect(tag(queueKey, "recipient", "a@b.test")).not.toBe(mine);
    expect(tag(queueKey, "sender", "a@c.test")).not.toBe(mine);
    expect(tag(otherKey, "sender", "a@b.test")).not.toBe(mine);
  });
});

describe("a queue key", () => {
  it("is named by 16 hex digits that follow from it alone", () => {
    expect(queueKey.id).toMatch(/^[0-9a-f]{16}$/);
    expect(queueKeyFrom(Buffer.alloc(32, 1)).id).toBe(queueKey.id);
    expect(otherKey.id).not.toBe(queueKey.id);
  });
});

function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
