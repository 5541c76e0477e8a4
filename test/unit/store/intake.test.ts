import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createFreeSpace } from "../../../src/store/free-space.ts";
import { createIntake } from "../../../src/store/intake.ts";
import type { NewMessage } from "../../../src/store/queue.ts";
import { createMessageKey, queueKeyFrom } from "../../../src/store/seal.ts";
import { InDoubt } from "../../../src/store/sqlite-link.ts";
import { facts } from "../spine/fixtures.ts";
import { fakeClock } from "./fake-clock.ts";
import { fakeDisk } from "./fake-disk.ts";

const random = { bytes: (length: number) => randomBytes(length), fraction: () => 0.5 };

function rig() {
  const disk = fakeDisk();
  const doubt = new Set<string>();
  const key = queueKeyFrom(randomBytes(32));
  const space = createFreeSpace({ disk, folder: "/data", reserve: () => 0, clock: fakeClock() });
  const intake = createIntake({ disk, key, bodies: "/data/bodies", space, onTaken: () => undefined, doubt });
  const sealed = createMessageKey(key, facts.id, random);
  const body = { messageId: facts.id, part: 0, length: 1, key: sealed, sealed: Buffer.alloc(17) };
  intake.spools.onEnd(body);
  const delivery = { id: `${facts.id}-0`, domain: "acme.example", partner: null, positions: [0, 1], content: 0 };
  const deliveries = [{ ...delivery, state: "waiting" as const, nextAttemptAt: 0, expiresAt: 1 }];
  const message: NewMessage = { facts, contents: [{ header: Buffer.from("Subject: x\r\n\r\n"), body }], deliveries };
  return { intake, doubt, message };
}

const lost = () => Promise.reject(new InDoubt("the thread has ended"));

describe("a message of which nobody knows whether it was stored", () => {
  it("is forgotten when it was refused: its sender hands it in again", async () => {
    const { intake, doubt, message } = rig();
    await expect(intake.store([message], true, lost)).rejects.toBeInstanceOf(InDoubt);
    expect([...doubt]).toEqual([facts.id]);
  });
  it("a notice was lost: it was forgotten, and the endings that it told of had been stored", async () => {
    const { intake, doubt, message } = rig();
    await expect(intake.store([message], false, lost)).rejects.toBeInstanceOf(InDoubt);
    expect([...doubt]).toEqual([]);
  });
});
