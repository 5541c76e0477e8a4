/** What hostile and big mail costs: time in proportion to its size, memory whatever its size. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { wrap, type WrapPlan } from "../../src/transform/smime/wrap.ts";
import { type FakeSigner, fakeDeps } from "../unit/transform/smime-mime-cms.ts";

type Plan = WrapPlan<FakeSigner, string>;
const ALL: Plan = {
  sign: { signer: { name: "anna" }, format: "detached" },
  encryptTo: ["bert"],
  tripleWrap: true,
};
const MiB = 1024 * 1024;
const CHUNK = 64 * 1024;

function header(...fields: string[]): Buffer {
  return Buffer.from(`From: a@b.example\r\nMIME-Version: 1.0\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`);
}

/** `start` and then `unit` again and again, up to so many octets. */
function repeated(start: string, unit: string, length: number): () => AsyncIterable<Buffer> {
  const units = Buffer.from(unit.repeat(Math.ceil((2 * CHUNK) / unit.length)), "latin1");
  return async function* () {
    yield Buffer.from(start, "latin1");
    for (let at = 0, sent = 0; sent < length; sent += CHUNK) {
      yield units.subarray(at, at + CHUNK);
      at = (at + CHUNK) % unit.length;
      await nextTurn();
    }
    yield Buffer.from("\r\n");
  };
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What is alive, in octets. Dead buffers are swept beside the program, so they are counted out after a turn. */
async function alive(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await nextTurn();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

interface Cost {
  readonly ms: number;
  /** Octets that came out; 0 where the message was refused. */
  readonly made: number;
  /** How much more was alive than at the start, each time that `sample` octets had come out. */
  readonly peak: number;
}

async function cost(
  head: Buffer,
  body: () => AsyncIterable<Buffer>,
  sample = Number.POSITIVE_INFINITY,
  deps = fakeDeps,
): Promise<Cost> {
  const before = sample === Number.POSITIVE_INFINITY ? 0 : await alive();
  const start = performance.now();
  let [made, peak, since] = [0, 0, 0];
  const result = await wrap({ header: head, body }, ALL, deps);
  if ("problem" in result) return { ms: performance.now() - start, made, peak };
  for await (const chunk of result.body) {
    made += chunk.length;
    since += chunk.length;
    if (since < sample) continue;
    since = 0;
    peak = Math.max(peak, (await alive()) - before);
  }
  return { ms: performance.now() - start, made, peak };
}

describe("time is in proportion to size for", () => {
  const nested = (levels: number) =>
    Array.from(
      { length: levels },
      (_, n) => `--b${n}\r\nContent-Type: multipart/mixed; boundary=b${n + 1}\r\n\r\n`,
    ).join("");
  const MIXED = header("Content-Type: multipart/mixed; boundary=b0");
  it.each([
    ["lines that look like boundaries", MIXED, "--b0\r\n\r\n", "--b0x\r\n"],
    ["boundaries that begin alike, a hundred levels deep", MIXED, nested(100), "--b1000\r\n"],
    ["hyphens without end", MIXED, "--b0\r\n\r\n", "-"],
    ["boundaries with blanks without end", MIXED, "--b0\r\n\r\n", `--b0${" ".repeat(990)}x\r\n`],
    ["empty lines", MIXED, "--b0\r\n\r\n", "\r\n"],
    ["8-bit octets without a line end", header(), "", "\xfc"],
    ["equals signs in quoted-printable", header("Content-Transfer-Encoding: quoted-printable"), "\xfc", "="],
    ["blanks", header(), "\xfc", " "],
    ["hyphens in base64", header("Content-Transfer-Encoding: base64"), "", "-"],
  ])("%s", async (_, head, start, unit) => {
    const [first, second] = [
      await cost(head, repeated(start, unit, MiB)),
      await cost(head, repeated(start, unit, MiB)),
    ];
    const big = await cost(head, repeated(start, unit, 8 * MiB));
    expect(big.ms).toBeLessThan(8 * 3 * Math.max(20, Math.min(first.ms, second.ms))); // in proportion to the square: 64 times
  });
  it("lines that are nearly the boundary of each of a hundred levels: the levels cost nothing", async () => {
    const name = (n: number) => `${"b".repeat(900)}${`${n}`.padStart(3, "0")}`;
    const walk = (levels: number) => {
      const open = (n: number) => `--${name(n)}\r\nContent-Type: multipart/mixed; boundary=${name(n + 1)}\r\n\r\n`;
      const start = Array.from({ length: levels }, (_, n) => open(n)).join("");
      const head = header(`Content-Type: multipart/mixed; boundary=${name(0)}`);
      return cost(head, repeated(start, `--${name(999)}\r\n`, 4 * MiB));
    };
    const few = [await walk(1), await walk(1)].map(({ ms }) => ms);
    const many = await walk(99);
    expect(many.made).toBeGreaterThan(4 * MiB);
    expect(many.ms).toBeLessThan(5 * Math.max(20, ...few)); // compared with each: more than 20 times
  });
  it.each([
    ["100,000 parts", MIXED, "--b0\r\n\r\n".repeat(100_000)],
    ["100,000 levels", MIXED, nested(100_000)],
    [
      "quotes that are never closed",
      header(`Content-Type: multipart/mixed; ${'boundary="'.repeat(20_000)}`),
      "--b\r\n",
    ],
    ["a header of 250 kB in a part", MIXED, `--b0\r\n${'Content-Type: a/b; x="\r\n'.repeat(10_000)}\r\nx`],
    [
      "a part whose header is one field of 250 kB",
      MIXED,
      `--b0\r\nContent-Type: a/b;${' x="(;\r\n'.repeat(25_000)}\r\nx`,
    ],
  ])("%s", async (_, head, body) => {
    const { ms } = await cost(head, repeated(body, "x", 1));
    expect(ms).toBeLessThan(5000);
  });
});

describe("memory does not grow with 100 MiB of", () => {
  it.each([
    ["7-bit lines", header(), `${"x".repeat(76)}\r\n`],
    [
      "8-bit text to be encoded",
      header("Content-Type: text/plain; charset=utf-8"),
      "Gr\xc3\xbc\xc3\x9fe aus K\xc3\xb6ln\r\n",
    ],
    ["one line", header("Content-Type: image/png", "Content-Transfer-Encoding: binary"), "x\x89"],
  ])("%s", { timeout: 120_000 }, async (_, head, unit) => {
    const { made, peak } = await cost(head, repeated("", unit, 100 * MiB), 10 * MiB);
    expect(made).toBeGreaterThan(100 * MiB);
    expect(peak).toBeLessThan(8 * MiB);
  });

  it("and would be seen to grow if a step held the body", async () => {
    const envelope = async function* (content: AsyncIterable<Buffer>) {
      const held: Buffer[] = [];
      for await (const chunk of content) held.push(Buffer.from(chunk));
      yield* held;
    };
    const deps = { ...fakeDeps, cms: { ...fakeDeps.cms, envelope } };
    const { peak } = await cost(header(), repeated("", "x\r\n", 20 * MiB), MiB, deps);
    expect(peak).toBeGreaterThan(16 * MiB);
  });
});
