/** The embedded engine keeps the contract of the history; and on its disk nobody can read it. */
import { expect, it } from "vitest";
import type { HistoryStore } from "../../src/store/history.ts";
import { accepted, historyContract, tried } from "./history-contract.ts";
import { holding } from "./raw-files.ts";
import { sqliteStore } from "./sqlite-store.ts";

historyContract(async (test) => {
  const store = await sqliteStore();
  try {
    const queue = await store.open();
    await test(queue.history).finally(queue.close);
  } finally {
    await store.destroy();
  }
});

async function twice(
  first: (history: HistoryStore) => Promise<void>,
  look: (folder: string, history: HistoryStore) => Promise<void>,
) {
  const store = await sqliteStore();
  try {
    const queue = await store.open();
    await first(queue.history).finally(queue.close);
    const again = await store.open();
    await look(store.folder, again.history).finally(again.close);
  } finally {
    await store.destroy();
  }
}

it("is sealed on the disk, and there after a restart", () =>
  twice(
    (history) => history.add([accepted(), tried()]),
    async (folder, history) => {
      for (const text of ["bea@acme.example", "no such user", "Anna"]) expect(holding(folder, text)).toEqual([]);
      expect(await history.find({ found: "bea@acme.example" }, 10)).toHaveLength(2);
    },
  ));
