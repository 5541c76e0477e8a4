/** The rig's own Exim: it takes a message and hands it on, as a relay on the way to a partner would. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { startMx, type MxOptions } from "../peers/mx-server.ts";
import { startExim } from "./rig/exim.ts";
import { awkwardMessage, withoutTrace } from "./rig/mail.ts";
import { eventually } from "./rig/processes.ts";
import { swaks } from "./rig/swaks.ts";
import { createWorkbench, type Workbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

async function nextHop(options: MxOptions = {}) {
  const mx = await startMx(options);
  bench.atEnd(mx.close);
  return mx;
}

/** A message on disk, as swaks takes it. */
async function messageFile(on: Workbench, content: Buffer): Promise<string> {
  const file = join(await on.folder("message"), "message.eml");
  await writeFile(file, content.subarray(0, -1)); // swaks ends the last line itself
  return file;
}

it("passes a message on, unchanged but for its own trace fields", async () => {
  const mx = await nextHop();
  const exim = await startExim(bench, { nextHop: mx });
  const message = awkwardMessage("through-exim", "bernd@partner.test");
  const file = await messageFile(bench, message);

  const sent = await swaks({ port: exim.port, more: ["--data", `@${file}`] });

  expect(sent.code, sent.transcript).toBe(0);
  await exim.logged(/ => bernd@partner\.test .*C="250 /);
  const [arrived] = mx.messages;
  expect(arrived?.recipients).toEqual(["RCPT TO:<bernd@partner.test>"]);
  const { trace, content } = withoutTrace(
    Buffer.from(arrived?.content.toString("latin1").replaceAll("\r\n", "\n") ?? "", "latin1"),
  );
  expect(trace).toHaveLength(1);
  expect(trace[0]).toContain("by exim.test with esmtp (Exim 4.");
  expect(content.toString("latin1")).toBe(message.toString("latin1"));
});

it("keeps what the next hop turns away for now, and tries again", async () => {
  const mx = await nextHop({ final: "451 4.3.0 not now" });
  const exim = await startExim(bench, { nextHop: mx });
  const sent = await swaks({ port: exim.port });
  expect(sent.code, sent.transcript).toBe(0);
  await exim.logged(/ == bernd@partner\.test .*451 4\.3\.0 not now/);
  mx.change({});
  await exim.logged(/ => bernd@partner\.test /);
  await eventually("the message", () => mx.messages.some(({ complete }) => complete));
});
