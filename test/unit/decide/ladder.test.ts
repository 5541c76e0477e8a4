import { describe, expect, it } from "vitest";
import { type Encryption, isAwaitingEncryption, rungFrom, smimeAt, stepsTaken } from "../../../src/decide/ladder.ts";
import type { LadderStep } from "../../../src/decide/policy.ts";
import { delivery, facts } from "../spine/fixtures.ts";

const HOP = [{ kind: "host", host: "backup.acme.example", port: 25, implicitTls: false }] as const;
const hop: LadderStep = { kind: "next-hop", nextHop: HOP, lifetimeMs: 86_400_000 };
const smime: LadderStep = { kind: "smime", approvedBy: "anna@example.org", lifetimeMs: 3_600_000 };
const fallback = { of: "f".repeat(32), approvedBy: "anna@example.org" };

describe("the next step of a ladder", () => {
  const toHop = { kind: "waits", step: 1, lifetimeMs: 86_400_000, encrypts: false };
  it.each<[string, readonly LadderStep[], number, Encryption, unknown]>([
    ["none is the end", [], 0, "made", { kind: "ends" }],
    ["behind the last is the end", [hop, smime], 2, "made", { kind: "ends" }],
    ["another next hop is a lifetime more there", [hop], 0, "impossible", toHop],
    ["S/MIME that was made goes on as a message of its own", [smime], 0, "made", { kind: "moves" }],
    [
      "S/MIME that nobody can tell of now is waited for, its lifetime",
      [hop, smime],
      1,
      "unknown",
      { kind: "waits", step: 2, lifetimeMs: 3_600_000, encrypts: true },
    ],
    ["S/MIME that cannot be is passed over", [smime, hop], 0, "impossible", { ...toHop, step: 2 }],
    ["and is the end where nothing follows", [smime], 0, "impossible", { kind: "ends" }],
  ])("%s", (_, steps, from, encryption, expected) => {
    expect(rungFrom(steps, from, encryption)).toEqual(expected);
  });
});

describe("where mail stands on its ladder", () => {
  const sent = { message: { ...facts, fallback } };
  it.each([
    ["at its foot when it comes", {}, [hop, smime], 0],
    ["on the step that it was put on", { course: { step: 1 } }, [hop, smime], 1],
    ["behind the S/MIME step when it was made by it", sent, [hop, smime, hop], 2],
    ["at its foot where that step is gone from the policy", sent, [hop], 0],
    ["on a later step though it was made by S/MIME", { ...sent, course: { step: 3 } }, [hop, smime, hop], 3],
  ])("%s", (_, over, steps, taken) => expect(stepsTaken(delivery(over), steps)).toBe(taken));

  it.each([
    ["S/MIME, not done yet", {}, [smime], 0, true],
    ["S/MIME, for what it has made: nothing is encrypted twice", sent, [smime], 0, false],
    ["another next hop", {}, [hop], 0, false],
    ["none", {}, [], 0, false],
    ["none before the first", {}, [smime], -1, false],
  ])("the step is %s", (_, over, steps, number, expected) => {
    expect(smimeAt(delivery(over), steps, number) !== undefined).toBe(expected);
  });

  it.each([
    ["on the S/MIME step", { course: { step: 2 } }, true],
    ["before it", { course: { step: 1 } }, false],
    ["on its way as what it has made", sent, false],
  ])("it waits to be encrypted %s: %s", (_, over, expected) => {
    expect(isAwaitingEncryption(delivery(over), [hop, smime])).toBe(expected);
  });
});
