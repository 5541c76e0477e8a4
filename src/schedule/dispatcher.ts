/**
 * Decides what is tried now: slots per destination, back-off of a dead destination, and the claim loop over the queue.
 * A destination that is full or closed never costs another one its turn. Recovery never depends on new mail.
 */
import { type Delivery, laneOf } from "../mail/delivery.ts";
import type { Reason } from "../mail/outcome.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import type { QueueStore } from "../store/queue.ts";
import { createClockWatch } from "./clock-watch.ts";
import { type AttemptReport, type ClosedBy, createDestinations, type Place, type Way } from "./destinations.ts";
import { createLeases } from "./leases.ts";
import { createNextLook } from "./next-look.ts";
import { createReminding } from "./reminding.ts";
import { CLOSING_REASONS } from "./settle.ts";
import { retryDelay, type RetrySchedule } from "./retry-schedule.ts";

export interface DispatcherDeps {
  readonly clock: Clock;
  readonly random: Pick<Random, "fraction">;
  readonly queue: Pick<
    QueueStore,
    | "dueDomains"
    | "claim"
    | "claimExpired"
    | "claimNotices"
    | "nextDue"
    | "complete"
    | "retry"
    | "postpone"
    | "hasten"
    | "shiftClock"
  >;
  /** `closed`: its time has passed while its destination is closed: it is settled as tried, without a connection. */
  readonly attempt: (delivery: Delivery, closed?: ClosedBy) => Promise<AttemptReport>;
  /** Its delay notice is due, and its lease is ours. */
  readonly remind: (delivery: Delivery) => Promise<void>;
  /** Of a lane: a domain, or another way that some of its mail takes (`laneFor`). Lanes are what is called a domain below. */
  readonly wayOf: (lane: string) => Way;
  readonly schedule: () => RetrySchedule;
  readonly concurrencyPerDestination: () => number;
  /** Messages a minute; 0: no limit. */
  readonly ratePerDestination: () => number;
  /** No mail may wait longer than this, ms: bounds what a jump of the clock can do. */
  readonly longestLifetimeMs: () => number;
  /** A defect: the loop goes on. */
  readonly onError: (error: unknown) => void;
}

/** The right to one attempt. Use exactly one of the two. */
export interface Slot {
  /** Tries a delivery whose lease is ours. */
  readonly submit: (delivery: Delivery) => void;
  readonly giveBack: () => void;
}

export interface Dispatcher {
  /**
   * Takes a slot for a fresh delivery to this domain. `waits`: the destination is closed, store it as waiting until
   * then; undefined: no slot is free, store it as due.
   */
  readonly reserve: (domain: string) => Slot | { readonly waits: Waits } | undefined;
  /** What found no slot is now stored as waiting: slots may have become free before that. */
  readonly arrived: (domain: string) => void;
  /** Looks for due mail now. */
  readonly wake: () => void;
  /** Opens closed destinations, all or those a person named, and looks for due mail. */
  readonly reopen: (domain?: string) => void;
  /** Takes nothing new; resolves when the attempts in hand have ended. */
  readonly stop: () => Promise<void>;
}

/** Epoch ms, and why. */
export interface Waits {
  readonly at: number;
  readonly reason: Reason;
}

/** Attempts under way at once, all destinations together: bounds sockets and memory. */
const MOST_ATTEMPTS = 200;
/** Those of them at destinations that were closed when last tried: many dead ones must not take every slot. */
const MOST_DOUBTFUL = MOST_ATTEMPTS / 2;
/** Claimed at once per destination and worked off one after another: one commit for several claims. */
const CLAIM_BATCH = 20;

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const { clock, queue } = deps;
  const places = createDestinations({
    monotonic: clock.monotonic,
    concurrency: deps.concurrencyPerDestination,
    rate: deps.ratePerDestination,
    delay: (failures) => retryDelay(deps.schedule(), failures, deps.random.fraction()),
  });
  const leases = createLeases({ ...deps, isStopped: () => stopped });
  const reminding = createReminding({ ...deps, leases, isStopped: () => stopped });
  const heedClock = createClockWatch(deps, () => {
    for (const place of places.all()) places.reopen(place);
  });
  const active = { all: 0, doubtful: 0 };
  let stopped = false;
  let pumping = false;
  let again = false;
  /** Who found no slot: `all` hopes for any that becomes free, `doubtful` for one of its kind. */
  const starved = { all: false, doubtful: false };
  let onIdle = (): void => undefined;

  const next = createNextLook(clock, () => wake());

  const way = (domain: string): { place: Place; policy: string } => {
    const { host, policy } = deps.wayOf(domain);
    return { place: places.of(host), policy };
  };
  const free = (place: Place): number => {
    if (stopped) return 0;
    const left = place.doubtful ? MOST_DOUBTFUL - active.doubtful : Number.POSITIVE_INFINITY;
    return Math.min(places.free(place), MOST_ATTEMPTS - active.all, left);
  };
  /** Takes a slot; the returned function gives it back, once. */
  const take = (place: Place): (() => void) => {
    const { doubtful } = place;
    places.take(place);
    active.all += 1;
    if (doubtful) active.doubtful += 1;
    return () => {
      place.active -= 1;
      active.all -= 1;
      if (doubtful) active.doubtful -= 1;
      drain(place);
      if ((starved.all || (doubtful && starved.doubtful)) && place.backlog.length === 0) wake();
      if (active.all === 0) onIdle();
    };
  };
  const starve = (place: Place): void => {
    const ms = place.fedUntil - clock.monotonic();
    if (ms > 0) next.within(ms);
    else if (place.doubtful && active.doubtful >= MOST_DOUBTFUL) starved.doubtful = true;
    else starved.all = true;
  };
  /** Starts what was claimed, as far as there are slots; what its destination has closed to meanwhile waits, untried. */
  const drain = (place: Place): void => {
    while (place.backlog.length > 0) {
      const [first] = place.backlog as [Delivery];
      const { policy } = deps.wayOf(laneOf(first));
      const closed = places.closed(place, policy);
      if (closed === undefined && free(place) <= 0) break;
      place.backlog.shift();
      if (closed === undefined) start(place, policy, first, take(place));
      else handBack(place, first, closed);
    }
    if (place.backlog.length > 0) starve(place);
    places.tidy(place);
  };
  const handBack = (place: Place, delivery: Delivery, closed: { until: number; by: ClosedBy }): void => {
    const { id, expiresAt } = delivery;
    place.waiting.add(laneOf(delivery));
    const at = Math.min(wallOf(closed.until), Math.max(expiresAt, clock.now()));
    const { reason, detail } = closed.by;
    void leases.putBack({ deliveryId: id, next: { at, reason, detail }, counts: false });
    sleepUntil(at);
  };
  const wallOf = (monotonic: number): number => Math.ceil(clock.now() + (monotonic - clock.monotonic()));
  const start = (place: Place, policy: string, delivery: Delivery, release: () => void): void => {
    void deps
      .attempt(delivery)
      .then((report) => settle(place, policy, delivery, report))
      .catch((error: unknown) => leases.failed(delivery, error))
      .finally(release);
  };
  const settle = (place: Place, policy: string, delivery: Delivery, report: AttemptReport): void => {
    if (report.closedBy !== undefined) place.waiting.add(laneOf(delivery));
    const recovered = places.heed(place, policy, report);
    const closed = places.closed(place, policy);
    if (closed !== undefined) wake(); // what is due for it learns that it waits
    if (report.nextAttemptAt !== undefined) sleepUntil(report.nextAttemptAt);
    if (recovered) void recover(place);
  };
  /** What waits for it goes now, oldest first, as its limit grows. */
  const recover = async (place: Place): Promise<void> => {
    const domains = [...place.waiting];
    place.waiting.clear();
    try {
      await queue.hasten(domains, clock.now(), CLOSING_REASONS);
    } catch (error) {
      deps.onError(error); // it keeps its schedule
    }
    wake();
  };
  const sleepUntil = (at: number): void => next.within(at - clock.now());

  /** One pass over what is due. Domains whose destination has no slot are left out of the next question. */
  const pass = async (): Promise<void> => {
    const except = new Set<string>();
    const began = clock.now();
    Object.assign(starved, { all: false, doubtful: false });
    await heedClock();
    reminding.look();
    for (const place of places.all()) drain(place);
    while (!stopped && active.all < MOST_ATTEMPTS) {
      const now = clock.now();
      const due = await queue.dueDomains(now, except, 50);
      if (due.length === 0) {
        // After the beginning, not after now: a domain left out may have had something come due since its claim.
        sleepUntil((await queue.nextDue(began)) ?? Number.POSITIVE_INFINITY);
        return;
      }
      for (const domain of due) {
        except.add(domain);
        await claimFor(domain, now);
      }
    }
    starved.all = true;
  };
  const claimFor = async (domain: string, now: number): Promise<void> => {
    const asked = way(domain);
    const closed = places.closed(asked.place, asked.policy);
    if (closed !== undefined) return wait(asked.place, domain, closed);
    if (free(asked.place) <= 0 || asked.place.backlog.length > 0) return starve(asked.place);
    const claimed = await queue.claim(domain, now, CLAIM_BATCH);
    starved.all ||= claimed.length === CLAIM_BATCH;
    const { place } = way(domain); // the one asked may have gone idle meanwhile
    place.backlog.push(...claimed);
    drain(place);
  };
  /** One attempt in a while speaks for all that is due there: it waits as well, and what has no time left ends. */
  const wait = async (place: Place, domain: string, closed: { until: number; by: ClosedBy }): Promise<void> => {
    place.waiting.add(domain);
    const [now, until] = [clock.now(), wallOf(closed.until)];
    sleepUntil(until);
    await queue.postpone([domain], { now, until, reason: closed.by.reason });
    const limit = Math.min(CLAIM_BATCH, MOST_ATTEMPTS - active.all);
    const expired = limit > 0 ? await queue.claimExpired(domain, clock.now(), limit) : [];
    for (const delivery of expired) expire(delivery, closed.by);
    starved.all ||= expired.length === limit; // the next when one of them has ended
  };
  /** Beside the loop: a step of its ladder may take its time. */
  const expire = (delivery: Delivery, by: ClosedBy): void => {
    active.all += 1;
    const ended = deps.attempt(delivery, by).then(({ nextAttemptAt: at }) => at !== undefined && sleepUntil(at));
    void ended
      .catch((error: unknown) => leases.failed(delivery, error))
      .finally(() => {
        if (starved.all) wake();
        if (--active.all === 0) onIdle();
      });
  };
  const pump = async (): Promise<void> => {
    pumping = true;
    do {
      again = false;
      try {
        await pass();
      } catch (error) {
        deps.onError(error);
        next.within(1_000);
      }
    } while (again && !stopped);
    pumping = false;
    if (active.all === 0) onIdle();
  };
  const wake = (): void => {
    again = true;
    if (!pumping && !stopped) void pump();
  };

  return {
    reserve: (domain) => {
      const { place, policy } = way(domain);
      const closed = places.closed(place, policy);
      if (closed !== undefined) {
        place.waiting.add(domain);
        return { waits: { at: wallOf(closed.until), reason: closed.by.reason } };
      }
      if (free(place) <= 0 || place.backlog.length > 0) {
        starve(place);
        return undefined;
      }
      const giveBack = take(place);
      return { submit: (delivery) => start(place, policy, delivery, giveBack), giveBack };
    },
    arrived: (domain) => {
      const { place, policy } = way(domain);
      const closed = places.closed(place, policy);
      if (closed !== undefined) return sleepUntil(wallOf(closed.until));
      starved.all = true;
      if (free(place) > 0 && place.backlog.length === 0) wake();
    },
    wake,
    reopen: (domain) => {
      for (const place of domain === undefined ? places.all() : [way(domain).place]) places.reopen(place);
      wake();
    },
    stop: async () => {
      stopped = true;
      next.stop();
      await reminding.ended();
      // Also for slots that are reserved: what is being stored for them is still tried.
      if (active.all > 0) await new Promise<void>((resolve) => (onIdle = resolve));
    },
  };
}
