/**
 * Furnishes the house: creates each room with what it needs of the others, and reloads them together. What is in
 * force is one snapshot, read through a function by whoever needs it, and replaced whole.
 */
import { createAlarmMail } from "./alarm-mail.ts";
import { type Bound, createListeners, type Listeners } from "./accept/listener.ts";
import type { Loaded, Problem, Settings } from "./config/settings.ts";
import { applyRules } from "./decide/rules.ts";
import { createExceptionWatch, type ExceptionWatch } from "./exceptions.ts";
import { reply } from "./mail/smtp-reply.ts";
import { createOutgoing, type Outgoing, textOf } from "./outgoing.ts";
import { ownAddresses } from "./own-addresses.ts";
import { createReceive } from "./receive.ts";
import type { Emit } from "./report/events.ts";
import type { Log } from "./report/log.ts";
import type { Clock } from "./runtime/clock.ts";
import { createMemoryRelief } from "./runtime/memory-relief.ts";
import type { Random } from "./runtime/random.ts";
import { needsRestart, policyChanges, type Snapshot, snapshotOf } from "./snapshot.ts";
import { createTreatments, type Treatments } from "./treatments.ts";
import { createFreshContent } from "./store/fresh-content.ts";
import type { QueueFilter } from "./store/queue.ts";
import type { EmbeddedStore } from "./store/sqlite-queue.ts";

export interface HouseDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Pick<Log, "use" | "reopen">;
  readonly emit: Emit;
  readonly queue: EmbeddedStore;
  readonly settings: Settings;
  /** Maps inner Message-IDs to outer ones and back. */
  readonly messageIdKey: Buffer;
  readonly loadConfig: (generation: number) => Promise<Loaded>;
}

export interface House {
  readonly outgoing: Outgoing;
  readonly listeners: Listeners;
  readonly snapshot: () => Snapshot;
  /** Loads the configuration anew, whole or not at all; answers with the problems that kept the old one in force. */
  readonly reload: () => Promise<readonly string[]>;
  /** Binds the listeners. Rejects with the system's error when one cannot be bound. */
  readonly open: () => Promise<readonly Bound[]>;
  /** Takes nothing new, finishes what is in hand within `graceMs`, cuts the rest. */
  readonly close: (graceMs: number) => Promise<void>;
}

/** Bodies of fresh small messages kept until their first attempt has ended. */
const FRESH_BYTES = 64 * 1024 * 1024;
/** Content that passes between two collections. */
const RELIEF_BYTES = 8 * 1024 * 1024;

export function furnish(deps: HouseDeps): House {
  const { clock, random, queue, settings } = deps;
  let current = snapshotOf(settings);
  let bound: readonly Bound[] = [];
  const stopping = new AbortController();
  const fresh = createFreshContent(FRESH_BYTES);
  const passed = createMemoryRelief(RELIEF_BYTES);
  const snapshot = (): Snapshot => current;
  const alarms = createAlarmMail({ ...deps, snapshot, queued: () => outgoing.dispatcher.wake() });
  const { emit } = alarms;
  const isOwn = ownAddresses({
    hostname: () => current.settings.hostname,
    mxPort: () => current.settings.delivery.port,
    bound: () => bound,
  });
  const shared = { clock, random, queue, policies: queue.policies, fresh, snapshot, isOwn, emit };
  const outgoing = createOutgoing({ ...shared, passed, treatments: () => treatments, stopping: stopping.signal });
  const treatments: Treatments = createTreatments({ ...deps, emit, snapshot, resolver: outgoing.resolver });
  const receive = createReceive({
    clock,
    random,
    hostname: () => current.settings.hostname,
    queue,
    policy: () => {
      const { decide, settings } = current;
      const { policy, delayNoticesMs } = settings;
      const { rules, bounceLifetimeMs } = policy;
      return {
        outbound: decide,
        ruled: (message) => applyRules(policy, message),
        rules,
        bounceLifetimeMs,
        delayNoticesMs,
      };
    },
    treat: treatments.treat,
    dispatcher: outgoing.dispatcher,
    passed,
    remember: fresh.remember,
    emit,
  });
  const exceptions = createExceptionWatch({ clock, snapshot, emit });
  const listeners = createListeners({
    clock,
    random,
    settings: settings.accept,
    receive,
    decideRecipient: (recipient) => (current.decide(recipient, clock.now()).permitted ? undefined : NOT_PERMITTED),
    usable: queue.usable,
    full: queue.full,
    emit,
  });
  const use = (next: Snapshot): void => {
    current = next;
  };
  return {
    outgoing,
    listeners,
    snapshot,
    reload: serially(async () => {
      try {
        return await reload(deps, { outgoing, listeners, exceptions, treatments, snapshot, use });
      } catch (error) {
        emit("error", { kind: "reload", detail: textOf(error) });
        return ["The reload broke off with a fault of this gateway: see the error event in its log"];
      }
    }),
    open: async () => {
      const places = await listeners.listen();
      bound = places;
      exceptions.look();
      treatments.look();
      outgoing.start();
      return places;
    },
    close: async (graceMs) => {
      const cancel = clock.after(graceMs, () => stopping.abort());
      await Promise.all([listeners.stop(graceMs), outgoing.dispatcher.stop()]);
      cancel();
      exceptions.stop();
      treatments.stop();
      stopping.abort();
      await outgoing.close();
      await alarms.ended();
    },
  };
}

const NOT_PERMITTED = reply(550, "7.1", "Mail to this destination is not permitted here");

interface InForce extends Pick<House, "outgoing" | "listeners" | "snapshot"> {
  readonly exceptions: ExceptionWatch;
  readonly treatments: Treatments;
  readonly use: (next: Snapshot) => void;
}

async function reload(deps: HouseDeps, house: InForce): Promise<readonly string[]> {
  const before = house.snapshot().settings;
  const loaded = await deps.loadConfig(before.policy.generation + 1);
  const problems = (loaded.ok ? apply(deps, house, loaded.settings) : loaded.problems).map(formatProblem);
  if (problems.length > 0 || !loaded.ok) {
    deps.emit("config.refused", { problems });
    return problems;
  }
  const { settings } = loaded;
  const { generation } = settings.policy;
  deps.log.use(settings.log);
  house.outgoing.pool.empty();
  house.exceptions.look();
  house.treatments.look();
  const { partners, moved } = policyChanges(before, settings);
  for (const partner of partners) deps.emit("policy.changed", { partner, generation });
  // What waits under rules that were corrected is due now. The queue knows a delivery by the partner it had when it
  // came: where recipients moved between policies, nobody can say which, so all is tried.
  if (moved) await makeDue(deps, {});
  else for (const partner of partners) if (partner !== null) await makeDue(deps, { partner });
  house.outgoing.dispatcher.reopen();
  deps.emit("config.reloaded", { generation, files: settings.files.length });
  return [];
}

/** The new rules are in force already; where the queue fails now, its mail keeps its schedule. */
async function makeDue({ queue, clock, emit }: HouseDeps, filter: QueueFilter): Promise<void> {
  await queue.retry(filter, clock.now()).catch((error: unknown) => {
    emit("error", { kind: "reload", detail: textOf(error) });
  });
}

/** Puts new settings in force; a problem leaves everything as it was. */
function apply(deps: HouseDeps, house: InForce, settings: Settings): readonly Problem[] {
  const at = { file: settings.file, line: 1, column: 1 };
  const fixed = needsRestart(deps.settings, settings);
  if (fixed.length > 0)
    return fixed.map((key) => ({
      ...at,
      message: `${key} cannot change while the gateway runs`,
      remedy: "restart it, or write the old value",
    }));
  const listening = house.listeners.reload(settings.accept);
  if (!listening.ok) {
    const message = `listener ${listening.listener}: ${listening.detail}`;
    return [{ ...at, message, remedy: "correct its certificate or address" }];
  }
  house.use(snapshotOf(settings));
  return [];
}

/** `file:line:column: what is wrong; what to write instead` */
export function formatProblem({ file, line, column, message, remedy }: Problem): string {
  return `${file}:${line}:${column}: ${message}; ${remedy}`;
}

/** One run after another, however often it is called. */
function serially<T>(run: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const next = last.then(run, run);
    last = next.catch(() => undefined);
    return next;
  };
}
