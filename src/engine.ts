/**
 * The way out without a queue: resolver, publications, sessions and the gate, wired once. The gateway puts a queue
 * before it; a probe and the commands that only look use it as it is.
 */
import type { Steps } from "./attempt.ts";
import { findAddresses } from "./connect/addresses.ts";
import { createMtaSts } from "./connect/mta-sts.ts";
import type { StsTrouble } from "./connect/mta-sts-update.ts";
import { createHostFinder } from "./connect/mx.ts";
import { createResolver, type Resolver } from "./connect/resolver.ts";
import { createSecureContexts } from "./connect/secure-contexts.ts";
import { createSessionPool, type SessionPool } from "./connect/session-pool.ts";
import { createDaneFinder } from "./connect/tlsa.ts";
import type { StsPolicyCache } from "./mail/sts-policy.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import type { Snapshot } from "./snapshot.ts";
import { readEvidence } from "./verify/evidence.ts";
import { admit, type VerifiedSession } from "./verify/gate.ts";

export interface EngineDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** What is in force now. */
  readonly snapshot: () => Snapshot;
  readonly isOwn: (address: string | undefined, port: number, name: string) => boolean;
  readonly policies: StsPolicyCache;
  readonly onStsTrouble: (trouble: StsTrouble) => void;
  readonly stopping: AbortSignal;
}

export interface Engine {
  readonly resolver: Resolver;
  readonly pool: SessionPool;
  /** All but `deliver`; `connect` may be watched. */
  readonly steps: Omit<Steps<VerifiedSession>, "deliver" | "connect"> & Pick<SessionPool, "connect">;
  /** Begins to keep MTA-STS policies fresh. */
  readonly start: () => void;
  /** Before the store closes. */
  readonly close: () => Promise<void>;
}

export function createEngine(deps: EngineDeps): Engine {
  const { clock, random, snapshot, stopping } = deps;
  const resolver = createResolver({ clock, random, settings: () => snapshot().settings.dns });
  const settings = () => snapshot().settings.delivery;
  const pool = createSessionPool({ clock, settings, contexts: createSecureContexts(), readEvidence, stopping });
  const mtaSts = createMtaSts({
    clock,
    cache: deps.policies,
    lookupTxt: (name) => resolver.lookup(name, "TXT"),
    resolveAddresses: async (host) => {
      const { byVersion, failure } = await findAddresses(resolver, host, settings().ipVersions);
      return { addresses: byVersion.flat(), ...(failure !== undefined && { failure }) };
    },
    trust: () => snapshot().settings.dns.trust?.ca ?? "system",
    onTrouble: deps.onStsTrouble,
  });
  return {
    resolver,
    pool,
    steps: {
      dane: createDaneFinder({ resolver }),
      mtaSts: mtaSts.facts,
      resolve: createHostFinder({ resolver, random, settings, isOwn: deps.isOwn }),
      connect: pool.connect,
      admit: (session, requirement, deliveryId) => admit(session, requirement, deliveryId, clock.now()),
      release: pool.release,
      dismiss: pool.dismiss,
    },
    start: mtaSts.start,
    close: async () => {
      await mtaSts.close();
      resolver.close();
    },
  };
}
