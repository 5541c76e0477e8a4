import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { readBody } from "../../../src/store/body-reader.ts";
import { createFolderSync } from "../../../src/store/disk.ts";
import { createFreeSpace } from "../../../src/store/free-space.ts";
import type { SealedBody, Spool, StoreError } from "../../../src/store/queue.ts";
import { createMessageKey, queueKeyFrom } from "../../../src/store/seal.ts";
import { createSpool, type SpooledBody } from "../../../src/store/spool.ts";
import { fakeClock } from "./fake-clock.ts";
import { type DiskStep, failure, type FakeDisk, fakeDisk } from "./fake-disk.ts";

const ID = "0123456789abcdef0123456789abcdef";
const FILE = `/bodies/${ID}`;
const random = { bytes: (length: number) => randomBytes(length), fraction: () => 0.5 };
const key = createMessageKey(queueKeyFrom(Buffer.alloc(32, 1)), ID, random);

interface Rig {
  readonly disk: FakeDisk;
  readonly spool: Spool;
  readonly failures: StoreError[];
  readonly taken: Set<SealedBody>;
}

function rig(reserve = 0): Rig {
  const disk = fakeDisk();
  const failures: StoreError[] = [];
  const taken = new Set<SealedBody>();
  const space = createFreeSpace({ disk, folder: "/bodies", reserve: () => reserve, clock: fakeClock() });
  const syncBodies = createFolderSync(disk, "/bodies");
  const deps = { disk, space, bodies: "/bodies", syncBodies, onFailure: (error: StoreError) => failures.push(error) };
  const spool = createSpool(deps, key, {
    onEnd: () => undefined,
    taken: (body) => taken.has(body),
    onDiscard: () => undefined,
  });
  return { disk, spool, failures, taken };
}

async function read(disk: FakeDisk, body: SpooledBody): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readBody({ key, length: body.length, from: body.sealed ?? FILE }, disk))
    chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe("a spool", () => {
  it("keeps a body up to 128 KiB off the disk", async () => {
    const { disk, spool } = rig();
    const clear = randomBytes(131_072);
    await spool.write(clear);
    const body = (await spool.end()) as SpooledBody;
    expect(disk.log).toEqual([]);
    expect(await read(disk, body)).toEqual(clear);
  });

  it("has a larger one on stable storage, its name too, before it ends [RFC 5321 §6.1]", async () => {
    const { disk, spool } = rig();
    const clear = randomBytes(300_000);
    await spool.write(clear);
    const body = (await spool.end()) as SpooledBody;
    const order = ["append", "datasync", "close", "syncFolder"].map((step) =>
      disk.log.findLastIndex((line) => line.startsWith(step)),
    );
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).not.toContain(-1);
    expect(await read(disk, body)).toEqual(clear);
    expect(disk.files.get(FILE)?.includes(clear.subarray(0, 16))).toBe(false);
  });

  it("takes no more before the disk has what it was given", async () => {
    const { disk, spool } = rig();
    const gate = Promise.withResolvers<void>();
    disk.before = (step) => (step === "append" ? gate.promise : undefined);
    let taken = false;
    const writing = spool.write(randomBytes(200_000)).then(() => {
      taken = true;
    });
    await new Promise(setImmediate);
    expect([taken, disk.log.some((line) => line.startsWith("append"))]).toEqual([false, true]);
    gate.resolve();
    await writing;
    expect(taken).toBe(true);
  });

  it.each<[DiskStep, string, StoreError["kind"]]>([
    ["create", "ENOSPC", "no-space"],
    ["append", "ENOSPC", "no-space"],
    ["append", "EDQUOT", "no-space"],
    ["append", "EIO", "failed"],
    ["datasync", "EIO", "failed"],
    ["datasync", "ENOSPC", "no-space"],
    ["close", "EIO", "failed"],
    ["syncFolder", "EIO", "failed"],
    ["create", "EROFS", "failed"],
    ["create", "EMFILE", "failed"],
  ])("whose %s fails with %s says %s, tries nothing again, and leaves nothing", async (step, code, kind) => {
    const { disk, spool, failures } = rig();
    let failed = 0;
    disk.before = (name) => {
      if (name !== step || failed > 0) return;
      failed += 1;
      throw failure(code);
    };
    const all = async (): Promise<unknown> => {
      await spool.write(randomBytes(300_000));
      return spool.end();
    };
    await expect(all()).rejects.toMatchObject({ name: "StoreError", kind });
    await expect(spool.write(Buffer.from("more"))).rejects.toThrow(TypeError);
    expect(disk.log.filter((line) => line.startsWith(`${step} `))).toHaveLength(1);
    expect([...disk.files.keys()]).toEqual([]);
    await spool.discard();
    expect(failures.map((error) => error.kind)).toEqual([kind]);
  });

  it("does not begin a file below the reserve, and stops when it gets there", async () => {
    const { disk, spool } = rig(1_000_000);
    disk.free = 3_000_000;
    await expect(spool.write(randomBytes(5_000_000))).rejects.toMatchObject({ kind: "no-space" });
    const records = disk.log.filter((line) => line.startsWith("append")).length;
    expect(records * 65_552).toBeGreaterThan(1_000_000);
    expect(records * 65_552).toBeLessThan(3_200_000);
    expect(disk.files.size).toBe(0);
    const next = rig(1_000_000);
    next.disk.free = 999_999;
    await expect(next.spool.write(randomBytes(200_000))).rejects.toMatchObject({ kind: "no-space" });
    expect(next.disk.files.size).toBe(0);
  });

  it("never removes a file that was there before", async () => {
    const { disk, spool } = rig();
    disk.files.set(FILE, Buffer.from("somebody's"));
    await expect(spool.write(randomBytes(300_000))).rejects.toMatchObject({ kind: "failed" });
    await spool.discard();
    expect(disk.files.get(FILE)?.toString()).toBe("somebody's");
  });

  it("that was discarded after its end leaves nothing, unless it was stored", async () => {
    for (const stored of [true, false]) {
      const { disk, spool, taken } = rig();
      await spool.write(randomBytes(200_000));
      const body = await spool.end();
      if (stored) taken.add(body);
      await spool.discard();
      expect(disk.files.has(FILE)).toBe(stored);
    }
  });
});

describe("a body in a file", () => {
  const damage: [string, (bytes: Buffer) => Buffer][] = [
    ["with its first octet changed", (bytes) => flip(bytes, 0)],
    ["with an octet of its third record changed", (bytes) => flip(bytes, 140_000)],
    ["with its last octet changed", (bytes) => flip(bytes, bytes.length - 1)],
    ["cut by an octet", (bytes) => bytes.subarray(0, -1)],
    ["cut at a record", (bytes) => bytes.subarray(0, 2 * 65_552)],
    ["made longer", (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
    ["with two records swapped", (bytes) => swap(bytes)],
    ["emptied", () => Buffer.alloc(0)],
  ];
  it.each(damage)("%s is damaged, and not a byte of a bad record is given out", async (_, change) => {
    const { disk, spool } = rig();
    const clear = randomBytes(300_000);
    await spool.write(clear);
    const { length } = await spool.end();
    disk.files.set(FILE, change(disk.files.get(FILE) ?? Buffer.alloc(0)));
    const given: Buffer[] = [];
    const reading = (async () => {
      for await (const chunk of readBody({ key, length, from: FILE }, disk)) given.push(chunk as Buffer);
    })();
    await expect(reading).rejects.toMatchObject({ kind: "damaged" });
    const all = Buffer.concat(given);
    expect(all.equals(clear.subarray(0, all.length))).toBe(true);
    expect(all.length).toBeLessThan(clear.length);
    expect(disk.log.filter((line) => line.startsWith("close"))).toHaveLength(2);
  });
  it("that is missing is damaged; one that cannot be read is a failing disk", async () => {
    const disk = fakeDisk();
    const drain = async (): Promise<void> => {
      for await (const _ of readBody({ key, length: 300_000, from: FILE }, disk)) void _;
    };
    await expect(drain()).rejects.toMatchObject({ kind: "damaged" });
    disk.before = () => {
      throw failure("EIO");
    };
    await expect(drain()).rejects.toMatchObject({ kind: "failed" });
  });
  it("closes its file when nobody reads on", async () => {
    const { disk, spool } = rig();
    await spool.write(randomBytes(300_000));
    const { length } = await spool.end();
    for await (const _ of readBody({ key, length, from: FILE }, disk)) break;
    expect(disk.log.filter((line) => line.startsWith("close"))).toHaveLength(2);
  });
});

describe("syncing a folder", () => {
  it("serves all who ask while one sync runs with one more, and nobody with one that began before", async () => {
    const disk = fakeDisk();
    const gates: PromiseWithResolvers<void>[] = [];
    disk.before = () => {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      return gate.promise;
    };
    const sync = createFolderSync(disk, "/bodies");
    const done: number[] = [];
    const asks = [0, 1, 2].map((ask) => sync().then(() => done.push(ask)));
    gates[0]?.resolve();
    await asks[0];
    expect(done).toEqual([0]);
    await new Promise(setImmediate);
    gates[1]?.resolve();
    await Promise.all(asks);
    expect(disk.log).toHaveLength(2);
  });
  it("goes on after a sync that failed", async () => {
    const disk = fakeDisk();
    let fail = true;
    disk.before = () => {
      if (fail) throw failure("EIO");
    };
    const sync = createFolderSync(disk, "/bodies");
    const second = sync().catch((error: unknown) => error);
    const third = sync();
    fail = false;
    expect(await second).toMatchObject({ code: "EIO" });
    await third;
    await sync();
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x80;
  return copy;
}

function swap(bytes: Buffer): Buffer {
  const one = 65_552;
  return Buffer.concat([bytes.subarray(one, 2 * one), bytes.subarray(0, one), bytes.subarray(2 * one)]);
}
