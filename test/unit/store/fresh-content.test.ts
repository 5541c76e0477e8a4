import { describe, expect, it } from "vitest";
import { createFreshContent } from "../../../src/store/fresh-content.ts";

const content = (size: number) => ({ header: Buffer.alloc(0), body: Buffer.alloc(size) });

describe("fresh content", () => {
  it("is kept until each first attempt has released it", () => {
    const fresh = createFreshContent(100);
    fresh.remember("a", 0, content(10), 2);
    fresh.release("a", 0);
    expect(fresh.get("a", 0)?.body.length).toBe(10);
    fresh.release("a", 0);
    expect(fresh.get("a", 0)).toBeUndefined();
    expect(fresh.held()).toBe(0);
  });
  it("never holds more than its capacity", () => {
    const fresh = createFreshContent(100);
    fresh.remember("a", 0, content(60), 1);
    fresh.remember("b", 0, content(60), 1);
    expect(fresh.get("b", 0)).toBeUndefined();
    expect(fresh.held()).toBe(60);
  });
  it("tells the contents of one message apart", () => {
    const fresh = createFreshContent(100);
    fresh.remember("a", 0, content(10), 1);
    fresh.remember("a", 1, content(20), 1);
    expect([fresh.get("a", 0), fresh.get("a", 1), fresh.get("a", 2)].map((one) => one?.body.length)).toEqual([
      10,
      20,
      undefined,
    ]);
    fresh.release("a", 0);
    expect([fresh.get("a", 0), fresh.get("a", 1)?.body.length, fresh.held()]).toEqual([undefined, 20, 20]);
  });
  it("ignores what it does not know", () => {
    const fresh = createFreshContent(100);
    fresh.remember("a", 0, content(60), 0);
    fresh.release("a", 0);
    fresh.release("x", 0);
    expect(fresh.held()).toBe(0);
  });
});
