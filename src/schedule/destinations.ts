/**
 * What is known of each destination: how many attempts it bears, until when it is closed, how fast it may be fed. Keeps
 * monotonic time only, so that no jump of the wall clock opens or closes one. Nothing here touches the queue.
 */
import type { Delivery } from "../mail/delivery.ts";
import type { Reason } from "../mail/outcome.ts";

/** Why a destination is closed. `tls`: only for those of one policy, since another may well be met there. */
export interface ClosedBy {
  readonly reason: Reason;
  readonly detail: string;
  readonly tls: boolean;
  /** The policy that was not met, where that is known; one that is not its lane's closes nothing. */
  readonly policy?: string;
}

/** What an attempt says of its destination. */
export interface AttemptReport {
  /** Present: nothing else should be tried there for a while. */
  readonly closedBy?: ClosedBy;
  /** The peer took part in it to the end: what waits for the destination can go. */
  readonly reached: boolean;
  /** Epoch ms of the delivery's next attempt, when it waits. */
  readonly nextAttemptAt?: number;
}

/** Where the mail for a domain goes under the policy of now. */
export interface Way {
  /** What slots, rate, and closings of the network are counted by. */
  readonly host: string;
  /**
   * What closings by TLS are counted by, within a host: another policy may well be met there. `NAME/PART` is open once
   * `NAME` has been met.
   */
  readonly policy: string;
}

interface Closing {
  /** Closing attempts in a row. */
  readonly failures: number;
  /** Monotonic ms. */
  readonly until: number;
  readonly by: ClosedBy;
}

/** Until monotonic `until`. */
export type Closed = Pick<Closing, "until" | "by">;

/** Leased to us. */
export interface Claimed {
  readonly delivery: Delivery;
  /** What the wall clock was ahead of the monotonic one by, when its times were read. */
  readonly ahead: number;
}

/** alive: reached, and not closed since. dead: closed, and not reached since. */
export type Standing = "alive" | "unknown" | "dead";

export interface Place {
  readonly host: string;
  active: number;
  /** Attempts at once that it has earned: one after it was closed, one more for each that reached it. */
  limit: number;
  standing: Standing;
  /** Monotonic ms before which the rate limit lets nothing go. */
  fedUntil: number;
  /** Monotonic ms until which it is remembered though nothing is done there. */
  keptUntil: number;
  /** For connections, DNS and 421: whole host. */
  closing: Closing | undefined;
  /** For TLS, by policy. */
  readonly byPolicy: Map<string, Closing>;
  /** Reasons for which it was closed since it was last reached. */
  readonly reasons: Set<Reason>;
  /** Lanes that wait because it is, or was, closed. */
  readonly waiting: Set<string>;
  /** Lanes with something due and not claimed, the longest due first. */
  readonly due: Set<string>;
  /** Some of it is being claimed. */
  claiming: boolean;
  /** Claimed, waiting for a slot. */
  readonly backlog: Claimed[];
}

export interface DestinationDeps {
  readonly monotonic: () => number;
  readonly concurrency: () => number;
  /** Messages a minute; 0: no limit. */
  readonly rate: () => number;
  /** ms until the next attempt after so many closing ones in a row. */
  readonly delay: (failures: number) => number;
}

export interface Destinations {
  readonly of: (host: string) => Place;
  readonly all: () => Iterable<Place>;
  /** What keeps a policy from the place now; undefined: it is open. */
  readonly closed: (place: Place, policy: string) => Closed | undefined;
  /** Attempts that may begin now, as far as the place itself goes. */
  readonly free: (place: Place) => number;
  /** An attempt ended. recovered: what waits for it can go. */
  readonly heed: (place: Place, policy: string, report: AttemptReport) => "closed" | "recovered" | undefined;
  readonly take: (place: Place) => void;
  /** Remembers that mail waits there. Bounded: what is forgotten keeps its schedule. */
  readonly waits: (place: Place, lanes: readonly string[]) => void;
  readonly reopen: (place: Place) => void;
  /** Forgets one of which there is nothing to remember. */
  readonly tidy: (place: Place) => void;
}

/** What is not known yet gets so many at first, or the dead among many new ones would take every slot there is. */
const FIRST_LIMIT = 2;
/** How long after it has opened again a destination that nobody tries is remembered. */
const KEPT_MS = 3_600_000;
/** Hosts remembered as alive; the one reached longest ago goes first. */
const MOST_PROVEN = 10_000;
const MOST_WAITING_LANES = 10_000;

export function createDestinations(deps: DestinationDeps): Destinations {
  const places = new Map<string, Place>();
  const proven = new Set<string>();
  const now = deps.monotonic;
  const fresh = (host: string): Place => ({
    host,
    active: 0,
    limit: proven.has(host) ? deps.concurrency() : FIRST_LIMIT,
    standing: proven.has(host) ? "alive" : "unknown",
    fedUntil: 0,
    keptUntil: 0,
    closing: undefined,
    byPolicy: new Map(),
    reasons: new Set(),
    waiting: new Set(),
    due: new Set(),
    claiming: false,
    backlog: [],
  });
  const close = (place: Place, policy: string, by: ClosedBy): void => {
    const before = by.tls ? place.byPolicy.get(policy) : place.closing;
    // Attempts that ran side by side are one failure: they were all begun before it was closed.
    const isSame = before !== undefined && before.until > now();
    const failures = isSame ? before.failures : (before?.failures ?? 0) + 1;
    const until = isSame ? before.until : now() + deps.delay(failures);
    if (by.tls) place.byPolicy.set(policy, { failures, until, by });
    else place.closing = { failures, until, by };
    place.reasons.add(by.reason);
    proven.delete(place.host);
    Object.assign(place, { limit: 1, standing: "dead", keptUntil: Math.max(place.keptUntil, until + KEPT_MS) });
  };
  const reach = (place: Place, policy: string): "recovered" | undefined => {
    // Of one that is new to us it is not known what waits for it: from before the start, for instance.
    const isNews = place.waiting.size > 0 || !proven.has(place.host);
    place.closing = undefined;
    for (const name of place.byPolicy.keys())
      if (name === policy || name.startsWith(`${policy}/`)) place.byPolicy.delete(name);
    proven.delete(place.host);
    proven.add(place.host);
    const [oldest] = proven;
    if (proven.size > MOST_PROVEN && oldest !== undefined) proven.delete(oldest);
    Object.assign(place, { standing: "alive", limit: Math.min(place.limit + 1, deps.concurrency()) });
    return isNews ? "recovered" : undefined;
  };
  return {
    of: (host) => {
      const known = places.get(host) ?? fresh(host);
      places.set(host, known);
      return known;
    },
    all: () => [...places.values()],
    closed: ({ closing, byPolicy }, policy) => {
      const ofPolicy = byPolicy.get(policy);
      const later = (closing?.until ?? 0) > (ofPolicy?.until ?? 0) ? closing : ofPolicy;
      return later !== undefined && later.until > now() ? later : undefined;
    },
    free: (place) => (place.fedUntil > now() ? 0 : Math.min(deps.concurrency(), place.limit) - place.active),
    heed: (place, policy, { closedBy, reached }) => {
      if (closedBy !== undefined && (!closedBy.tls || (closedBy.policy ?? policy) === policy)) {
        close(place, policy, closedBy);
        return "closed";
      }
      return reached ? reach(place, policy) : undefined;
    },
    take: (place) => {
      place.active += 1;
      const rate = deps.rate();
      if (rate > 0) place.fedUntil = Math.max(now(), place.fedUntil) + 60_000 / rate;
    },
    waits: ({ waiting }, lanes) => {
      for (const lane of lanes) {
        waiting.add(lane);
        const [oldest] = waiting;
        if (waiting.size > MOST_WAITING_LANES && oldest !== undefined) waiting.delete(oldest);
      }
    },
    reopen: (place) => {
      place.byPolicy.clear();
      // What was dead may well be still: so it stands until it is reached.
      Object.assign(place, { closing: undefined, limit: Math.max(place.limit, FIRST_LIMIT) });
    },
    tidy: (place) => {
      if (place.active > 0 || place.claiming || place.backlog.length > 0 || place.due.size > 0) return;
      const isHurt = place.closing !== undefined || place.byPolicy.size > 0 || place.waiting.size > 0;
      if (Math.max(place.fedUntil, isHurt ? place.keptUntil : 0) <= now()) places.delete(place.host);
    },
  };
}
