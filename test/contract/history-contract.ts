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
    it("of a message that has more entries than asked for, gives the newest", () =>
      withHistory(async (history) => {
        await history.add(Array.from({ length: 1_200 }, (_, at) => tried({ at })));
        const found = await history.find({ queueId: ID }, 700);
        expect([found.length, found[0]?.at, found.at(-1)?.at]).toEqual([700, 500, 1_199]);
      }));
    it("of more messages than asked for gives the newest, each whole and apart from the others", () =>
      withHistory(async (history) => {
        const ids = Array.from({ length: 600 }, (_, at) => at.toString(16).padStart(32, "0"));
        await history.add(ids.map((queueId, at) => accepted({ at, queueId, found: ["anna@example.org"] })));
        await history.add(ids.map((queueId, at) => tried({ at: 1_000 + at, queueId })));
        const found = await history.find({ found: "anna@example.org" }, 6);
        expect(found.map(({ queueId, kind }) => [queueId, kind])).toEqual(
          ids.slice(-3).flatMap((id) => ["accepted", "delivery"].map((kind) => [id, kind])),
        );
        expect(await history.find({ found: "anna@example.org" }, 5_000)).toHaveLength(1_200);
      }));
    it("keeps a message with a thousand recipients, found by each", () =>
      withHistory(async (history) => {
        const recipients = Array.from({ length: 1_000 }, (_, at) => `r${at}@acme.example`);
        const entries = Array.from({ length: 3 }, () => accepted({ found: recipients, fields: { recipients } }));
        await history.add([tried(), ...entries, tried()]);
        for (const found of ["r0@acme.example", "r999@acme.example"])
          expect(kinds(await history.find({ found }, 10))).toEqual([
            "delivery",
            "accepted",
            "accepted",
            "accepted",
            "delivery",
          ]);
        expect(await history.erase("r500@acme.example")).toBe(3);
        expect(await history.find({ found: "r500@acme.example" }, 10)).toEqual([]);
        expect(await history.find({ found: "r501@acme.example" }, 10)).toHaveLength(5);
      }));
    it.each([
      ["Anna@Example.org", "anna@example.ORG"],
      ['"anna"@example.org', "anna@example.org"],
      ['"anna b"@example.org', '"Anna B"@example.org'],
    ])("finds and erases %s as %s, too [RFC 5321 §4.1.2]", (written, asked) =>
      withHistory(async (history) => {
        await history.add([accepted({ found: [written], fields: { sender: written, recipients: [] } })]);
        expect(await history.find({ found: asked }, 1)).toHaveLength(1);
        expect(await history.erase(asked)).toBe(1);
        expect(await history.find({ found: written }, 1)).toEqual([]);
        expect((await history.find({ queueId: ID }, 1))[0]?.fields).toEqual({ sender: "erased", recipients: [] });
      }),
    );
    it("forgets messages of which nothing younger is known, however many they are", () =>
      withHistory(async (history) => {
        const ids = Array.from({ length: 1_200 }, (_, at) => at.toString(16).padStart(32, "0"));
        await history.add(ids.map((queueId, at) => accepted({ at, queueId, found: ["anna@example.org"] })));
        await history.add([
          tried({ at: 5_000, queueId: ids[0] ?? "" }),
          accepted({ kind: "refused", queueId: null, at: 7 }),
        ]);
        expect(await history.forget(1_100)).toBe(1_100);
        const found = await history.find({ found: "anna@example.org" }, 200);
        expect(found).toHaveLength(102);
        // It still waited: its first entry, by which it is found, stays with the last.
        expect(found.slice(0, 2).map(({ queueId, at }) => [queueId, at])).toEqual([
          [ids[0], 0],
          [ids[0], 5_000],
        ]);
        expect(await history.forget(10_000)).toBe(102);
        expect(await history.forget(10_000)).toBe(0);
      }));
    it("counts a delivery by the reason of its latest attempt that has one", () =>
      withHistory(async (history) => {
        await history.add([
          tried({ at: 10, wouldDefer: "certificate-expired" }),
          tried({ at: 20, wouldDefer: "certificate-host-mismatch" }),
          tried({ at: 30 }),
          tried({ at: 40, domain: "other.example", wouldDefer: "certificate-expired" }),
        ]);
        expect(await history.figures("acme", 0)).toMatchObject({
          deliveries: 2,
          wouldDefer: [
            { reason: "certificate-expired", deliveries: 1 },
            { reason: "certificate-host-mismatch", deliveries: 1 },
          ],
        });
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
