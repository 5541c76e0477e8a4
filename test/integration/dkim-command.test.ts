/** `sealpost dkim generate` and `show`, with keys on disk and records in a DNS server of the test. */
import { createPrivateKey } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DnsPeer, startDnsServer } from "../peers/dns-server.ts";
import { cliDeps, run } from "./cli-deps.ts";

let folder: string;
let dns: DnsPeer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-dkim-"));
  await mkdir(join(folder, "config"));
  dns = await startDnsServer({}, {});
});
afterEach(async () => {
  await dns.close();
  await rm(folder, { recursive: true, force: true });
});

const dkim = (words: string) =>
  run(folder, ["dkim", ...words.split(" "), "-c", join(folder, "config", "sealpost.yaml")]);
const keysFolder = () => join(folder, "certs", "dkim");

interface Generated {
  readonly selector: string;
  readonly algorithm: string;
  readonly file: string;
  readonly name: string;
  readonly value: string;
  readonly zone: string;
  readonly yaml: string;
}

const lines = <T>(out: string): T[] =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);

async function generated(words: string): Promise<Generated[]> {
  const ran = await dkim(`generate ${words} --json`);
  expect(ran).toMatchObject({ code: 0, error: "" });
  return lines(ran.out);
}

/** The configuration as `generate` prints it, with what else it must have. */
async function configure(dkimLines: string, more = ""): Promise<void> {
  const text = `hostname: relay.example.org
postmaster: postmaster@example.org
data_dir: ../data
dns: {resolvers: ["127.0.0.1:${dns.port}"], timeout: 1s}
listeners: [{name: smarthost, address: 127.0.0.1, port: 0, clients: [127.0.0.0/8]}]
queue: {key_file: ../certs/queue.key, reserve: 1MiB}
domains:
  - domain: example.org
    next_hop: "[127.0.0.1]:2600"
    dkim:
${dkimLines}
${more}`;
  await writeFile(join(folder, "config", "sealpost.yaml"), text);
}

describe("dkim generate", () => {
  it("makes an RSA and an Ed25519 key for their owner alone, named by domain and month", async () => {
    const month = new Date().toISOString().slice(0, 7).replace("-", "");
    const keys = await generated("Example.ORG");
    expect(keys.map(({ selector, algorithm }) => [selector, algorithm])).toEqual([
      [`s${month}r`, "rsa-sha256"],
      [`s${month}e`, "ed25519-sha256"],
    ]);
    for (const { file, selector } of keys) {
      expect(file).toBe(join(keysFolder(), `example.org.${selector}.pem`));
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
    const [rsa, ed25519] = await Promise.all(keys.map(async ({ file }) => createPrivateKey(await readFile(file))));
    expect(rsa?.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(ed25519?.asymmetricKeyType).toBe("ed25519");
    expect((await stat(keysFolder())).mode & 0o777).toBe(0o700);
  });

  it("prints records for a zone file, in strings of 255 octets at most [RFC 1035 §3.3]", async () => {
    const [one] = await generated("example.org --algorithm rsa --bits 4096 --selector s1");
    expect(one?.zone).toMatch(/^s1\._domainkey\.example\.org\. IN TXT \( (?:"[^"]{1,255}" )+\)$/);
    const strings = [...(one?.zone ?? "").matchAll(/"([^"]*)"/g)].map(([, text = ""]) => text);
    expect(strings.length).toBeGreaterThan(2);
    expect(strings.join("")).toBe(one?.value);
    expect(one?.value).toMatch(/^v=DKIM1; k=rsa; p=MII/);
  });

  it("takes the selector as it is given for one key, and with r and e for two", async () => {
    expect((await generated("example.org --algorithm ed25519 --selector S2026.a")).map((one) => one.selector)).toEqual([
      "s2026.a",
    ]);
    expect((await generated("example.org --selector s2026")).map((one) => one.selector)).toEqual(["s2026r", "s2026e"]);
  });

  it("never shows the private key", async () => {
    const ran = await dkim("generate example.org --algorithm rsa --selector s1");
    const secret = (await readFile(join(keysFolder(), "example.org.s1.pem"), "utf8")).split("\n")[5] ?? "?";
    expect(ran.out + ran.error).not.toContain(secret);
  });

  it("prints lines for the configuration that load as they are", async () => {
    const ran = await dkim("generate example.org");
    expect(ran.code).toBe(0);
    const entries = ran.out.split("\n").filter((line) => line.startsWith("      - {selector: "));
    expect(entries).toHaveLength(2);
    await configure(entries.join("\n"));
    const loaded = await cliDeps(folder).loadConfig(join(folder, "config", "sealpost.yaml"));
    expect(loaded.ok ? [] : loaded.problems).toEqual([]);
    expect(loaded.ok && loaded.settings.policy.ownDomains[0]?.dkim.map(({ algorithm }) => algorithm)).toEqual([
      "rsa-sha256",
      "ed25519-sha256",
    ]);
    expect(ran.error).toContain("Publish 2 records first");
  });

  it("never overwrites a key, and then makes none at all", async () => {
    await generated("example.org --selector s1 --algorithm ed25519");
    await rm(join(keysFolder(), "example.org.s1.pem"));
    await writeFile(join(keysFolder(), "example.org.s1e.pem"), "kept");
    const ran = await dkim("generate example.org --selector s1");
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.error).toContain("example.org.s1e.pem is there already");
    expect(await readdir(keysFolder())).toEqual(["example.org.s1e.pem"]);
    expect(await readFile(join(keysFolder(), "example.org.s1e.pem"), "utf8")).toBe("kept");
  });

  it("says so where it cannot write, and leaves nothing behind", async () => {
    await writeFile(join(folder, "file"), "");
    const ran = await dkim("generate example.org --out file/keys");
    expect(ran).toMatchObject({ code: 78, out: "" });
    expect(ran.error).toMatch(/cannot be written \((?:ENOTDIR|EEXIST)\)/);
  });

  it("needs no configuration", async () => {
    const ran = await run(folder, [
      "dkim",
      "generate",
      "example.org",
      "-c",
      "elsewhere/sealpost.yaml",
      "--out",
      "keys",
    ]);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain("key: ../keys/example.org.");
  });
});

describe("dkim show", () => {
  const DATES = ["", ", not_before: 2035-01-01", ", not_after: 2020-01-01"];

  async function threeKeys(): Promise<Generated[]> {
    const keys = [
      ...(await generated("example.org --algorithm rsa --selector now")),
      ...(await generated("example.org --algorithm ed25519 --selector next")),
      ...(await generated("example.org --algorithm ed25519 --selector old")),
    ];
    await configure(keys.map(({ yaml }, at) => `      - ${yaml.replace("}", `${DATES[at]}}`)}`).join("\n"));
    return keys;
  }

  const publish = ({ name, value }: Generated) => (dns.zones[name] = { TXT: [value.match(/.{1,255}/g) ?? []], ttl: 0 });

  it("prints what generate printed, and whether DNS has it", async () => {
    const keys = await threeKeys();
    for (const key of keys.slice(0, 2)) publish(key);
    const ran = await dkim("show");
    expect(ran).toMatchObject({ code: 0, error: "" });
    for (const { zone } of keys) expect(ran.out).toContain(`\n${zone}\n`);
    expect(ran.out.match(/; DNS has it/g)).toHaveLength(2);
    expect(ran.out).toMatch(/^; rsa-sha256, signs\n/);
    expect(ran.out).toContain("; ed25519-sha256, signs from 2035-01-01 on\n");
    expect(ran.out).toContain("; ed25519-sha256, signed until 2020-01-01\n");
  });

  it("ends with 1 when a record is missing or is another's, and says which", async () => {
    const [first, second] = await threeKeys();
    publish({ ...(first as Generated), value: (second as Generated).value });
    const ran = await dkim("show example.org --json");
    expect(ran).toMatchObject({ code: 1, error: "" });
    expect(lines(ran.out)).toMatchObject([
      { selector: "now", phase: "signs", published: "other-key" },
      { selector: "next", phase: "to come", notBefore: "2035-01-01", published: "missing" },
      { selector: "old", phase: "ended", notAfter: "2020-01-01" },
    ]);
    expect((await dkim("show")).out).toContain("; There is no record at next._domainkey.example.org");
  });

  it("cannot tell where DNS does not answer, which is no good news", async () => {
    await threeKeys();
    dns.faults["*"] = "servfail";
    expect(lines((await dkim("show --json")).out)).toMatchObject([
      { published: "unknown" },
      { published: "unknown" },
      {},
    ]);
  });

  it("asks nobody with --offline", async () => {
    await threeKeys();
    const ran = await dkim("show --offline");
    expect(ran.code).toBe(0);
    expect(dns.queries).toEqual([]);
    expect(ran.out).not.toContain("DNS");
  });

  it("knows only what is configured", async () => {
    await threeKeys();
    expect(await dkim("show other.example --offline")).toMatchObject({
      code: 1,
      error: expect.stringContaining("No DKIM key is configured for other.example") as string,
    });
    await chmod(join(keysFolder(), "example.org.now.pem"), 0o644);
    const ran = await dkim("show");
    expect(ran).toMatchObject({ code: 78, out: "" });
    expect(ran.error).toContain("others may read");
  });
});
