/** A world with MTA-STS: records, policy hosts and a store, all of them maps that a test may change. */
import type { Fetched } from "../../../src/connect/mta-sts-answer.ts";
import { createMtaSts, type MtaSts } from "../../../src/connect/mta-sts.ts";
import type { StsTrouble } from "../../../src/connect/mta-sts-update.ts";
import type { TxtLookup } from "../../../src/connect/mta-sts-record.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";
import type { KeptStsPolicy, StsPolicy, StsPolicyCache } from "../../../src/mail/sts-policy.ts";
import { type FakeClock, fakeClock } from "../store/fake-clock.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const found = (...records: string[]): TxtLookup => ({ kind: "found", records });
export const nothing: TxtLookup = { kind: "none" };
export const servfail: TxtLookup = { kind: "failed", detail: "answered SERVFAIL" };
export const enforce = (fields: Partial<StsPolicy> = {}): Fetched => ({
  kind: "policy",
  policy: { mode: "enforce", mx: ["mx.acme.example"], maxAgeSeconds: 7 * 86_400, ...fields },
});
export const broken: Fetched = { kind: "unavailable", result: "sts-policy-fetch-error", detail: "answered 500" };

export interface StsWorld {
  readonly clock: FakeClock;
  readonly sts: MtaSts;
  /** By policy domain. */
  readonly txt: Map<string, TxtLookup>;
  readonly hosts: Map<string, Fetched | Promise<Fetched>>;
  readonly rows: Map<string, KeptStsPolicy>;
  /** Domains whose policy was fetched, in order. */
  readonly fetches: string[];
  readonly looked: string[];
  readonly troubles: StsTrouble[];
  /** Makes the store fail. */
  failing: "" | "get" | "put" | "all";
}

export function stsWorld(): StsWorld {
  const clock = fakeClock();
  const world: Omit<StsWorld, "sts"> = {
    clock,
    txt: new Map(),
    hosts: new Map(),
    rows: new Map(),
    fetches: [],
    looked: [],
    troubles: [],
    failing: "",
  };
  const sts = createMtaSts({
    clock,
    trust: () => "system",
    resolveAddresses: () => Promise.resolve({ addresses: [] }),
    lookupTxt: (name) => {
      world.looked.push(name);
      return Promise.resolve(world.txt.get(name.replace(/^_mta-sts\./, "")) ?? nothing);
    },
    fetch: async (domain, stopping) => {
      world.fetches.push(domain);
      const answer = await (world.hosts.get(domain) ?? broken);
      return stopping.aborted ? { kind: "stopped" } : answer;
    },
    cache: memoryCache(world),
    onTrouble: (trouble) => world.troubles.push(trouble),
  });
  return Object.assign(world, { sts });
}

function memoryCache(world: Pick<StsWorld, "rows" | "failing">): StsPolicyCache {
  const fail = (operation: "get" | "put"): void => {
    if (world.failing === "all" || world.failing === operation) throw new Error("the disk is full");
  };
  return {
    get: async (domain, now) => {
      fail("get");
      const row = world.rows.get(domain);
      return row !== undefined && row.expiresAt > now ? row : undefined;
    },
    put: async (policy) => {
      fail("put");
      world.rows.set(policy.domain, policy);
    },
    used: async (domain, now) => {
      const row = world.rows.get(domain);
      if (row !== undefined) world.rows.set(domain, { ...row, usedAt: now });
    },
    claimDue: async (now, limit) => {
      fail("get");
      const due = [...world.rows.values()].filter((row) => row.refreshAt <= now && row.expiresAt > now).slice(0, limit);
      for (const row of due) world.rows.set(row.domain, { ...row, refreshAt: now + HOUR });
      return due;
    },
  };
}

export const name = (text: string): DomainName => text as DomainName;
