/**
 * Fetches a policy and keeps it. One fetch at a time for one announcement, and none for five minutes after one that
 * failed (RFC 8461 §3.3). A failed fetch changes nothing of what is kept.
 */
import type { DomainName } from "../mail/domain-name.ts";
import type { KeptStsPolicy, StsPolicy, StsPolicyCache } from "../mail/sts-policy.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Fetched, StsFetchResult } from "./mta-sts-answer.ts";
import type { FetchPolicy } from "./mta-sts-fetch.ts";

/** A policy that could not be fetched or kept: administrators should be told (RFC 8461 §3.3). */
export interface StsTrouble {
  readonly domain: DomainName;
  readonly result: StsFetchResult | "not-kept";
  readonly detail: string;
  /** Epoch ms: until then the policy kept from before applies. Absent: there is none, so none applies. */
  readonly cachedUntil?: number;
}

export interface PolicyUpdateDeps {
  readonly clock: Clock;
  readonly fetch: FetchPolicy;
  readonly cache: Pick<StsPolicyCache, "put">;
  readonly onTrouble: (trouble: StsTrouble) => void;
  readonly stopping: AbortSignal;
}

export interface Wanted {
  readonly domain: DomainName;
  readonly id: string;
  /** Epoch ms: when a delivery asked for it. */
  readonly usedAt: number;
  /** What is kept until now. */
  readonly kept: KeptStsPolicy | undefined;
}

export type Updated =
  | { readonly kind: "policy"; readonly kept: KeptStsPolicy }
  | Exclude<Fetched, { readonly kind: "policy" }>;

export interface PolicyUpdate {
  /** Never rejects. */
  readonly run: (wanted: Wanted) => Promise<Updated>;
  /** Resolves when nothing is under way. */
  readonly settled: () => Promise<unknown>;
}

const AFTER_FAILURE_MS = 5 * 60_000;
const MOST_FAILURES = 10_000;
const DAY_MS = 86_400_000;

export function createPolicyUpdate(deps: PolicyUpdateDeps): PolicyUpdate {
  const { clock, stopping } = deps;
  const underWay = new Map<string, Promise<Updated>>();
  const failures = new Map<DomainName, { readonly id: string; readonly until: number; readonly ending: Updated }>();

  const remember = ({ domain, id }: Wanted, ending: Updated): void => {
    failures.delete(domain); // moves it to the end: the first is the oldest
    failures.set(domain, { id, until: clock.monotonic() + AFTER_FAILURE_MS, ending });
    const [oldest] = failures.keys();
    if (failures.size > MOST_FAILURES && oldest !== undefined) failures.delete(oldest);
  };

  const update = async (wanted: Wanted): Promise<Updated> => {
    const { domain, kept } = wanted;
    const fetched = await deps.fetch(domain, stopping);
    if (fetched.kind === "policy") {
      failures.delete(domain);
      return keep(deps, wanted, fetched.policy);
    }
    if (fetched.kind === "unavailable") {
      remember(wanted, fetched);
      const { result, detail } = fetched;
      // RFC 8461 §3.3: unless the cached policy's mode is "none".
      if (kept?.mode !== "none")
        deps.onTrouble({ domain, result, detail, ...(kept && { cachedUntil: kept.expiresAt }) });
    }
    return fetched;
  };

  return {
    run: (wanted) => {
      const key = `${wanted.domain} ${wanted.id}`;
      const pending = underWay.get(key);
      if (pending !== undefined) return pending;
      const failure = failures.get(wanted.domain);
      if (failure?.id === wanted.id && failure.until > clock.monotonic()) return Promise.resolve(failure.ending);
      const started = update(wanted).finally(() => underWay.delete(key));
      underWay.set(key, started);
      return started;
    },
    settled: () => Promise.allSettled(underWay.values()),
  };
}

/** A policy that cannot be kept applies all the same: it has been fetched. */
async function keep(deps: PolicyUpdateDeps, { domain, id, usedAt }: Wanted, policy: StsPolicy): Promise<Updated> {
  const { mode, mx, maxAgeSeconds } = policy;
  const fetchedAt = deps.clock.now();
  const expiresAt = fetchedAt + maxAgeSeconds * 1000;
  // RFC 8461 §3.3: once per day; what lives for less is refreshed at half its time.
  const refreshAt = fetchedAt + Math.min(DAY_MS, maxAgeSeconds * 500);
  const kept: KeptStsPolicy = { domain, id, mode, mx, fetchedAt, expiresAt, refreshAt, usedAt };
  try {
    await deps.cache.put(kept);
  } catch (error) {
    const detail = `The policy of ${domain} was fetched but not kept: ${textOf(error)}`;
    deps.onTrouble({ domain, result: "not-kept", detail });
  }
  return { kind: "policy", kept };
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
