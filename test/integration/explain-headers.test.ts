/** `sealpost explain ADDRESS --headers FILE` on messages in files, for policies of every kind. */
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Settings } from "../../src/config/settings.ts";
import type { OwnDomain, Rule } from "../../src/decide/policy.ts";
import type { SmimeSettings } from "../../src/mail/smime-settings.ts";
import type { Treatment } from "../../src/mail/treatment.ts";
import { UNTOUCHED } from "../../src/mail/treatment.ts";
import { createMailAuthority } from "../peers/mail-authority.ts";
import { origin, outbound } from "../unit/decide/policies.ts";
import { settings } from "../unit/cli/fake-deps.ts";
import { run } from "./cli-deps.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-headers-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const MESSAGE = [
  "Received: from exch01.corp.example.org (10.1.9.7) by mail.example.org with ESMTP; Mon, 1 Jun 2026 10:00:00 +0200",
  "X-Mailer: Outlook 16",
  "x-originating-ip:\t[10.1.9.7]",
  "From: Anna <anna@example.org>",
  "To: bea@acme.example",
  "Subject: folded",
  "\tsubject",
  "Message-ID: <1@exch01.corp.example.org>",
  "",
  "X-Mailer: this is body",
  "",
].join("\r\n");

const ca = createMailAuthority("Mail CA");
const anna = ca.issue({ commonName: "anna", emails: ["anna@example.org"] });
const gateway = ca.issue({ emails: ["domain-signing-authority@example.org"], commonName: "gateway" });
const bea = ca.issue({ emails: ["bea@acme.example"] });
const ended = ca.issue({ emails: ["bea@acme.example"], notAfter: new Date(Date.now() - 1_000) });

interface Site {
  readonly treatment?: Partial<Treatment>;
  readonly own?: Partial<OwnDomain>;
  readonly recipients?: readonly { readonly pem: string }[];
  readonly ldap?: boolean;
  readonly rules?: readonly Rule[];
}

const STRIP = { received: "strip", remove: ["x-mailer", "x-originating-*"], messageId: "keep" } as const;
const ed25519 = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const KEY = { domain: "example.org", selector: "s1", algorithm: "ed25519-sha256", key: ed25519 } as const;
const SIGNER = { certificate: anna.pem, chain: [], key: anna.keyPem, address: "anna@example.org" };
const GATEWAY = { certificate: gateway.pem, chain: [], key: gateway.keyPem };

function config({ treatment = {}, own = {}, recipients = [], ldap = false, rules = [] }: Site): Settings {
  const ldapSettings = { url: "ldaps://ldap.example.org" } as NonNullable<SmimeSettings["ldap"]>;
  const smime: SmimeSettings = {
    trust: "system",
    recipients: recipients.map(({ pem }) => ({
      certificate: pem,
      addresses: ["bea@acme.example"],
      domains: [],
      file: "bea.pem",
    })),
    harvested: [],
    ldap: ldap ? ldapSettings : null,
    revocation: { check: true, unreachable: "accept", allowPrivate: false },
  };
  const policy = {
    default: outbound({ treatment: { ...UNTOUCHED, ...treatment } }),
    ownDomains: [{ domain: "example.org", outbound: outbound(), dkim: [], smime: [], ...own }],
    rules,
  };
  return { ...settings(policy), smime };
}

async function explain(site: Site, words: readonly string[] = [], message: string | Buffer = MESSAGE) {
  await writeFile(join(folder, "message.eml"), message);
  const loadConfig = () => Promise.resolve({ ok: true as const, settings: config(site), warnings: [] });
  return run(folder, ["explain", "bea@acme.example", "--headers", "message.eml", ...words], { loadConfig });
}

it("says that a destination is refused, and nothing of what is done to mail for it: exit code 1", async () => {
  await writeFile(join(folder, "message.eml"), MESSAGE);
  const refusing = settings({ default: outbound({ permitted: false }) });
  const loadConfig = () => Promise.resolve({ ok: true as const, settings: refusing, warnings: [] });
  const ran = await run(folder, ["explain", "bea@acme.example", "--headers", "message.eml"], { loadConfig });
  expect(ran).toMatchObject({ code: 1, out: "" });
  expect(ran.error).toContain("bea@acme.example is refused at RCPT with 550 5.7.1: outbound.unlisted is refuse");
});

async function json(site: Site, words: readonly string[] = [], message: string | Buffer = MESSAGE) {
  const { code, out, error } = await explain(site, ["--json", ...words], message);
  expect(error).toBe("");
  return { code, ...(JSON.parse(out) as Record<string, unknown>) };
}

describe("the header before and after", () => {
  it("is a listing of what goes and what comes, and a count of what stays", async () => {
    const { code, out } = await explain({ treatment: { headers: STRIP } });
    expect(code).toBe(0);
    const lines = out.trimEnd().split("\n");
    expect(lines).toEqual([
      "To bea@acme.example, from anna@example.org",
      expect.stringMatching(/^\+ Received: by relay\.example\.org \(sealpost\) .*\(hop 1\);/),
      expect.stringMatching(/^- Received: from exch01\.corp\.example\.org \(10\.1\.9\.7\) by/),
      "- X-Mailer: Outlook 16",
      "- x-originating-ip:\\u0009[10.1.9.7]",
      "  4 fields unchanged",
      "  S/MIME  not signed: the policy says never; not encrypted: the policy says never",
      "  DKIM    not signed: the policy says none",
    ]);
  });

  it("comes whole with --json, field for field", async () => {
    const answer = await json({ treatment: { headers: STRIP } });
    expect(answer).toMatchObject({
      code: 0,
      sender: "anna@example.org",
      ours: true,
      removed: [{ name: "Received" }, { name: "X-Mailer" }, { name: "x-originating-ip" }],
      changed: [],
      kept: [],
    });
    expect(answer).toHaveProperty("before", MESSAGE.slice(0, MESSAGE.indexOf("\r\n\r\n") + 4));
    const after = (answer as unknown as { after: string }).after;
    expect(after).toMatch(
      /^Received: by [^]*\r\nFrom: Anna <anna@example\.org>\r\nTo: [^]*Subject: folded\r\n\tsubject\r\n[^]*\r\n\r\n$/,
    );
    expect(after).not.toMatch(/exch01\.corp\.example\.org \(|10\.1\.9\.7|X-Mailer/);
  });

  it("shows a rewritten field as it was and as it is", async () => {
    const headers = { received: "anonymize", remove: [], messageId: "rewrite" } as const;
    const { out } = await explain({ treatment: { headers } });
    expect(out).toMatch(
      /\n- Message-ID: <1@exch01\.corp\.example\.org>\n~ Message-ID: <sp1\.\w+@relay\.example\.org>\n/,
    );
    expect(out).toMatch(/\n- Received: from exch01[^\n]*\n~ Received: [^\n]*\n/);
  });

  it("leaves mail of others alone, but for our own field", async () => {
    const foreign = MESSAGE.replace("anna@example.org", "cem@other.example");
    const { code, out } = await explain({ treatment: { headers: STRIP } }, [], foreign);
    expect(code).toBe(0);
    expect(out).toContain("not from one of our domains");
    expect(out).not.toMatch(/\n- /);
    expect(await json({ treatment: { headers: STRIP } }, [], foreign)).toMatchObject({ ours: false, removed: [] });
  });

  it("says which fields another domain's DKIM signature would hold", async () => {
    const signed = `DKIM-Signature: v=1; d=list.example; h=From:X-Mailer:Subject; b=x\r\n${MESSAGE}`;
    expect(await json({ treatment: { headers: STRIP } }, [], signed)).toMatchObject({ signedByOthers: ["X-Mailer"] });
    const own = `DKIM-Signature: v=1; d=example.org; h=From:X-Mailer:Subject; b=x\r\n${MESSAGE}`;
    expect(await json({ treatment: { headers: STRIP } }, [], own)).toMatchObject({ signedByOthers: [] });
    const below = `DKIM-Signature: v=1; d=letters.example.org; h=From; b=x\r\n${MESSAGE}`;
    expect(await json({ treatment: { headers: STRIP } }, [], below)).toMatchObject({
      signedByOthers: ["DKIM-Signature"],
    });
  });

  it.each([
    ["LF alone", MESSAGE.replaceAll("\r\n", "\n")],
    ["no body", MESSAGE.slice(0, MESSAGE.indexOf("\r\n\r\n") + 4)],
    ["no empty line at all", MESSAGE.slice(0, MESSAGE.indexOf("\r\n\r\n"))],
  ])("is the same of a file with %s", async (_, message) => {
    const usual = await explain({ treatment: { headers: STRIP } });
    expect((await explain({ treatment: { headers: STRIP } }, [], message)).out.split("\n").slice(2)).toEqual(
      usual.out.split("\n").slice(2),
    );
  });

  it("shows control characters, and obeys none", async () => {
    const { out } = await explain({ treatment: { headers: STRIP } }, [], `X-Mailer: \u001b[31mred\r\n${MESSAGE}`);
    expect(out).not.toContain("\u001b");
    expect(out).toContain("- X-Mailer: \\u001b[31mred\n");
  });

  it("takes a file whose first line is empty for a message without a header", async () => {
    expect(await json({ treatment: { headers: STRIP } }, [], "\r\nbody\r\n")).toMatchObject({ before: "\r\n" });
  });
});

const smime = (sign: Treatment["smime"]["sign"], encrypt: Treatment["smime"]["encrypt"]) => ({
  smime: { ...UNTOUCHED.smime, sign, encrypt },
});
const signedMessage = MESSAGE.replace(
  "Subject:",
  'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\nSubject:',
);

describe("S/MIME and DKIM", () => {
  it.each<[string, Site, string, RegExp]>([
    [
      "the sender's own key",
      { treatment: smime("always", "never"), own: { smime: [GATEWAY, SIGNER] } },
      "sign",
      /^signed with the certificate of .*anna/,
    ],
    [
      "the gateway key",
      { treatment: smime("if-possible", "never"), own: { smime: [GATEWAY] } },
      "sign",
      /^signed with the certificate of .*gateway/,
    ],
    [
      "the recipient's certificate",
      { treatment: smime("never", "if-known"), recipients: [ended, bea] },
      "encrypt",
      /^encrypted/,
    ],
    [
      "the keys in force",
      {
        treatment: { dkim: "sign" },
        own: { dkim: [KEY, { ...KEY, selector: "s2" }, { ...KEY, selector: "old", endsAt: 1 }] },
      },
      "dkim",
      /^signed with s1\._domainkey\.example\.org \(ed25519-sha256\) and s2\.[^ ]* \(ed25519-sha256\)$/,
    ],
  ])("applies with %s", async (_, site, what, text) => {
    const answer = await json(site);
    expect(answer.code).toBe(0);
    expect(answer).toHaveProperty(what, { applies: true, text: expect.stringMatching(text) as string });
  });

  it.each<[string, Site, string, RegExp, string?]>([
    ["without a key of the sender", { treatment: smime("if-possible", "never") }, "sign", /no valid key of the sender/],
    [
      "twice",
      { treatment: smime("if-possible", "never"), own: { smime: [SIGNER] } },
      "sign",
      /signed already/,
      signedMessage,
    ],
    [
      "in the name of others",
      { treatment: smime("if-possible", "never"), own: { smime: [SIGNER] } },
      "sign",
      /more than one From/,
      `From: x@example.org\r\n${MESSAGE}`,
    ],
    ["without a certificate", { treatment: smime("never", "if-known") }, "encrypt", /no certificate is known$/],
    [
      "where only LDAP may know",
      { treatment: smime("never", "if-known"), ldap: true },
      "encrypt",
      /LDAP was not asked/,
    ],
    [
      "with a certificate that has ended",
      { treatment: smime("never", "if-known"), recipients: [ended] },
      "encrypt",
      /ended on/,
    ],
    ["without a DKIM key", { treatment: { dkim: "sign" } }, "dkim", /no DKIM key in force/],
  ])("does not apply %s, and says so", async (_, site, what, text, message) => {
    const answer = await json(site, [], message);
    expect(answer.code).toBe(0);
    expect(answer).toHaveProperty(what, { applies: false, text: expect.stringMatching(text) as string });
  });

  it.each<[string, Site, RegExp]>([
    ["a signature", { treatment: smime("always", "never") }, /^550 5\.7\.5 .*signature is demanded/],
    ["encryption", { treatment: smime("never", "always"), recipients: [ended] }, /^550 5\.7\.5 .*ended on/],
    ["DKIM", { treatment: { dkim: "require" } }, /^550 5\.7\.1 .*DKIM/],
  ])("ends with 1 and the reply where %s is demanded and impossible", async (_, site, reply) => {
    expect(await json(site)).toMatchObject({ code: 1, refused: expect.stringMatching(reply) as string });
    const { code, out } = await explain(site);
    expect(code).toBe(1);
    expect(out).toMatch(/\n {2}The message is refused: 550 5\.7\./);
  });

  it("are judged by the envelope sender that is given", async () => {
    const site = { treatment: smime("if-possible", "never"), own: { smime: [SIGNER] } };
    expect(await json(site, ["--sender", "x@other.example"])).toMatchObject({
      sender: "x@other.example",
      sign: { applies: false, text: expect.stringContaining("envelope sender") as string },
    });
    expect(await json(site, ["--sender", "<>"])).toMatchObject({ sender: "", sign: { applies: true } });
  });
});

describe("wrong usage ends with 64", () => {
  it.each([
    ["a file that is not there", ["--headers", "nothing.eml"], /nothing\.eml cannot be read/],
    ["a folder", ["--headers", "."], /cannot be read/],
    ["a sender that is none", ["--headers", "message.eml", "--sender", "anna"], /"anna" is no address/],
    ["--sender alone", ["--sender", "anna@example.org"], /belongs to --headers/],
  ])("for %s", async (_, words, error) => {
    await writeFile(join(folder, "message.eml"), MESSAGE);
    const ran = await run(folder, ["explain", "bea@acme.example", ...words]);
    expect(ran).toMatchObject({ code: 64, out: "" });
    expect(ran.error).toMatch(error);
  });

  it("for a header that the gateway would not take", async () => {
    const ran = await explain({}, [], `X: ${"x".repeat(300_000)}\r\n\r\n`);
    expect(ran).toMatchObject({ code: 64, out: "" });
    expect(ran.error).toContain("256 kB");
  });
});

describe("what the message itself demands", () => {
  const rule = (when: Rule["when"], effects: Rule["effects"]): Rule => ({ name: "r", when, effects, origin });
  const plain = { from: ["anna@*"] };

  it("is told with the rules that match, and what they do to header and S/MIME is done", async () => {
    const rules = [
      rule({ subject: ["folded*"] }, { tls: { level: "secure" }, removeSubjectTag: true }),
      rule(plain, { smime: { encrypt: "always" } }),
    ];
    const site = { rules, recipients: [bea] };
    const { out, code } = await explain(site);
    expect(code).toBe(0);
    expect(out).toMatch(/\n- Subject: folded subject\n~ Subject: subject\n/);
    expect(out).toMatch(/\n {2}demands rule r: level secure, in addition\n {2}demands rule r\n/);
    expect(await json(site)).toMatchObject({
      demands: { rules: [{ name: "r", tls: { level: "secure" } }, { name: "r" }] },
      encrypt: { applies: true },
    });
  });

  it("is a TLS-only alias that it is sent from, and the header TLS-Required: No", async () => {
    const own = { tlsOnlyAlias: "secure.example.org" };
    const message = MESSAGE.replace("anna@example.org", "anna@secure.example.org").replace(
      "\r\n\r\n",
      "\r\nTLS-Required: No\r\n\r\n",
    );
    const { out } = await explain({ own }, [], message);
    expect(out).toMatch(/demands sent from a TLS-only alias: level authenticated/);
    expect(out).toMatch(/demands TLS-Required: No, which counts/);
  });

  it("is nothing where a rule refuses it, which is said with its name, and exit code 1", async () => {
    const site = { rules: [rule(plain, { refuse: "Not to them" })] };
    const { out, code } = await explain(site);
    expect([code, out]).toEqual([1, expect.stringContaining("refused by the rule r: 550 5.7.1 Not to them")]);
    expect(await json(site)).toMatchObject({ refusedBy: { rule: "r", text: "Not to them" } });
  });
});
