/** What hostile and big mail costs: time in proportion to its size, memory whatever its size. */
import { setImmediate as nextTurn } from "node:timers/promises";
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

/** Milliseconds, and how much more memory than at the start was held. */
async function cost(head: Buffer, body: () => AsyncIterable<Buffer>): Promise<{ ms: number; peak: number }> {
  const rss = process.memoryUsage.rss();
  const start = performance.now();
  let peak = 0;
  const result = await wrap({ header: head, body }, ALL, fakeDeps);
  if ("problem" in result) return { ms: performance.now() - start, peak: 0 };
  let since = 0;
  for await (const chunk of result.body) {
    since += chunk.length;
    if (since < 4 * MiB) continue;
    since = 0;
    peak = Math.max(peak, process.memoryUsage.rss() - rss);
  }
  return { ms: performance.now() - start, peak };
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
    expect(ms).toBeLessThan(1000);
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
    const { peak } = await cost(head, repeated("", unit, 100 * MiB));
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThan(80 * MiB);
  });
});
