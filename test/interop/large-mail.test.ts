/** Twenty messages of 50 MiB at once: they pass through, they are never held. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterEach, expect, it } from "vitest";
import { createAuthority } from "./rig/certificates.ts";
import { createSite } from "./rig/gateway.ts";
import { newRecord, runLoad, smallMessage } from "./rig/load.ts";
import { eventually, processTree, residentMiB, watchMemory } from "./rig/processes.ts";
import { startSink } from "./rig/sink.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const MESSAGES = 20;
const MIB = 1024 * 1024;
const SIZE = 50 * MIB;

it("relays 20 messages of 50 MiB at once intact, while its process tree grows by 64 MiB at most", async () => {
  const authority = await createAuthority(await bench.folder("ca"));
  const sink = await startSink(bench, {
    address: "127.0.0.21",
    credential: await authority.issue(["mx.partner.test"]),
  });
  const site = await createSite(bench, {
    tls: { certificates: [await authority.issue(["relay.own.test"])] },
    limits: { message_size: "51MiB" },
  });
  await site.partner("partner", {
    name: "Partner",
    domains: ["partner.test"],
    outbound: { next_hop: `[${sink.address}]:${sink.port}`, tls: { level: "encrypt" } },
  });
  const gateway = await site.start();
  const tls = { ca: await readFile(authority.certificate, "utf8") };
  let made = 0;
  const small = () => {
    if (made === 200) return undefined;
    const id = `small-${(made += 1)}`;
    return { id, from: "a@own.test", to: ["b@partner.test"], content: smallMessage(id, { size: 4096 }) };
  };
  await runLoad({ port: gateway.port, sessions: MESSAGES, tls, next: small });
  await eventually("the small ones at the MX", () => sink.arrivals.length === 200);
  sink.arrivals.length = 0;

  const before = residentMiB(processTree(gateway.pid));
  const memory = watchMemory(gateway.pid);
  const block = Buffer.from(`${"Zm9vYmFyIGJheg".repeat(5)}\r\n`.repeat(1_000));
  const expected = new Map<string, string>();
  let big = 0;
  const next = () => {
    if (big === MESSAGES) return undefined;
    const id = `big-${(big += 1)}`;
    return { id, from: "a@own.test", to: ["b@partner.test"], content: largeContent(id, block, expected) };
  };
  const began = Date.now();
  const record = await runLoad({ port: gateway.port, sessions: MESSAGES, perConnection: 1, tls, next }, newRecord());
  expect(record.acknowledged.length).toBe(MESSAGES);
  await eventually("the large ones at the MX", () => sink.arrivals.length === MESSAGES, { within: 60_000 });
  const { peak } = memory.end();

  console.log(`before ${before.toFixed(0)} MiB, peak ${peak.toFixed(0)} MiB, ${Date.now() - began} ms`);
  expect(Object.fromEntries(sink.arrivals.map(({ id, bodySha256 }) => [id, bodySha256]))).toEqual(
    Object.fromEntries(expected),
  );
  expect(sink.arrivals.every(({ octets }) => octets >= SIZE)).toBe(true);
  expect(peak - before).toBeLessThanOrEqual(64);
});

/** The content in pieces; its body's hash is known when the last one has been given. */
function* largeContent(id: string, block: Buffer, expected: Map<string, string>): Generator<Buffer> {
  const hash = createHash("sha256");
  const opening = Buffer.from(`this is ${id}\r\n`);
  yield smallMessage(id).subarray(0, smallMessage(id).indexOf("\r\n\r\n") + 4);
  for (let octets = 0; octets < SIZE; octets += block.length) {
    const piece = octets === 0 ? Buffer.concat([opening, block]) : block;
    hash.update(piece);
    yield piece;
  }
  expected.set(id, hash.digest("hex"));
}
