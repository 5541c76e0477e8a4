/**
 * Alarms of mail that waits longer than `alarms.waiting`: raised once per partner and domain when an attempt shows it,
 * cleared once when the queue holds no such mail any more. Looks at the queue for what is raised only; counts nothing.
 */
import type { Delivery } from "./mail/delivery.ts";
import type { Attempted } from "./relay.ts";
import type { Emit } from "./report/events.ts";
import { remedyFor } from "./report/remedy.ts";
import type { Clock } from "./runtime/clock.ts";
import type { QueueFilter, QueueItem } from "./store/queue.ts";

export interface WaitingAlarmsDeps {
  readonly clock: Pick<Clock, "now" | "after">;
  readonly emit: Emit;
  /** 0: never. */
  readonly waitingMs: () => number;
  readonly list: (filter: QueueFilter) => Promise<readonly QueueItem[]>;
}

export interface WaitingAlarms {
  readonly look: (attempted: Pick<Attempted, "delivery" | "outbound" | "trial">) => void;
  readonly stop: () => void;
}

interface Raised {
  readonly domain: string;
  readonly partner: string | null;
  /** ISO 8601 */
  readonly since: string;
}

const CODE = "mail-waiting";
/** More than that many at once are one trouble of our own, which others tell of. */
const MOST = 200;
const LOOK_MS = 60_000;

export function createWaitingAlarms(deps: WaitingAlarmsDeps): WaitingAlarms {
  const { clock, emit, waitingMs } = deps;
  const raised = new Map<string, Raised>();
  let cancel: (() => void) | undefined;
  let stopped = false;
  const tell = (one: Raised, state: "raised" | "cleared", remedy: string): void => {
    const until = state === "raised" ? undefined : new Date(clock.now()).toISOString();
    emit("alarm", { code: CODE, partner: one.partner, state, since: one.since, until, remedy });
  };
  const lookLater = (): void => {
    if (stopped || raised.size === 0) return;
    cancel ??= clock.after(LOOK_MS, () => {
      cancel = undefined;
      void clearAll().finally(lookLater);
    });
  };
  const clearAll = async (): Promise<void> => {
    for (const [key, one] of raised) {
      if (stopped || (await stillWaits(deps, one))) continue;
      raised.delete(key);
      tell(one, "cleared", `No mail to ${one.domain} waits any longer than it should`);
    }
  };
  return {
    look: ({ delivery, outbound: { partner }, trial }) => {
      const key = JSON.stringify([partner, delivery.domain]);
      const age = clock.now() - delivery.message.receivedAt;
      const limit = waitingMs();
      // Of our own letters nobody is told by another one.
      if (limit === 0 || age < limit || delivery.message.notice || raised.has(key) || raised.size >= MOST) return;
      const problem = [...trial.outcomes.values()].find(({ kind }) => kind === "deferred");
      if (problem?.kind !== "deferred") return;
      const one = { domain: delivery.domain, partner, since: new Date(delivery.message.receivedAt).toISOString() };
      raised.set(key, one);
      tell(one, "raised", `Mail to ${delivery.domain} waits (${problem.detail}). ${remedyFor(problem.reason)}`);
      lookLater();
    },
    stop: () => {
      stopped = true;
      cancel?.();
    },
  };
}

/** A store that cannot answer now will later: meanwhile it stays raised. */
async function stillWaits(
  { clock, waitingMs, list }: WaitingAlarmsDeps,
  { domain, partner }: Raised,
): Promise<boolean> {
  const before = clock.now() - waitingMs();
  const items = await list({ domain, ...(partner !== null && { partner }), before, limit: 100 }).catch(() => undefined);
  return items === undefined || items.some(({ state, delivery }) => isOnItsWay(state) && !isNotice(delivery));
}

function isOnItsWay(state: QueueItem["state"]): boolean {
  return state === "waiting" || state === "leased"; // what a person holds waits for that person
}

function isNotice({ message }: Delivery): boolean {
  return message.notice;
}
