/**
 * Slows down and cuts off guessing of passwords. Failures are counted per address block, so a new session does not
 * start anew, and forgotten after a while. Never tells whether a user exists.
 */
import type { Clock } from "../runtime/clock.ts";
import { addressBlock } from "./networks.ts";

export interface GuessLimit {
  /** True while this block has used up its tries; no password is looked at then. */
  readonly isCut: (address: string) => boolean;
  /** Counts one failure and resolves when the answer may be given. */
  readonly failed: (address: string) => Promise<void>;
  readonly succeeded: (address: string) => void;
}

const MOST_FAILURES = 10;
const REMEMBERED_MS = 10 * 60_000;
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 5_000;
const MOST_BLOCKS = 10_000;

export function createGuessLimit(clock: Clock): GuessLimit {
  const blocks = new Map<string, { failures: number; last: number }>();
  const current = (address: string): number => {
    const block = blocks.get(addressBlock(address));
    return block === undefined || clock.monotonic() - block.last > REMEMBERED_MS ? 0 : block.failures;
  };
  return {
    isCut: (address) => current(address) >= MOST_FAILURES,
    failed: (address) => {
      const failures = current(address) + 1;
      const key = addressBlock(address);
      blocks.delete(key); // keeps the map in order of the last failure
      blocks.set(key, { failures, last: clock.monotonic() });
      for (const oldest of blocks.keys()) {
        if (blocks.size <= MOST_BLOCKS) break;
        blocks.delete(oldest);
      }
      return clock.sleep(Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1)));
    },
    succeeded: (address) => void blocks.delete(addressBlock(address)),
  };
}
