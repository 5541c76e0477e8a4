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
  const starts = new Map<string, number[]>();

  const oldestIdle = (accepts: (occupant: Occupant) => boolean): Occupant | undefined => {
    const idle = [...inside.keys()].filter((occupant) => accepts(occupant) && occupant.idleSince() !== undefined);
    return idle.toSorted((a, b) => (a.idleSince() ?? 0) - (b.idleSince() ?? 0))[0];
  };
  const evict = (occupant: Occupant | undefined, limit: ConnectionLimit): boolean => {
    if (occupant === undefined) return false;
    inside.delete(occupant);
    occupant.evict(limit, limit === "connections" ? limits().connections : limits().connectionsPerClient);
    return true;
  };

  const makeRoomForClient = (newcomer: Occupant): boolean => {
    const key = clientKey(newcomer.address);
    const same = (occupant: Occupant): boolean => inside.get(occupant) === key;
    const count = [...inside.values()].filter((other) => other === key).length;
    if (count < limits().connectionsPerClient) return true;
    return newcomer.permitted && evict(oldestIdle(same), "connections_per_client");
  };
  const makeRoom = (newcomer: Occupant): boolean => {
    const { connections } = limits();
    const places = newcomer.permitted ? connections : connections - Math.ceil(connections / 10);
    if (inside.size < places) return true;
    if (!newcomer.permitted) return false;
    return evict(oldestIdle(({ permitted }) => !permitted) ?? oldestIdle(() => true), "connections");
  };

  return {
    enter: (occupant) => {
      if (!makeRoomForClient(occupant))
        return { ok: false, limit: "connections_per_client", value: limits().connectionsPerClient };
      if (!makeRoom(occupant)) return { ok: false, limit: "connections", value: limits().connections };
      inside.set(occupant, clientKey(occupant.address));
      return { ok: true, leave: () => void inside.delete(occupant) };
    },
    mayStartMessage: (address) => {
      const most = limits().messagesPerMinutePerClient;
      if (most === 0) return true;
      const now = clock.monotonic();
      if (starts.size > 1000)
        for (const [key, times] of starts) if ((times.at(-1) ?? 0) <= now - MINUTE_MS) starts.delete(key);
      const key = clientKey(address);
      const recent = (starts.get(key) ?? []).filter((at) => at > now - MINUTE_MS);
      const allowed = recent.length < most;
      if (allowed) recent.push(now);
      starts.set(key, recent);
      return allowed;
    },
    size: () => inside.size,
  };
}
