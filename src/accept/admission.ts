/**
 * How many sessions at once, and how many messages a minute: for all clients together and for each one. Permitted
 * clients keep a tenth of the places, and lose their oldest idle session rather than be refused.
 */
import type { Clock } from "../runtime/clock.ts";
import { clientKey } from "./networks.ts";
import type { Limits } from "./settings.ts";

/** One session, as far as limits care. */
export interface Occupant {
  readonly address: string;
  /** Listed in `clients`; others go first. */
  readonly permitted: boolean;
  /** Monotonic ms since when it waits without a transaction; undefined while it works. */
  readonly idleSince: () => number | undefined;
  /** Ends it with 421, for the sake of this limit. */
  readonly evict: (limit: ConnectionLimit, value: number) => void;
}

export type ConnectionLimit = "connections" | "connections_per_client";

export type Admitted =
  | { readonly ok: true; readonly leave: () => void }
  | { readonly ok: false; readonly limit: ConnectionLimit; readonly value: number };

export interface Admission {
  readonly enter: (occupant: Occupant) => Admitted;
  /** Counts one message; false when the client has had its share of this minute. */
  readonly mayStartMessage: (address: string) => boolean;
  readonly size: () => number;
}

const MINUTE_MS = 60_000;

export function createAdmission(clock: Clock, limits: () => Limits): Admission {
  const inside = new Map<Occupant, string>(); // → clientKey
  return {
    enter: (occupant) => {
      const key = clientKey(occupant.address);
      const { connections, connectionsPerClient } = limits();
      if (!hasRoomForClient(inside, occupant, connectionsPerClient))
        return { ok: false, limit: "connections_per_client", value: connectionsPerClient };
      if (!hasRoom(inside, occupant, connections)) return { ok: false, limit: "connections", value: connections };
      inside.set(occupant, key);
      return { ok: true, leave: () => void inside.delete(occupant) };
    },
    mayStartMessage: createMessageRate(clock, () => limits().messagesPerMinutePerClient),
    size: () => inside.size,
  };
}

type Inside = Map<Occupant, string>;

function hasRoomForClient(inside: Inside, newcomer: Occupant, most: number): boolean {
  const key = clientKey(newcomer.address);
  let count = 0;
  for (const other of inside.values()) if (other === key) count++;
  if (count < most) return true;
  if (!newcomer.permitted) return false;
  const idle = oldestIdle(inside, (occupant) => inside.get(occupant) === key);
  return evict(inside, idle, () => idle?.evict("connections_per_client", most));
}

function hasRoom(inside: Inside, newcomer: Occupant, most: number): boolean {
  const places = newcomer.permitted ? most : most - Math.ceil(most / 10);
  if (inside.size < places) return true;
  if (!newcomer.permitted) return false;
  const idle = oldestIdle(inside, ({ permitted }) => !permitted) ?? oldestIdle(inside, () => true);
  return evict(inside, idle, () => idle?.evict("connections", most));
}

function oldestIdle(inside: Inside, accepts: (occupant: Occupant) => boolean): Occupant | undefined {
  let oldest: { occupant: Occupant; since: number } | undefined;
  for (const occupant of inside.keys()) {
    const since = accepts(occupant) ? occupant.idleSince() : undefined;
    if (since !== undefined && (oldest === undefined || since < oldest.since)) oldest = { occupant, since };
  }
  return oldest?.occupant;
}

function evict(inside: Inside, occupant: Occupant | undefined, tell: () => void): boolean {
  if (occupant === undefined) return false;
  inside.delete(occupant);
  tell();
  return true;
}

/** Messages begun in the last minute, by client. */
function createMessageRate(clock: Clock, most: () => number): (address: string) => boolean {
  const starts = new Map<string, number[]>();
  let sweptAt = clock.monotonic();
  return (address) => {
    if (most() === 0) return true;
    const since = clock.monotonic() - MINUTE_MS;
    if (sweptAt < since) {
      for (const [key, times] of starts) if ((times.at(-1) ?? 0) <= since) starts.delete(key);
      sweptAt = clock.monotonic();
    }
    const key = clientKey(address);
    const recent = (starts.get(key) ?? []).filter((at) => at > since);
    const allowed = recent.length < most();
    if (allowed) recent.push(clock.monotonic());
    starts.set(key, recent);
    return allowed;
  };
}
