/**
 * Decides what is tried now: slots per destination, back-off of a dead destination, and the claim loop over the queue.
 * A destination that is full or closed never costs another one its turn. Recovery never depends on new mail.
 */
import type { Delivery } from "../mail/delivery.ts";
import type { Reason } from "../mail/outcome.ts";
import type { Clock } from "../runtime/clock.ts";
import { type Completion, type QueueStore, StoreError } from "../store/queue.ts";

/** What an attempt says of its destination: `closedUntil` (epoch ms) after a connection, TLS or DNS failure. */
export interface AttemptReport {
  readonly closedUntil?: number;
  /** Why, when it is closed. */
  readonly closedBy?: { readonly reason: Reason; readonly detail: string };
  /** Epoch ms of the delivery's next attempt, when it waits. */
  readonly nextAttemptAt?: number;
}

export interface DispatcherDeps {
  readonly clock: Clock;
  readonly queue: Pick<QueueStore, "dueDomains" | "claim" | "nextDue" | "complete" | "retry">;
  readonly attempt: (delivery: Delivery) => Promise<AttemptReport>;
  /** What slots and back-off are counted by, for a recipient domain, under the policy of now. */
  readonly destinationOf: (domain: string) => string;
  readonly concurrencyPerDestination: () => number;
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
  /** Takes a slot for a fresh delivery to this domain; undefined: none is free, store it as waiting. */
  readonly reserve: (domain: string) => Slot | undefined;
  /** What found no slot is now stored as waiting: slots may have become free before that. */
  readonly arrived: (domain: string) => void;
  /** Looks for due mail now. */
  readonly wake: () => void;
  /** Opens closed destinations, all or those a person named, and looks for due mail. */
  readonly reopen: (domain?: string) => void;
  /** Takes nothing new; resolves when the attempts in hand have ended. */
  readonly stop: () => Promise<void>;
}

/** Attempts under way at once, all destinations together: bounds sockets and memory. */
const MOST_ATTEMPTS = 200;
/** Those of them at destinations that were closed when last tried: many dead ones must not take every slot. */
const MOST_DOUBTFUL = MOST_ATTEMPTS / 2;
/** How long after it has opened again a destination that nobody tries is remembered as doubtful. */
const DOUBTED_MS = 3_600_000;
/** Claimed at once per destination and worked off one after another: one commit for several claims. */
const CLAIM_BATCH = 20;
const LONGEST_SLEEP_MS = 60_000;
const STORE_PAUSE_MS = 1_000;
/** A wall clock that was set back by more is noticed; less is waited out. */
const SET_BACK_MS = 60_000;
/** After an attempt that ended with a defect. */
const DEFECT_PAUSE_MS = 15 * 60_000;
const DEFECT = { reason: "internal-error", detail: "The attempt failed inside the gateway" } as const;

interface Destination {
  active: number;
  closedUntil: number;
  closedBy: NonNullable<AttemptReport["closedBy"]>;
  /** The attempt that ended last closed it. */
  doubtful: boolean;
  /** Claimed, waiting for a slot. */
  readonly backlog: Delivery[];
}

const NEVER_CLOSED = { reason: "connection-failed", detail: "" } as const;

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const destinations = new Map<string, Destination>();
  const active = { all: 0, doubtful: 0 };
  let stopped = false;
  let pumping = false;
  let again = false;
  /** Who found no slot: `all` hopes for any that becomes free, `doubtful` for one of its kind. */
  const starved = { all: false, doubtful: false };
  let timer: { readonly at: number; readonly cancel: () => void } | undefined;
  let onIdle = (): void => undefined;
  /** How far the wall clock is ahead of the monotonic one. */
  let ahead = deps.clock.now() - deps.clock.monotonic();

  const destination = (domain: string): [string, Destination] => {
    const key = deps.destinationOf(domain);
    const known: Destination = destinations.get(key) ?? {
      active: 0,
      closedUntil: 0,
      closedBy: NEVER_CLOSED,
      doubtful: false,
      backlog: [],
    };
    destinations.set(key, known);
    return [key, known];
  };
  const free = (place: Destination): number => {
    if (stopped || place.closedUntil > deps.clock.now()) return 0;
    const left = place.doubtful ? MOST_DOUBTFUL - active.doubtful : Number.POSITIVE_INFINITY;
    return Math.min(deps.concurrencyPerDestination() - place.active, MOST_ATTEMPTS - active.all, left);
  };
  /** Takes a slot; the returned function gives it back, once. */
  const take = (key: string, place: Destination): (() => void) => {
    const { doubtful } = place;
    place.active += 1;
    active.all += 1;
    if (doubtful) active.doubtful += 1;
    return () => {
      place.active -= 1;
      active.all -= 1;
      if (doubtful) active.doubtful -= 1;
      drain(key, place);
      if ((starved.all || (doubtful && starved.doubtful)) && place.backlog.length === 0) wake();
      if (active.all === 0) onIdle();
    };
  };
  const starve = (place: Destination): void => {
    if (place.closedUntil > deps.clock.now()) return; // its timer is set
    if (place.doubtful && active.doubtful >= MOST_DOUBTFUL) starved.doubtful = true;
    else starved.all = true;
  };
  /** Starts what was claimed, as far as there are slots; a place with nothing to remember is forgotten. */
  const drain = (key: string, place: Destination): void => {
    if (place.closedUntil > deps.clock.now()) handBack(place);
    while (free(place) > 0) {
      const next = place.backlog.shift();
      if (next === undefined) break;
      start(place, next, take(key, place));
    }
    const idle = place.active === 0 && place.backlog.length === 0;
    const until = place.closedUntil + (place.doubtful ? DOUBTED_MS : 0);
    if (idle && until <= deps.clock.now()) destinations.delete(key);
  };
  /** What was claimed for a destination that has closed meanwhile waits in the queue, untried. */
  const handBack = (place: Destination): void => {
    const next = { at: place.closedUntil, ...place.closedBy };
    for (const { id } of place.backlog.splice(0)) void putBack({ deliveryId: id, next, counts: false });
  };
  /** Until it is stored: nobody else would free the lease before the next start. */
  const putBack = async (
    how: Pick<Completion, "deliveryId" | "counts"> & Required<Pick<Completion, "next">>,
  ): Promise<void> => {
    for (let tries = 0; ; tries += 1) {
      try {
        await deps.queue.complete({ ...how, ended: [], notices: [] });
        return;
      } catch (error) {
        if (tries === 0) deps.onError(error);
        if (stopped || !(error instanceof StoreError)) return;
        await deps.clock.sleep(STORE_PAUSE_MS);
      }
    }
  };
  const start = (place: Destination, delivery: Delivery, release: () => void): void => {
    void deps
      .attempt(delivery)
      .then((report) => settle(place, report))
      .catch((error: unknown) => {
        deps.onError(error);
        // Nobody else would free its lease; where its ending is stored already this changes nothing.
        const next = { at: deps.clock.now() + DEFECT_PAUSE_MS, ...DEFECT };
        if (!stopped) void putBack({ deliveryId: delivery.id, next, counts: true });
      })
      .finally(release);
  };
  const settle = (place: Destination, report: AttemptReport): void => {
    place.doubtful = report.closedUntil !== undefined;
    if (report.closedUntil === undefined) {
      if (report.nextAttemptAt === undefined) place.closedUntil = 0;
    } else {
      place.closedUntil = Math.max(place.closedUntil, report.closedUntil);
      place.closedBy = report.closedBy ?? place.closedBy;
      sleepUntil(place.closedUntil);
    }
    if (report.nextAttemptAt !== undefined) sleepUntil(report.nextAttemptAt);
  };
  const sleepUntil = (at: number): void => {
    if (stopped || (timer !== undefined && timer.at <= at)) return;
    timer?.cancel();
    const ms = Math.min(Math.max(at - deps.clock.now(), 0), LONGEST_SLEEP_MS);
    const cancel = deps.clock.after(ms, () => {
      timer = undefined;
      wake();
    });
    timer = { at, cancel };
  };

  /** One pass over what is due. Domains whose destination has no slot are left out of the next question. */
  const pass = async (): Promise<void> => {
    const except = new Set<string>();
    const began = deps.clock.now();
    Object.assign(starved, { all: false, doubtful: false });
    await heedClock();
    for (const [key, place] of destinations) drain(key, place);
    while (!stopped && active.all < MOST_ATTEMPTS) {
      const now = deps.clock.now();
      const due = await deps.queue.dueDomains(now, except, 50);
      if (due.length === 0) {
        // After the beginning, not after now: a domain left out may have had something come due since its claim.
        const next = await deps.queue.nextDue(began);
        sleepUntil(next ?? now + LONGEST_SLEEP_MS);
        return;
      }
      for (const domain of due) {
        except.add(domain);
        await claimFor(domain, now);
      }
    }
    starved.all = true;
  };
  /** What was reckoned by a clock that has been set back since would wait as much longer: it is all due now. */
  const heedClock = async (): Promise<void> => {
    const now = deps.clock.now();
    const offset = now - deps.clock.monotonic();
    if (ahead - offset > SET_BACK_MS) {
      for (const place of destinations.values()) place.closedUntil = 0;
      await deps.queue.retry({}, now);
    }
    ahead = offset;
  };
  const claimFor = async (domain: string, now: number): Promise<void> => {
    const [, asked] = destination(domain);
    if (free(asked) <= 0 || asked.backlog.length > 0) {
      starve(asked);
      if (asked.closedUntil > now) sleepUntil(asked.closedUntil);
      return;
    }
    const claimed = await deps.queue.claim(domain, now, CLAIM_BATCH);
    starved.all ||= claimed.length === CLAIM_BATCH;
    const [key, place] = destination(domain); // the one asked may have gone idle meanwhile
    place.backlog.push(...claimed);
    drain(key, place);
    if (place.backlog.length > 0 && place.active === 0) starve(place); // its slot went to another meanwhile
  };
  const pump = async (): Promise<void> => {
    pumping = true;
    do {
      again = false;
      try {
        await pass();
      } catch (error) {
        deps.onError(error);
        sleepUntil(deps.clock.now() + 1_000);
      }
    } while (again && !stopped);
    pumping = false;
  };
  const wake = (): void => {
    again = true;
    if (!pumping && !stopped) void pump();
  };

  return {
    reserve: (domain) => {
      const [key, place] = destination(domain);
      if (free(place) <= 0 || place.backlog.length > 0) {
        starve(place);
        return undefined;
      }
      const giveBack = take(key, place);
      return { submit: (delivery) => start(place, delivery, giveBack), giveBack };
    },
    arrived: (domain) => {
      const place = destinations.get(deps.destinationOf(domain));
      if (place !== undefined && place.closedUntil > deps.clock.now()) return; // its timer is set
      starved.all = true;
      if (place === undefined || (free(place) > 0 && place.backlog.length === 0)) wake();
    },
    wake,
    reopen: (domain) => {
      const places = domain === undefined ? [...destinations.values()] : [destination(domain)[1]];
      for (const place of places) Object.assign(place, { closedUntil: 0, doubtful: false });
      wake();
    },
    stop: async () => {
      stopped = true;
      timer?.cancel();
      // Also for slots that are reserved: what is being stored for them is still tried.
      if (active.all > 0) await new Promise<void>((resolve) => (onIdle = resolve));
    },
  };
}
