/** What becomes of `headers`, `dkim` and `smime`, through all layers; and the keys and certificates behind them. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, it } from "vitest";
import { UNTOUCHED } from "../../../src/mail/treatment.ts";
import { DEFAULT_REMOVE } from "../../../src/transform/leaking-fields.ts";
import { BASE, gateway, outboundOf, partner, partnerPolicy, settings, type Tree, warnings } from "./memory.ts";

const D = "domains: [acme.example]\n";
const KEEP = { received: "keep", remove: [], messageId: "keep" };
const STRIP = { received: "strip", remove: DEFAULT_REMOVE, messageId: "rewrite" };
const SMIME = { sign: "never", encrypt: "never", format: "detached", tripleWrap: false };

async function treatmentOf(tree: Tree) {
  return (await settings(tree)).policy.default.treatment;
}

describe("where nothing is written", () => {
  it("internal names leave no message, DKIM signs where there are keys, S/MIME does nothing", async () =>
    expect(await treatmentOf(gateway(""))).toEqual({ headers: STRIP, dkim: "sign", smime: SMIME }));
  it("mail for our own domains is left as it is", async () => {
    const { policy } = await settings(gateway("domains: [{domain: example.org, next_hop: x.example}]\n"));
    expect(policy.ownDomains[0]?.outbound.treatment).toEqual(UNTOUCHED);
  });
});

describe("headers", () => {
  it.each<[string, object]>([
    ["keep", KEEP],
    ["strip", STRIP],
    ["{}", STRIP],
    ["{message_id: keep}", { ...STRIP, messageId: "keep" }],
    ["{received: anonymize}", { ...STRIP, received: "anonymize" }],
    ["{received: keep, remove: [], message_id: rewrite}", { ...KEEP, messageId: "rewrite" }],
    ["{remove: X-Secret}", { ...STRIP, remove: ["x-secret"] }],
    ['{remove: [X-Secret, "X-Corp-*"]}', { ...STRIP, remove: ["x-secret", "x-corp-*"] }],
    ["{remove: [default, X-Secret]}", { ...STRIP, remove: [...DEFAULT_REMOVE, "x-secret"] }],
    ["{remove: [User-Agent, default]}", { ...STRIP, remove: ["user-agent", ...without("user-agent")] }],
    ["{remove: [Sender, List-Id]}", { ...STRIP, remove: ["sender", "list-id"] }],
  ])("%s", async (written, expected) =>
    expect((await treatmentOf(gateway(`outbound: {headers: ${written}}\n`))).headers).toEqual(expected),
  );

  function without(name: string): string[] {
    return DEFAULT_REMOVE.filter((one) => one !== name);
  }

  it.each<[string, string, object]>([
    ["strip", "keep", KEEP],
    ["keep", "strip", STRIP],
    ["{received: keep}", "strip", STRIP],
    ["{message_id: rewrite}", "keep", KEEP],
    ["strip", "{message_id: keep}", { ...STRIP, messageId: "keep" }],
    ["keep", "{message_id: rewrite}", { ...KEEP, messageId: "rewrite" }],
    ["keep", "{remove: [default]}", { ...KEEP, remove: DEFAULT_REMOVE }],
    ["{received: anonymize, remove: [X-A]}", "{remove: [X-B]}", { ...STRIP, received: "anonymize", remove: ["x-b"] }],
    ["{received: anonymize, remove: [X-A]}", "{received: keep}", { ...STRIP, received: "keep", remove: ["x-a"] }],
  ])("%s below, %s in a partner file", async (below, over, expected) => {
    const tree = partner(`${D}outbound: {headers: ${over}}\n`, `outbound: {headers: ${below}}\n`);
    expect((await outboundOf(tree)).treatment.headers).toEqual(expected);
  });
});

describe("dkim and smime", () => {
  it("are laid over each other key by key", async () => {
    const tree = partner(
      `${D}outbound: {smime: {encrypt: always}}\n`,
      "outbound: {dkim: none, smime: {sign: if-possible, format: opaque, encrypt: if-known, triple_wrap: true}}\n",
    );
    expect((await outboundOf(tree)).treatment).toMatchObject({
      dkim: "none",
      smime: { sign: "if-possible", encrypt: "always", format: "opaque", tripleWrap: true },
    });
  });
  it("inherited keys are never dead", async () => {
    const tree = partner(
      `${D}outbound: {smime: {sign: never}}\n`,
      "outbound: {smime: {sign: always, format: opaque}}\n",
    );
    expect((await outboundOf(tree)).treatment.smime).toMatchObject({ sign: "never", format: "opaque" });
  });
  it("triple_wrap: false says nothing that could be dead", async () =>
    expect((await treatmentOf(gateway("outbound: {smime: {triple_wrap: false}}\n"))).smime).toEqual(SMIME));
  it("a partner may ask for less: it is no demand on the session", async () => {
    const { treatment } = await outboundOf(
      partner(`${D}outbound: {headers: keep, dkim: none}\n`, "outbound: {dkim: require, headers: strip}\n"),
    );
    expect(treatment).toMatchObject({ headers: KEEP, dkim: "none" });
  });
  it("an exception sets them for its time, over partner and default", async () => {
    const { exceptions } = await partnerPolicy(
      partner(
        `${D}outbound: {smime: {sign: always, encrypt: always}}\nexceptions:\n  - {until: 2026-12-31, approved_by: a, reason: r, outbound: {smime: {encrypt: if-known}}}\n`,
        "outbound: {dkim: none}\n",
      ),
    );
    expect(exceptions[0]?.treatment).toMatchObject({ dkim: "none", smime: { sign: "always", encrypt: "if-known" } });
  });
  it("keys point to where they are written", async () => {
    const { origins } = await outboundOf(partner(`${D}outbound:\n  smime: {sign: always}\n  headers: keep\n`));
    expect([origins["smime.sign"], origins["headers"]]).toMatchObject([
      { line: 3, column: 11 },
      { line: 4, column: 3 },
    ]);
  });
  it.each([
    ["dkim: require", "dkim: require, but no domain of ours has a key", 12],
    ["smime: {sign: always}", "sign: always, but no domain of ours has keys", 20],
  ])("%s without any key is told: every message would be refused", async (written, message, column) =>
    expect(await warnings(gateway(`outbound: {${written}}\n`))).toEqual([
      expect.stringMatching(new RegExp(`^sealpost.yaml:4:${column} ${message}.* → .*below domains`)),
    ]),
  );
});

const pem = (key: KeyObject, type: "pkcs1" | "pkcs8") => key.export({ type, format: "pem" }).toString();
const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const ED = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();

describe("keys of domains", () => {
  const tree = (entries: string, files: Tree = {}): Tree => ({
    ...gateway(`domains: [{domain: [example.org, example.com], next_hop: x.example, dkim: ${entries}}]\n`),
    "r.pem": pem(RSA, "pkcs1"),
    "e.pem": ED,
    ...files,
  });
  const keysOf = async (entries: string, files: Tree = {}) =>
    (await settings(tree(entries, files))).policy.ownDomains.map(({ dkim }) => dkim);

  it("sign for each of them, with the algorithm of the key [RFC 6376 §3.3, RFC 8463 §3]", async () => {
    const [org, com] = await keysOf("[{selector: S2026R, key: r.pem}, {selector: s.2026e, key: e.pem}]");
    expect(org).toEqual([
      { domain: "example.org", selector: "s2026r", algorithm: "rsa-sha256", key: pem(RSA, "pkcs8") },
      { domain: "example.org", selector: "s.2026e", algorithm: "ed25519-sha256", key: ED },
    ]);
    expect(com?.map(({ domain, selector }) => `${selector}@${domain}`)).toEqual([
      "s2026r@example.com",
      "s.2026e@example.com",
    ]);
    expect(createPrivateKey(org?.[0]?.key ?? "").equals(RSA)).toBe(true);
  });
  it("begin with their first day and end with their last, UTC; one entry needs no list", async () => {
    const [org] = await keysOf("{selector: s, key: e.pem, not_before: 2026-01-01, not_after: 2026-12-31}");
    expect(org).toMatchObject([{ notBefore: Date.UTC(2026, 0, 1), endsAt: Date.UTC(2027, 0, 1) }]);
  });
  it("that sign on one day only are taken", async () => {
    const [org] = await keysOf("{selector: s, key: e.pem, not_before: 2026-12-31, not_after: 2026-12-31}");
    expect(org).toHaveLength(1);
  });
  it("that have ended are told, and come along", async () => {
    const entries = "{selector: s, key: e.pem, not_after: 2026-11-23}";
    expect(await warnings(tree(entries))).toEqual([
      expect.stringMatching(/^sealpost\.yaml:4:\d+ this key ended with 2026-11-23 and no longer signs → remove it/),
    ]);
    expect((await keysOf(entries))[0]).toHaveLength(1);
  });
  it("may be read by their group where that is said", async () => {
    const shared = { "g.pem": { text: ED, mode: 0o640 } };
    const [org] = await keysOf("{selector: s, key: g.pem, allow_group_read: true}", shared);
    expect(org).toHaveLength(1);
  });
  it("are watched like certificates", async () =>
    expect((await settings(tree("{selector: s, key: e.pem}"))).files).toContain("/etc/sealpost/config/e.pem"));
});

describe("alarms about certificates", () => {
  it.each([
    ["", [30, 14, 7, 1]],
    ["alarms: {certificate_days: 10}\n", [10]],
    ["alarms: {certificate_days: [60, 5]}\n", [60, 5]],
    ["alarms: {certificate_days: []}\n", []],
  ])("%j: %j", async (text, days) =>
    expect((await settings({ "sealpost.yaml": BASE + text })).alarms.certificateDays).toEqual(days),
  );
});
