import { X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { OwnCertificate } from "../../src/accept/settings.ts";
import { checkKeyPair } from "../../src/config/certificates.ts";
import { selfSigned } from "../../src/config/self-signed.ts";

const DAY = 86_400_000;
const NOW = Date.parse("2026-11-25T12:00:00Z");

let base: string;
let dataDir: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "sealpost-self-signed-"));
  dataDir = join(base, "deep", "data");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

async function load(now = NOW, hostname = "relay.example.org"): Promise<OwnCertificate> {
  const answer = await selfSigned({ dataDir, hostname, now });
  if ("message" in answer) throw new Error(answer.message);
  return answer;
}

function mode(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

it("makes a certificate for hostname and localhost that passes its own check", async () => {
  const made = await load(NOW, "Relay.Example.org");
  expect(made.names).toEqual(["relay.example.org", "localhost"]);
  expect(checkKeyPair(made.certificate, made.key, NOW)).toMatchObject({ names: made.names });
  const certificate = new X509Certificate(made.certificate);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.ca).toBe(false);
  expect(certificate.checkHost("relay.example.org")).toBe("relay.example.org");
});

it("keeps key and folders to itself, and leaves nothing else behind", async () => {
  await load();
  expect(mode(join(dataDir, "self-signed.key"))).toBe("600");
  expect([mode(dataDir), mode(join(base, "deep"))]).toEqual(["700", "700"]);
  expect(readdirSync(dataDir).toSorted()).toEqual(["self-signed.crt", "self-signed.key"]);
});

it("is the same after a restart, until 30 days before its end", async () => {
  const first = await load();
  expect(await load(NOW + 360 * DAY)).toEqual(first);
});

it("renews within 30 days of its end and keeps the key, so that pins stay right", async () => {
  const first = await load();
  const renewed = await load(NOW + 370 * DAY);
  expect(renewed.key).toBe(first.key);
  expect(renewed.certificate).not.toBe(first.certificate);
  expect(new X509Certificate(renewed.certificate).validToDate.getTime()).toBeGreaterThan(NOW + 700 * DAY);
  expect(readFileSync(join(dataDir, "self-signed.crt"), "utf8")).toBe(renewed.certificate);
});

it("makes a new one for a new hostname", async () => {
  await load();
  expect((await load(NOW, "mail.example.org")).names).toContain("mail.example.org");
});

it.each([
  ["self-signed.crt", "missing", ""],
  ["self-signed.crt", "cut short", "-----BEGIN CERTIFICATE-----\nMII"],
  ["self-signed.key", "missing", ""],
  ["self-signed.key", "cut short", "-----BEGIN PRIVATE KEY-----\nMII"],
])("mends a pair whose %s is %s, as after a crash", async (file, _, content) => {
  await load();
  if (content === "") rmSync(join(dataDir, file));
  else writeFileSync(join(dataDir, file), content, { mode: 0o600 });
  const mended = await load();
  expect(checkKeyPair(mended.certificate, mended.key, NOW)).not.toHaveProperty("message");
  expect(mode(join(dataDir, "self-signed.key"))).toBe("600");
});

it("refuses a key that others may read, with the remedy", async () => {
  await load();
  chmodSync(join(dataDir, "self-signed.key"), 0o640);
  const answer = await selfSigned({ dataDir, hostname: "relay.example.org", now: NOW });
  expect(answer).toMatchObject({
    message: expect.stringContaining("others may read"),
    remedy: expect.stringContaining("chmod 600"),
  });
});

it("says why when data_dir cannot be made", async () => {
  writeFileSync(join(base, "file"), "");
  dataDir = join(base, "file", "data");
  const answer = await selfSigned({ dataDir, hostname: "relay.example.org", now: NOW });
  expect(answer).toMatchObject({ message: expect.stringContaining("ENOTDIR") });
});

it("writes nothing for a command that only looks", async () => {
  const answer = await selfSigned({ dataDir, hostname: "relay.example.org", now: NOW, keep: false });
  expect("message" in answer ? [] : answer.names).toEqual(["relay.example.org", "localhost"]);
  expect(readdirSync(base)).toEqual([]);
});
