/**
 * What the store does by itself: empties the database's log soon after messages are gone, gives free pages back while
 * space is short, and finds out that a full or failing disk works again. Recovery never depends on new mail.
 */
import { join } from "node:path";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import type { Disk } from "./disk.ts";
import type { FreeSpace } from "./free-space.ts";
import type { StoreError } from "./queue.ts";

export interface StoreCare {
  /** False while the disk has failed and has not been seen to work again. */
  readonly healthy: () => boolean;
  readonly onFailure: (error: StoreError) => void;
  /** Messages have been deleted: what is left of them in the log must go. */
  readonly shredSoon: () => void;
  readonly stop: () => void;
}

const SHRED_MS = 250;
const RETRY_MS = 1_000;

export function createStoreCare(deps: {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly space: FreeSpace;
  readonly bodies: string;
  /** Empties the log; false when it must be tried again. */
  readonly maintain: (shrink: boolean) => Promise<boolean>;
}): StoreCare {
  let failed = false;
  let unshredded = false;
  let short = false;
  let stopped = false;
  let cancel: (() => void) | undefined;

  const soon = (ms: number): void => {
    if (stopped || cancel !== undefined) return;
    cancel = deps.clock.after(ms, () => {
      run()
        .catch(() => undefined) // what fails here is seen by the next call for mail, and tried again
        .finally(() => {
          cancel = undefined;
          if (failed || unshredded || short) soon(RETRY_MS);
        });
    });
  };
  const run = async (): Promise<void> => {
    if (unshredded || short) {
      const again = unshredded;
      unshredded = false;
      const done = await deps.maintain(short).catch(() => false);
      unshredded ||= again && !done;
    }
    if (short) short = !(await deps.space.measure());
    if (failed) {
      await probe(deps);
      failed = false;
    }
  };

  return {
    healthy: () => !failed,
    onFailure: (error) => {
      if (error.kind === "no-space") short = true;
      else failed = true;
      soon(RETRY_MS);
    },
    shredSoon: () => {
      unshredded = true;
      soon(SHRED_MS);
    },
    stop: () => {
      stopped = true;
      cancel?.();
    },
  };
}

/** Writes and syncs a file of its own; a file that once failed to sync is never synced again. */
async function probe({ disk, bodies, random }: { disk: Disk; bodies: string; random: Random }): Promise<void> {
  const path = join(bodies, `probe-${random.bytes(8).toString("hex")}`);
  const file = await disk.create(path);
  try {
    await file.append([new Uint8Array(4096)]);
    await file.datasync();
  } finally {
    await file.close();
    await disk.remove(path);
  }
  await disk.syncFolder(bodies);
}
