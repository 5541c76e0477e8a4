import { describe, expect, it } from "vitest";
import { createFreshContent } from "../../../src/store/fresh-content.ts";

const content = (size: number) => ({ header: Buffer.alloc(0), body: Buffer.alloc(size) });

describe("fresh content", () => {
  it("is kept until each first attempt has released it", () => {
    const fresh = createFreshContent(100);
    fresh.remember("a", content(10), 2);
    fresh.release("a");
    expect(fresh.get("a")?.body.length).toBe(10);
    fresh.release("a");
    expect(fresh.get("a")).toBeUndefined();
    expect(fresh.held()).toBe(0);
  });
  it("never holds more than its capacity", () => {
    const fresh = createFreshContent(100);
    fresh.remember("a", content(60), 1);
    fresh.remember("b", content(60), 1);
    expect(fresh.get("b")).toBeUndefined();
    expect(fresh.held()).toBe(60);
  });
  it("ignores what it does not know", () => {
    const fresh = createFreshContent(100);
    fresh.remember("a", content(60), 0);
    fresh.release("a");
    fresh.release("x");
    expect(fresh.held()).toBe(0);
  });
});
