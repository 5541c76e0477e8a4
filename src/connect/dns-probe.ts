/**
 * Asks each resolver for `. SOA` with DO, to see whether it answers and validates. The root is signed and known to
 * every resolver, so no third party's name is needed. Judges nothing: the caller knows who depends on DNSSEC.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import { createDnsTransport } from "./dns-transport.ts";
import { nameOf } from "./resolver-name.ts";
import type { DnsSettings, ResolverAddress } from "./settings.ts";

export interface ResolverProbe {
  /** As written in the configuration, with its port. */
  readonly resolver: string;
  /** It gave the SOA of the root. */
  readonly answered: boolean;
  /** It set the AD bit. */
  readonly ad: boolean;
  /** Its AD bit is believed here (`dns.trust_ad`). DANE works with a resolver that has both. */
  readonly believed: boolean;
  /** Why it did not answer; a clause without its subject. */
  readonly detail?: string;
}

/** All at once; each is asked a second time when it is silent. Never rejects. */
export async function probeResolvers(deps: {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: DnsSettings;
}): Promise<readonly ResolverProbe[]> {
  const { clock, random, settings } = deps;
  const transport = createDnsTransport(clock, () => settings.trust);
  const ask = (server: ResolverAddress) =>
    transport.ask(
      server,
      { id: random.bytes(2).readUInt16BE(0), name: ".", type: "SOA", edns: true },
      settings.timeoutMs,
    );
  const probe = async (server: ResolverAddress): Promise<ResolverProbe> => {
    const first = await ask(server);
    const exchange = first.kind === "no-answer" && first.silent ? await ask(server) : first;
    const about = { resolver: nameOf(server), believed: server.trustAd === true };
    if (exchange.kind === "no-answer") return { ...about, answered: false, ad: false, detail: exchange.detail };
    const { rcode, answers, flag_ad: ad } = exchange.message;
    if (answers?.some(({ type }) => type === "SOA") === true) return { ...about, answered: true, ad };
    return { ...about, answered: false, ad: false, detail: `answered ${rcode} without the SOA of the root` };
  };
  const probes = await Promise.all(settings.resolvers.map(probe));
  transport.close();
  return probes;
}
