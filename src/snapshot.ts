/** What is in force: one validated configuration and the look-up tables made of it. Replaced whole, never changed. */
import type { Settings } from "./config/settings.ts";
import { type DecideOutbound, decisions } from "./decide/decide.ts";

export interface Snapshot {
  readonly settings: Settings;
  readonly decide: DecideOutbound;
}

export function snapshotOf(settings: Settings): Snapshot {
  return { settings, decide: decisions(settings.policy) };
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

/** Ids of the partners whose outbound policy is another one now; null stands for the default. */
export function changedPartners(before: Settings, after: Settings): readonly (string | null)[] {
  const judged = ({ policy }: Settings): Map<string | null, string> =>
    new Map([
      [null, JSON.stringify([policy.default, policy.defaultExceptions, policy.ownDomains])],
      ...policy.partners.map((partner) => [partner.id, JSON.stringify(partner)] as const),
    ]);
  const [old, now] = [judged(before), judged(after)];
  return [...new Set([...old.keys(), ...now.keys()])].filter((id) => old.get(id) !== now.get(id));
}
