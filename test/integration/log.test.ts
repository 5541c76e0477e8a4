import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../../src/report/log.ts";
import { systemClock } from "../../src/runtime/clock.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-log-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const deps = { clock: systemClock, gateway: "relay.example.org", worker: 0, hashKey: Buffer.alloc(32) };

/** A process that logs `count` lines to its standard output and then ends by itself, exit code 7. */
function logging(count: number) {
  const log = join(import.meta.dirname, "../../src/report/log.ts");
  const clock = join(import.meta.dirname, "../../src/runtime/clock.ts");
  const program = `
    import { createLog } from ${JSON.stringify(log)};
    import { systemClock } from ${JSON.stringify(clock)};
    const log = createLog({ level: "info", addresses: "full", to: "stdout" },
      { clock: systemClock, gateway: "g", worker: 0, hashKey: Buffer.alloc(32) });
    for (let i = 0; i < ${count}; i++) {
      log.emit("gateway.stopped", { reason: "x".repeat(200) + i });
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await log.flush();
    process.exit(7);`;
  return spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["ignore", "pipe", "inherit"] });
}

describe("the log", () => {
  it("has written every line when flush resolves", async () => {
    const file = join(folder, "new/gateway.log");
    const log = createLog({ level: "info", addresses: "full", to: { file } }, deps);
    for (let i = 0; i < 1_000; i++) log.emit("gateway.stopped", { reason: `number ${i}` });
    await log.flush();
    const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
    expect(lines).toHaveLength(1_000);
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ reason: "number 999" });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it("goes on in a new file after a rotation", async () => {
    const file = join(folder, "gateway.log");
    const log = createLog({ level: "info", addresses: "full", to: { file } }, deps);
    log.emit("gateway.stopped", { reason: "before" });
    await log.flush();
    await rename(file, `${file}.1`);
    log.reopen();
    log.emit("gateway.stopped", { reason: "after" });
    await log.flush();
    expect(await readFile(`${file}.1`, "utf8")).toContain("before");
    expect(await readFile(file, "utf8")).toContain("after");
  });

  it("goes to standard output, whole lines, also when the process ends at once", async () => {
    const child = logging(2_000);
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    const [code] = (await once(child, "close")) as [number];
    const lines = text.trimEnd().split("\n");
    expect(code).toBe(7);
    expect(lines).toHaveLength(2_000);
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty("event", "gateway.stopped");
  });

  it("does not end the gateway when nobody reads standard output any more", async () => {
    const child = logging(5_000);
    await once(child.stdout, "data");
    child.stdout.destroy();
    const [code] = (await once(child, "exit")) as [number | null];
    expect(code).toBe(7);
  });
});
