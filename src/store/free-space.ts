/**
 * Watches the free disk against the reserve. Measures at most once a second while there is plenty, and at each
 * question near the reserve; what was written since the last measurement counts as gone.
 */
import type { Clock } from "../runtime/clock.ts";
import { type Disk, toStoreError } from "./disk.ts";
import { StoreError } from "./queue.ts";

export interface FreeSpace {
  /** Rejects with StoreError "no-space" below the reserve. */
  readonly demand: () => Promise<void>;
  /** Octets on their way to the disk. */
  readonly spend: (octets: number) => void;
  /** By the last measurement; asks for a new one when that is old. */
  readonly enough: () => boolean;
  readonly measure: () => Promise<boolean>;
  /** Free octets at the last measurement. */
  readonly last: () => number;
}

const FRESH_MS = 1_000;

export function createFreeSpace(deps: {
  readonly disk: Pick<Disk, "freeBytes">;
  readonly folder: string;
  readonly reserve: number;
  readonly clock: Clock;
}): FreeSpace {
  let free = Number.POSITIVE_INFINITY;
  let spent = 0;
  let measuredAt = Number.NEGATIVE_INFINITY;
  let running: Promise<boolean> | undefined;
  const above = (): boolean => free - spent >= deps.reserve;
  const fresh = (): boolean => deps.clock.monotonic() - measuredAt < FRESH_MS;
  const read = async (): Promise<boolean> => {
    const before = spent;
    const octets = await deps.disk.freeBytes(deps.folder);
    free = octets;
    spent -= before; // what was spent meanwhile may or may not be in the figure: count it
    measuredAt = deps.clock.monotonic();
    return above();
  };
  const measure = (): Promise<boolean> => {
    running ??= read().finally(() => {
      running = undefined;
    });
    return running;
  };
  return {
    demand: async () => {
      if (fresh() && above()) return;
      const enough = await measure().catch((error: unknown) => {
        throw toStoreError(error);
      });
      if (!enough) throw new StoreError("no-space", "Free disk is below queue.reserve");
    },
    spend: (octets) => {
      spent += octets;
    },
    enough: () => {
      if (!fresh()) measure().catch(() => undefined);
      return above();
    },
    measure,
    last: () => free,
  };
}
