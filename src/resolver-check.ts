/**
 * Asks the resolvers at start whether they answer and vouch for DNSSEC. One that is silent is an alarm, for it may
 * come back; one without its word for DNSSEC stops the start only where a partner's mail could then never leave.
 */
import { probeResolvers } from "./connect/dns-probe.ts";
import type { Settings } from "./config/settings.ts";
import type { OutboundPolicy } from "./decide/policy.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";

export interface ResolverCheckDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
}

/** `message` is for people; the remedy is in it. */
export class UnprovenResolversError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UnprovenResolversError";
  }
}

/** Rejects with UnprovenResolversError where a policy demands `dane-only` and none of the answering ones can prove it. */
export async function checkResolvers(settings: Settings, deps: ResolverCheckDeps): Promise<void> {
  const look = async (): Promise<void> => {
    const probes = await probeResolvers({ ...deps, settings: settings.dns });
    for (const { resolver, answered, detail = "no answer" } of probes) {
      if (!answered) alarm(deps, resolver, detail);
    }
    const answering = probes.filter(({ answered }) => answered);
    if (answering.length === 0 || answering.some(({ ad, believed }) => ad && believed)) return;
    const names = answering.map(({ resolver }) => resolver).join(", ");
    if (!demandsDane(settings)) return;
    throw new UnprovenResolversError(
      `A policy demands level dane-only, but DNSSEC cannot be proven by ${names}: ` +
        "name a validating resolver under dns.resolvers, or say with dns.trust_ad that its word is to be believed",
    );
  };
  if (demandsDane(settings)) return look();
  void look(); // nothing here depends on the answer: the listeners need not wait for it
}

function alarm({ emit, clock }: ResolverCheckDeps, resolver: string, detail: string): void {
  emit("alarm", {
    code: "resolver-silent",
    partner: null,
    state: "raised",
    since: new Date(clock.now()).toISOString(),
    until: undefined,
    remedy: `The resolver ${resolver} does not answer (${detail}): mail that needs it waits. Start it, or name another one`,
  });
}

function demandsDane({ policy }: Settings): boolean {
  const all: readonly OutboundPolicy[] = [
    policy.default,
    ...policy.defaultExceptions,
    ...policy.partners.flatMap(({ outbound, exceptions }) => [outbound, ...exceptions]),
    ...policy.ownDomains.map(({ outbound }) => outbound),
  ];
  return all.some(({ tls }) => tls.level === "dane-only");
}
