/**
 * The MTA-STS policy cache of the embedded engine, in the queue's database: kept over restarts, bounded, one row per
 * policy domain. A store that fails rejects: its caller must not take that for "no policy".
 */
import type { StsPolicyCache } from "../mail/sts-policy.ts";
import type { Link } from "./sqlite-link.ts";

/** Beyond it the policy that was used least recently goes. */
const MOST_POLICIES = 10_000;
/** A policy that no delivery asked for in this time is let expire. */
const UNUSED_MS = 60 * 86_400_000;
/** RFC 8461 §3.3: five minutes or longer after a failed fetch. */
const AGAIN = { leastMs: 5 * 60_000, mostMs: 60 * 60_000 };

/** `run` keeps the store open until the operation has ended. */
export function createPolicyCache(
  { call }: Pick<Link, "call">,
  run: <T>(operation: () => Promise<T>) => Promise<T>,
  most = MOST_POLICIES,
): StsPolicyCache {
  return {
    get: async (domain, now) => (await call("policy", { domain, now })) ?? undefined,
    put: (policy) => run(async () => void (await call("putPolicy", { policy, most }))),
    used: (domain, now) => run(async () => void (await call("usedPolicy", { domain, now }))),
    claimDue: (now, limit) => run(() => call("duePolicies", { now, usedSince: now - UNUSED_MS, limit, again: AGAIN })),
  };
}
