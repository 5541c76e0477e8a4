/**
 * What a person does to mail one delivery at a time, each under a lease: ends it with a failure notice to its sender, or
 * gives it another way. A lease is given back whatever happens; nobody ends without the notice in the same transaction.
 */
import type { Delivery } from "../mail/delivery.ts";
import type { Recipient } from "../mail/envelope.ts";
import type { NextHop } from "../mail/next-hop.ts";
import { problem, type Problem } from "../mail/outcome.ts";
import type { Emit, Events } from "../report/events.ts";
import type { FinishedMessage, NewMessage, QueueFilter, QueueStore } from "../store/queue.ts";

/** A recipient that a person ends. */
export interface Bounced {
  readonly recipient: Recipient;
  readonly end: "failed";
  readonly problem: Problem<"failed">;
}

/** A notice ready to be stored, and what is logged once it is. */
export interface Notice {
  readonly message: NewMessage;
  readonly told: Events["notice.queued"];
}

export interface SeizeDeps {
  readonly queue: Pick<QueueStore, "seize" | "complete">;
  /** Rejects with StoreError when a notice cannot be stored now. */
  readonly failureNotices: (delivery: Delivery, badly: readonly Bounced[]) => Promise<readonly Notice[]>;
  /** What a delivery on this course is claimed by, under the policy of now. */
  readonly laneOf: (delivery: Delivery) => string;
  readonly emit: Emit;
}

const BATCH = 100;

/** Each match in whatever state, but leased, oldest first. What is taken and not asked for, or breaks off, is given back. */
async function* seized(queue: SeizeDeps["queue"], filter: QueueFilter): AsyncGenerator<Delivery> {
  const taken: Delivery[] = [...(await queue.seize(filter, BATCH))];
  let last = taken.at(-1);
  try {
    while (last !== undefined) {
      // While the last one is ours it marks the place where the next batch begins; afterwards it may be gone.
      const more = await queue.seize({ ...filter, after: last.id }, BATCH);
      const until = taken.length;
      taken.push(...more);
      for (let at = 0; at < until; at += 1) {
        const [next] = taken;
        if (next === undefined) return;
        yield next;
        taken.shift();
      }
      last = more.at(-1);
    }
  } finally {
    // Without a next time it is as it was before; a lease that has ended already stays ended.
    for (const delivery of taken) await giveBack(queue, delivery);
  }
}

async function giveBack(queue: SeizeDeps["queue"], { id }: Delivery): Promise<void> {
  const back = { deliveryId: id, ended: [], counts: false, notices: [] };
  await queue.complete(back).catch(() => undefined); // the store fails: it is void at the next start
}

const BOUNCED = problem("failed", "bounced", "The administrator of this gateway has ended the delivery");

/** `done` is called for each. */
export async function bounceEach(deps: SeizeDeps, filter: QueueFilter, done: () => void): Promise<void> {
  const made = new Set<string>(); // of one long bounce, the first notices would be met by its end
  for await (const delivery of seized(deps.queue, filter)) {
    if (made.has(delivery.message.id)) {
      await giveBack(deps.queue, delivery);
      continue;
    }
    const badly = delivery.recipients.map((recipient) => ({ recipient, end: "failed", problem: BOUNCED }) as const);
    const notices = await deps.failureNotices(delivery, badly);
    const finished = await deps.queue.complete({
      deliveryId: delivery.id,
      ended: delivery.recipients.map(({ position }) => ({ position, end: "failed" })),
      counts: false,
      notices: notices.map(({ message }) => message),
    });
    for (const { told } of notices) {
      made.add(told.queueId);
      deps.emit("notice.queued", told);
    }
    tellFinished(deps.emit, finished);
    done();
  }
}

/** `route` undefined: the policy's own way again. What is held stays held. `done` is told the lane of each. */
export async function rerouteEach(
  deps: SeizeDeps,
  filter: QueueFilter,
  route: NextHop | undefined,
  done: (lane: string) => void,
): Promise<void> {
  for await (const delivery of seized(deps.queue, filter)) {
    const { route: _, ...kept } = delivery.course ?? {};
    const course = { ...kept, ...(route && { route }) };
    const lane = deps.laneOf({ ...delivery, course });
    const change = { course, lane };
    await deps.queue.complete({ deliveryId: delivery.id, ended: [], counts: false, notices: [], change });
    done(lane);
  }
}

export function tellFinished(emit: Emit, finished: readonly FinishedMessage[]): void {
  for (const { id, recipients } of finished) {
    const outcome = recipients.map(({ address, end }) => ({ recipient: address, end }));
    emit("message.finished", { queueId: id, outcome, shredded: true });
  }
}
