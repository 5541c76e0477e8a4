/**
 * Takes a body while it arrives: seals it in records, keeps a small one in memory and writes a larger one to a file.
 * Holds at most two records in memory. What it leaves on disk is durable after `end`, and gone after `discard`.
 */
import { join } from "node:path";
import { bodyFileName } from "./body-file.ts";
import { type Disk, toStoreError, type WritableFile } from "./disk.ts";
import type { FreeSpace } from "./free-space.ts";
import type { SealedBody, Spool, StoreError } from "./queue.ts";
import { joined, type MessageKey, RECORD_BYTES, sealRecord, TAG_BYTES } from "./seal.ts";

/** Larger bodies go to files: two whole records stay in the database. */
const LARGEST_IN_DATABASE = 2 * RECORD_BYTES;
const FIRST_BUFFER = 8 * 1024;
/** Free disk is looked at again after each of so many records. */
const RECORDS_PER_CHECK = 16;

export interface SpoolDeps {
  readonly disk: Disk;
  readonly space: FreeSpace;
  readonly bodies: string;
  /** Makes the name of a new body durable. */
  readonly syncBodies: () => Promise<void>;
  /** Told of each failure, so that the store can stop accepting until the disk works again. */
  readonly onFailure: (error: StoreError) => void;
}

/** A body that is complete. `sealed` is absent when it lies in a file. */
export interface SpooledBody extends SealedBody {
  readonly key: MessageKey;
  readonly sealed: Buffer | undefined;
}

/** `onEnd` is told what belongs to the SealedBody it hands out; after `taken` a discard has no effect, else `onDiscard` is told. */
export function createSpool(
  deps: SpoolDeps,
  key: MessageKey,
  register: {
    readonly onEnd: (body: SpooledBody) => void;
    readonly taken: (body: SealedBody) => boolean;
    readonly onDiscard: (body: SealedBody) => void;
  },
): Spool {
  const path = join(deps.bodies, bodyFileName(key.messageId, key.part));
  let pending = Buffer.allocUnsafeSlow(FIRST_BUFFER);
  let filled = 0;
  let length = 0;
  let records = 0;
  let kept: Buffer[] = [];
  let file: WritableFile | undefined;
  let created = false;
  let ended: SpooledBody | undefined;
  let over = false;

  const take = (chunk: Buffer, from: number): number => {
    const count = Math.min(chunk.length - from, RECORD_BYTES - filled);
    if (filled + count > pending.length) {
      const size = Math.min(RECORD_BYTES, Math.max(pending.length * 2, filled + count));
      const larger = Buffer.allocUnsafeSlow(size);
      pending.copy(larger, 0, 0, filled);
      pending = larger;
    }
    chunk.copy(pending, filled, from, from + count);
    filled += count;
    length += count;
    return count;
  };
  const sealPending = async (last: boolean): Promise<void> => {
    const place = { stream: "body", record: records, last } as const;
    const parts = sealRecord(key, place, pending.subarray(0, filled));
    records += 1;
    filled = 0;
    if (file === undefined && (last ? length : length + 1) <= LARGEST_IN_DATABASE) kept.push(...parts);
    else await write(parts);
  };
  const write = async (parts: readonly Buffer[]): Promise<void> => {
    if (records % RECORDS_PER_CHECK === 0 || file === undefined) await deps.space.demand();
    file ??= await deps.disk.create(path);
    created = true;
    const all = [...kept, ...parts];
    kept = [];
    const written = deps.space.hold(all.reduce((sum, part) => sum + part.length, 0));
    await file.append(all).finally(written);
    for (const part of all) release(part);
  };
  const close = async (): Promise<void> => {
    const open = file;
    file = undefined;
    await open?.close();
  };
  const end = async (): Promise<SpooledBody> => {
    await sealPending(true);
    const body = { messageId: key.messageId, part: key.part, length, key };
    if (file === undefined) return { ...body, sealed: joined(kept) };
    await file.datasync();
    await close();
    await deps.syncBodies();
    return { ...body, sealed: undefined };
  };
  const drop = async (): Promise<void> => {
    kept = [];
    pending = Buffer.alloc(0);
    await close().catch(() => undefined);
    if (!created) return;
    created = false;
    await deps.disk.remove(path).catch(() => undefined); // else swept at the next start
  };
  const guarded = async <T>(step: () => Promise<T>): Promise<T> => {
    if (over || ended !== undefined) throw new TypeError("This spool has ended");
    try {
      return await step();
    } catch (error) {
      over = true; // after a failed write or sync nothing more is tried on this file
      await drop();
      const failure = toStoreError(error);
      deps.onFailure(failure);
      throw failure;
    }
  };

  return {
    write: (chunk) =>
      guarded(async () => {
        for (let from = 0; from < chunk.length; ) {
          if (filled === RECORD_BYTES) await sealPending(false);
          from += take(chunk, from);
        }
      }),
    end: () =>
      guarded(async () => {
        const body = await end();
        ended = body;
        kept = [];
        pending = Buffer.alloc(0);
        register.onEnd(body);
        return body;
      }),
    discard: async () => {
      if (ended !== undefined && register.taken(ended)) return;
      over = true;
      if (ended !== undefined) register.onDiscard(ended); // its file goes: it must never be stored
      await drop();
    },
  };
}

/** Gives the memory back at once: garbage collection alone lets a fast writer grow by tens of MiB. */
function release(part: Buffer): void {
  if (part.length > TAG_BYTES && part.byteLength === part.buffer.byteLength && part.buffer instanceof ArrayBuffer) {
    part.buffer.transfer(0);
  }
}
