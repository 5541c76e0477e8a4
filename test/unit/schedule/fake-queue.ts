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
  const complete = createCompletion(rows);
  const inLane = createLanes(rows);
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
        const found = inLane(domain).filter((one) => one.at <= now);
        store.passed(store.claimMs);
        return lease(
          found.toSorted((a, b) => a.at - b.at),
          limit,
        );
      }),
    claimExpired: (domain, now, limit) =>
      change("claimExpired", () => {
        const found = inLane(domain).filter((one) => one.at <= now && one.expiresAt <= now);
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
    complete: (completion) => change("complete", () => complete(completion)),
    postpone: (lanes, { now, until, reason }) =>
      change("postpone", () => {
        const found = lanes.flatMap(inLane).filter(({ at, expiresAt }) => at <= now && expiresAt > now);
        for (const one of found)
          Object.assign(one, { attempts: one.attempts + 1, at: Math.min(until, one.expiresAt), reason });
        return found.length;
      }),
    hasten: (lanes, now, reasons) =>
      change("hasten", () => {
        const found = lanes.flatMap(inLane).filter(({ at }) => at > now);
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

/** What waits in a lane; sorted into lanes anew when rows have come or gone. */
function createLanes(rows: Row[]): (lane: string) => Row[] {
  const lanes = new Map<string, Row[]>();
  let sorted = -1;
  return (lane) => {
    if (rows.length < 1_000) return rows.filter(({ domain, leased }) => domain === lane && !leased);
    if (sorted !== rows.length) {
      lanes.clear();
      for (const { domain } of rows) lanes.set(domain, []);
      for (const one of rows) lanes.get(one.domain)?.push(one);
      sorted = rows.length;
    }
    return (lanes.get(lane) ?? []).filter(({ leased }) => !leased);
  };
}

/** Looks up by id, and forgets what is gone in batches: the simulations have thousands of rows. */
function createCompletion(rows: Row[]): (completion: Completion) => [] {
  const byId = new Map<string, Row>();
  const gone = new Set<Row>();
  return ({ deliveryId, ended, next, counts, change }) => {
    if (!byId.has(deliveryId)) for (const one of rows) byId.set(one.id, one);
    const found = byId.get(deliveryId);
    if (found === undefined || gone.has(found)) return [];
    if (counts) found.attempts += 1;
    if (next !== undefined) Object.assign(found, { at: next.at, reason: next.reason });
    if (change?.noticeAt !== undefined) found.noticeAt = change.noticeAt ?? NEVER;
    if (ended.length === 0) found.leased = false;
    else gone.add(found); // and leased, so that nobody finds it
    if (gone.size * 10 < rows.length) return [];
    rows.splice(0, rows.length, ...rows.filter((one) => !gone.has(one)));
    for (const { id } of gone) byId.delete(id);
    gone.clear();
    return [];
  };
}

const FACTS = { envelope: { mail: { requireTls: false } } } as Delivery["message"];
const RECIPIENTS = [{ position: 0 }] as unknown as Delivery["recipients"];
