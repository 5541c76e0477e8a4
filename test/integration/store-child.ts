/**
 * A process of its own with a queue, for tests that kill it, limit it or lock it. Prints one JSON value per line.
 * usage: MODE FOLDER
 */
import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { acquireInstanceLock } from "../../src/store/instance-lock.ts";
import { StoreError } from "../../src/store/queue.ts";
import { createSqliteQueue } from "../../src/store/sqlite-queue.ts";
import { newId, put, putSeveral } from "../contract/messages.ts";

const [, , mode, folder = ""] = process.argv;
const dataDir = join(folder, "data");
const say = (value: unknown): void => void writeSync(1, `${JSON.stringify(value)}\n`);

setInterval(() => undefined, 1_000); // alive as a gateway's listeners keep it

if (mode === "lock") {
  const lock = await acquireInstanceLock(dataDir);
  say(lock.kind === "held" ? { kind: "held", pid: process.pid } : lock);
} else {
  const settings = { dataDir, keyFile: join(folder, "certs/queue.key"), allowGroupRead: false, reserve: 0 };
  const queue = await createSqliteQueue({ settings, clock: systemClock, random: systemRandom });
  if (mode === "acknowledge") {
    // Four clients without end; every fifth body lies in a file, and every third message has four contents.
    const client = async (number: number): Promise<void> => {
      for (let turn = number; ; turn += 1) {
        const body = randomBytes(turn % 5 === 0 ? 140_000 : 4_000);
        const others = [randomBytes(150_000), randomBytes(5_000)];
        const several = turn % 3 === 0;
        const { facts } = several
          ? await putSeveral(queue, [body, ...others], [0, 0, 1, 2])
          : await put(queue, { body });
        say(facts.id);
      }
    };
    await Promise.all([0, 1, 2, 3].map(client));
  } else if (mode === "rotate") {
    // Mail comes and one key follows the other, without end.
    queue.keys.resume();
    const mail = async (): Promise<void> => {
      for (;;) say((await put(queue, { body: randomBytes(4_000) })).facts.id);
    };
    const keys = async (): Promise<void> => {
      for (;;) {
        if ((await queue.keys.rotate()).kind === "started") say("rotated");
        await new Promise(setImmediate);
      }
    };
    await Promise.all([mail(), mail(), keys()]);
  } else if (mode === "seize") {
    // What is held, parked and due is in hand when the end comes, and one completion after the other.
    const ids = await Promise.all(Array.from({ length: 30 }, async () => (await put(queue)).facts.id));
    await queue.hold({});
    const [first = "", second = ""] = ids;
    await queue.release({ id: first }, 0);
    await queue.release({ id: second }, 0);
    for (const { id } of await queue.claim("partner.test", Date.now(), 1)) await queue.park(id, "damaged");
    for (;;) {
      const seized = await queue.seize({}, 30);
      say(seized.length);
      for (const { id: deliveryId } of seized.slice(0, 20))
        await queue.complete({ deliveryId, ended: [], counts: false, notices: [] });
      for (const { id: deliveryId } of seized.slice(20))
        await queue.complete({ deliveryId, ended: [], counts: false, notices: [], change: { course: { step: 1 } } });
    }
  } else {
    // Until a write fails, and then until twenty more messages are in.
    let left = 20;
    let failed = 0;
    for (let turn = 0; left > 0 && turn < 3_000; turn += 1) {
      const id = newId();
      try {
        await put(queue, { id, body: randomBytes(20_000) });
        say({ id, stored: true });
        if (failed > 0) left -= 1;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        failed += 1;
        say({ id, stored: false, kind: error.kind, usable: queue.usable() });
        while (!queue.usable()) await systemClock.sleep(20).then(() => new Promise(setImmediate));
      }
    }
    say({ end: left === 0 });
    process.kill(process.pid, "SIGKILL"); // no orderly close: what counts is what was acknowledged
  }
}
