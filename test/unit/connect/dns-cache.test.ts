import { describe, expect, it } from "vitest";
import { createDnsCache } from "../../../src/connect/dns-cache.ts";

describe("the cache of DNS answers", () => {
  it("gives an entry until its time has passed", () => {
    let now = 0;
    const cache = createDnsCache<string>(() => now, 100);
    cache.set("a", { value: "x", ttlSeconds: 2, size: 1 });
    now = 1_999;
    expect(cache.get("a")).toBe("x");
    now = 2_000;
    expect(cache.get("a")).toBeUndefined();
  });

  it("drops what was not used for the longest time when it is full", () => {
    const cache = createDnsCache<number>(() => 0, 30);
    for (const key of ["a", "b", "c"]) cache.set(key, { value: 1, ttlSeconds: 9, size: 10 });
    cache.get("a");
    cache.set("d", { value: 1, ttlSeconds: 9, size: 10 });
    expect(["a", "b", "c", "d"].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true, true]);
    cache.set("e", { value: 1, ttlSeconds: 9, size: 25 });
    expect(["a", "c", "d", "e"].map((key) => cache.get(key) !== undefined)).toEqual([false, false, false, true]);
  });

  it("takes neither what is larger than itself nor what may not be kept", () => {
    const cache = createDnsCache<number>(() => 0, 30);
    cache.set("a", { value: 1, ttlSeconds: 9, size: 31 });
    cache.set("b", { value: 1, ttlSeconds: 0, size: 1 });
    expect([cache.get("a"), cache.get("b")]).toEqual([undefined, undefined]);
  });

  it("replaces an entry without counting it twice", () => {
    const cache = createDnsCache<number>(() => 0, 20);
    cache.set("other", { value: 0, ttlSeconds: 9, size: 10 });
    for (let i = 0; i < 5; i += 1) cache.set("a", { value: i, ttlSeconds: 9, size: 10 });
    expect([cache.get("other"), cache.get("a")]).toEqual([0, 4]);
  });
});
