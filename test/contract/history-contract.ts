/** What every engine's history must do: keep, find, erase, forget and count. */
import { describe, expect, it } from "vitest";
import type { HistoryEntry, HistoryStore } from "../../src/store/history.ts";

const ID = "0123456789abcdef0123456789abcdef";
const OTHER = "f".repeat(32);

export function accepted(over: Partial<HistoryEntry> = {}): HistoryEntry {
  const found = ["Anna@Example.org", "bea@acme.example", "cas@acme.example", "<1@example.org>"];
  const fields = { sender: "Anna@Example.org", recipients: ["bea@acme.example", "cas@acme.example"] };
  return { at: 1_000, kind: "accepted", queueId: ID, found, fields, ...over };
}

export function tried(over: Partial<HistoryEntry> = {}): HistoryEntry {
  const fields = { recipients: ["bea@acme.example"], smtp: { code: 550, text: "<BEA@acme.example>: no such user" } };
  const where = { domain: "acme.example", partner: "acme", mode: "report" } as const;
  return { at: 2_000, kind: "delivery", queueId: ID, ...where, found: [], fields, ...over };
}

/** `withHistory` opens one, empty, and closes it behind the test. */
export function historyContract(withHistory: (test: (history: HistoryStore) => Promise<void>) => Promise<void>): void {
  const kinds = (entries: readonly HistoryEntry[]) => entries.map(({ kind }) => kind);

  describe("the history", () => {
    it.each([
      [{ queueId: ID }, ["accepted", "delivery"]],
      [{ found: "bea@acme.example" }, ["accepted", "delivery"]],
      [{ found: "ANNA@example.ORG" }, ["accepted", "delivery"]],
      [{ found: "<1@example.org>" }, ["accepted", "delivery"]],
      [{ found: "nobody@example.org" }, []],
      [{ queueId: OTHER }, []],
    ])("finds by %j", (query, expected) =>
      withHistory(async (history) => {
        await history.add([accepted(), tried(), accepted({ queueId: "e".repeat(32), found: ["x@y.example"] })]);
        expect(kinds(await history.find(query, 10))).toEqual(expected);
      }),
    );
    it("gives back what was kept, oldest first, and not more than asked for", () =>
      withHistory(async (history) => {
        await history.add([accepted(), tried(), tried({ at: 3_000, wouldDefer: "certificate-expired" })]);
        const found = await history.find({ queueId: ID }, 10);
        expect(found.map(({ at }) => at)).toEqual([1_000, 2_000, 3_000]);
        expect(found[2]).toEqual({ ...tried({ at: 3_000, wouldDefer: "certificate-expired" }) });
        expect(await history.find({ queueId: ID }, 2)).toHaveLength(2);
      }));
    it("keeps what was refused, which has no queue id", () =>
      withHistory(async (history) => {
        await history.add([
          accepted({ kind: "refused", queueId: null }),
          accepted({ kind: "refused", queueId: null, found: ["x@y.example"] }),
        ]);
        expect(kinds(await history.find({ found: "bea@acme.example" }, 10))).toEqual(["refused"]);
      }));
    it("erases an address everywhere, and leaves what is told of others", () =>
      withHistory(async (history) => {
        await history.add([accepted(), tried()]);
        expect(await history.erase("Bea@acme.example")).toBe(2);
        expect(await history.find({ found: "bea@acme.example" }, 10)).toEqual([]);
        const left = await history.find({ found: "cas@acme.example" }, 10);
        expect(JSON.stringify(left).toLowerCase()).not.toContain("bea@acme.example");
        expect(left[0]?.fields).toMatchObject({ recipients: ["erased", "cas@acme.example"] });
        expect(left[1]?.fields).toMatchObject({ smtp: { text: "<erased>: no such user" } });
        expect(await history.erase("bea@acme.example")).toBe(0);
      }));
    it("takes no other address for it that merely ends or begins like it", () =>
      withHistory(async (history) => {
        const fields = { recipients: ["a@acme.example", "aa@acme.example", "a@acme.example.org", "x-a@acme.example"] };
        await history.add([accepted({ found: ["a@acme.example", "aa@acme.example"], fields })]);
        await history.erase("a@acme.example");
        const [left] = await history.find({ found: "aa@acme.example" }, 1);
        expect(left?.fields).toEqual({
          recipients: ["erased", "aa@acme.example", "a@acme.example.org", "x-a@acme.example"],
        });
      }));
    it("forgets what is older, however much it is", () =>
      withHistory(async (history) => {
        await history.add(Array.from({ length: 1_200 }, (_, at) => tried({ at })));
        expect(await history.forget(1_100)).toBe(1_100);
        expect(await history.find({ queueId: ID }, 200)).toHaveLength(100);
      }));
    it("counts what report mode would have let wait, each message once", () =>
      withHistory(async (history) => {
        await history.add([
          tried({ at: 10, wouldDefer: "certificate-expired" }),
          tried({ at: 20, wouldDefer: "certificate-expired" }),
          tried({ at: 30, queueId: OTHER, wouldDefer: "starttls-not-supported" }),
          tried({ at: 40, queueId: "e".repeat(32) }),
          tried({ at: 50, queueId: "d".repeat(32), mode: "enforce" }),
          tried({ at: 60, queueId: "c".repeat(32), partner: "other", wouldDefer: "dns-failed" }),
        ]);
        expect(await history.figures("acme", 0)).toEqual({
          deliveries: 3,
          wouldDefer: [
            { reason: "certificate-expired", deliveries: 1 },
            { reason: "starttls-not-supported", deliveries: 1 },
          ],
          first: 10,
          last: 40,
        });
        expect(await history.figures("acme", 35)).toMatchObject({ deliveries: 1, wouldDefer: [] });
        expect(await history.figures("nobody", 0)).toEqual({ deliveries: 0, wouldDefer: [] });
      }));
  });
}
