/**
 * The embedded engine of the queue: seals on this side, stores in a database thread, keeps large bodies in files.
 * A body file is durable before its row, and is removed only after the row's delete has been committed.
 */
import { join } from "node:path";
import type { Delivery } from "../mail/delivery.ts";
import type { StsPolicyCache } from "../mail/sts-policy.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import { bodyFileName } from "./body-file.ts";
import { readBody } from "./body-reader.ts";
import { createFolderSync, type Disk, nodeDisk } from "./disk.ts";
import { createFreeSpace, type FreeSpace } from "./free-space.ts";
import { createIntake, type Intake } from "./intake.ts";
import type { StoreKeys } from "./key-ring.ts";
import { createKeyRotation, type KeyNews, type KeyRotation } from "./key-rotation.ts";
import { type FinishedMessage, type QueueStore, StoreError } from "./queue.ts";
import { createMessageKey, type MessageKey, sealCourse, sealDetail, unseal } from "./seal.ts";
import { checkMessageId, checkPart, openKeyRow, saidOf, toDelivery, toFinished } from "./sealed-rows.ts";
import type { HistoryStore } from "./history.ts";
import { createSealedHistory } from "./sealed-history.ts";
import { createPolicyCache } from "./policy-cache.ts";
import { createSpool } from "./spool.ts";
import type { Link } from "./sqlite-link.ts";
import type { DeliveryRow, GoneRow, HeaderRow, MessageRow } from "./sqlite-protocol.ts";
import { openStore, type OpenedStore } from "./sqlite-start.ts";
import { waitingOf } from "./waiting.ts";
import { createStoreCare, type StoreCare } from "./store-care.ts";
import type { StoreSettings } from "./settings.ts";

export interface SqliteQueueDeps {
  readonly settings: StoreSettings;
  readonly clock: Clock;
  readonly random: Random;
  /** Told of a delivery that was parked because its facts fail authentication. */
  readonly onDamaged?: (found: { readonly messageId: string; readonly deliveryId: string }) => void;
  /** Told how a rotation of the queue key goes on. */
  readonly onKeys?: (news: KeyNews) => void;
  readonly disk?: Disk;
}

/** The queue, and what else lies in its database. */
export interface EmbeddedStore extends QueueStore {
  readonly policies: StsPolicyCache;
  readonly history: HistoryStore;
  readonly keys: KeyRotation;
}

/** A lease of this process, and what seals the detail of its attempt. */
type Leases = Map<string, MessageKey>;

interface Parts {
  readonly deps: SqliteQueueDeps;
  readonly disk: Disk;
  readonly keys: StoreKeys;
  readonly link: Link;
  readonly leases: Leases;
  readonly space: FreeSpace;
  readonly care: StoreCare;
  readonly operations: Operations;
  readonly intake: Intake;
  readonly bodies: string;
  /** Damaged, leased, and still to be parked. */
  readonly damaged: Map<string, DeliveryRow>;
}

/** Rejects with StoreStartError; the store is then as it was. The caller holds the instance lock. */
export async function createSqliteQueue(deps: SqliteQueueDeps): Promise<EmbeddedStore> {
  const disk = deps.disk ?? nodeDisk;
  const { settings, clock } = deps;
  const leases: Leases = new Map();
  const log = { needs: 0 };
  const reserve = (): number => Math.max(settings.reserve, log.needs);
  const space = createFreeSpace({ disk, folder: settings.dataDir, reserve, clock });
  const opened = await openStore({ ...deps, disk, space, log, held: () => [...leases.keys()] });
  return assemble({ deps, disk, leases, space, opened });
}

function assemble(base: {
  deps: SqliteQueueDeps;
  disk: Disk;
  leases: Leases;
  space: FreeSpace;
  opened: OpenedStore;
}): EmbeddedStore {
  const { deps, disk, leases, space, opened } = base;
  const { link, keys, bodies } = opened;
  const maintain = (shrink: boolean): Promise<boolean> => link.call("maintain", { shrink });
  const care = createStoreCare({ clock: deps.clock, random: deps.random, disk, space, bodies, maintain });
  const onTaken = (id: string, messageKey: MessageKey): void => void leases.set(id, messageKey);
  const intake = createIntake({ disk, keys, random: deps.random, bodies, space, onTaken, doubt: opened.doubt });
  const operations = createOperations(care);
  const parts: Parts = { deps, disk, keys, link, leases, space, care, operations, intake, bodies, damaged: new Map() };
  const { onKeys = () => undefined, ...rest } = deps;
  const rotation = createKeyRotation({ ...rest, ...opened, onNews: onKeys });
  const syncBodies = createFolderSync(disk, bodies);
  const spoolDeps = { disk, space, bodies, syncBodies, onFailure: care.onFailure };
  return {
    openSpool: (messageId, part = 0) => {
      checkMessageId(messageId);
      checkPart(part);
      return createSpool(spoolDeps, createMessageKey(keys.ring.current(), messageId, deps.random, part), intake.spools);
    },
    reread: async (body) => {
      const { key: messageKey, length, sealed, messageId, part } = intake.spools.of(body);
      return readBody({ key: messageKey, length, from: sealed ?? join(bodies, bodyFileName(messageId, part)) }, disk);
    },
    enqueue: (message) =>
      operations.run(() =>
        intake.store([message], true, async ([row]) => {
          if (row !== undefined) await link.call("enqueue", row, handOver(row));
        }),
      ),
    dueDomains: (now, except, limit) => link.call("dueDomains", { now, except: [...except], limit }),
    nextDue: async (now) => (await link.call("nextDue", now)) ?? undefined,
    complete: (completion) => operations.run(() => complete(parts, completion)),
    park: (id, detail) =>
      operations.run(async () => {
        const messageKey = leases.get(id);
        if (messageKey === undefined) return;
        await link.call("park", { id, detail: sealDetail(messageKey, detail, deps.random) });
        leases.delete(id);
      }),
    ...contentOf(parts),
    ...waitingOf({
      keys,
      link,
      run: operations.run,
      take: (rows) => take(parts, rows),
      finish: (gone) => finish(parts, gone),
    }),
    policies: createPolicyCache(link, operations.run),
    history: createSealedHistory({
      key: keys.history,
      link,
      random: deps.random,
      run: operations.run,
      spare: space.enough,
      shred: async () => {
        if (!(await maintain(false))) care.shredSoon();
      },
    }),
    keys: rotation,
    stats: () => link.call("stats", null),
    usable: () => link.up() && care.healthy() && space.enough(),
    full: () => link.up() && care.healthy() && !space.enough(),
    close: async () => {
      await rotation.stop();
      await operations.finish();
      care.stop();
      await link.close();
    },
  };
}

/** Leased by the thread: opened, or parked where they cannot be. */
async function take(parts: Parts, rows: readonly DeliveryRow[]): Promise<readonly Delivery[]> {
  const { keys, leases, damaged } = parts;
  const readable = rows.flatMap((row) => {
    try {
      const { delivery, key: messageKey } = toDelivery(row, keys);
      leases.set(row.id, messageKey);
      return [delivery];
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      damaged.set(row.id, row);
      return [];
    }
  });
  // What cannot be parked now is parked by a later claim: those that can be read are leased and must be handed out.
  await parkDamaged(parts).catch(() => undefined);
  return readable;
}

async function parkDamaged({ deps, link, damaged }: Parts): Promise<void> {
  for (const [id, { messageId }] of damaged) {
    await link.call("park", { id, detail: null });
    damaged.delete(id);
    deps.onDamaged?.({ messageId, deliveryId: id });
  }
}

async function complete(
  parts: Parts,
  completion: Parameters<QueueStore["complete"]>[0],
): Promise<readonly FinishedMessage[]> {
  const { deps, link, leases, intake } = parts;
  const { deliveryId, ended, next, counts, notices, change } = completion;
  const messageKey = leases.get(deliveryId);
  const wait = next &&
    messageKey && { at: next.at, reason: next.reason, detail: sealDetail(messageKey, saidOf(next), deps.random) };
  const { course, ...times } = change ?? {};
  const changed = messageKey && {
    ...times,
    ...(course && { course: sealCourse(messageKey, deliveryId, JSON.stringify(course), deps.random) }),
  };
  const gone = await intake.store(notices, false, async (rows) =>
    messageKey === undefined
      ? null
      : link.call("complete", {
          deliveryId,
          ended,
          next: wait ?? null,
          counts,
          notices: rows,
          change: (change && changed) ?? null,
        }),
  );
  leases.delete(deliveryId);
  return finish(parts, gone ?? []);
}

/** After the commit: files can go, and what is left in the log must. */
async function finish({ keys, disk, bodies, care }: Parts, gone: readonly GoneRow[]): Promise<FinishedMessage[]> {
  if (gone.length > 0) care.shredSoon();
  for (const { filed, messageId } of gone) {
    // A file that stays is swept at the next start; without its key nobody can read it.
    for (const part of filed) await disk.remove(join(bodies, bodyFileName(messageId, part))).catch(() => undefined);
  }
  return gone.map((row) => toFinished(row, keys));
}

function contentOf({ keys, link, disk, bodies }: Parts): Pick<QueueStore, "header" | "body"> {
  const open = (row: HeaderRow, number: number): Buffer =>
    unseal(openKeyRow(row, keys), "header", row.header, { number, part: row.contentPart });
  return {
    header: async (messageId, content) => {
      const row = (await link.call("header", { messageId, content })) ?? missing(messageId);
      return open(row, content);
    },
    body: async (messageId, content) => {
      const row = (await link.call("body", { messageId, content })) ?? missing(messageId);
      open(row, content); // only the header proves which of the message's bodies goes with it
      const { stored } = row;
      if (stored === null) throw new StoreError("damaged", `A body of message ${messageId} is missing`);
      const from = stored.body ?? join(bodies, bodyFileName(messageId, stored.part));
      return readBody({ key: openKeyRow(stored, keys), length: stored.length, from }, disk);
    },
  };
}

/** What runs is finished before the store closes; a full disk is noticed wherever it shows, so that space is looked for. */
interface Operations {
  readonly run: <T>(operation: () => Promise<T>) => Promise<T>;
  /** Takes nothing new; resolves when what runs has ended. */
  readonly finish: () => Promise<unknown>;
}

function createOperations(care: StoreCare): Operations {
  const running = new Set<Promise<unknown>>();
  let closed = false;
  return {
    run: async (operation) => {
      if (closed) throw new StoreError("failed", "The queue is closed");
      const result = operation();
      running.add(result);
      try {
        return await result;
      } catch (error) {
        if (error instanceof StoreError && error.kind === "no-space") care.onFailure(error);
        throw error;
      } finally {
        running.delete(result);
      }
    },
    finish: () => {
      closed = true;
      return Promise.allSettled(running);
    },
  };
}

/** Memory that is handed to the thread rather than copied: only what nothing else shares. */
function handOver({ facts, header, body, variants, parts }: MessageRow): ArrayBuffer[] {
  const others = [...variants.map((variant) => variant.header), ...parts.map((part) => part.body)];
  return [facts, header, body, ...others].flatMap((bytes) => {
    const own = bytes?.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength;
    return own ? [bytes.buffer] : [];
  });
}

function missing(id: string): never {
  throw new StoreError("failed", `Message ${id} is not in the queue`);
}
