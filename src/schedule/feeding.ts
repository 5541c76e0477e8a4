/**
 * Feeds destinations: claims what is due for one that has slots, a few destinations at a time, and starts it. Never more
 * than a destination has earned, and never so much at destinations that may be dead that others would have to wait.
 */
import { laneOf } from "../mail/delivery.ts";
import type { Clock } from "../runtime/clock.ts";
import type { QueueStore } from "../store/queue.ts";
import type { ClockWatch } from "./clock-watch.ts";
import type { Claimed, Closed, Destinations, Place, Standing } from "./destinations.ts";

export interface FeedingDeps {
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly queue: Pick<QueueStore, "claim">;
  readonly places: Destinations;
  readonly way: (lane: string) => { readonly place: Place; readonly policy: string };
  readonly clockWatch: ClockWatch;
  /** Begins an attempt; `release` is called once, when it has ended. */
  readonly start: (place: Place, policy: string, claimed: Claimed, release: () => void) => void;
  /** What was claimed for a destination that has closed meanwhile. */
  readonly handBack: (place: Place, claimed: Claimed, closed: Closed) => void;
  /** The lanes of a place that has closed, which are due. */
  readonly postpone: (place: Place, lanes: readonly string[]) => void;
  readonly lookWithin: (ms: number) => void;
  readonly onError: (error: unknown) => void;
  readonly isStopped: () => boolean;
}

export interface Feeding {
  /** Attempts that may begin there now, all in all. */
  readonly free: (place: Place) => number;
  /** Takes a slot; the returned function gives it back, once. */
  readonly take: (place: Place) => () => void;
  /** Something is due there. */
  readonly offer: (lane: string) => void;
  /** Looks again at those that had to wait for a moment. */
  readonly resume: () => void;
  /** Resolves when no slot is taken. */
  readonly idle: () => Promise<void>;
}

/**
 * Attempts under way at once, all destinations together: bounds sockets and memory. The dead leave room for those of which
 * nothing is known yet, and both for those that are alive, for an attempt at a dead one may last minutes.
 */
const MOST_ATTEMPTS = { dead: 100, deadOrUnknown: 150, all: 200 } as const;
/** Claimed at once per destination and worked off one after another: one commit for several claims. */
const CLAIM_BATCH = 20;
/** Claims under way at once: they share commits. */
const MOST_CLAIMS = 8;
const STORE_PAUSE_MS = 1_000;
const STANDINGS = ["alive", "unknown", "dead"] as const;

export function createFeeding(deps: FeedingDeps): Feeding {
  const { clock, places, isStopped } = deps;
  const active: Record<Standing, number> = { alive: 0, unknown: 0, dead: 0 };
  /** Those that could be fed if there were a slot for them, in turn. */
  const hungry: Record<Standing, Set<Place>> = { alive: new Set(), unknown: new Set(), dead: new Set() };
  /** Those that wait for time to pass. */
  const later = new Set<Place>();
  let claims = 0;
  let turn = 0;
  let onIdle: (() => void)[] = [];

  const inAll = (): number => active.alive + active.unknown + active.dead;
  const room = (standing: Standing): number => {
    const left = MOST_ATTEMPTS.all - inAll();
    if (standing === "alive") return left;
    const shared = Math.min(left, MOST_ATTEMPTS.deadOrUnknown - active.unknown - active.dead);
    return standing === "unknown" ? shared : Math.min(shared, MOST_ATTEMPTS.dead - active.dead);
  };
  const free = (place: Place): number => (isStopped() ? 0 : Math.min(places.free(place), room(place.standing)));
  const queueUp = (place: Place): void => {
    for (const standing of STANDINGS) if (standing !== place.standing) hungry[standing].delete(place);
    if (place.backlog.length + place.due.size === 0) return;
    const ms = place.fedUntil - clock.monotonic();
    if (ms > 0) {
      later.add(place);
      deps.lookWithin(ms);
    } else if (places.free(place) > 0) hungry[place.standing].add(place); // else the end of one of its own attempts feeds it
  };
  /** Each standing in turn, or the many that are alive would keep all others from being tried. */
  const pick = (): Place | undefined => {
    turn += 1;
    for (const [index] of STANDINGS.entries()) {
      const standing = STANDINGS[(turn + index) % STANDINGS.length] ?? "alive";
      const [place] = !isStopped() && room(standing) > 0 ? hungry[standing] : [];
      if (place === undefined) continue;
      hungry[standing].delete(place);
      return place;
    }
    return undefined;
  };
  const serve = (): void => {
    while (claims < MOST_CLAIMS) {
      const place = pick();
      if (place === undefined) return;
      drain(place);
      if (place.claiming) continue; // it comes back at the end of that
      if (place.backlog.length === 0 && place.due.size > 0 && free(place) > 0) void feed(place);
      else queueUp(place);
    }
  };
  /** Starts what was claimed, as far as there are slots; what its destination has closed to meanwhile waits, untried. */
  const drain = (place: Place): void => {
    while (!isStopped()) {
      const [first] = place.backlog;
      if (first === undefined) return;
      const { policy } = deps.way(laneOf(first.delivery));
      const closed = places.closed(place, policy);
      if (closed === undefined && free(place) <= 0) return;
      place.backlog.shift();
      if (closed === undefined) deps.start(place, policy, first, take(place));
      else deps.handBack(place, first, closed);
    }
  };
  const take = (place: Place): (() => void) => {
    const { standing } = place;
    places.take(place);
    active[standing] += 1;
    return () => {
      place.active -= 1;
      active[standing] -= 1;
      goOn(place);
      if (inAll() === 0) for (const resolve of onIdle.splice(0)) resolve();
    };
  };
  const goOn = (place: Place): void => {
    drain(place);
    queueUp(place);
    places.tidy(place);
    serve();
  };
  const feed = async (place: Place): Promise<void> => {
    claims += 1;
    place.claiming = true;
    let failed = false;
    try {
      await claimFor(place);
    } catch (error) {
      failed = true;
      deps.onError(error);
    }
    claims -= 1;
    place.claiming = false;
    if (!failed) return goOn(place);
    later.add(place);
    deps.lookWithin(STORE_PAUSE_MS);
    serve();
  };
  const claimFor = async (place: Place): Promise<void> => {
    const [lane] = place.due;
    if (lane === undefined) return;
    const way = deps.way(lane);
    place.due.delete(lane);
    if (way.place !== place) return offer(lane); // a reload has sent it elsewhere
    if (places.closed(place, way.policy) !== undefined) return deps.postpone(place, [lane]);
    try {
      await deps.clockWatch.look();
      const ahead = deps.clockWatch.ahead();
      // Not more than can begin soon: what is leased is out of reach for people.
      const isSlow = place.standing !== "alive" || place.fedUntil > 0;
      const limit = isSlow ? Math.max(free(place), 1) : CLAIM_BATCH;
      const claimed = await deps.queue.claim(lane, clock.now(), limit);
      place.backlog.push(...claimed.map((delivery) => ({ delivery, ahead })));
      if (claimed.length >= limit) place.due.add(lane); // behind the others
    } catch (error) {
      place.due.add(lane);
      throw error;
    }
  };
  const offer = (lane: string): void => {
    const { place } = deps.way(lane);
    place.due.add(lane);
    queueUp(place);
    serve();
  };
  return {
    free,
    take,
    offer,
    resume: () => {
      const places = [...later];
      later.clear();
      for (const place of places) goOn(place);
    },
    idle: async () => {
      if (inAll() > 0) await new Promise<void>((resolve) => onIdle.push(resolve));
    },
  };
}
