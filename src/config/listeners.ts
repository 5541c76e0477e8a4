/** `listeners` of sealpost.yaml: who may hand in mail. What would make an open relay is an error here. */
import type { ClientEntry, ListenerSettings, OwnCertificate, User } from "../accept/settings.ts";
import type { TlsProfile } from "../mail/tls-profile.ts";
import type { Building } from "./building.ts";
import { isPublicCa } from "./certificates.ts";
import { readBundles, readKeyPair, readRevocations } from "./key-pairs.ts";
import { keyAt, type Located, originAt, type Path } from "./located.ts";
import type { Client, Listener } from "./schema/listeners.ts";
import { dayOf, DAY_MS, isEverybody } from "./scalars.ts";
import { parseUsers } from "./users.ts";

export interface ListenerContext {
  readonly building: Building;
  readonly tree: Located;
  /** `tls.profile` */
  readonly profile: TlsProfile;
  /** `tls.certificates`, or the one made at first start. */
  readonly certificates: readonly OwnCertificate[];
  readonly ownDomains: boolean;
}

export function buildListeners(context: ListenerContext, entries: readonly Listener[]): ListenerSettings[] {
  const { problems } = context.building;
  const names = new Set<string>();
  return entries.map((entry, index) => {
    const path = ["listeners", index];
    if (names.has(entry.name)) {
      const at = originAt(context.tree, [...path, "name"]);
      problems.add(at, `a second listener is named ${entry.name}`, "give each listener a name of its own");
    }
    names.add(entry.name);
    return buildListener(context, entry, path);
  });
}

function buildListener(context: ListenerContext, entry: Listener, path: Path): ListenerSettings {
  const { building, tree } = context;
  const profile = entry.profile ?? context.profile;
  refuseLegacy(building, entry.profile, originAt(tree, [...path, "profile"]));
  checkUse(context, entry, path);
  const pairs = entry.certificates?.map((pair, index) =>
    readKeyPair(building, tree, [...path, "certificates", index], pair),
  );
  const users = entry.auth && readUsers(building, tree, [...path, "auth"], entry.auth);
  const holders = entry.client_certificates && readHolders(building, tree, path, entry.client_certificates);
  return {
    name: entry.name,
    direction: "outbound",
    address: entry.address,
    port: entry.port,
    tls: entry.tls,
    profile,
    certificates: pairs?.filter((pair) => pair !== undefined) ?? context.certificates,
    greetDelayMs: entry.greet_delay,
    clients: entry.clients.map((client, index) => buildClient(context, entry, client, [...path, "clients", index])),
    ...(entry.senders !== undefined && { senders: entry.senders }),
    ...(users !== undefined && { auth: { users } }),
    ...(holders !== undefined && { clientCertificates: holders }),
    xclient: entry.xclient,
    proxyProtocol: entry.proxy_protocol,
  };
}

function checkUse(context: ListenerContext, entry: Listener, path: Path): void {
  const { building, tree } = context;
  const closed = entry.clients.length === 0 && entry.auth === undefined && entry.client_certificates === undefined;
  if (closed) {
    const remedy = "write clients: [NETWORK], auth or client_certificates";
    building.problems.warn(originAt(tree, path), "nobody may send through this listener", remedy);
  }
  if (entry.senders === "own") needsOwnDomains(context, [...path, "senders"]);
  for (const [key, what] of [
    ["xclient", "servers that speak for their clients"],
    ["proxy_protocol", "proxies"],
  ] as const) {
    // Whoever may name another client's address may name a permitted one.
    for (const [index, network] of entry[key].entries()) {
      if (!isEverybody(network)) continue;
      const at = originAt(tree, [...path, key, index]);
      building.problems.add(
        at,
        "everybody could claim a permitted address: an open relay",
        `write those of your own ${what}`,
      );
    }
  }
}

function needsOwnDomains({ building, tree, ownDomains }: ListenerContext, path: Path): void {
  if (ownDomains) return;
  const remedy = "write our domains below domains, or senders: any";
  building.problems.add(originAt(tree, path), "senders: own without any domains of our own", remedy);
}

function buildClient(context: ListenerContext, listener: Listener, client: Client, path: Path): ClientEntry {
  const { building, tree } = context;
  const { problems, now } = building;
  const { network, until, tls, profile, senders } = client;
  if (isEverybody(network)) {
    const at = originAt(tree, [...path, "network"]);
    problems.add(at, "this network is everybody: an open relay", "write the networks of your own servers");
  }
  if (senders === "own") needsOwnDomains(context, [...path, "senders"]);
  const tlsKey = keyAt(tree, [...path, "tls"]);
  if (listener.tls === "implicit" && tlsKey !== undefined) {
    problems.add(tlsKey, "tls has no effect at a listener with tls: implicit", "remove it");
  }
  if (until === undefined) refuseLegacy(building, profile, originAt(tree, [...path, "profile"]));
  else if (until <= now) {
    const at = originAt(tree, [...path, "until"]);
    problems.warn(at, `this client ended with ${dayOf(until - DAY_MS)} and is no longer permitted`, "remove it");
  }
  return {
    network,
    ...(tls !== undefined && { tls }),
    ...(profile !== undefined && { profile }),
    ...(senders !== undefined && { senders }),
    normalizeBareLf: client.normalize_bare_lf,
    ...(until !== undefined && { endsAt: until }),
  };
}

export function refuseLegacy(
  { problems }: Building,
  profile: TlsProfile | undefined,
  at: Parameters<Building["problems"]["add"]>[0],
): void {
  if (profile?.name.startsWith("legacy@") !== true) return;
  problems.add(at, "legacy is permitted for a client entry with until, and in exceptions", "write intermediate");
}

function readUsers(
  building: Building,
  tree: Located,
  path: Path,
  auth: NonNullable<Listener["auth"]>,
): readonly User[] {
  const at = originAt(tree, [...path, "users_file"]);
  const text = building.access.secret(at, auth.users_file, auth.allow_group_read ?? building.groupMay);
  if (text === undefined) return [];
  const { users, flaws } = parseUsers(text);
  const file = building.access.absolute(at, auth.users_file);
  for (const { line, message, remedy } of flaws) building.problems.add({ file, line, column: 1 }, message, remedy);
  return users;
}

type Holders = NonNullable<Listener["client_certificates"]>;

function readHolders(
  building: Building,
  tree: Located,
  listener: Path,
  holders: Holders,
): ListenerSettings["clientCertificates"] {
  const path = [...listener, "client_certificates"];
  const { ca, crl, names, fingerprints, header } = holders;
  const at = originAt(tree, path);
  const certificates = ca && readBundles(building, tree, [...path, "ca"], ca);
  const lists = crl && readRevocations(building, tree, [...path, "crl"], crl);
  if (ca === undefined && fingerprints.length === 0) {
    building.problems.add(at, "client_certificates without ca and fingerprints", "write the ca that issues them");
  }
  for (const [key, written] of [
    ["names", names.length > 0],
    ["crl", crl !== undefined],
  ] as const) {
    const place = keyAt(tree, [...path, key]);
    if (ca !== undefined || !written || place === undefined || fingerprints.length === 0) continue;
    building.problems.add(place, `${key} has no effect without ca`, "write the ca beside it, or remove it");
  }
  const bounded = names.length > 0 || fingerprints.length > 0 || Object.keys(header).length > 0;
  if (!bounded && certificates?.some(isPublicCa) === true) {
    const remedy = "write names, fingerprints or header beside it";
    building.problems.add(
      originAt(tree, [...path, "ca"]),
      "anyone can get a certificate of a public CA: an open relay",
      remedy,
    );
  }
  return { ca: certificates ?? [], crl: lists ?? [], names, fingerprints, header };
}
