/**
 * A small internet: zones under a root of our own, MX hosts with addresses of their own on port 25, Unbound before it.
 * A plan is written first, name by name; then all of it is started at once in one namespace.
 */
import type { HttpsAnswer } from "../../peers/https-server.ts";
import type { MxOptions } from "../../peers/mx-server.ts";
import { startBind } from "./bind.ts";
import { delegation, makeZone, type Zone, type ZoneWish } from "./dns-zones.ts";
import type { Pem } from "./inside.ts";
import { createNamespace, type Namespace } from "./namespace.ts";
import { startUnbound, type Unbound } from "./unbound.ts";
import type { Workbench } from "./workbench.ts";

/** A host of the plan; its options without a name, an address and a port. */
export type HostOptions = MxOptions & {
  readonly port?: number;
  /** An address of IP version 6 instead. */
  readonly ipv6?: boolean;
  /** It is in DNS, and nobody listens. */
  readonly absent?: boolean;
};

export interface Plan {
  readonly zone: (name: string, wish?: Omit<ZoneWish, "name" | "records"> & { readonly server?: string }) => void;
  /** "mx.acme.test", "A 127.0.0.1": into the zone that is nearest above the name. */
  readonly record: (name: string, data: string) => void;
  /** An MX host of that name, with its address in DNS. */
  readonly host: (name: string, options: HostOptions) => void;
  /** An HTTPS host of that name with its address in DNS; without an answer nobody listens there. */
  readonly policyHost: (name: string, certificate: Pem, answer: HttpsAnswer | undefined) => void;
}

export interface World {
  readonly namespace: Namespace;
  readonly unbound: Unbound;
  /** Puts other text in place of some in a zone that is not signed; resolvers forget what they knew. */
  readonly edit: (zone: string, from: string, to: string) => Promise<void>;
}

/** Name servers that do not do what they should. */
export const SILENT_SERVER = "127.53.0.8";
export const REFUSING_SERVER = "127.53.0.9";
const ROOT_SERVER = "127.53.0.1";
const TLD_SERVER = "127.53.0.2";
const OWNERS_SERVER = "127.53.0.3";
const RESOLVER = "127.0.0.1";

interface PlannedZone {
  readonly wish: Omit<ZoneWish, "name" | "records">;
  readonly server: string;
  readonly records: string[];
}

export function createPlan(): Plan & { readonly start: (bench: Workbench) => Promise<World> } {
  const zones = new Map<string, PlannedZone>();
  const hosts = new Map<string, { address: string; options: HostOptions }>();
  const policyHosts: { name: string; address: string; certificate: Pem; answer: HttpsAnswer }[] = [];
  let count = 0;
  const zoneOf = (name: string): [string, PlannedZone] => {
    const parent = [...zones].filter(([zone]) => name === zone || name.endsWith(`.${zone}`));
    const nearest = parent.toSorted(([a], [b]) => b.length - a.length)[0];
    if (nearest === undefined) throw new Error(`No zone for ${name}`);
    return nearest;
  };
  const record = (name: string, data: string) => {
    const [zone, { records }] = zoneOf(name);
    records.push(`${name === zone ? "@" : name.slice(0, -zone.length - 1)} ${data}`);
  };
  const address = () => `127.10.${Math.floor((count += 1) / 250)}.${(count % 250) + 1}`;
  return {
    record,
    policyHost: (name, certificate, answer) => {
      const own = address();
      record(name, `A ${own}`);
      if (answer !== undefined) policyHosts.push({ name, address: own, certificate, answer });
    },
    zone: (name, { server = OWNERS_SERVER, ...wish } = {}) => void zones.set(name, { wish, server, records: [] }),
    host: (name, options) => {
      const own = options.ipv6 === true ? `fd25::10:${hosts.size.toString(16)}` : address();
      record(name, `${options.ipv6 === true ? "AAAA" : "A"} ${own}`);
      hosts.set(name, { address: own, options });
    },
    start: async (bench) => {
      const namespace = await createNamespace(bench, RESOLVER);
      const { servers, anchor } = await makeZones(await bench.folder("zones"), zones);
      await namespace.call("openSilence", SILENT_SERVER);
      const bind = await startBind(bench, namespace, servers);
      const unbound = await startUnbound(bench, namespace, { address: RESOLVER, rootServer: ROOT_SERVER, anchor });
      for (const [name, { address, options }] of hosts) {
        if (options.absent !== true) await namespace.call("openMx", name, address, options);
      }
      for (const { name, address, certificate, answer } of policyHosts)
        await namespace.call("openPolicyHost", name, address, certificate, answer);
      const edit = async (zone: string, from: string, to: string) => {
        await bind.edit(zone, from, to);
        await unbound.flush(zone);
      };
      return { namespace, unbound, edit };
    },
  };
}

/** Children first, since their parents vouch for them. All owners' zones are children of "test", or of one of its children. */
async function makeZones(folder: string, planned: ReadonlyMap<string, PlannedZone>) {
  const made = new Map<string, Zone>();
  const cuts = new Map<string, string[]>();
  const deepestFirst = [...planned].toSorted(([a], [b]) => b.split(".").length - a.split(".").length);
  const owners: Zone[] = [];
  for (const [name, { wish, server, records }] of deepestFirst) {
    const parent =
      [...planned.keys()].filter((other) => name.endsWith(`.${other}`)).toSorted((a, b) => b.length - a.length)[0] ??
      "test";
    const zone = await makeZone(folder, { ...wish, name, records: [...records, ...(cuts.get(name) ?? [])] }, server);
    made.set(name, zone);
    cuts.set(parent, [...(cuts.get(parent) ?? []), ...delegation(zone, parent, server)]);
    if (server === OWNERS_SERVER) owners.push(zone);
  }
  const tld = await makeZone(folder, { name: "test", records: cuts.get("test") ?? [] }, TLD_SERVER);
  const root = await makeZone(folder, { name: ".", records: delegation(tld, ".", TLD_SERVER) }, ROOT_SERVER);
  if (root.anchor === undefined) throw new Error("The root has no key");
  const servers = { [ROOT_SERVER]: [root], [TLD_SERVER]: [tld], [OWNERS_SERVER]: owners, [REFUSING_SERVER]: [] };
  return { servers, anchor: root.anchor };
}
