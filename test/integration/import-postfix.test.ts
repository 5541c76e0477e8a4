/** Sixty lines of Postfix's TLS policies, imported by the command, and loaded as the gateway loads them. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decisions } from "../../src/decide/decide.ts";
import type { OutboundPolicy } from "../../src/decide/policy.ts";
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

interface Told {
  readonly lines: readonly number[];
  readonly file?: string;
  readonly domains?: readonly string[];
  readonly verdict: string;
  readonly entry?: string;
  readonly notes: readonly string[];
}
const told = (out: string): Told[] =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Told);
const withVerdict = (all: readonly Told[], wanted: string) => all.filter(({ verdict }) => verdict === wanted);
const partnerFiles = async () => (await readdir(join(folder, "config/partners"))).toSorted();

/** What the domain's policy demands, in short. */
function inWords({ partner, tls }: OutboundPolicy): string {
  const names = tls.match.map((one) => (typeof one === "string" ? one : "host" in one ? one.host : `.${one.below}`));
  const pins = tls.fingerprints.map(({ sha256, of: what }) => `${sha256.slice(0, 4)} ${what}`);
  return [partner, tls.level, tls.minVersion, ...names, ...pins].join(" ");
}

describe("import postfix-tls-policy", { timeout: 60_000 }, () => {
  it("makes partner files that load, each demanding at least what Postfix did", async () => {
    expect((await imported()).code).toBe(1); // some lines have no equal
    const of = await policies();
    const expected: Record<string, string> = {
      "acme.example": "acme.example secure TLSv1.2 nexthop .mx.acme.example",
      "deep.down.acme.example": "acme.example secure TLSv1.2 nexthop .mx.acme.example",
      "bank-one.example": "bank-one.example verify TLSv1.2 hostname",
      "bank-two.example": "bank-two.example verify TLSv1.2 hostname mx.bank-two.example",
      "bank-three.example": "bank-three.example verify TLSv1.2 mail.bank-three.example",
      "x.bank-four.example": "_below.bank-four.example secure TLSv1.2 nexthop dot-nexthop",
      "bank-five.example": "bank-five.example secure TLSv1.2 nexthop dot-nexthop mx.hoster.example",
      "bank-six.example": "bank-six.example secure TLSv1.2 nexthop dot-nexthop",
      "bank-seven.example": "bank-seven.example verify TLSv1.2 hostname",
      "ministry.example": "ministry.example dane-only TLSv1.2",
      "court.example": "court.example encrypt TLSv1.2",
      "city.example": "city.example encrypt TLSv1.2",
      "county.example": "county.example encrypt TLSv1.2",
      "pinned-one.example": "pinned-one.example fingerprint TLSv1.2 3f00 certificate 3f00 public-key",
      "pinned-sha1.example": "pinned-sha1.example fingerprint TLSv1.2 0000 certificate",
      "customer-a.example": "customer-a.example encrypt TLSv1.2",
      "customer-b.example": "customer-b.example encrypt TLSv1.3",
      "customer-c.example": "customer-c.example encrypt TLSv1.2",
      "customer-d.example": "customer-d.example encrypt TLSv1.2",
      "customer-e.example": "customer-e.example encrypt TLSv1.2",
      "customer-f.example": "customer-f.example encrypt TLSv1.2",
      "customer-g.example": "customer-g.example encrypt TLSv1.2",
      "customer-h.example": "customer-h.example fingerprint TLSv1.2 0000 certificate",
      "customer-i.example": "customer-i.example encrypt TLSv1.2",
      "xn--mnchen-3ya.example": "xn--mnchen-3ya.example encrypt TLSv1.2",
      "encrypted.example": "encrypted.example encrypt TLSv1.2",
      "sts.example": "sts.example secure TLSv1.2 mx1.sts.example mx2.sts.example",
      "odd.example": "odd.example fingerprint TLSv1.2 0000 certificate",
      "wrongmatch.example": "wrongmatch.example fingerprint TLSv1.2 0000 certificate",
      "kept.example": "kept encrypt TLSv1.2",
    };
    const found = Object.fromEntries(Object.keys(expected).map((domain) => [domain, inWords(of(domain))]));
    expect(found).toEqual(expected);
    expect(of("bank-four.example").partner).toBeNull();
    expect(of("pinned-two.example").tls.fingerprints).toHaveLength(6);
    expect(of("bank-six.example").tls).toMatchObject({
      servername: "mx.bank-six.example",
      trust: { ca: [expect.stringContaining("BEGIN")] },
    });
    expect(of("court.example").tls.dane).toBe("honour");
    expect(await partnerFiles()).toHaveLength(30);
  });

  it("says line by line what is the same, what is stricter, what waits for a person, and what it left out", async () => {
    const all = told((await imported("--json")).out);
    expect(withVerdict(all, "left-out").map(({ lines, entry }) => [lines[0], entry?.split(" ")[0]])).toEqual([
      [48, "[relay.example.org]:587"],
      [49, "[192.0.2.25]"],
      [50, "relay.example.org:submission"],
      [51, "relay2.example.org:2525"],
      [54, "acme.example"],
      [55, "not..a.name"],
      [58, "ours.example"],
      [59, "kept.example"],
    ]);
    expect(withVerdict(all, "closed").flatMap(({ domains }) => domains)).toEqual([
      "pinned-sha1.example",
      "customer-h.example",
      "odd.example",
      "wrongmatch.example",
    ]);
    const notesOf = (domain: string) => all.find(({ domains }) => domains?.[0] === domain)?.notes.join("; ");
    expect(notesOf("acme.example")).toBe("");
    expect(notesOf("bank-three.example")).toMatch(/^ciphers=high: the profile intermediate@\d+ holds here/);
    expect(notesOf("customer-d.example")).toContain("TLSv1 is weaker than the default TLSv1.2");
    expect(notesOf("customer-f.example")).toContain("may is weaker than the default encrypt");
    expect(notesOf("sts.example")).toContain("MTA-STS is followed here");
    expect(all.find(({ domains }) => domains?.[0] === "acme.example")).toMatchObject({
      lines: [4, 5],
      file: join(folder, "config/partners/acme.example.yaml"),
      domains: ["acme.example", ".acme.example"],
    });
  });

  it("shows people every file with --dry-run, and writes none", async () => {
    const dry = await imported("--dry-run");
    expect(dry.out).toContain("domains: [acme.example, .acme.example]");
    expect(dry.out).toContain("exceptions:\n  | #   - {until: ");
    expect(dry.out).toMatch(/29 partner files, not written; 8 lines left out\.\n4 files to be completed/);
    expect(await partnerFiles()).toEqual(["kept.yaml"]);
  });

  it("writes over no file, and takes nobody's domain", async () => {
    await writeFile(join(folder, "config/partners/ministry.example.yaml"), "domains: [other.example]\n");
    await writeFile(join(folder, "config/partners/banks.yaml"), "domains: [.example]\naddresses: [a@x.example]\n");
    const all = told((await imported("--json")).out);
    const left = withVerdict(all, "left-out").flatMap(({ notes }) => notes);
    expect(left).toContainEqual("bank-one.example: banks.yaml speaks for it");
    expect(await partnerFiles()).toEqual(["banks.yaml", "kept.yaml", "ministry.example.yaml"]);
    await rm(join(folder, "config/partners/banks.yaml"));
    const again = told((await imported("--json")).out);
    expect(withVerdict(again, "left-out").flatMap(({ notes }) => notes)).toContainEqual(
      "ministry.example: ministry.example.yaml is there already",
    );
    expect(await readFile(join(folder, "config/partners/ministry.example.yaml"), "utf8")).toContain("other.example");
    const third = told((await imported("--json")).out);
    expect(third.every(({ verdict }) => verdict === "left-out")).toBe(true);
  });

  it("lets nothing be less proven because a CA is not there, or is none: that mail waits", async () => {
    await rm(join(folder, "postfix/anchors/bank-six.pem"));
    await writeFile(
      join(folder, "postfix/tls_policy"),
      "gone.example secure tafile=anchors/bank-six.pem\nnone.example secure tafile=tls_policy\nnothing.example encrypt exclude=ECDHE\n",
    );
    const all = told((await imported("--json")).out);
    expect(all.map(({ verdict, domains }) => [verdict, domains?.[0]])).toEqual([
      ["closed", "gone.example"],
      ["closed", "none.example"],
      ["closed", "nothing.example"],
    ]);
    const of = await policies();
    for (const domain of ["gone.example", "none.example", "nothing.example"]) {
      expect(inWords(of(domain))).toBe(`${domain} fingerprint TLSv1.2 0000 certificate`);
    }
  });

  it("routes what the transport table routes, and judges it by its next hop, as Postfix does", async () => {
    await writeFile(
      join(folder, "postfix/transport"),
      "smart.example smtp:[relay.example.org]:587\n.smart.example smtp:[relay.example.org]:587\ncustomer-a.example relay:relay2.example.org:2525\n* smtp:[out.example]\n",
    );
    const { out } = await imported("--json", "--transport", join(folder, "postfix/transport"));
    expect(told(out).at(-1)).toMatchObject({ transportLine: 4, verdict: "left-out" });
    const of = await policies();
    expect(of("x.smart.example")).toMatchObject({
      partner: "smart.example",
      nextHop: [{ kind: "host", host: "relay.example.org", port: 587 }],
      tls: { level: "encrypt" },
    });
    expect(of("customer-a.example").nextHop).toEqual([{ kind: "mx-of", domain: "relay2.example.org", port: 2525 }]);
  });

  it("imports may and dane as they are under a default that is no stricter", async () => {
    await configure("outbound: {tls: {level: may}}\n");
    await imported();
    const of = await policies();
    expect(["customer-f", "court", "customer-g"].map((name) => inWords(of(`${name}.example`)))).toEqual([
      "customer-f.example may TLSv1.2",
      "court.example may TLSv1.2",
      "customer-g.example may TLSv1.2",
    ]);
  });

  it("writes elsewhere where it is told to", async () => {
    const { code, out } = await imported("--out", join(folder, "new/partners"));
    expect([code, await readdir(join(folder, "new/partners"))]).toEqual([
      1,
      expect.arrayContaining(["acme.example.yaml"]),
    ]);
    expect(out).toContain("Put them beside the others");
    expect(await partnerFiles()).toEqual(["kept.yaml"]);
  });

  it("ends with 0 where every line is as it was, with 1 where there is no table, with 78 for a wrong configuration", async () => {
    await writeFile(join(folder, "postfix/tls_policy"), "acme.example secure\n");
    expect((await imported()).code).toBe(0);
    await rm(join(folder, "postfix/tls_policy"));
    expect(await imported()).toMatchObject({ code: 1, error: expect.stringContaining("does not exist") });
    await writeFile(join(folder, "postfix/tls_policy"), "other.example secure\n");
    await configure("colour: red\n");
    expect(await imported()).toMatchObject({ code: 78, error: expect.stringContaining("colour") });
    expect(await partnerFiles()).toEqual(["acme.example.yaml", "kept.yaml"]);
  });
});
