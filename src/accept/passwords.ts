/**
 * Password hashes of the users file (config/users.ts reads it): `scrypt:N:r:p:SALT:HASH`, RFC 7914. A password is
 * never stored or logged, and an unknown name costs what a known one costs.
 */
import { scrypt, timingSafeEqual } from "node:crypto";
import type { Random } from "../runtime/random.ts";
import type { User } from "./settings.ts";

interface Hash {
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
  readonly salt: Buffer;
  readonly key: Buffer;
}

function parseHash(text: string): Hash | undefined {
  const match =
    /^scrypt:(\d{1,8}):(\d{1,3}):(\d{1,3}):([A-Za-z0-9+/]{8,128}={0,2}):([A-Za-z0-9+/]{20,256}={0,2})$/.exec(text);
  if (match === null) return undefined;
  const [, cost, blockSize, parallelization, salt = "", key = ""] = match;
  const hash = {
    cost: Number(cost),
    blockSize: Number(blockSize),
    parallelization: Number(parallelization),
    salt: Buffer.from(salt, "base64"),
    key: Buffer.from(key, "base64"),
  };
  const powerOfTwo = hash.cost > 1 && (hash.cost & (hash.cost - 1)) === 0;
  const sane = hash.blockSize > 0 && hash.parallelization > 0 && memoryOf(hash) <= LARGEST_MEMORY;
  return powerOfTwo && sane ? hash : undefined;
}

const LARGEST_MEMORY = 256 * 1024 * 1024;
/** OWASP's parameters for scrypt, 2^15 variant: 32 MiB and three passes. */
const DEFAULT = { cost: 32_768, blockSize: 8, parallelization: 3 };

function memoryOf({ cost, blockSize, parallelization }: Omit<Hash, "salt" | "key">): number {
  return 128 * blockSize * (cost + parallelization);
}

/** `scrypt:N:r:p:SALT:HASH` of a new password. */
export async function hashPassword(password: string, random: Random): Promise<string> {
  const salt = random.bytes(16);
  const key = await derive(password, { ...DEFAULT, salt, key: Buffer.alloc(32) });
  const { cost, blockSize, parallelization } = DEFAULT;
  return `scrypt:${cost}:${blockSize}:${parallelization}:${salt.toString("base64")}:${key.toString("base64")}`;
}

/** The user whose name and password these are. Compares in constant time, for names that do not exist as well. */
export async function verifyPassword(
  users: readonly User[],
  name: string,
  password: string,
): Promise<User | undefined> {
  const user = users.find((candidate) => candidate.name === name);
  const reference = user ?? users[0]; // an unknown name costs what the first one costs
  const hash = reference === undefined ? undefined : parseHash(reference.password);
  const stored = hash ?? { ...DEFAULT, salt: Buffer.alloc(16), key: Buffer.alloc(32) };
  const given = await derive(password, stored);
  const equal = given.length === stored.key.length && timingSafeEqual(given, stored.key);
  return equal && hash !== undefined ? user : undefined;
}

function derive(password: string, hash: Hash): Promise<Buffer> {
  const { cost, blockSize, parallelization } = hash;
  const options = { N: cost, r: blockSize, p: parallelization, maxmem: memoryOf(hash) + 1024 * 1024 };
  return new Promise((resolve, reject) => {
    scrypt(password, hash.salt, hash.key.length, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}
