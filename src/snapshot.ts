/** What is in force: one validated configuration and the look-up tables made of it. Replaced whole, never changed. */
import type { Settings } from "./config/settings.ts";
import { type DecideOutbound, decisions } from "./decide/decide.ts";
import { type Keyring, keyringOf } from "./transform/keyring.ts";
import { insideAddresses } from "./transform/own-side.ts";

export interface Snapshot {
  readonly settings: Settings;
  readonly decide: DecideOutbound;
  readonly keyring: Keyring;
}

export function snapshotOf(settings: Settings): Snapshot {
  const { hostname, policy, accept } = settings;
  const clients = accept.listeners.flatMap(({ clients }) => clients.map(({ network }) => network));
  return {
    settings,
    decide: decisions(policy),
    keyring: keyringOf({ hostname, isClientAddress: insideAddresses(clients) }, policy.ownDomains),
  };
}

/** Those keys that shape what is already open and are another now: a reload refuses to change them. */
export function needsRestart(before: Settings, after: Settings): readonly string[] {
  const kept: readonly [string, unknown, unknown][] = [
    ["data_dir", before.dataDir, after.dataDir],
    ["queue.key_file", before.store.keyFile, after.store.keyFile],
    ["queue.reserve", before.store.reserve, after.store.reserve],
    ["log.to", before.log.to, after.log.to],
    ["admin", before.admin, after.admin],
    ["listeners", placesOf(before), placesOf(after)],
  ];
  return kept.flatMap(([key, old, now]) => (JSON.stringify(old) === JSON.stringify(now) ? [] : [key]));
}

function placesOf({ accept }: Settings): unknown {
  return accept.listeners.map(({ name, address, port, tls }) => [name, address, port, tls === "implicit"]);
}

/** What a reload has changed of the policy. */
export interface PolicyChanges {
  /** Ids of the partners whose policy is another one now; null stands for the default and our own domains. */
  readonly partners: readonly (string | null)[];
  /** Some recipients belong to another policy than before, or have the default's. */
  readonly moved: boolean;
}

export function policyChanges(before: Settings, after: Settings): PolicyChanges {
  const [old, now] = [policyTexts(before), policyTexts(after)];
  const partners = [...new Set([...old.keys(), ...now.keys()])].filter((id) => old.get(id) !== now.get(id));
  return { partners, moved: partners.includes(null) || placesOfPartners(before) !== placesOfPartners(after) };
}

function policyTexts({ policy }: Settings): Map<string | null, string> {
  return new Map([
    [null, textOf([policy.default, policy.defaultExceptions, policy.ownDomains, policy.rules])],
    ...policy.partners.map((partner) => [partner.id, textOf(partner)] as const),
  ]);
}

/** Where a key was written is no part of what it says: a comment above it changes nothing. */
function textOf(policy: unknown): string {
  return JSON.stringify(policy, (key, value: unknown) => (key === "origin" || key === "origins" ? undefined : value));
}

function placesOfPartners({ policy }: Settings): string {
  return JSON.stringify(
    policy.partners.map(({ id, addresses, domains, subdomainsOf }) => [id, addresses, domains, subdomainsOf]),
  );
}
