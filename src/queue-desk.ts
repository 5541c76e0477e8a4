/**
 * Wires what people do with the queue to what mail is under: notices to senders, the way that a reroute gives it, under
 * the policy of now. The same for a running gateway and for a command on a stopped one.
 */
import { createQueueActions, type QueueActions } from "./admin/queue-actions.ts";
import { parseRoute } from "./config/route.ts";
import type { Settings } from "./config/settings.ts";
import { laneOn } from "./decide/course.ts";
import { createHistory } from "./history.ts";
import { type Delivery, laneOf } from "./mail/delivery.ts";
import { createNotices } from "./notices.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import type { Dispatcher } from "./schedule/dispatcher.ts";
import { type Snapshot, snapshotOf } from "./snapshot.ts";
import type { HistoryStore } from "./store/history.ts";
import type { QueueStore } from "./store/queue.ts";

export interface QueueDeskDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly queue: QueueStore;
  /** What is in force now. */
  readonly snapshot: () => Snapshot;
  readonly emit: Emit;
  /** Absent when the gateway is stopped. */
  readonly dispatcher?: Pick<Dispatcher, "reopen" | "wake">;
}

export function createQueueDesk(deps: QueueDeskDeps): QueueActions {
  const { clock, snapshot } = deps;
  const notices = createNotices(deps);
  return createQueueActions({
    ...deps,
    failureNotices: (delivery, badly) => notices.ended(delivery, badly, []),
    laneOf: (delivery) => laneNow(snapshot(), delivery, clock.now()),
    readRoute: (text) => {
      const route = parseRoute(text, snapshot().settings.delivery.port);
      return typeof route === "object" && "message" in route ? { error: route.message, remedy: route.remedy } : route;
    },
    contentAccess: snapshot().settings.admin.contentAccess,
  });
}

/** The desk of a command; `ended` stores what the history heard of it. */
export function createStoppedDesk(
  settings: Settings,
  opened: Opened,
  deps: Pick<QueueDeskDeps, "clock" | "random">,
): { readonly actions: QueueActions; readonly ended: () => Promise<void> } {
  const current = snapshotOf(settings);
  const { clock } = deps;
  const { queue, history: store, emit: log } = opened;
  const history = createHistory({ clock, store: () => store, keepMs: () => settings.historyMs, emit: log });
  const emit: Emit = (event, fields) => {
    log(event, fields);
    history.hear(event, fields);
  };
  return { actions: createQueueDesk({ ...deps, queue, emit, snapshot: () => current }), ended: history.stop };
}

interface Opened {
  readonly queue: QueueStore;
  readonly history: HistoryStore;
  readonly emit: Emit;
}

function laneNow({ decide, settings }: Snapshot, delivery: Delivery, now: number): string {
  const [first] = delivery.recipients;
  if (first === undefined) return laneOf(delivery);
  return laneOn(delivery, decide(first.mailbox, now), settings.policy.rules);
}
