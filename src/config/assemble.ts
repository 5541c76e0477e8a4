/** Puts the checked files together into the settings of every room; a part that has problems is left out and told. */
import { relative } from "node:path";
import type { ListenerSettings } from "../accept/settings.ts";
import type { MatchEntry } from "../decide/policy.ts";
import type { Building, ConfigDeps } from "./building.ts";
import { trustSet } from "./certificates.ts";
import { type Checked, isBroken } from "./check-schema.ts";
import type { FileAccess } from "./file-access.ts";
import { readBundles, readKeyPair } from "./key-pairs.ts";
import { buildListeners, refuseLegacy } from "./listeners.ts";
import { keyAt, originAt } from "./located.ts";
import { buildPolicy } from "./build-policy.ts";
import type { Problems } from "./problems.ts";
import { resolversOf } from "./resolvers.ts";
import { checkEndpoints } from "./endpoints.ts";
import type { Gateway } from "./schema/gateway.ts";
import type { Match } from "./schema/outbound.ts";
import type { Partner } from "./schema/partner.ts";
import type { Settings } from "./settings.ts";
import { buildSmime } from "./smime-settings.ts";
import { expandMatch } from "./tls-policy.ts";

export interface PartnerFile {
  readonly file: string;
  readonly checked: Checked<Partner>;
}

export interface Assembly {
  /** Absolute path of sealpost.yaml. */
  readonly file: string;
  readonly deps: ConfigDeps;
  readonly generation: number;
  readonly access: FileAccess;
  readonly problems: Problems;
}

export async function assemble(
  checked: Checked<Gateway>,
  partners: readonly PartnerFile[],
  assembly: Assembly,
): Promise<Settings> {
  const { value, tree } = checked;
  const { access, problems } = assembly;
  const building = createBuilding(checked, assembly);
  const policy = buildPolicy(building, checked, partners, assembly.generation);
  const dataDir = access.absolute(originAt(tree, ["data_dir"]), value.data_dir);
  checkHostname(checked, problems);
  checkKeyFile(building, checked, dataDir);
  checkEndpoints(checked, problems);
  const listeners = listenersOf(building, checked);
  return {
    file: assembly.file,
    files: [],
    folders: [],
    hostname: value.hostname,
    postmaster: value.postmaster,
    dataDir,
    accept: {
      hostname: value.hostname,
      ownDomains: policy.ownDomains.flatMap(({ domain, tlsOnlyAlias: alias }) =>
        alias === undefined ? [domain] : [domain, alias],
      ),
      tlsOnlyAliases: policy.ownDomains.flatMap(({ tlsOnlyAlias: alias }) => (alias === undefined ? [] : [alias])),
      limits: limitsOf(value.limits),
      listeners: await certified(listeners, checked, assembly, dataDir),
    },
    dns: dnsOf(building, value, assembly),
    delivery: deliveryOf(value),
    store: storeOf(building, checked, dataDir),
    schedule: { retryMs: value.queue.retry },
    concurrencyPerDestination: value.queue.concurrency_per_destination,
    ratePerDestination: value.queue.rate_per_destination,
    delayNoticesMs: delayNotices(building, checked),
    historyMs: value.history.keep,
    noticeLanguage: value.queue.notice_language,
    policy,
    smime: buildSmime(building, checked, dataDir),
    alarms: {
      certificateDays: value.alarms.certificate_days,
      waitingMs: value.alarms.waiting,
      mail: value.alarms.mail,
    },
    log: logOf(building, checked),
    admin: adminOf(building, checked),
  };
}

/** Ascending; a notice at an age that no mail reaches is told nobody. */
function delayNotices({ problems }: Building, { value, tree }: Checked<Gateway>): readonly number[] {
  const { delay_notices: ages, lifetime } = value.queue;
  for (const [index, age] of ages.entries()) {
    const at = originAt(tree, ["queue", "delay_notices", index]);
    if (keyAt(tree, ["queue", "delay_notices"]) === undefined) continue;
    if (ages.indexOf(age) < index) problems.add(at, "this age is written twice", "remove one of them");
    else if (age >= lifetime) {
      problems.warn(at, "no mail waits that long: nobody will be told", "write ages below queue.lifetime");
    }
  }
  return ages.toSorted((a, b) => a - b);
}

function listenersOf(building: Building, { value, tree, broken }: Checked<Gateway>): ListenerSettings[] {
  const { profile, certificates } = value.tls;
  refuseLegacy(building, profile, originAt(tree, ["tls", "profile"]));
  const pairs = certificates.map((pair, index) => readKeyPair(building, tree, ["tls", "certificates", index], pair));
  const context = {
    building,
    tree,
    profile,
    certificates: pairs.filter((pair) => pair !== undefined),
    ownDomains: isBroken(broken, "domains") || value.domains.length > 0,
  };
  return buildListeners(context, value.listeners);
}

function adminOf({ access }: Building, { value, tree }: Checked<Gateway>): Settings["admin"] {
  const { address, port, token_file: file, content_access: contentAccess } = value.admin;
  return { address, port, tokenFile: access.absolute(originAt(tree, ["admin", "token_file"]), file), contentAccess };
}

function dnsOf({ trust }: Building, { dns }: Gateway, { deps }: Assembly): Settings["dns"] {
  return { resolvers: resolversOf(dns.resolvers, dns.trust_ad, deps.files), timeoutMs: dns.timeout, trust };
}

function storeOf({ access }: Building, { value, tree }: Checked<Gateway>, dataDir: string): Settings["store"] {
  return {
    dataDir,
    keyFile: access.absolute(originAt(tree, ["queue", "key_file"]), value.queue.key_file),
    allowGroupRead: value.queue.allow_group_read ?? value.allow_group_read,
    reserve: value.queue.reserve,
  };
}

function createBuilding({ value, tree, broken }: Checked<Gateway>, { access, problems, deps }: Assembly): Building {
  const bare = {
    problems,
    access,
    now: deps.clock.now(),
    groupMay: value.allow_group_read,
    trust: trustSet("system", []),
    sets: isBroken(broken, "match_sets") ? undefined : new Map<string, readonly MatchEntry[]>(),
    port: value.delivery.port,
    lifetimeMs: value.queue.lifetime,
  };
  const bundle = value.tls.trust === "system" ? undefined : readBundles(bare, tree, ["tls", "trust"], value.tls.trust);
  const sets = Object.entries<Match>(value.match_sets).map(
    ([name, match]) => [name, expandMatch(bare, match, tree, ["match_sets", name])] as const,
  );
  return {
    ...bare,
    trust: bundle === undefined ? bare.trust : trustSet(bundle, []),
    sets: bare.sets && new Map(sets),
  };
}

function checkHostname({ value, tree, broken }: Checked<Gateway>, problems: Problems): void {
  if (isBroken(broken, "hostname") || keyAt(tree, ["hostname"]) !== undefined) return;
  problems.warn(
    tree.origin,
    `no hostname is written; ${value.hostname} is used`,
    "write hostname: OUR.NAME, as its PTR record has it",
  );
}

/** Who copies the queue must not copy its key along. */
function checkKeyFile(
  { access, problems, groupMay }: Building,
  { value, tree }: Checked<Gateway>,
  dataDir: string,
): void {
  const at = originAt(tree, ["queue", "key_file"]);
  const { key_file: written, allow_group_read: allow } = value.queue;
  const inside = relative(dataDir, access.absolute(at, written));
  if (inside !== "" && !inside.startsWith("..")) {
    problems.add(at, "the queue key lies inside data_dir, beside what it seals", "write a path outside of data_dir");
  } else access.checkMode(at, written, allow ?? groupMay);
}

/** Listeners for which no certificate is written get the one made at first start; nothing is made while anything is wrong. */
async function certified(
  listeners: readonly ListenerSettings[],
  { value, tree }: Checked<Gateway>,
  { deps, problems }: Assembly,
  dataDir: string,
): Promise<readonly ListenerSettings[]> {
  if (listeners.every(({ certificates }) => certificates.length > 0) || problems.errors().length > 0) return listeners;
  const made = await deps.selfSigned({ dataDir, hostname: value.hostname, now: deps.clock.now() });
  if ("message" in made) {
    problems.add(keyAt(tree, ["data_dir"]) ?? tree.origin, made.message, made.remedy);
    return listeners;
  }
  return listeners.map((one) => (one.certificates.length > 0 ? one : { ...one, certificates: [made] }));
}

function limitsOf(limits: Gateway["limits"]): Settings["accept"]["limits"] {
  return {
    messageSize: limits.message_size,
    recipients: limits.recipients,
    connections: limits.connections,
    connectionsPerClient: limits.connections_per_client,
    messagesPerMinutePerClient: limits.messages_per_minute_per_client,
    receivedHeaders: limits.received_headers,
    idleTimeoutMs: limits.idle_timeout,
    commandTimeoutMs: limits.command_timeout,
    dataTimeoutMs: limits.data_timeout,
  };
}

function deliveryOf({ hostname, delivery, queue }: Gateway): Settings["delivery"] {
  return {
    hostname,
    port: delivery.port,
    sourceAddresses: delivery.source_address,
    ipVersions: delivery.ip_versions,
    connectTimeoutMs: delivery.connect_timeout,
    commandTimeoutMs: delivery.command_timeout,
    dataTimeoutMs: delivery.data_timeout,
    messagesPerConnection: queue.messages_per_connection,
    idleConnectionMs: queue.idle_connection,
  };
}

function logOf({ access }: Building, { value, tree }: Checked<Gateway>): Settings["log"] {
  const { level, addresses, to } = value.log;
  if (to === "stdout" || !("file" in to)) return { level, addresses, to: "stdout" }; // syslog was refused by the schema
  return { level, addresses, to: { file: access.absolute(originAt(tree, ["log", "to", "file"]), to.file) } };
}
