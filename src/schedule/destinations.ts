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
  /** What closings by TLS are counted by, within a host: another policy may well be met there. */
  readonly policy: string;
}

interface Closing {
  /** Closing attempts in a row. */
  failures: number;
  /** Monotonic ms. */
  until: number;
  by: ClosedBy;
}

export interface Place {
  readonly host: string;
  active: number;
  /** Attempts at once that it has earned: one after it was closed, one more for each that reached it. */
  limit: number;
  /** The attempt that ended last closed it. */
  doubtful: boolean;
  /** Monotonic ms before which the rate limit lets nothing go. */
  fedUntil: number;
  /** For connections, DNS and 421: whole host. */
  closing: Closing | undefined;
  /** For TLS, by policy. */
  readonly byPolicy: Map<string, Closing>;
  /** Domains that wait because it is closed. */
  readonly waiting: Set<string>;
  /** Claimed, waiting for a slot. */
  readonly backlog: Delivery[];
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
  readonly closed: (place: Place, policy: string) => { readonly until: number; readonly by: ClosedBy } | undefined;
  /** Attempts that may begin now, as far as the place itself goes. */
  readonly free: (place: Place) => number;
  /** An attempt ended: it closed the place, reached it, or said nothing about it. True: it has recovered. */
  readonly heed: (place: Place, policy: string, ended: { closedBy?: ClosedBy; reached: boolean }) => boolean;
  readonly take: (place: Place) => void;
  readonly reopen: (place: Place) => void;
  /** Forgets one of which there is nothing to remember. */
  readonly tidy: (place: Place) => void;
}

/** What is not known yet gets so many at first, or the dead among many new ones would take every slot there is. */
const FIRST_LIMIT = 2;
/** How long after it has opened again a destination that nobody tries is remembered as doubtful. */
const DOUBTED_MS = 3_600_000;

export function createDestinations(deps: DestinationDeps): Destinations {
  const places = new Map<string, Place>();
  const now = deps.monotonic;
  const closed: Destinations["closed"] = ({ closing, byPolicy }, policy) => {
    const ofPolicy = byPolicy.get(policy);
    const latest = [closing, ofPolicy]
      .filter((one) => one !== undefined && one.until > now())
      .toSorted((a, b) => (b?.until ?? 0) - (a?.until ?? 0))[0];
    return latest && { until: latest.until, by: latest.by };
  };
  const close = (place: Place, policy: string, by: ClosedBy): void => {
    const before = by.tls ? place.byPolicy.get(policy) : place.closing;
    // Attempts that ran side by side are one failure: they were all begun before it was closed.
    const isSame = before !== undefined && before.until > now();
    const failures = isSame ? before.failures : (before?.failures ?? 0) + 1;
    const until = isSame ? before.until : now() + deps.delay(failures);
    if (by.tls) place.byPolicy.set(policy, { failures, until, by });
    else place.closing = { failures, until, by };
    Object.assign(place, { limit: 1, doubtful: true });
  };
  return {
    of: (host) => {
      const known: Place = places.get(host) ?? {
        host,
        active: 0,
        limit: FIRST_LIMIT,
        doubtful: false,
        fedUntil: 0,
        closing: undefined,
        byPolicy: new Map(),
        waiting: new Set(),
        backlog: [],
      };
      places.set(host, known);
      return known;
    },
    all: () => [...places.values()],
    closed,
    free: (place) => (place.fedUntil > now() ? 0 : Math.min(deps.concurrency(), place.limit) - place.active),
    heed: (place, policy, { closedBy, reached }) => {
      if (closedBy !== undefined) close(place, policy, closedBy);
      if (!reached) return false;
      const wasClosed = place.closing !== undefined || place.byPolicy.has(policy);
      place.closing = undefined;
      place.byPolicy.delete(policy);
      place.doubtful = place.byPolicy.size > 0;
      place.limit = Math.min(place.limit + 1, deps.concurrency());
      return wasClosed;
    },
    take: (place) => {
      place.active += 1;
      const rate = deps.rate();
      if (rate > 0) place.fedUntil = Math.max(now(), place.fedUntil) + 60_000 / rate;
    },
    reopen: (place) => {
      place.byPolicy.clear();
      Object.assign(place, { closing: undefined, doubtful: false, limit: Math.max(place.limit, FIRST_LIMIT) });
    },
    tidy: (place) => {
      if (place.active > 0 || place.backlog.length > 0) return;
      const closings = [...place.byPolicy.values(), ...(place.closing === undefined ? [] : [place.closing])];
      const until = Math.max(place.fedUntil, ...closings.map((one) => one.until + DOUBTED_MS));
      if (until <= now()) places.delete(place.host);
    },
  };
}
