/**
 * What a person may do with the queue, and the same words for it everywhere: the running gateway does it over its
 * store, the command line asks it to over HTTP, and does it itself when the gateway is stopped. Every action is logged
 * with who and why, also one that breaks off.
 */
import type { NextHop } from "../mail/next-hop.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Dispatcher } from "../schedule/dispatcher.ts";
import type { QueueFilter, QueueStore, QueueTotals } from "../store/queue.ts";
import { type Content, type ContentAsked, createContentLook } from "./queue-content.ts";
import { type QueueEntry, toEntry } from "./queue-entry.ts";
import { type BadRequest, problemOf, type Wanted } from "./queue-query.ts";
import { bounceEach, rerouteEach, type SeizeDeps, tellFinished } from "./queue-seize.ts";
import type { Asker } from "./who.ts";

/** `matched` deliveries it reached; `busy` ones were under way and left out. */
export interface ActionResult {
  readonly matched: number;
  readonly busy: number;
}

/** `why` of the asker is that of the action. */
export type Asked = Omit<Wanted, "why"> & { readonly asker: Asker };

export interface QueueActions {
  /** One page, oldest first; the last one is empty. Shorter than `limit` where recipients are many. */
  readonly list: (filter: QueueFilter) => Promise<readonly QueueEntry[]>;
  readonly totals: (filter: QueueFilter) => Promise<QueueTotals>;
  /**
   * retry: what waits or is parked is due at once, and its destination open. hold: what waits is not tried until release,
   * which makes it due. bounce: every pending recipient has failed, and the sender is told. remove: the same, and nobody
   * is told. reroute: another next hop, or with `policy` the configured one again; what waits is due at once.
   */
  readonly act: (asked: Asked) => Promise<ActionResult | BadRequest>;
  readonly content: (asked: ContentAsked) => Promise<Content>;
}

export interface QueueActionDeps extends SeizeDeps {
  readonly queue: SeizeDeps["queue"] &
    Pick<QueueStore, "list" | "totals" | "retry" | "hold" | "release" | "remove" | "header" | "body">;
  /** Absent when the gateway is stopped. */
  readonly dispatcher?: Pick<Dispatcher, "reopen" | "wake">;
  /** A next hop as it is written; `policy` stands for the configured one. */
  readonly readRoute: (text: string) => NextHop | "policy" | BadRequest;
  readonly contentAccess: boolean;
  readonly clock: Pick<Clock, "now">;
}

export function createQueueActions(deps: QueueActionDeps): QueueActions {
  const { queue } = deps;
  const list = (filter: QueueFilter): Promise<readonly QueueEntry[]> => pageOf(queue, filter);
  return {
    list,
    totals: queue.totals,
    act: async (asked) => {
      const { action, filter, asker, to } = asked;
      const problem = problemOf({ ...asked, why: asker.why });
      if (problem !== undefined) return problem;
      const route = to === undefined ? "policy" : deps.readRoute(to);
      if (typeof route === "object" && "error" in route) return route;
      const { byState, lanes } = await queue.totals(filter);
      const done = { matched: 0, lanes: new Set(action === "reroute" ? [] : lanes) };
      let told = false;
      const tell = (): void => {
        if (told) return;
        told = true;
        const said = { matched: done.matched, reason: asker.why, filter: shown(filter) };
        deps.emit("queue.action", { action, ...said });
        const detail = `${done.matched} ${done.matched === 1 ? "delivery" : "deliveries"}${to === undefined ? "" : ` to ${to}`}`;
        deps.emit("admin.action", { action: `queue ${action}`, ...asker, detail });
      };
      const open = (): void => wake(deps, action, done.lanes);
      try {
        await perform(deps, { action, filter, route: route === "policy" ? undefined : route, tell, open }, done);
      } finally {
        tell();
        open();
      }
      return { matched: done.matched, busy: byState.leased };
    },
    content: createContentLook({ ...deps, find: (id) => list({ id, limit: 1_000 }) }),
  };
}

const STEP = 100;
const MOST_RECIPIENTS = 10_000;

/** Bounded in recipients, too: a thousand messages to a thousand people each would be more than fits an answer. */
async function pageOf(queue: Pick<QueueStore, "list">, filter: QueueFilter): Promise<readonly QueueEntry[]> {
  const { limit = 100 } = filter;
  const entries: QueueEntry[] = [];
  let { after } = filter;
  for (let recipients = 0; entries.length < limit && recipients < MOST_RECIPIENTS; ) {
    const most = Math.min(STEP, limit - entries.length);
    const items = await queue.list({ ...filter, limit: most, ...(after !== undefined && { after }) });
    entries.push(...items.map(toEntry));
    after = entries.at(-1)?.cursor;
    if (items.length < most) break;
    recipients += items.reduce((sum, { delivery }) => sum + delivery.recipients.length, 0);
  }
  return entries;
}

interface Performed {
  readonly action: Wanted["action"];
  readonly filter: QueueFilter;
  readonly route: NextHop | undefined;
  /** Logs the action; what it causes comes after it where that is possible. */
  readonly tell: () => void;
  /** Opens destinations, before mail is due there as well as after: at a closed one the dispatcher would put it off again. */
  readonly open: () => void;
}

/** Counts in `done` what was reached, as it goes. */
async function perform(
  deps: QueueActionDeps,
  { action, filter, route, tell, open }: Performed,
  done: { matched: number; readonly lanes: Set<string> },
): Promise<void> {
  const { queue, clock, emit } = deps;
  switch (action) {
    case "retry":
      open();
      done.matched = await queue.retry(filter, clock.now(), true);
      return;
    case "hold":
      done.matched = await queue.hold(filter);
      return;
    case "release":
      open();
      done.matched = await queue.release(filter, clock.now());
      return;
    case "remove": {
      const { byState } = await queue.totals(filter);
      const finished = await queue.remove(filter);
      done.matched = byState.waiting + byState.held + byState.parked;
      tell();
      tellFinished(emit, finished);
      return;
    }
    case "bounce":
      await bounceEach(deps, filter, () => void (done.matched += 1));
      return;
    case "reroute":
      await rerouteEach(deps, filter, route, (lane) => {
        done.matched += 1;
        done.lanes.add(lane);
      });
      open();
      await queue.retry(filter, clock.now());
  }
}

function wake({ dispatcher }: QueueActionDeps, action: Wanted["action"], lanes: ReadonlySet<string>): void {
  switch (action) {
    case "retry":
    case "release":
    case "reroute":
      for (const lane of lanes) dispatcher?.reopen(lane);
      return;
    case "bounce":
      dispatcher?.wake(); // its notices are due
      return;
    case "hold":
    case "remove":
  }
}

/** As people wrote it, for the log. */
function shown({ before, senderDomain, ...filter }: QueueFilter): Record<string, string> {
  const entries = Object.entries(filter).filter(([key, value]) => {
    return value !== undefined && key !== "limit" && key !== "after";
  });
  return {
    ...Object.fromEntries(entries.map(([key, value]) => [key, String(value)])),
    ...(senderDomain !== undefined && { sender: `@${senderDomain}` }),
    ...(before !== undefined && { before: new Date(before).toISOString() }),
  };
}
