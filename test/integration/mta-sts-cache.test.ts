/** The MTA-STS policy cache in the queue's database. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DomainName } from "../../src/mail/domain-name.ts";
import type { KeptStsPolicy } from "../../src/mail/sts-policy.ts";
import { queueSchema } from "../../src/store/migrations/0001-queue.ts";
import { SCHEMA_VERSION } from "../../src/store/migrations/migrate.ts";
import { createPolicyCache } from "../../src/store/policy-cache.ts";
import { preparePolicies } from "../../src/store/sqlite-policies.ts";
import type { EmbeddedStore } from "../../src/store/sqlite-queue.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;
const NOW = 1_800_000_000_000;

let store: SqliteStore;
let queue: EmbeddedStore;
beforeEach(async () => {
  store = await sqliteStore();
  queue = await store.open();
});
afterEach(async () => {
  await queue.close();
  await store.destroy();
});

function policy(domain: string, fields: Partial<KeptStsPolicy> = {}): KeptStsPolicy {
  return {
    domain: domain as DomainName,
    id: "1",
    mode: "enforce",
    mx: ["mx.acme.example", "*.backup.example"],
    fetchedAt: NOW,
    expiresAt: NOW + 7 * DAY,
    refreshAt: NOW + DAY,
    usedAt: NOW,
    ...fields,
  };
}

const get = (domain: string, now = NOW): Promise<KeptStsPolicy | undefined> =>
  queue.policies.get(domain as DomainName, now);
const domains = (found: readonly KeptStsPolicy[]): string[] => found.map(({ domain }) => domain).toSorted();

describe("a policy", () => {
  it("comes back as it was kept, for its own domain only", async () => {
    await queue.policies.put(policy("acme.example"));
    await queue.policies.put(policy("other.example", { mode: "none", mx: [] }));
    expect(await get("acme.example")).toEqual(policy("acme.example"));
    expect(await get("other.example")).toEqual(policy("other.example", { mode: "none", mx: [] }));
    expect(await get("sub.acme.example")).toBeUndefined();
  });

  it("is replaced by the next one, and its use is not forgotten", async () => {
    await queue.policies.put(policy("acme.example", { usedAt: NOW + 5 }));
    const next = policy("acme.example", { id: "2", mode: "none", mx: [], expiresAt: NOW + DAY, refreshAt: NOW + 1 });
    await queue.policies.put(next);
    expect(await get("acme.example")).toEqual({ ...next, usedAt: NOW + 5 });
  });

  it("is not handed out once it has expired [RFC 8461 §3.2]", async () => {
    await queue.policies.put(policy("acme.example", { expiresAt: NOW + 10 }));
    expect(await get("acme.example", NOW + 9)).toBeDefined();
    expect(await get("acme.example", NOW + 10)).toBeUndefined();
  });

  it("outlives a restart", async () => {
    await queue.policies.put(policy("acme.example"));
    await queue.close();
    queue = await store.open();
    expect(await get("acme.example")).toEqual(policy("acme.example"));
  });

  it("cannot be read or kept when the store is closed, and that is said", async () => {
    await queue.close();
    await expect(get("acme.example")).rejects.toThrow("closed");
    await expect(queue.policies.put(policy("acme.example"))).rejects.toThrow("closed");
  });
});

describe("what is due for a refresh", () => {
  it("is handed out once, the longest due first, and again by itself later [RFC 8461 §3.3]", async () => {
    await queue.policies.put(policy("late.example", { refreshAt: NOW - 10 }));
    await queue.policies.put(policy("later.example", { refreshAt: NOW - 5 }));
    await queue.policies.put(policy("fresh.example", { refreshAt: NOW + 1 }));
    expect(domains(await queue.policies.claimDue(NOW, 1))).toEqual(["late.example"]);
    expect(domains(await queue.policies.claimDue(NOW, 10))).toEqual(["later.example"]);
    expect(await queue.policies.claimDue(NOW, 10)).toEqual([]);
    expect(domains(await queue.policies.claimDue(NOW + 60 * MINUTE, 10))).toEqual([
      "fresh.example",
      "late.example",
      "later.example",
    ]);
  });

  it("is handed out by one of two callers that share the store", async () => {
    await queue.policies.put(policy("acme.example", { refreshAt: NOW }));
    const claims = await Promise.all([queue.policies.claimDue(NOW, 10), queue.policies.claimDue(NOW, 10)]);
    expect(domains(claims.flat())).toEqual(["acme.example"]);
  });

  it.each([
    [8 * MINUTE, 5 * MINUTE],
    [60 * MINUTE, 15 * MINUTE],
    [7 * DAY, 60 * MINUTE],
  ])("with %i ms to live is due again after %i ms", async (left, again) => {
    await queue.policies.put(policy("acme.example", { refreshAt: NOW, expiresAt: NOW + left }));
    await queue.policies.claimDue(NOW, 10);
    expect(await queue.policies.claimDue(NOW + again - 1, 10)).toEqual([]);
    expect(domains(await queue.policies.claimDue(NOW + again, 10))).toEqual(["acme.example"]);
  });

  it("leaves out what no delivery has asked for in sixty days", async () => {
    const due = { refreshAt: NOW, expiresAt: NOW + 365 * DAY };
    await queue.policies.put(policy("forgotten.example", { ...due, usedAt: NOW - 61 * DAY }));
    await queue.policies.put(policy("used.example", { ...due, usedAt: NOW - 61 * DAY }));
    await queue.policies.used("used.example" as DomainName, NOW);
    expect(domains(await queue.policies.claimDue(NOW, 10))).toEqual(["used.example"]);
    expect(await get("forgotten.example")).toBeDefined();
  });

  it("drops what has expired", async () => {
    await queue.policies.put(policy("gone.example", { expiresAt: NOW }));
    await queue.policies.claimDue(NOW, 10);
    expect(await get("gone.example", NOW - 1)).toBeUndefined();
  });
});

it("keeps no more policies than its bound: those used least recently go", async () => {
  await queue.close();
  const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"));
  const statements = preparePolicies(database);
  const call = (kind: string, input: never) => Promise.resolve(kind === "putPolicy" ? statements.put(input) : null);
  const cache = createPolicyCache({ call: call as never }, (operation) => operation(), 2);
  await cache.put(policy("old.example", { usedAt: NOW - 2 }));
  await cache.put(policy("older.example", { usedAt: NOW - 3 }));
  await cache.put(policy("new.example", { usedAt: NOW }));
  const left = database.prepare("SELECT domain FROM sts_policy ORDER BY domain").all();
  database.close();
  expect(left.map((row) => row["domain"])).toEqual(["new.example", "old.example"]);
});

it("a queue of the first schema, which had no place for policies, is given one", async () => {
  await queue.close();
  const identity = join(store.settings.dataDir, "queue.id");
  const { keyId } = JSON.parse(await readFile(identity, "utf8")) as { keyId: string };
  for (const end of ["", "-wal", "-shm"]) await rm(join(store.settings.dataDir, `queue.db${end}`), { force: true });
  const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"));
  expect(queueSchema).not.toContain("sts_policy");
  database.exec(`${queueSchema}; PRAGMA user_version = 1`);
  database.prepare("INSERT INTO store (one, key_id) VALUES (1, ?)").run(keyId);
  database.close();
  await writeFile(identity, `${JSON.stringify({ schema: 1, keyId })}\n`);
  queue = await store.open();
  expect(JSON.parse(await readFile(identity, "utf8"))).toMatchObject({ schema: SCHEMA_VERSION });
  await queue.policies.put(policy("acme.example"));
  expect(await get("acme.example")).toBeDefined();
  const reopened = new DatabaseSync(join(store.settings.dataDir, "queue.db"), { readOnly: true });
  expect(reopened.prepare("PRAGMA user_version").get()?.["user_version"]).toBe(SCHEMA_VERSION);
  reopened.close();
});
