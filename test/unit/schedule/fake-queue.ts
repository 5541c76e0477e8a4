/** The queue as far as the dispatcher sees it, in memory, with the semantics of the port. */
import type { Delivery } from "../../../src/mail/delivery.ts";
import type { DispatcherDeps } from "../../../src/schedule/dispatcher.ts";
import { type Completion, StoreError } from "../../../src/store/queue.ts";

export interface Row {
  readonly id: string;
  readonly domain: string;
  at: number;
  leased: boolean;
  attempts: number;
  expiresAt: number;
  noticeAt: number;
  reason?: string;
}

export const NEVER = 1e15;

export const row = (id: string, domain = "acme.example", at = 0, more: Partial<Row> = {}): Row => ({
  id,
  domain,
  at,
  leased: false,
  attempts: 0,
  expiresAt: NEVER,
  noticeAt: NEVER,
  ...more,
});

export const many = (count: number, domain: string, more: Partial<Row> = {}): Row[] =>
  Array.from({ length: count }, (_, index) => row(`${domain}${index}`, domain, 0, more));

export type FakeQueue = DispatcherDeps["queue"];

/** `rows` in the order in which they were stored. `calls` counts what was asked of it. */
export function fakeQueue(rows: Row[]) {
  const calls: Record<string, number> = {};
  const shifts: number[] = [];
  const store = { failures: 0, claimMs: 0, passed: (ms: number): unknown => ms };
  /** Answers later, as a store does; fails as often as it is told to. */
  const answer = async <T>(name: string, value: () => T): Promise<T> => {
    calls[name] = (calls[name] ?? 0) + 1;
    await Promise.resolve();
    return value();
  };
  const change = <T>(name: string, value: () => T): Promise<T> =>
    answer(name, () => {
      if (store.failures === 0) return value();
      store.failures -= 1;
      throw new StoreError("failed", "the database is down");
    });
  const waiting = (): Row[] => rows.filter(({ leased }) => !leased);
  const lease = (found: Row[], limit: number): Delivery[] =>
    found.slice(0, limit).map((one) => {
      one.leased = true;
      const { id, domain, expiresAt, attempts } = one;
      return { id, domain, expiresAt, attempts, content: 0, message: FACTS, recipients: RECIPIENTS };
    });
  const queue: FakeQueue = {
    dueDomains: (now, except, limit) =>
      answer("dueDomains", () => {
        const due = new Map<string, number>();
        for (const { leased, at, domain } of rows)
          if (!leased && at <= now && !except.has(domain)) due.set(domain, Math.min(at, due.get(domain) ?? at));
        return [...due]
          .toSorted(([, a], [, b]) => a - b)
          .slice(0, limit)
          .map(([domain]) => domain);
      }),
    nextDue: (now) =>
      answer("nextDue", () => {
        let next = NEVER;
        for (const { leased, at, noticeAt } of rows) {
          if (leased) continue;
          if (at > now && at < next) next = at;
          if (noticeAt > now && noticeAt < next) next = noticeAt;
        }
        return next === NEVER ? undefined : next;
      }),
    claim: (domain, now, limit) =>
      change("claim", () => {
        const found = waiting().filter((one) => one.domain === domain && one.at <= now);
        store.passed(store.claimMs);
        return lease(
          found.toSorted((a, b) => a.at - b.at),
          limit,
        );
      }),
    claimExpired: (domain, now, limit) =>
      change("claimExpired", () => {
        const found = waiting().filter((one) => one.domain === domain && one.at <= now && one.expiresAt <= now);
        return lease(
          found.toSorted((a, b) => a.expiresAt - b.expiresAt),
          limit,
        );
      }),
    claimNotices: (now, limit) =>
      change("claimNotices", () =>
        lease(
          waiting().filter((one) => one.noticeAt <= now),
          limit,
        ),
      ),
    complete: (completion) => change("complete", () => complete(rows, completion)),
    postpone: (lanes, { now, until, reason }) =>
      change("postpone", () => {
        const found = waiting().filter(
          ({ domain, at, expiresAt }) => lanes.includes(domain) && at <= now && expiresAt > now,
        );
        for (const one of found)
          Object.assign(one, { attempts: one.attempts + 1, at: Math.min(until, one.expiresAt), reason });
        return found.length;
      }),
    hasten: (lanes, now, reasons) =>
      change("hasten", () => {
        const found = waiting().filter(({ domain, at }) => lanes.includes(domain) && at > now);
        for (const one of found) if (reasons.some((reason) => reason === one.reason)) one.at = now;
        return found.length;
      }),
    shiftClock: (ms, latest) =>
      change("shiftClock", () => {
        shifts.push(ms);
        for (const one of rows) {
          one.expiresAt = Math.min(one.expiresAt + ms, latest);
          one.noticeAt += ms;
        }
      }),
    retry: (_, now) =>
      change("retry", () => {
        for (const one of waiting()) one.at = now;
        return rows.length;
      }),
  };
  return { queue, calls, shifts, store };
}

function complete(rows: Row[], { deliveryId, ended, next, counts, change }: Completion): [] {
  const index = rows.findIndex(({ id }) => id === deliveryId);
  const found = rows[index];
  if (found === undefined) return [];
  if (ended.length > 0) rows.splice(index, 1);
  found.leased = false;
  if (counts) found.attempts += 1;
  if (next !== undefined) Object.assign(found, { at: next.at, reason: next.reason });
  if (change?.noticeAt !== undefined) found.noticeAt = change.noticeAt ?? NEVER;
  return [];
}

const FACTS = { envelope: { mail: { requireTls: false } } } as Delivery["message"];
const RECIPIENTS = [{ position: 0 }] as unknown as Delivery["recipients"];
