/** `domains` of sealpost.yaml: where mail for our own goes, at the level of `next_hop_tls`. */
import type { NextHop, Origin, OutboundPolicy, OwnDomain } from "../decide/policy.ts";
import { UNTOUCHED } from "../mail/treatment.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";
import type { Building } from "./building.ts";
import { reportDeadKeys } from "./dead-keys.ts";
import { readDkimKeys } from "./dkim-keys.ts";
import { buildNextHop, checkHops } from "./hops.ts";
import { keyAt, type Located, originAt, originsOf, partAt, type Path } from "./located.ts";
import type { Ownership } from "./ownership.ts";
import { isLoopback } from "./scalars.ts";
import type { OwnDomainEntry } from "./schema/own-domains.ts";
import { type OwnEntries, readSigners } from "./smime-signers.ts";
import { buildTlsPolicy } from "./tls-policy.ts";

const INNER: NextHop = { kind: "host", host: "127.0.0.1", port: 2600, implicitTls: false };

export function buildOwnDomains(building: Building, ownership: Ownership, own: OwnEntries, tree: Located): OwnDomain[] {
  return own.entries.flatMap((entry, index) => {
    const path = ["domains", index];
    const outbound = buildRoute(building, entry, tree, path);
    const names = entry.domain.filter((name, at) =>
      ownership.claim({ host: name }, originAt(tree, [...path, "domain", at])),
    );
    const alias = aliasOf(building, entry, { ownership, tree, path, names });
    const language = entry.language === undefined ? {} : { language: entry.language };
    const dkim = readDkimKeys(building, tree, [...path, "dkim"], { keys: entry.dkim ?? [], domains: names });
    const signers = readSigners(building, tree, path, own);
    return outbound === undefined
      ? []
      : names.map((domain) => ({
          domain,
          outbound,
          dkim: dkim.filter((key) => key.domain === domain),
          smime: signers.filter((one) => one.domain === domain || one.domain === null).map(({ settings }) => settings),
          ...language,
          ...(alias !== undefined && domain === names[0] && { tlsOnlyAlias: alias }),
        }));
  });
}

interface AliasPlace {
  readonly ownership: Ownership;
  readonly tree: Located;
  readonly path: Path;
  readonly names: readonly string[];
}

/** It stands for one domain: who has several in one entry must say for which. */
function aliasOf(
  { problems }: Building,
  { tls_only_alias: alias }: OwnDomainEntry,
  { ownership, tree, path, names }: AliasPlace,
): string | undefined {
  if (alias === undefined || alias === null || alias === "") return undefined;
  const at = originAt(tree, [...path, "tls_only_alias"]);
  if (names.length > 1) {
    const remedy = "write the domain that it belongs to as an entry of its own";
    problems.add(at, "tls_only_alias beside several domains", remedy);
    return undefined;
  }
  return ownership.claim({ host: alias }, at) ? alias : undefined;
}

function buildRoute(building: Building, entry: OwnDomainEntry, tree: Located, path: Path): OutboundPolicy | undefined {
  const { problems } = building;
  const hopPath = [...path, "next_hop"];
  if (entry.next_hop === undefined) {
    const remedy = 'write next_hop: "[host]:port" of the server that holds the mailboxes';
    problems.warn(originAt(tree, path), "no next_hop is written; [127.0.0.1]:2600 is used", remedy);
  }
  const nextHop = entry.next_hop === undefined ? [INNER] : buildNextHop(building, entry.next_hop, tree, hopPath);
  const tlsPath = [...path, "next_hop_tls"];
  const level: TlsLevel = nextHop.every(staysHere) ? "may" : "encrypt";
  const tls = entry.next_hop_tls ?? {};
  if (!reportDeadKeys(partAt(tree, tlsPath), tls.level ?? level, problems)) return undefined;
  // A route of our own says by its level what it must prove; only `authenticated` looks for what is published.
  const published = tls.level === "authenticated" ? "honour" : "ignore";
  const policy = buildTlsPolicy(building, tls, { tree, path: tlsPath, weakMay: false, level, published });
  checkHops(building, { tree, nextHop, hopPath, tlsPath }, policy);
  return {
    partner: null,
    source: "own-domain",
    permitted: true,
    nextHop,
    tls: policy,
    treatment: UNTOUCHED, // mail for our own stays in the house
    lifetimeMs: building.lifetimeMs,
    mode: "enforce",
    onExpiry: [],
    origins: routeOrigins(tree, path),
  };
}

function staysHere(hop: NextHop): boolean {
  return hop.kind === "host" && (isLoopback(hop.host) || hop.host === "localhost");
}

/** Under the names that the other outbound policies use. */
function routeOrigins(tree: Located, path: Path): Record<string, Origin> {
  const hop = keyAt(tree, [...path, "next_hop"]);
  const tls = keyAt(tree, [...path, "next_hop_tls"]);
  const alias = keyAt(tree, [...path, "tls_only_alias"]);
  return {
    ...(alias && { tls_only_alias: alias }),
    ...(hop && { next_hop: hop }),
    ...(tls && { tls, "tls.level": tls }),
    ...originsOf(partAt(tree, [...path, "next_hop_tls"]), "tls."),
  };
}
