/** `sealpost tlsa` on certificate files; what it prints is checked against the digests that the test's CA knows. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAuthority, selfSigned } from "../peers/certificates.ts";
import { run } from "./cli-deps.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-tlsa-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function tlsa(pem: string, ...words: string[]) {
  await writeFile(join(folder, "mx.pem"), pem);
  return run(folder, ["tlsa", "mx.pem", ...words]);
}

const root = createAuthority("Test Root");
const middle = root.intermediate("Test Intermediate");
const mx = middle.issue({ names: ["mx.example.org", "mx2.example.org"] });

it("prints 3 1 1 for the own key and 2 1 1 for each authority of the chain, for each name [RFC 7672 §3.1]", async () => {
  const ran = await tlsa(mx.chain + root.certificate);
  expect(ran.code).toBe(0);
  const records = ran.out
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" ;")[0]);
  expect(records).toEqual(
    ["mx", "mx2"].flatMap((name) => [
      `_25._tcp.${name}.example.org. IN TLSA 3 1 1 ${mx.spkiSha256}`,
      `_25._tcp.${name}.example.org. IN TLSA 2 1 1 ${middle.spkiSha256}`,
      `_25._tcp.${name}.example.org. IN TLSA 2 1 1 ${root.spkiSha256}`,
    ]),
  );
  expect(ran.out).toMatch(/; own key CN=mx\.example\.org until \d{4}-\d\d-\d\d\n/);
  expect(ran.error).toContain("DNSSEC");
});

it("takes another port and the name that the MX record has", async () => {
  const ran = await tlsa(mx.chain, "--port", "587", "--name", "Relay.Example.NET.");
  expect(ran.out).toMatch(/^_587\._tcp\.relay\.example\.net\. IN TLSA 3 1 1 /);
  expect(ran.error).toContain("does not name relay.example.net");
});

it("prints one object a record with --json, and nothing else", async () => {
  const ran = await tlsa(mx.certificate, "--json", "--name", "mx.example.org");
  expect(ran.error).toBe("");
  expect(JSON.parse(ran.out)).toMatchObject({
    owner: "_25._tcp.mx.example.org.",
    usage: 3,
    selector: 1,
    matchingType: 1,
    data: mx.spkiSha256,
    subject: "CN=mx.example.org",
  });
});

it("names no authority for a certificate that signed itself", async () => {
  const own = selfSigned({ names: ["mx.example.org", "localhost"] });
  const ran = await tlsa(own.certificate);
  expect(ran.out).toMatch(new RegExp(`^_25\\._tcp\\.mx\\.example\\.org\\. IN TLSA 3 1 1 ${own.spkiSha256} .*\n$`));
  expect(ran.error).toContain("no authority");
});

it("never shows the key that stands in the same file", async () => {
  const ran = await tlsa(mx.key + mx.chain);
  expect(ran.code).toBe(0);
  expect(ran.out + ran.error).not.toContain(mx.key.split("\n")[1]);
});

it.each([
  ["a certificate of a wildcard alone", root.issue({ names: ["*.example.org"] }).certificate, []],
  ["a certificate without names", root.issue({ commonName: "nameless" }).certificate, []],
  ["a file without certificates", mx.key, []],
  ["a text that is none", "hello", []],
  ["a name that is none", mx.chain, ["--name", "mx example"]],
  ["a port that is none", mx.chain, ["--port", "0"]],
  ["a port too high", mx.chain, ["--port", "65536"]],
])("refuses %s: exit 64", async (_, pem, words) => {
  const ran = await tlsa(pem, ...words);
  expect(ran).toMatchObject({ code: 64, out: "" });
  expect(ran.error).not.toBe("");
});

it("says which file cannot be read: exit 64", async () => {
  const ran = await run(folder, ["tlsa", "none.pem"]);
  expect(ran).toMatchObject({ code: 64, out: "" });
  expect(ran.error).toContain("none.pem");
});
