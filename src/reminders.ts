/**
 * Delay notices: the sender is told that mail waits, once for each step of `queue.delay_notices`. A notice is stored with
 * the fact that it went out, in one transaction, so that no crash loses or doubles one. The delivery itself stays as it is.
 */
import { type Delivery, delayNoticesOf } from "./mail/delivery.ts";
import type { Notices, StoredNotice } from "./notices.ts";
import type { Clock } from "./runtime/clock.ts";
import type { QueueStore } from "./store/queue.ts";

export interface RemindersDeps {
  readonly clock: Pick<Clock, "now">;
  readonly queue: Pick<QueueStore, "complete">;
  /** Ages at which a sender is told, ms, ascending. */
  readonly delayNoticesMs: () => readonly number[];
  readonly delayed: Notices["delayed"];
  /** They are stored. */
  readonly queued: (notices: readonly StoredNotice[]) => void;
}

/** Tells of one delivery whose notice is due and whose lease is ours. When it rejects nothing was stored, and the lease is the caller's. */
export function createRemind(deps: RemindersDeps): (delivery: Delivery) => Promise<void> {
  return async (delivery) => {
    const now = deps.clock.now();
    const steps = deps.delayNoticesMs();
    const sent = delayNoticesOf(delivery);
    const isOwed = sent < steps.length && now < delivery.expiresAt;
    const { expiresAt, message } = delivery;
    const notices = isOwed ? await deps.delayed(delivery, delivery.expiresAt) : [];
    const told = isOwed ? sent + 1 : sent;
    await deps.queue.complete({
      deliveryId: delivery.id,
      ended: [],
      counts: false,
      notices: notices.map(({ message }) => message),
      change: {
        course: { ...delivery.course, delayNotices: told },
        noticeAt: isOwed ? noticeAfter(told, { steps, now, receivedAt: message.receivedAt, expiresAt }) : null,
      },
    });
    if (notices.length > 0) deps.queued(notices);
  };
}

export interface Waiting {
  /** Ages, ms, ascending. */
  readonly steps: readonly number[];
  /** Epoch ms, as the others. */
  readonly receivedAt: number;
  readonly expiresAt: number;
  readonly now: number;
}

/**
 * When the next notice is due after `sent` of them; null: never. Steps that have passed meanwhile are left out: after a
 * long stop one notice is enough. What is about to end is told of by its end.
 */
export function noticeAfter(sent: number, { steps, receivedAt, expiresAt, now }: Waiting): number | null {
  const next = steps.slice(sent).find((age) => receivedAt + age > now);
  if (next === undefined || receivedAt + next >= expiresAt) return null;
  return receivedAt + next;
}
