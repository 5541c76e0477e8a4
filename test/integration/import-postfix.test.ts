/** Sixty lines of Postfix's TLS policies, imported by the command, and loaded as the gateway loads them. */
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decisions } from "../../src/decide/decide.ts";
import { parseMailbox } from "../../src/mail/mailbox.ts";
import { createAuthority } from "../peers/certificates.ts";
import { cliDeps, run } from "./cli-deps.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-import-"));
  await mkdir(join(folder, "config/partners"), { recursive: true });
  await mkdir(join(folder, "postfix/anchors"), { recursive: true });
  await writeFile(join(folder, "postfix/anchors/bank-six.pem"), createAuthority("Bank Six CA").certificate);
  await copyFile(new URL("import-postfix.fixture", import.meta.url), join(folder, "postfix/tls_policy"));
  await writeFile(join(folder, "config/partners/kept.yaml"), "domains: [kept.example]\n");
  await configure();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const configure = (extra = "") =>
  writeFile(
    join(folder, "config/sealpost.yaml"),
    `hostname: relay.example.org
listeners: [{name: smarthost, port: 0, clients: [127.0.0.0/8]}]
domains: [{domain: ours.example, next_hop: "[127.0.0.1]:2600"}]
${extra}`,
  );
const imported = (...words: string[]) =>
  run(folder, [
    "import",
    "postfix-tls-policy",
    join(folder, "postfix/tls_policy"),
    ...words,
    "-c",
    join(folder, "config/sealpost.yaml"),
  ]);

/** The policy of an address as the gateway would decide it. */
async function policies() {
  const loaded = await cliDeps(folder).loadConfig(join(folder, "config/sealpost.yaml"));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const decide = decisions(loaded.settings.policy);
  return (domain: string) => decide(parseMailbox(`anna@${domain}`)!, 0);
}

describe("import postfix-tls-policy", () => {
  it("makes partner files that load, each demanding at least what Postfix did", async () => {
    expect((await imported()).code).toBe(1); // some entries have no equal
    const of = await policies();
    const words = (domain: string) => {
      const { partner, tls } = of(domain);
      const names = tls.match.map((one) =>
        typeof one === "string" ? one : "host" in one ? one.host : `.${one.below}`,
      );
      const pins = tls.fingerprints.map(({ sha256, of: what }) => `${sha256.slice(0, 4)} ${what}`);
      return [partner, tls.level, tls.minVersion, ...names, ...pins].join(" ");
    };
    expect(words("acme.example")).toBe("acme.example secure TLSv1.2 nexthop .mx.acme.example");
    expect(words("deep.down.acme.example")).toBe("acme.example secure TLSv1.2 nexthop .mx.acme.example");
    expect(words("bank-one.example")).toBe("bank-one.example verify TLSv1.2");
    expect(words("bank-two.example")).toBe("bank-two.example verify TLSv1.2 hostname mx.bank-two.example");
    expect(words("bank-three.example")).toBe("bank-three.example verify TLSv1.2 mail.bank-three.example");
    expect(words("x.bank-four.example")).toBe("below.bank-four.example secure TLSv1.2");
    expect(of("bank-four.example").partner).toBeNull();
    expect(words("bank-five.example")).toBe("bank-five.example secure TLSv1.2 nexthop dot-nexthop mx.hoster.example");
    expect(of("bank-six.example").tls).toMatchObject({
      servername: "mx.bank-six.example",
      trust: { ca: [expect.stringContaining("BEGIN")] },
    });
    expect(words("bank-seven.example")).toBe("bank-seven.example verify TLSv1.2");
    expect(words("ministry.example")).toBe("ministry.example dane-only TLSv1.2");
    for (const dane of ["court.example", "city.example", "county.example"]) expect(of(dane).tls.level).toBe("encrypt");
    expect(words("pinned-one.example")).toBe("pinned-one.example fingerprint TLSv1.2 3f00 certificate 3f00 public-key");
    expect(of("pinned-two.example").tls.fingerprints).toHaveLength(6);
    expect(words("customer-b.example")).toBe("customer-b.example encrypt TLSv1.3");
    for (const plain of ["c", "d", "e", "i"])
      expect(words(`customer-${plain}.example`)).toBe(`customer-${plain}.example encrypt TLSv1.2`);
    expect(words("sts.example")).toBe("sts.example secure TLSv1.2 mx1.sts.example mx2.sts.example");
    expect(words("odd.example")).toBe("odd.example encrypt TLSv1.2");
    expect(of("kept.example").partner).toBe("kept");
  });

  it("says line by line what has no equal, and what it left out", async () => {
    const { out } = await imported("--json");
    const { notes, partners } = JSON.parse(out) as {
      notes: { line: number; key: string; text: string; leftOut: boolean }[];
      partners: { domains: string[] }[];
    };
    const left = notes.filter(({ leftOut }) => leftOut).map(({ key }) => key);
    expect(left.toSorted()).toEqual(
      [
        "[192.0.2.25]",
        "[relay.example.org]:587",
        "acme.example",
        "customer-f.example",
        "customer-g.example",
        "customer-h.example",
        "not..a.name",
        "ours.example",
        "kept.example",
        "pinned-sha1.example",
        "relay.example.org:submission",
        "relay2.example.org:2525",
        "wrongmatch.example",
      ].toSorted(),
    );
    const of = (key: string) =>
      notes
        .filter((note) => note.key === key)
        .map(({ text }) => text)
        .join("; ");
    expect(of("bank-three.example")).toMatch(/ciphers=high: has no equal.*exclude=aNULL:MD5: has no equal/);
    expect(of("customer-d.example")).toContain("permits less than TLSv1.2, which stays");
    expect(of("customer-f.example")).toContain("exceptions: [{until: DATE");
    expect(of("sts.example")).toContain("sealpost looks the policy up itself");
    expect(of("county.example")).toContain("connection_reuse=no");
    expect(of("encrypted.example")).toContain("enable_rpk=yes: has no equal");
    expect(of("odd.example")).toContain('"forever" is no attribute');
    expect(partners).toHaveLength(24);
  });

  it("writes nothing with --dry-run, and nothing over a file that is there", async () => {
    const dry = await imported("--dry-run");
    expect(dry.out).toContain("domains: [acme.example, .acme.example]");
    expect(await readdir(join(folder, "config/partners"))).toEqual(["kept.yaml"]);
    await writeFile(join(folder, "config/partners/ministry.example.yaml"), "domains: [other.example]\n");
    const refused = await imported();
    expect([refused.code, refused.error]).toEqual([
      1,
      expect.stringContaining("is there already; nothing was written"),
    ]);
    expect((await readdir(join(folder, "config/partners"))).toSorted()).toEqual(["kept.yaml", "ministry.example.yaml"]);
  });

  it("takes its files away again where the configuration would not load with them", async () => {
    await rm(join(folder, "postfix/anchors/bank-six.pem"));
    const refused = await imported();
    expect([refused.code, refused.error]).toEqual([78, expect.stringContaining("does not exist")]);
    expect(await readdir(join(folder, "config/partners"))).toEqual(["kept.yaml"]);
  });

  it("imports may and dane as they are under a default that is no stricter", async () => {
    await configure("outbound: {tls: {level: may}}\n");
    await imported();
    const of = await policies();
    expect([of("customer-f.example").tls.level, of("court.example").tls.level]).toEqual(["may", "may"]);
    expect(of("customer-g.example").partner).toBeNull();
  });
});
