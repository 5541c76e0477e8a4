/**
 * MTA-STS for a policy domain: discovery, fetch and cache in the order of RFC 8461 §3.3 and §5.1. A look-up or a store
 * that fails is "unknown", never "none"; a kept policy that has not expired outlives every failure but the store's.
 * Policies belong to their domain: never looked for at a parent (§3.4), never shared through an MX host.
 */
import { type DomainName, parseDomainName } from "../mail/domain-name.ts";
import type { MtaStsFacts } from "../mail/published.ts";
import type { KeptStsPolicy, StsPolicyCache } from "../mail/sts-policy.ts";
import { createPolicyFetch, type FetchPolicy, type PolicyFetchDeps } from "./mta-sts-fetch.ts";
import { type Announced, announcedId, type TxtLookup } from "./mta-sts-record.ts";
import { createPolicyRefresh } from "./mta-sts-refresh.ts";
import { createPolicyUpdate, type StsTrouble, textOf, type Updated } from "./mta-sts-update.ts";

export interface MtaStsDeps extends PolicyFetchDeps {
  /** Follows aliases. */
  readonly lookupTxt: (name: DomainName) => Promise<TxtLookup>;
  readonly cache: StsPolicyCache;
  readonly onTrouble?: (trouble: StsTrouble) => void;
  /** Takes the place of HTTPS, for tests. */
  readonly fetch?: FetchPolicy;
}

export interface MtaSts {
  /** Never rejects. `domain`: the recipient's, or with a next hop that one's (RFC 8461 §3.4). */
  readonly facts: (domain: DomainName) => Promise<MtaStsFacts>;
  /** Begins to refresh what is kept; one process of a gateway is enough. */
  readonly start: () => void;
  readonly stop: () => void;
  /** Ends what is under way, which is then unknown unless kept. Before the store closes. */
  readonly close: () => Promise<void>;
}

/** Its use is written down once in this time. */
const USE_NOTED_MS = 86_400_000;

export function createMtaSts(deps: MtaStsDeps): MtaSts {
  const { clock, cache, onTrouble = () => undefined } = deps;
  const closing = new AbortController();
  const fetch = deps.fetch ?? createPolicyFetch(deps);
  const update = createPolicyUpdate({ clock, cache, fetch, onTrouble, stopping: closing.signal });
  const announced = (domain: DomainName): Promise<Announced> => discover(deps, domain);
  const refresh = createPolicyRefresh({ clock, cache, announced, update: update.run });

  const facts = async (domain: DomainName): Promise<MtaStsFacts> => {
    const now = clock.now();
    const [record, found] = await Promise.all([announced(domain), keptFor(cache, domain, now)]);
    // A policy may be kept that must be applied (RFC 8461 §3.3): without the store nobody knows.
    if (found.kind === "failed") return { kind: "unknown", detail: found.detail };
    const { kept } = found;
    if (kept !== undefined && now - kept.usedAt > USE_NOTED_MS) cache.used(domain, now).catch(() => undefined);
    if (record.kind === "id" && record.id !== kept?.id) {
      const updated = await update.run({ domain, id: record.id, usedAt: now, kept });
      if (updated.kind === "policy") return policyFacts(updated.kept);
      return kept !== undefined && kept.expiresAt > clock.now() ? policyFacts(kept) : withoutPolicy(updated);
    }
    return kept === undefined ? notKept(record) : policyFacts(kept);
  };

  return {
    facts,
    start: refresh.start,
    stop: refresh.stop,
    close: async () => {
      refresh.stop();
      closing.abort();
      await update.settled();
      await refresh.settled();
    },
  };
}

/** RFC 8461 §3.1. The resolver has followed aliases. */
async function discover({ lookupTxt }: Pick<MtaStsDeps, "lookupTxt">, domain: DomainName): Promise<Announced> {
  const name = parseDomainName(`_mta-sts.${domain}`);
  if (name === undefined) return { kind: "none" }; // too long for a name, so there can be no such record
  const lookup = await lookupTxt(name);
  if (lookup.kind === "failed") return { kind: "unknown", detail: lookup.detail };
  const id = lookup.kind === "found" ? announcedId(lookup.records) : undefined;
  return id === undefined ? { kind: "none" } : { kind: "id", id };
}

type Found =
  | { readonly kind: "read"; readonly kept: KeptStsPolicy | undefined }
  | { readonly kind: "failed"; readonly detail: string };

async function keptFor(cache: StsPolicyCache, domain: DomainName, now: number): Promise<Found> {
  try {
    return { kind: "read", kept: await cache.get(domain, now) };
  } catch (error) {
    return { kind: "failed", detail: `Whether a policy of ${domain} is kept cannot be read: ${textOf(error)}` };
  }
}

function policyFacts({ domain, id, mode, mx, expiresAt }: KeptStsPolicy): MtaStsFacts {
  return { kind: "policy", domain, id, mode, mx, expiresAt };
}

function notKept(record: Announced): MtaStsFacts {
  return record.kind === "unknown" ? record : { kind: "none" };
}

function withoutPolicy(updated: Exclude<Updated, { kind: "policy" }>): MtaStsFacts {
  return updated.kind === "stopped" ? { kind: "unknown", detail: "The gateway is stopping" } : updated;
}
