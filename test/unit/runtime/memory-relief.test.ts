import { describe, expect, it } from "vitest";
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
  it("really frees buffers that nobody holds", () => {
    const passed = createMemoryRelief(1);
    const held = () => process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100; i += 1) new Uint8Array(1024 * 1024).fill(1);
    const before = held();
    passed(1);
    passed(1); // survivors of the first go with the second
    expect(held()).toBeLessThan(Math.max(before / 2, 8 * 1024 * 1024));
  });
});
