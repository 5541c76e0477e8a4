/** The source of a lookup table, as Postfix's own postmap reads it, and as the import does. */
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readTable } from "../../src/cli/postfix/table.ts";

const run = promisify(execFile);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-postmap-"));
  await writeFile(join(folder, "main.cf"), "compatibility_level = 3.6\n");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function postmap(...words: string[]): Promise<string> {
  return (await run("postmap", ["-c", folder, ...words])).stdout;
}

it("finds the entries that Postfix finds, the first where there are two [postmap(1)]", {
  timeout: 60_000,
}, async () => {
  const table = join(folder, "tls_policy");
  await copyFile(new URL("../integration/import-postfix.fixture", import.meta.url), table);
  await postmap(`hash:${table}`);
  const theirs = (await postmap("-s", `hash:${table}`)).trim().split("\n");
  const ours = readTable(await readFile(table, "utf8")).flatMap((one) =>
    "why" in one ? [] : [`${one.key} ${one.value}`],
  );
  const plain = (line: string): string => line.replaceAll(/\s+/g, " ").trim();
  expect(ours.map(plain).toSorted()).toEqual(theirs.map(plain).toSorted());
  expect(ours.length).toBeGreaterThan(30);
});
