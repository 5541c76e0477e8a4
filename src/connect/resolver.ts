/**
 * Our own stub resolver: asks the configured recursive resolvers in turn, follows aliases, keeps answers for their TTL.
 * A look-up that fails is "failed" and never cached; only what an answer proves is "none". Unknown is never no.
 */
import type { DomainName } from "../mail/domain-name.ts";
import type { DnssecStatus } from "../mail/host.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import { createDnsCache } from "./dns-cache.ts";
import { MOST_LINKS, readAnswer, type Reading, type RecordData, type RecordType, rejectsEdns } from "./dns-message.ts";
import { createDnsTransport, type Exchange } from "./dns-transport.ts";
import { nameOf } from "./resolver-name.ts";
import type { DnsSettings, ResolverAddress } from "./settings.ts";

export type Lookup<Data> =
  /** `dnssec`: of the weakest answer used, aliases included. `canonical`: the name at the end of the aliases. */
  | ({ readonly kind: "found"; readonly records: readonly Data[] } & Source)
  /** `exists` false: there is no such name (NXDOMAIN); true: it has no record of this type. */
  | ({ readonly kind: "none"; readonly exists: boolean } & Source)
  | { readonly kind: "failed"; readonly detail: string };

type Answer<Data> = Exclude<Lookup<Data>, { readonly kind: "failed" }>;

interface Source {
  readonly dnssec: DnssecStatus;
  readonly canonical: DomainName;
}

export interface Resolver {
  /** Never rejects. */
  readonly lookup: <T extends RecordType>(name: DomainName, type: T) => Promise<Lookup<RecordData[T]>>;
  readonly close: () => void;
}

export interface ResolverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: () => DnsSettings;
}

/** The resolvers behind us cache too: ours only takes the load off, so an entry mended there is soon seen here. */
const LONGEST_TTL_SECONDS = 3600;
const LONGEST_NEGATIVE_TTL_SECONDS = 300;
const CACHE_BYTES = 8 * 1024 * 1024;
/** A resolver that kept silent is asked last for this long. */
const REST_MS = 30_000;
const ROUNDS = 2;

type Answered<T extends RecordType> = { readonly reading: Reading<T>; readonly dnssec: DnssecStatus };

/** The weakest first. "unknown" before all: what it hides may have led to the others. */
const WEAKEST_FIRST: readonly DnssecStatus[] = ["unknown", "untrusted", "insecure", "secure"];

export function createResolver({ clock, random, settings }: ResolverDeps): Resolver {
  const transport = createDnsTransport(clock, () => settings().trust);
  const cache = createDnsCache<Lookup<unknown>>(clock.monotonic, CACHE_BYTES);
  const underWay = new Map<string, Promise<Lookup<unknown>>>();
  const restingUntil = new Map<string, number>();

  const askOne = async (server: ResolverAddress, name: DomainName, type: RecordType): Promise<Exchange> => {
    const query = { id: random.bytes(2).readUInt16BE(0), name, type, edns: true };
    const { timeoutMs } = settings();
    const first = await transport.ask(server, query, timeoutMs);
    if (first.kind !== "answer" || !rejectsEdns(first.message)) return first;
    return transport.ask(server, { ...query, id: random.bytes(2).readUInt16BE(0), edns: false }, timeoutMs);
  };

  /** Those that answered lately first, among them those that are believed, else in the order they are written. */
  const inOrder = (): ResolverAddress[] => {
    const rests = (server: ResolverAddress): boolean => (restingUntil.get(nameOf(server)) ?? 0) > clock.monotonic();
    const rank = (server: ResolverAddress): number => 2 * Number(rests(server)) + Number(server.trustAd !== true);
    return settings().resolvers.toSorted((a, b) => rank(a) - rank(b));
  };

  /** Only a resolver whose AD bit is believed can say "secure", or "insecure" where another's word counts. */
  const statusOf = (server: ResolverAddress, ad: boolean): DnssecStatus => {
    if (server.trustAd === true) return ad ? "secure" : "insecure";
    return settings().resolvers.some(({ trustAd }) => trustAd === true) ? "unknown" : "untrusted";
  };

  /** One question, to the first resolver that can tell. Silent ones are asked a second time. */
  const ask = async <T extends RecordType>(name: DomainName, type: T): Promise<Answered<T>> => {
    let servers = inOrder();
    let detail = "no resolver is configured";
    for (let round = 0; round < ROUNDS; round += 1) {
      const silent: ResolverAddress[] = [];
      for (const server of servers) {
        const exchange = await askOne(server, name, type);
        if (exchange.kind === "answer") {
          restingUntil.delete(nameOf(server));
          const reading = readAnswer(exchange.message, name, type);
          if (reading.kind !== "failed") return { reading, dnssec: statusOf(server, exchange.message.flag_ad) };
          ({ detail } = reading);
        } else {
          restingUntil.set(nameOf(server), clock.monotonic() + REST_MS);
          if (exchange.silent) silent.push(server);
          ({ detail } = exchange);
        }
        detail = `${nameOf(server)} ${detail}`;
      }
      servers = silent;
    }
    return { reading: { kind: "failed", detail }, dnssec: "unknown" };
  };

  const resolve = async <T extends RecordType>(name: DomainName, type: T): Promise<Lookup<RecordData[T]>> => {
    const key = keyOf(name, type);
    let owner = name;
    let dnssec: DnssecStatus = "secure";
    let ttlSeconds = LONGEST_TTL_SECONDS;
    for (let links = 0; links <= MOST_LINKS; ) {
      const answered = await ask(owner, type);
      const { reading } = answered;
      dnssec = weaker(dnssec, answered.dnssec);
      if (reading.kind === "failed") return failed(name, type, reading.detail);
      if (reading.kind !== "alias") {
        const lookup = toLookup(reading, dnssec);
        keep(key, lookup, Math.min(ttlSeconds, mostOf(lookup), reading.ttlSeconds ?? 0));
        return lookup;
      }
      owner = reading.target;
      links += reading.links;
      ttlSeconds = Math.min(ttlSeconds, reading.ttlSeconds);
    }
    return failed(name, type, `the aliases of ${name} do not come to an end`);
  };

  const keep = (key: string, value: Lookup<unknown>, ttlSeconds: number): void => {
    const records = value.kind === "found" ? value.records : [];
    cache.set(key, { value, ttlSeconds, size: 200 + key.length + 2 * JSON.stringify(records).length });
  };

  /** Answers of other resolvers than the ones configured now are not used. */
  const keyOf = (name: DomainName, type: RecordType): string =>
    [
      ...settings().resolvers.map((server) => `${nameOf(server)}${server.trustAd === true ? "!" : ""}`),
      type,
      name,
    ].join(" ");

  return {
    lookup: <T extends RecordType>(name: DomainName, type: T) => {
      const key = keyOf(name, type);
      const known = cache.get(key);
      const pending = known === undefined ? underWay.get(key) : Promise.resolve(known);
      if (pending !== undefined) return pending as Promise<Lookup<RecordData[T]>>;
      const started = resolve(name, type).finally(() => underWay.delete(key));
      underWay.set(key, started);
      return started;
    },
    close: transport.close,
  };
}

function toLookup<T extends RecordType>(
  reading: Extract<Reading<T>, { kind: "found" | "none" }>,
  dnssec: DnssecStatus,
): Answer<RecordData[T]> {
  const { canonical } = reading;
  if (reading.kind === "found") return { kind: "found", records: reading.records, dnssec, canonical };
  return { kind: "none", exists: reading.exists, dnssec, canonical };
}

function weaker(a: DnssecStatus, b: DnssecStatus): DnssecStatus {
  return WEAKEST_FIRST.indexOf(a) < WEAKEST_FIRST.indexOf(b) ? a : b;
}

/** Seconds. What a stand-in said is asked again as soon as the one whose word counts may be back. */
function mostOf(lookup: Answer<unknown>): number {
  if (lookup.dnssec === "unknown") return REST_MS / 1000;
  return lookup.kind === "none" ? LONGEST_NEGATIVE_TTL_SECONDS : LONGEST_TTL_SECONDS;
}

function failed(name: string, type: string, detail: string): { readonly kind: "failed"; readonly detail: string } {
  return { kind: "failed", detail: `The DNS look-up of ${name} (${type}) failed: ${detail}` };
}
