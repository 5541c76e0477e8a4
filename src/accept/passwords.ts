/**
 * Password hashes of the users file (config/users.ts reads it): `scrypt:N:r:p:SALT:HASH`, RFC 7914. A password is
 * never stored or logged, and an unknown name costs what a known one costs.
 */
import { createHmac, scrypt, timingSafeEqual } from "node:crypto";
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

/** The user whose name and password these are. */
export type VerifyPassword = (users: readonly User[], name: string, password: string) => Promise<User | undefined>;

/** Derivations at once: each takes tens of MiB and a thread that file writes also wait for. */
const AT_ONCE = 2;
const MOST_KNOWN = 1000;

/**
 * Compares in constant time, for names that do not exist as well. A pair that was right is known again by a keyed
 * digest, for the life of the process: applications authenticate anew for every message.
 */
export function createPasswordCheck(random: Random): VerifyPassword {
  const secret = random.bytes(32);
  const known = new Set<string>();
  const turn = createTurns(AT_ONCE);
  return async (users, name, password) => {
    const user = users.find((candidate) => candidate.name === name);
    const digest = createHmac("sha256", secret)
      .update(JSON.stringify([name, password, user?.password]))
      .digest("base64");
    if (user !== undefined && known.has(digest)) return user;
    const found = await turn(() => verifyPassword(users, name, password));
    if (found === undefined) return undefined;
    if (known.size >= MOST_KNOWN) known.clear();
    known.add(digest);
    return found;
  };
}

async function verifyPassword(users: readonly User[], name: string, password: string): Promise<User | undefined> {
  const user = users.find((candidate) => candidate.name === name);
  const reference = user ?? users[0]; // an unknown name costs what the first one costs
  const isRight = await matches(reference?.password ?? "", password);
  return isRight ? user : undefined;
}

async function matches(stored: string, password: string): Promise<boolean> {
  const hash = parseHash(stored);
  const against = hash ?? { ...DEFAULT, salt: Buffer.alloc(16), key: Buffer.alloc(32) };
  const given = await derive(password, against);
  return timingSafeEqual(given, against.key) && hash !== undefined;
}

function createTurns(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next(); // the turn is handed on
    }
  };
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
