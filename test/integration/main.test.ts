import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sealpost-main-"));
  writeFileSync(
    join(folder, "sealpost.yaml"),
    "dns: {resolvers: ['127.0.0.1:9'], timeout: 200ms}\nlisteners: [{clients: [127.0.0.0/8]}]\nadmin: {port: 1}\n",
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [MAIN, ...args, "-c", join(folder, "sealpost.yaml")], (error, out, stderr) => {
      done({ code: typeof error?.code === "number" ? error.code : 0, out, error: stderr });
    });
  });
}

describe("a command in a process of its own", () => {
  it.each([
    ["doctor", 1, /clock/],
    ["probe acme.test", 1, /127\.0\.0\.1:9/],
    ["explain anna@acme.test", 0, /encrypt/],
    ["queue list", 0, /Nothing waits/],
    ["tls profiles", 0, /intermediate/],
  ])("%s answers, however long it has only to wait, and ends with %i", async (words, code, said) => {
    const ended = await run(...words.split(" "));
    expect(ended.out + ended.error).toMatch(said);
    expect(ended.code).toBe(code);
  });

  it("ends only when its reader has had all of a long answer", async () => {
    const keys = Array.from({ length: 800 }, (_, at) => `no_such_key_${at}: 1`);
    writeFileSync(join(folder, "sealpost.yaml"), keys.join("\n"));
    const { code, out } = await run("check", "--json");
    expect(code).toBe(78);
    const { problems } = JSON.parse(out) as { problems: object[] };
    expect(problems.length).toBeGreaterThanOrEqual(800);
  });
});
