/** Starts that must be refused: with a key that does not open the queue, and beside a gateway that runs. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { chmod, copyFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { createAuthority } from "./rig/certificates.ts";
import { createSite, type Site } from "./rig/gateway.ts";
import { alive, eventually, freePort } from "./rig/processes.ts";
import { startSink } from "./rig/sink.ts";
import { swaks } from "./rig/swaks.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const ADDRESS = "127.0.0.21";

/** A stopped gateway whose queue holds one message for a partner who is not there. */
async function siteWithMail() {
  const port = await freePort(ADDRESS);
  const site = await createSite(bench, {});
  await site.partner("partner", {
    name: "Partner",
    domains: ["partner.test"],
    outbound: { next_hop: `[${ADDRESS}]:${port}`, tls: { level: "encrypt" } },
  });
  const gateway = await site.start();
  const sent = await swaks({ port: gateway.port() });
  expect(sent.code, sent.transcript).toBe(0);
  await gateway.logged("delivery", ({ outcome }) => outcome === "deferred");
  expect(await gateway.stop()).toBe(0);
  return { site, port, queueId: sent.queueId };
}

it.each([
  ["wrong", async (site: Site) => writeFile(site.keyFile, await keyOfAnother())],
  ["missing", async (site: Site) => rm(site.keyFile)],
  [
    "swapped",
    async (site: Site) => {
      const other = (await siteWithMail()).site;
      await rename(site.keyFile, `${site.keyFile}.kept`);
      await copyFile(other.keyFile, site.keyFile);
      await copyFile(`${site.keyFile}.kept`, other.keyFile);
      const otherBefore = hashOf(other.dataDir);
      expect((await other.refuse()).code).toBe(78);
      expect(hashOf(other.dataDir)).toEqual(otherBefore);
    },
  ],
])(
  "refuses to start with a %s queue key, leaves the store as it is, and delivers once the key is back",
  async (_, spoil) => {
    const { site, port, queueId } = await siteWithMail();
    const rightKey = readFileSync(site.keyFile);
    const before = hashOf(site.dataDir);
    await spoil(site);

    const refused = await site.refuse();

    expect(refused.code, refused.stderr).toBe(78);
    expect(refused.stderr).toMatch(/key/i);
    expect(hashOf(site.dataDir)).toEqual(before);
    await writeFile(site.keyFile, rightKey, { mode: 0o600 });
    await chmod(site.keyFile, 0o600);
    const authority = await createAuthority(await bench.folder("ca"));
    const sink = await startSink(bench, {
      address: ADDRESS,
      port,
      credential: await authority.issue(["mx.partner.test"]),
    });
    const gateway = await site.start();
    await eventually("the message at the MX", () => sink.arrivals.length === 1);
    await gateway.logged("message.finished", (line) => line["queueId"] === queueId);
  },
);

it("refuses a second start on the same data directory, naming the first, which goes on", async () => {
  const site = await createSite(bench, {});
  const gateway = await site.start();
  const second = await site.refuse();
  expect(second.code, second.stderr).toBe(69);
  expect(second.stderr).toContain(String(gateway.pid));
  expect(alive(gateway.pid)).toBe(true);
  expect((await swaks({ port: gateway.port() })).code).toBe(0);
});

async function keyOfAnother(): Promise<Buffer> {
  const other = await createSite(bench, {});
  const gateway = await other.start();
  await gateway.stop();
  return readFileSync(other.keyFile);
}

/** SHA-256 of every file below a folder, by its name. */
function hashOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, createHash("sha256").update(readFileSync(path)).digest("hex")];
    }),
  );
}
