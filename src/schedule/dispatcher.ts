/**
 * Decides what is tried now: looks for what is due, closes and opens destinations by what attempts say of them, and gives
 * fresh mail its slots. A destination that is full or closed never costs another one its turn. Recovery never depends on
 * new mail.
 */
import { type Delivery, laneOf } from "../mail/delivery.ts";
import type { Reason } from "../mail/outcome.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import type { QueueStore } from "../store/queue.ts";
import { forwardSince } from "./clock-jump.ts";
import { createClockWatch } from "./clock-watch.ts";
import { createClosing, opensAt } from "./closing.ts";
import { type AttemptReport, type Claimed, type ClosedBy, createDestinations } from "./destinations.ts";
import type { Closed, Place, Way } from "./destinations.ts";
import { createExpiring } from "./expiring.ts";
import { createFeeding } from "./feeding.ts";
import { createLeases } from "./leases.ts";
import { createNextLook } from "./next-look.ts";
import { createReminding } from "./reminding.ts";
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
  /** Of a lane: a domain, or another way that some of its mail takes (`laneFor`). */
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

/** Epoch ms, and why. */
export interface Waits {
  readonly at: number;
  readonly reason: Reason;
}

export interface Dispatcher {
  /**
   * Takes a slot for a fresh delivery in this lane. `waits`: the destination is closed, store it as waiting until
   * then; undefined: no slot is free, store it as due.
   */
  readonly reserve: (lane: string) => Slot | { readonly waits: Waits } | undefined;
  /** What found no slot is now stored as waiting, as `waits` said: a slot may have become free before that. */
  readonly arrived: (lane: string, waits?: Waits) => void;
  /** Looks for due mail now. */
  readonly wake: () => void;
  /** Opens closed destinations, all or those a person named, and looks for due mail. */
  readonly reopen: (lane?: string) => void;
  /** Takes nothing new; resolves when the attempts in hand have ended. */
  readonly stop: () => Promise<void>;
}

/** Lanes asked for at once: few at first, since most of the time few are due; then more, since each question costs. */
const [FEW_LANES, MOST_LANES] = [50, 1_000];
const SWEEP_MS = 60_000;
const STORE_PAUSE_MS = 1_000;

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const { clock, queue, onError } = deps;
  let stopped = false;
  let pumping = false;
  let again = false;
  let sweptAt = clock.monotonic();
  const isStopped = (): boolean => stopped;
  const places = createDestinations({
    monotonic: clock.monotonic,
    concurrency: deps.concurrencyPerDestination,
    rate: deps.ratePerDestination,
    delay: (failures) => retryDelay(deps.schedule(), failures, deps.random.fraction()),
  });
  const next = createNextLook(clock, () => wake());
  const sleepUntil = (at: number): void => next.within(at - clock.now());
  const way = (lane: string): { place: Place; policy: string } => {
    const { host, policy } = deps.wayOf(lane);
    return { place: places.of(host), policy };
  };
  const closedTo = (lane: string): Closed | undefined => {
    const { place, policy } = way(lane);
    return places.closed(place, policy);
  };
  const clockWatch = createClockWatch(deps, () => {
    for (const place of places.all()) places.reopen(place); // or what the new clock calls due would be counted as tried
  });
  const leases = createLeases({ ...deps, isStopped });
  const closing = createClosing({ ...deps, places, closedTo, leases, sleepUntil, wake: () => wake() });
  const reminding = createReminding({ ...deps, leases, isStopped, onReturned: () => wake() });
  const expiring = createExpiring({
    ...deps,
    leases,
    isStopped,
    sleepUntil,
    onOpen: () => wake(),
    closed: (lane) => {
      const closed = closedTo(lane);
      return closed && { at: opensAt(clock, closed), by: closed.by };
    },
  });

  const start = (place: Place, policy: string, claimed: Claimed, release: () => void): void => {
    void tryOne(place, policy, claimed).finally(release);
  };
  const tryOne = async (place: Place, policy: string, { delivery, ahead }: Claimed): Promise<void> => {
    try {
      // Its times are from before a jump of the clock that has come meanwhile.
      const expiresAt = delivery.expiresAt + forwardSince(clock, ahead);
      settle(place, policy, laneOf(delivery), await deps.attempt({ ...delivery, expiresAt }));
    } catch (error) {
      leases.failed(delivery, error);
    }
  };
  const settle = (place: Place, policy: string, lane: string, report: AttemptReport): void => {
    if (report.nextAttemptAt !== undefined) sleepUntil(report.nextAttemptAt);
    const heeded = places.heed(place, policy, report);
    if (heeded === "recovered") void closing.recover(place, lane);
    if (heeded !== "closed") return;
    // One attempt in a while speaks for all that is due there.
    const closed = [...place.due].filter((due) => closedTo(due) !== undefined);
    for (const due of closed) place.due.delete(due);
    places.waits(place, [lane]);
    closing.postpone(place, closed);
  };
  const feeding = createFeeding({
    ...deps,
    places,
    way,
    clockWatch,
    start,
    handBack: closing.handBack,
    postpone: closing.postpone,
    lookWithin: next.within,
    isStopped,
  });

  /** Sorts out what is due: what can be tried is fed; of what is closed, the rest waits and what has expired ends. */
  const pass = async (): Promise<void> => {
    await clockWatch.look();
    const began = clock.now();
    reminding.look();
    feeding.resume();
    sweep();
    const except = new Set([...places.all()].flatMap(({ due }) => [...due]));
    const putOffNow = new Set<string>();
    for (let limit = FEW_LANES; !stopped; limit = Math.min(limit * 2, MOST_LANES)) {
      const due = await queue.dueDomains(clock.now(), except, limit);
      if (due.length === 0) break;
      const closed = new Map<Place, string[]>();
      for (const lane of due) {
        const { place, policy } = way(lane);
        const isClosed = places.closed(place, policy) !== undefined;
        if (isClosed && !putOffNow.has(lane)) {
          putOffNow.add(lane);
          const lanes = closed.get(place) ?? [];
          lanes.push(lane);
          closed.set(place, lanes);
          continue;
        }
        except.add(lane);
        if (isClosed)
          expiring.look(lane); // it was put off, and yet it is due
        else feeding.offer(lane);
      }
      for (const [place, lanes] of closed) await closing.putOff(place, lanes);
    }
    // After the beginning, not after now: a lane left out may have had something come due since its claim.
    if (!stopped) sleepUntil((await queue.nextDue(began)) ?? Number.POSITIVE_INFINITY);
  };
  const sweep = (): void => {
    if (clock.monotonic() - sweptAt < SWEEP_MS) return;
    sweptAt = clock.monotonic();
    for (const place of places.all()) places.tidy(place);
  };
  const pump = async (): Promise<void> => {
    pumping = true;
    do {
      again = false;
      try {
        await pass();
      } catch (error) {
        onError(error);
        next.within(STORE_PAUSE_MS);
      }
    } while (again && !stopped);
    pumping = false;
  };
  const wake = (): void => {
    again = true;
    if (!pumping && !stopped) void pump();
  };

  return {
    reserve: (lane) => {
      void clockWatch.look().catch(onError); // before it is stored, or it would be moved with what was stored before
      const { place, policy } = way(lane);
      const closed = places.closed(place, policy);
      if (closed !== undefined) {
        places.waits(place, [lane]);
        return { waits: { at: opensAt(clock, closed), reason: closed.by.reason } };
      }
      // What waits keeps its turn, but for the moment in which it is being claimed; with a rate limit, then as well.
      const isBehind = place.backlog.length > 0 || (place.fedUntil > 0 && place.due.size > 0);
      if (feeding.free(place) <= 0 || isBehind) return undefined;
      const release = feeding.take(place);
      const submit = (delivery: Delivery): void =>
        start(place, policy, { delivery, ahead: clockWatch.ahead() }, release);
      return { submit, giveBack: release };
    },
    arrived: (lane, waits) => {
      const closed = closedTo(lane);
      if (closed !== undefined) sleepUntil(waits?.at ?? clock.now());
      else if (waits === undefined) feeding.offer(lane);
      else void closing.recover(way(lane).place, lane); // it has opened meanwhile
    },
    wake,
    reopen: (lane) => {
      for (const place of lane === undefined ? places.all() : [way(lane).place]) {
        places.reopen(place);
        if (lane === undefined) place.due.clear(); // each may go elsewhere now: they are found anew
      }
      wake();
    },
    stop: async () => {
      stopped = true;
      next.stop();
      await Promise.all([reminding.ended(), expiring.ended()]);
      // Also for slots that are reserved: what is being stored for them is still tried.
      await feeding.idle();
    },
  };
}
