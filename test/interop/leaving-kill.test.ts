/**
 * SIGKILL while mail is being signed by S/MIME and DKIM: what was acknowledged arrives whole with signatures that hold,
 * and what was half made is gone after the next start.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { dkimVerifiers } from "./rig/dkim-verifiers.ts";
import { createHouse, partner, person, root, startCollector } from "./rig/leaving.ts";
import { signedParts, verifyAll } from "./rig/leaving-readers.ts";
import { newRecord, runLoad, smallMessage } from "./rig/load.ts";
import { alive, eventually } from "./rig/processes.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const ROUNDS = 4;
const SESSIONS = 8;
const SMALL = 4 * 1024;
/** So large that it is a file, and that signing takes as long as taking it does. */
const LARGE = 1024 * 1024;

it(`loses and spoils nothing in ${ROUNDS} rounds of SIGKILL while messages are signed`, async () => {
  const house = await createHouse(bench, {
    gateway: person({ email: "gateway@own.test", keyType: "rsa" }),
    settings: { queue: { retry: ["1s"] } },
  });
  let open = true;
  const collector = await startCollector(bench, house, "127.0.0.21", ({ line }) =>
    open || !line.startsWith("RCPT") ? undefined : "451 4.2.0 later",
  );
  const outbound = { smime: { sign: "always" }, dkim: "require" };
  await house.site.partner("partner", partner("partner.test", collector, outbound));
  const bodies = async (): Promise<string[]> => readdir(join(house.site.dataDir, "bodies")).catch(() => []);
  const record = newRecord();
  const sent = new Map<string, Buffer>();
  let made = 0;
  const next = () => {
    const id = `leaving-${(made += 1)}`;
    const content = smallMessage(id, { body: `${id} wird signiert`, size: made % 3 === 0 ? LARGE : SMALL });
    sent.set(id, content.subarray(content.indexOf("\r\n\r\n") + 4));
    return { id, from: "a@own.test", to: [`${id}@partner.test`], content };
  };
  const swept: string[] = [];
  let gateway = await house.site.start();
  for (let round = 1; round <= ROUNDS; round++) {
    let stopped = false;
    const before = record.acknowledged.length;
    const wish = { port: gateway.port, sessions: SESSIONS, tls: { ca: house.ca }, next, stopped: () => stopped };
    const load = runLoad(wish, record);
    await eventually("mail acknowledged in this round", () => record.acknowledged.length > before + 2 * SESSIONS);
    await pause(Math.random() * 500);
    const tree = gateway.kill();
    await eventually("the end of every process", () => tree.every((pid) => !alive(pid)), { every: 5 });
    stopped = true;
    await load;

    const left = await bodies();
    open = false; // nothing that was stored can go now
    gateway = await house.site.start();
    const kept = new Set(await bodies());
    swept.push(...left.filter((name) => !kept.has(name)));
    open = true;
  }

  const arrived = new Map<string, Buffer>();
  const missing = (): string[] => {
    for (const { recipients, content, complete } of collector.messages)
      if (complete) arrived.set(/<([^@]+)@/.exec(recipients.join())?.[1] ?? "", content);
    return record.acknowledged.flatMap(({ id }) => (arrived.has(id) ? [] : [id]));
  };
  await eventually("every acknowledged message", () => missing().length === 0, {
    within: 60_000,
    seen: () => missing().slice(0, 20).join(", "),
  });
  await eventually("an empty folder of bodies", async () => (await bodies()).length === 0);
  const signed = swept.filter((name) => /\.[1-9]/.test(name)).length; // a body beside the one that came
  expect(signed, "it was killed while S/MIME made a body").toBeGreaterThan(0);

  const all = [...arrived];
  const contents = all.map(([, content]) => content);
  const verified = await verifyAll(bench, root.pem, contents);
  expect(all.flatMap(([id], at) => (verified[at]?.ok === true ? [] : [[id, verified[at]?.told]]))).toEqual([]);
  const spoiled = all.filter(([id, content]) => !sent.get(id)?.equals(bodyOf(signedParts(content).content)));
  expect(spoiled.map(([id]) => id)).toEqual([]);
  const { dkimPy } = await dkimVerifiers(bench, house.dkim);
  const dkim = new Set((await dkimPy(contents)).map((one) => one.dkim.join()));
  expect([...dkim]).toEqual(["rsa-sha256 pass,ed25519-sha256 pass"]);
  console.log(
    `acknowledged ${record.acknowledged.length}, arrived ${all.length}, repeated ${collector.messages.length - all.length};` +
      ` half-made files swept ${swept.length}, of them ${signed} made by S/MIME`,
  );
  expect(await gateway.stop()).toBe(0);
});

function bodyOf(entity: Buffer): Buffer {
  return entity.subarray(entity.indexOf("\r\n\r\n") + 4);
}
