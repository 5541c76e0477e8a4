/** Randomness as a parameter: ids and keys from the operating system's generator, jitter from a fraction. */
import { randomBytes, randomInt } from "node:crypto";

export interface Random {
  readonly bytes: (length: number) => Buffer;
  /** Uniform in [0, 1). */
  readonly fraction: () => number;
}

export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  fraction: () => randomInt(0x1_0000_0000) / 0x1_0000_0000,
};
