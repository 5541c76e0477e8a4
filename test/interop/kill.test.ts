/**
 * SIGKILL at random moments under load: what was acknowledged arrives, the disk shows nothing in clear,
 * and no process stays behind.
 */
import { readFileSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { createAuthority } from "./rig/certificates.ts";
import { createSite } from "./rig/gateway.ts";
import { newRecord, runLoad, smallMessage } from "./rig/load.ts";
import { alive, eventually } from "./rig/processes.ts";
import { startSink } from "./rig/sink.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const ROUNDS = 12;
const SESSIONS = 16;

it(`loses nothing it acknowledged in ${ROUNDS} rounds of SIGKILL under load, and stores nothing in clear`, async () => {
  const authority = await createAuthority(await bench.folder("ca"));
  const own = await authority.issue(["relay.own.test"]);
  let asked = 0;
  const sink = await startSink(bench, {
    address: "127.0.0.21",
    credential: await authority.issue(["mx.partner.test"]),
    rcpt: () => ((asked += 1) % 10 === 0 ? "451 4.2.0 later" : "250 2.1.5 OK"),
  });
  const site = await createSite(bench, { tls: { certificates: [own] } });
  await site.partner("partner", {
    name: "Partner",
    domains: ["partner.test", "second.test"],
    outbound: { next_hop: `[${sink.address}]:${sink.port}`, tls: { level: "encrypt" } },
  });
  const ca = await readFile(authority.certificate, "utf8");
  const record = newRecord();
  let made = 0;
  const next = () => {
    const id = `load-${(made += 1)}`;
    const to = ["hidden-one@partner.test", "hidden-two@partner.test", "hidden-three@second.test"].slice(
      0,
      1 + (made % 3),
    );
    const size = made % 12 === 0 ? 200 * 1024 : 4096; // large bodies are stored in another way
    const content = smallMessage(id, { subject: "hidden-subject", body: "hidden-body ".repeat(5), size });
    return { id, from: "hidden-sender@own.test", to, content };
  };

  for (let round = 1; round <= ROUNDS; round++) {
    const gateway = await site.start();
    let stopped = false;
    const before = record.acknowledged.length;
    const load = runLoad(
      { port: gateway.port, sessions: SESSIONS, perConnection: 20, tls: { ca }, next, stopped: () => stopped },
      record,
    );
    await eventually("mail acknowledged in this round", () => record.acknowledged.length > before);
    await pause(Math.random() * 1_200);
    const tree = gateway.kill();
    const killed = Date.now();
    await eventually("the end of every process", () => tree.every((pid) => !alive(pid)), { within: 1_000, every: 5 });
    expect(Date.now() - killed).toBeLessThan(1_000);
    stopped = true;
    await load;
    expect(
      inClear(site.dataDir, ["hidden-", Buffer.from("hidden-body hidden").toString("base64").slice(0, 20)]),
    ).toEqual([]);
    expect(inClear(site.dataDir, ["partner.test"]), "the search sees what is stored in clear").not.toEqual([]);
  }

  const gateway = await site.start();
  const missing = () => {
    const arrived = new Set(sink.arrivals.flatMap(({ id, recipients }) => recipients.map((to) => `${id} ${to}`)));
    const owed = record.acknowledged.flatMap(({ id, to }) => to.map((each) => `${id} ${each}`));
    return owed.filter((each) => !arrived.has(each));
  };
  await eventually("every acknowledged recipient at the MX", () => missing().length === 0, {
    within: 60_000,
    every: 250,
    seen: () => `${missing().length} of ${record.acknowledged.length} messages: ${missing().slice(0, 20).join(", ")}`,
  });
  expect(record.acknowledged.length).toBeGreaterThan(ROUNDS * 50);
  expect([...sink.clearCommands.keys()].filter((verb) => !["EHLO", "STARTTLS", "QUIT"].includes(verb))).toEqual([]);
  const total = sink.arrivals.reduce((sum, { recipients }) => sum + recipients.length, 0);
  const distinct = new Set(sink.arrivals.flatMap(({ id, recipients }) => recipients.map((to) => `${id} ${to}`))).size;
  console.log(`acknowledged ${record.acknowledged.length}, recipients ${distinct}, repeated ${total - distinct}`);
  expect(await gateway.stop()).toBe(0);
});

/** Files below a folder that contain one of these, as `file: text`. */
function inClear(folder: string, texts: readonly string[]): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    const content = readFileSync(path);
    return texts.filter((text) => content.includes(text)).map((text) => `${path}: ${text}`);
  });
}
