/** Large bodies through the whole treatment (strip, sign, encrypt, DKIM): what they hold in memory, how long they block. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as breathe } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { attachmentBody, SECRET, treatWhole } from "./transform-rig.ts";

const MIB = 1024 * 1024;
const LARGE = 50 * MIB;
const AT_ONCE = 20;
const RECORD = 64 * 1024;
const SAMPLE_MS = 5;

/** Each record in memory of its own and after a turn of the event loop, as from a file. */
async function* records(block: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < LARGE; at += block.length) {
    await breathe();
    yield Buffer.from(block);
  }
}

function held(): number {
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return (arrayBuffers + heapUsed) / MIB;
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

export async function peakMemory(): Promise<string> {
  const block = attachmentBody(RECORD);
  await treatWhole(SECRET, () => records(block)); // warm
  collectGarbage();
  const [before, resident, began] = [held(), process.memoryUsage.rss(), performance.now()];
  let [most, mostResident, samples] = [before, resident, 0];
  const sampling = setInterval(() => {
    most = Math.max(most, held());
    mostResident = Math.max(mostResident, process.memoryUsage.rss());
    samples += 1;
  }, SAMPLE_MS);
  await Promise.all(Array.from({ length: AT_ONCE }, () => treatWhole(SECRET, () => records(block))));
  clearInterval(sampling);
  collectGarbage();
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  const growth = `arrayBuffers + heapUsed ${before.toFixed(0)} MiB before, at most +${(most - before).toFixed(0)} MiB, ${held().toFixed(0)} MiB after`;
  return `memory, ${AT_ONCE} × 50 MiB at once: ${growth}; resident ${(resident / MIB).toFixed(0)} MiB before, ${(mostResident / MIB).toFixed(0)} at most; ${seconds} s, ${samples} samples`;
}

/** A single message, and 20 side by side. */
export async function longestBlock(): Promise<string> {
  const block = attachmentBody(RECORD);
  const one = await blockedBy(() => treatWhole(SECRET, () => records(block)));
  const many = await blockedBy(() =>
    Promise.all(Array.from({ length: AT_ONCE }, () => treatWhole(SECRET, () => records(block)))),
  );
  return `event loop, longest block: ${one} ms with one message of 50 MiB, ${many} ms with ${AT_ONCE} at once`;
}

async function blockedBy(work: () => Promise<unknown>): Promise<string> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  delay.disable();
  return (delay.max / 1e6).toFixed(1);
}
