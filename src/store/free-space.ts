/**
 * Watches the free disk against the reserve. Measures at most once a second while there is plenty, and more often the
 * nearer the reserve is. What was written since the last measurement counts as gone, and what is being written, too.
 */
import type { Clock } from "../runtime/clock.ts";
import { type Disk, toStoreError } from "./disk.ts";
import { StoreError } from "./queue.ts";

export interface FreeSpace {
  /** Rejects with StoreError "no-space" below the reserve. */
  readonly demand: () => Promise<void>;
  /** Octets that are on their way to the disk until the returned function is called. */
  readonly hold: (octets: number) => () => void;
  /** By the last measurement; asks for a new one when that is old. */
  readonly enough: () => boolean;
  readonly measure: () => Promise<boolean>;
  /** Free octets at the last measurement. */
  readonly last: () => number;
}

const FRESH_MS = 1_000;
/** Measured again when this part of the room above the reserve has been written. */
const PART_OF_ROOM = 8;

export function createFreeSpace(deps: {
  readonly disk: Pick<Disk, "freeBytes">;
  readonly folder: string;
  /** Asked each time: the database's log may need more than was configured. */
  readonly reserve: () => number;
  readonly clock: Clock;
}): FreeSpace {
  let free = Number.POSITIVE_INFINITY;
  let spent = 0;
  let held = 0;
  let measuredAt = Number.NEGATIVE_INFINITY;
  let running: Promise<boolean> | undefined;
  const room = (): number => free - deps.reserve();
  const fresh = (): boolean => deps.clock.monotonic() - measuredAt < FRESH_MS;
  const read = async (): Promise<boolean> => {
    const before = spent;
    free = await deps.disk.freeBytes(deps.folder);
    spent -= before; // what was written meanwhile may or may not be in the figure: count it
    measuredAt = deps.clock.monotonic();
    return spent <= room();
  };
  const measure = (): Promise<boolean> => {
    running ??= read().finally(() => {
      running = undefined;
    });
    return running;
  };
  return {
    demand: async () => {
      if (fresh() && spent + held <= room() / PART_OF_ROOM) return;
      await measure().catch((error: unknown) => {
        throw toStoreError(error);
      });
      if (spent + held > room()) throw new StoreError("no-space", "Free disk is below queue.reserve");
    },
    hold: (octets) => {
      held += octets;
      return () => {
        held -= octets;
        spent += octets;
      };
    },
    enough: () => {
      if (!fresh()) measure().catch(() => undefined);
      return spent <= room();
    },
    measure,
    last: () => free,
  };
}
