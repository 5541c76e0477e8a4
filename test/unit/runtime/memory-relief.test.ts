import { constants, PerformanceObserver } from "node:perf_hooks";
import { describe, expect, it, vi } from "vitest";
import { createMemoryRelief } from "../../../src/runtime/memory-relief.ts";

describe("memory relief", () => {
  it("collects once for so many octets, and begins anew", () => {
    let collected = 0;
    const passed = createMemoryRelief(100, () => (collected += 1));
    for (const bytes of [60, 39]) passed(bytes);
    expect(collected).toBe(0);
    for (const bytes of [1, 99]) passed(bytes);
    expect(collected).toBe(1);
    passed(1);
    expect(collected).toBe(2);
  });
  it("really makes V8 collect what is young; that this bounds memory is shown by the relaying of large mail", async () => {
    const kinds: unknown[] = [];
    const observer = new PerformanceObserver((list) => {
      for (const { detail } of list.getEntriesByType("gc") as { detail?: { kind?: unknown; flags?: unknown } }[]) {
        if (detail?.flags === constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) kinds.push(detail.kind);
      }
    });
    observer.observe({ entryTypes: ["gc"] });
    createMemoryRelief(1)(1);
    await vi.waitFor(() => expect(kinds).toEqual([constants.NODE_PERFORMANCE_GC_MINOR]));
    observer.disconnect();
  });
});
