/**
 * Fetches kept policies anew before they end (RFC 8461 §3.3, §10.2), so that nobody who blocks one look-up can make us
 * forget them. Never drops a policy: one that cannot be refreshed stays until it expires.
 */
import type { KeptStsPolicy, StsPolicyCache } from "../mail/sts-policy.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Announced } from "./mta-sts-record.ts";
import type { PolicyUpdate } from "./mta-sts-update.ts";

export interface PolicyRefreshDeps {
  readonly clock: Clock;
  readonly cache: Pick<StsPolicyCache, "claimDue">;
  readonly announced: (domain: KeptStsPolicy["domain"]) => Promise<Announced>;
  readonly update: PolicyUpdate["run"];
}

export interface PolicyRefresh {
  /** Looks at once, then every five minutes. */
  readonly start: () => void;
  readonly stop: () => void;
  /** Resolves when nothing is under way. */
  readonly settled: () => Promise<unknown>;
}

const EVERY_MS = 5 * 60_000;
const AT_ONCE = 4;

export function createPolicyRefresh(deps: PolicyRefreshDeps): PolicyRefresh {
  let running: Promise<void> | undefined;
  let cancel: (() => void) | undefined;
  let started = false;

  const look = (): void => {
    cancel = deps.clock.after(EVERY_MS, look);
    // A store that fails here is seen by the next delivery; what was due still is.
    running ??= refreshDue(deps, () => started)
      .catch(() => undefined)
      .finally(() => {
        running = undefined;
      });
  };

  return {
    start: () => {
      if (started) return;
      started = true;
      look();
    },
    stop: () => {
      started = false;
      cancel?.();
    },
    settled: () => running ?? Promise.resolve(),
  };
}

/** A few at a time, until nothing more is due. */
async function refreshDue(deps: PolicyRefreshDeps, goOn: () => boolean): Promise<void> {
  while (goOn()) {
    const due = await deps.cache.claimDue(deps.clock.now(), AT_ONCE);
    await Promise.all(due.map((kept) => refresh(deps, kept)));
    if (due.length < AT_ONCE) return;
  }
}

async function refresh({ announced, update }: PolicyRefreshDeps, kept: KeptStsPolicy): Promise<void> {
  const { domain, usedAt } = kept;
  const now = await announced(domain);
  // RFC 8461 §5.1: a record that is missing does not end a policy; whether the host still serves it decides.
  // One that demands nothing is let go (§8.3).
  if (now.kind !== "id" && kept.mode === "none") return;
  await update({ domain, usedAt, kept, id: now.kind === "id" ? now.id : kept.id });
}
