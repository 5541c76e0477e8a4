/** A disk that is full, on a real tmpfs of 8 MiB: mail is put off, nothing is lost, and it mends by itself. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { createAuthority } from "./rig/certificates.ts";
import { createSite } from "./rig/gateway.ts";
import { newRecord, runLoad, smallMessage } from "./rig/load.ts";
import { eventually, freePort, must } from "./rig/processes.ts";
import { startSink } from "./rig/sink.ts";
import { swaks } from "./rig/swaks.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const ADDRESS = "127.0.0.21";

async function siteOnSmallDisk() {
  const authority = await createAuthority(await bench.folder("ca"));
  const port = await freePort(ADDRESS);
  const disk = join(await bench.folder("disk"), "small");
  await mkdir(disk);
  await must("mount", ["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", disk]);
  bench.atEnd(() => must("umount", [disk]));
  const site = await createSite(bench, {
    data_dir: disk,
    tls: { certificates: [await authority.issue(["relay.own.test"])] },
    admin: { token_file: join(disk, "admin.token") },
    queue: { reserve: "1MiB" },
  });
  await site.partner("partner", {
    name: "Partner",
    domains: ["partner.test"],
    outbound: { next_hop: `[${ADDRESS}]:${port}`, tls: { level: "encrypt" } },
  });
  const gateway = await site.start();
  const credential = await authority.issue(["mx.partner.test"]);
  const startMx = () => startSink(bench, { address: ADDRESS, port, credential });
  const tls = { ca: await readFile(authority.certificate, "utf8") };
  return { disk, gateway, startMx, tls };
}

it.each([
  ["small", 8 * 1024, 4],
  ["large", 400 * 1024, 8],
])(
  "puts off mail with 452 when the queue has filled the disk with %s mail, and takes it again when the queue has drained",
  async (_, size, sessions) => {
    const { gateway, startMx, tls } = await siteOnSmallDisk();
    const record = newRecord();
    let made = 0;
    const next = () => {
      const refused = [...record.refused.values()].reduce((sum, count) => sum + count, 0);
      if (refused >= sessions || made > 5_000) return undefined;
      const id = `full-${(made += 1)}`;
      return { id, from: "a@own.test", to: ["b@partner.test"], content: smallMessage(id, { size }) };
    };
    await runLoad({ port: gateway.port, sessions, tls, next }, record);
    expect([...record.refused.keys()]).toEqual(["452 4.3.1"]);
    expect(record.acknowledged.length).toBeGreaterThan(4);

    const sink = await startMx();
    const owed = record.acknowledged.map(({ id }) => id);
    const missing = () => owed.filter((id) => !sink.arrivals.some((arrival) => arrival.id === id));
    await eventually("what was acknowledged", () => missing().length === 0, {
      within: 60_000,
      seen: () => missing().join(),
    });
    await eventually("mail is taken again", async () => (await swaks({ port: gateway.port() })).code === 0);
    await eventually("it arrives too", () => sink.arrivals.some(({ id }) => id === ""));
    expect(
      sink.arrivals
        .filter(({ id }) => id !== "")
        .map(({ id }) => id)
        .sort(),
    ).toEqual(owed.sort());
  },
);

it("puts off mail with 452 while others fill the disk, and takes it again when they have gone", async () => {
  const { disk, gateway, startMx } = await siteOnSmallDisk();
  const first = await swaks({ port: gateway.port() });
  expect(first.code, first.transcript).toBe(0);
  const ballast = join(disk, "ballast");
  const filling = writeFile(ballast, Buffer.alloc(8 * 1024 * 1024));
  await expect(filling).rejects.toMatchObject({ code: "ENOSPC" });

  const refused = await eventually("refusal", async () => {
    const tried = await swaks({ port: gateway.port() });
    return tried.code !== 0 && tried;
  });
  expect(refused.refusals.join("\n")).toMatch(/^452 4\.3\.1 /m);
  await rm(ballast);
  const again = await eventually("mail is taken again", async () => {
    const tried = await swaks({ port: gateway.port() });
    return tried.code === 0 && tried;
  });
  const sink = await startMx();
  await eventually("both at the MX", () => sink.arrivals.length === 2);
  for (const { queueId } of [first, again])
    expect(await gateway.logged("message.finished", (line) => line["queueId"] === queueId)).toBeDefined();
});
