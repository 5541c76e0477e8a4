/** Twenty messages of 50 MiB at once, stripped and signed twice over: they pass through, they are never held. */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { dkimVerifiers } from "./rig/dkim-verifiers.ts";
import { createHouse, partner, person, root } from "./rig/leaving.ts";
import { verifyAll } from "./rig/leaving-readers.ts";
import { startShelf } from "./rig/leaving-shelf.ts";
import { newRecord, runLoad, smallMessage } from "./rig/load.ts";
import { eventually, processTree, residentMiB, watchMemory } from "./rig/processes.ts";
import { startSink } from "./rig/sink.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const MESSAGES = 20;
const MIB = 1024 * 1024;
const SIZE = 50 * MIB;
const GROWTH_MIB = 96;
const BLOCK = Buffer.from(`${"Zm9vYmFyIGJheg".repeat(5)}\r\n`.repeat(1_000));
const gatewayKey = person({ email: "gateway@own.test", keyType: "rsa" });
const limits = { message_size: "51MiB" };

it(`signs and relays ${MESSAGES} messages of 50 MiB at once, while its process tree grows by ${GROWTH_MIB} MiB at most`, async () => {
  const house = await createHouse(bench, { gateway: gatewayKey, settings: { limits } });
  const shelf = await startShelf(bench, "127.0.0.21", await house.authority.issue(["mx.partner.test"]));
  await house.site.partner("partner", partner("partner.test", shelf, { smime: { sign: "always" }, dkim: "require" }));
  const gateway = await house.site.start();
  const load = { port: gateway.port, sessions: MESSAGES, tls: { ca: house.ca } };
  const to = ["b@partner.test"];
  let made = 0;
  const small = () => {
    if (made === 200) return undefined;
    const id = `small-${(made += 1)}`;
    return { id, from: "a@own.test", to, content: smallMessage(id, { size: 4096 }) };
  };
  await runLoad({ ...load, next: small });
  await eventually("the small ones at the MX", () => shelf.files.length === 200, { within: 90_000 });
  shelf.files.length = 0;

  const before = residentMiB(processTree(gateway.pid));
  const memory = watchMemory(gateway.pid);
  const expected: string[] = [];
  let big = 0;
  const next = () => {
    if (big === MESSAGES) return undefined;
    const id = `big-${(big += 1)}`;
    return { id, from: "a@own.test", to, content: largeContent(id, (hash) => expected.push(hash)) };
  };
  const began = Date.now();
  const record = await runLoad({ ...load, perConnection: 1, next }, newRecord());
  expect(record.acknowledged.length, JSON.stringify([...record.refused])).toBe(MESSAGES);
  const taken = Date.now() - began;
  await eventually("the large ones at the MX", () => shelf.files.length === MESSAGES, { within: 90_000 });
  const { peak, by } = memory.end();
  console.log(
    `before ${before.toFixed(0)} MiB, peak ${peak.toFixed(0)} MiB (${by}), growth ${(peak - before).toFixed(0)} MiB;` +
      ` taken after ${taken} ms, delivered after ${Date.now() - began} ms`,
  );

  const arrived: string[] = [];
  for (const file of shelf.files) arrived.push(signedBodyHash(await readFile(file)));
  expect(arrived.sort()).toEqual(expected.sort());
  const [one = ""] = shelf.files;
  const content = await readFile(one);
  const [verified] = await verifyAll(bench, root.pem, [content]);
  expect(verified?.told).toContain("Verification successful");
  const { openDkim } = await dkimVerifiers(bench, house.dkim);
  expect(await openDkim(content)).toEqual(["rsa-sha256 pass", "ed25519-sha256 pass"]);
  await Promise.all(shelf.files.map((file) => rm(file)));
  expect(peak - before).toBeLessThanOrEqual(GROWTH_MIB);
});

it("stores one body of a message of 50 MiB that three partners get in three ways", async () => {
  const house = await createHouse(bench, { settings: { limits, queue: { retry: ["1s"] } } });
  let open = false;
  const sink = await startSink(bench, {
    address: "127.0.0.21",
    credential: await house.authority.issue(["mx.partner.test"]),
    rcpt: () => (open ? "250 2.1.5 OK" : "451 4.2.0 later"),
  });
  const ways = { stripped: {}, kept: { headers: "keep" }, bare: { headers: "keep", dkim: "none" } };
  for (const [way, outbound] of Object.entries(ways))
    await house.site.partner(way, partner(`${way}.test`, sink, outbound));
  const gateway = await house.site.start();
  const names = Object.keys(ways);
  let hash = "";
  const content = largeContent("one", (made) => (hash = made));
  const message = { id: "one", from: "a@own.test", to: names.map((way) => `b@${way}.test`), content };
  let left = 1;
  const next = () => ((left -= 1) === 0 ? message : undefined);
  const { acknowledged } = await runLoad({ port: gateway.port, sessions: 1, tls: { ca: house.ca }, next });
  expect(acknowledged).toHaveLength(1);

  const deferred = () => gateway.log.filter(({ event, outcome }) => event === "delivery" && outcome === "deferred");
  const domains = () => new Set(deferred().map(({ domain }) => String(domain)));
  await eventually("a try to each", () => domains().size === names.length);
  const bodies = join(house.site.dataDir, "bodies");
  const files = await readdir(bodies);
  expect(files).toHaveLength(1);
  const size = statSync(join(bodies, files[0] ?? "")).size;
  const bodySize = largeBodySize("one");
  expect(size).toBeGreaterThan(bodySize);
  expect(size).toBeLessThan(bodySize * 1.01);

  open = true;
  await eventually("all three at the MX", () => sink.arrivals.length === names.length, { within: 90_000 });
  expect(sink.arrivals.map(({ bodySha256 }) => bodySha256)).toEqual(names.map(() => hash));
  const headers = sink.arrivals.map(({ octets }) => octets - bodySize).sort((a, b) => a - b);
  console.log(`one file of ${size} octets for a body of ${bodySize}; headers of ${headers.join(", ")} octets`);
  expect(new Set(headers).size).toBe(names.length);
  await eventually("an empty folder of bodies", async () => (await readdir(bodies)).length === 0);
});

const opening = (id: string): Buffer => Buffer.from(`this is ${id}\r\n`);

function largeBodySize(id: string): number {
  return opening(id).length + Math.ceil(SIZE / BLOCK.length) * BLOCK.length;
}

/** The content in pieces; `done` is told of its body's hash when the last one has been given. */
function* largeContent(id: string, done: (hash: string) => void): Generator<Buffer> {
  const hash = createHash("sha256");
  yield smallMessage(id).subarray(0, smallMessage(id).indexOf("\r\n\r\n") + 4);
  for (let octets = 0; octets < SIZE; octets += BLOCK.length) {
    const piece = octets === 0 ? Buffer.concat([opening(id), BLOCK]) : BLOCK;
    hash.update(piece);
    yield piece;
  }
  done(hash.digest("hex"));
}

/** Of the body in the first part of a multipart/signed. */
function signedBodyHash(message: Buffer): string {
  const boundary = /boundary="?([^";\r\n]+)/i.exec(message.subarray(0, 16_384).toString("latin1"))?.[1] ?? "";
  const part = message.indexOf(`\r\n--${boundary}\r\n`) + 4;
  const body = message.indexOf("\r\n\r\n", part) + 4;
  const end = message.indexOf(`\r\n--${boundary}`, body);
  return createHash("sha256").update(message.subarray(body, end)).digest("hex");
}
