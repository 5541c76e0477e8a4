/** What a message itself demands, rules, and report mode: through a whole gateway, with a partner's server on loopback. */
import { describe, expect, it } from "vitest";
import { eventually } from "../contract/messages.ts";
import { createAuthority } from "../peers/certificates.ts";
import type { Line, Tree } from "../peers/gateway.ts";
import type { MxMessage, MxOptions } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";
import { createRig, letter, namesOf, type Rig, submit } from "./treatment-rig.ts";

const LONG_MS = 30_000;
const trusted = createAuthority("A CA that is trusted");
const good = trusted.issue({ names: ["mx.acme.test"] });
const bad = createAuthority("Some CA").issue({ names: ["mx.acme.test"] });
const proven: MxOptions = { hostname: "mx.acme.test", tls: { certificate: good.chain, key: good.key } };
const unproven: MxOptions = { hostname: "mx.acme.test", tls: { certificate: bad.chain, key: bad.key } };
const plain: MxOptions = { hostname: "mx.acme.test" };
const EXTENSIONS = ["8BITMIME", "SIZE 52428800", "DSN", "REQUIRETLS"];
const requiring: MxOptions = { ...proven, extensionsInTls: EXTENSIONS };

async function started(mx: MxOptions, settings: Tree = {}, domain: Tree = {}): Promise<Rig> {
  const rig = await createRig(mx);
  await rig.site.write("ca.crt", trusted.certificate);
  await rig.configure(
    { tls: { trust: ["../ca.crt"] }, queue: { retry: ["300ms"], reserve: "1MiB" }, ...settings },
    domain,
  );
  return rig;
}

async function line(rig: Rig, event: string, matches: (line: Line) => boolean = () => true): Promise<Line> {
  const found = (): Line | undefined => rig.site.log.find((one) => one.event === event && matches(one));
  await eventually(() => found() !== undefined, LONG_MS);
  const one = found();
  if (one === undefined) throw new Error(`no ${event}`);
  return one;
}
/** A rule as YAML has it; a literal with this key would be taken for a promise. */
const rule = (when: Tree, effects: Tree): Tree =>
  Object.fromEntries([
    ["name", "r"],
    ["when", when],
    // oxlint-disable-next-line no-thenable -- the word of the configuration; nobody awaits it
    ["then", effects],
  ]);
const outcome = (wanted: string) => (one: Line) => one["outcome"] === wanted;
const toAcme = (rig: Rig): readonly MxMessage[] =>
  rig.mx.messages.filter(({ recipients }) => recipients.some((one) => one.includes("acme.test")));

/** Hands a message in over TLS; answers with the last reply. */
async function submitOverTls(rig: Rig, parameters: string, content = letter()): Promise<string> {
  const client = await SmtpClient.greeted({ port: rig.site.gateway().listeners[0]?.port ?? 0 });
  try {
    await client.startTls({ rejectUnauthorized: false });
    const ehlo = await client.ask("EHLO pc.example.org");
    expect(ehlo.text).toContain("REQUIRETLS");
    for (const command of [`MAIL FROM:<anna@example.org>${parameters}`, "RCPT TO:<bea@acme.test>", "DATA"]) {
      const { code, text } = await client.ask(command);
      if (code >= 400) return text;
    }
    await client.send(content);
    return (await client.ask(".")).text;
  } finally {
    client.close();
  }
}

describe("REQUIRETLS [RFC 8689]", { timeout: 2 * LONG_MS }, () => {
  it("is neither offered nor taken in clear", async () => {
    const rig = await started(requiring);
    await rig.site.start();
    expect(await submit(rig.site, { to: "bea@acme.test", parameters: " REQUIRETLS", content: letter() })).toMatch(
      /^5\.7\.0|530/,
    );
  });
  it("is passed on to a host that offers it and has proven who it is", async () => {
    const rig = await started(requiring);
    await rig.site.start();
    expect(await submitOverTls(rig, " REQUIRETLS")).toContain("queued");
    const told = await line(rig, "delivery", outcome("delivered"));
    expect(told["tls"]).toMatchObject({ result: "authenticated", demandedBy: ["default", "message"] });
    expect(toAcme(rig)[0]?.mail).toContain("REQUIRETLS");
    expect(await line(rig, "message.accepted")).toMatchObject({ requireTls: true });
  });
  it("is bounced with 5.7.30 where the proven host does not offer it, and the notice tells nothing of the message", async () => {
    const rig = await started(proven);
    await rig.site.start();
    expect(await submitOverTls(rig, " REQUIRETLS", letter(["X-Secret: kept"]))).toContain("queued");
    expect(await line(rig, "delivery", outcome("failed"))).toMatchObject({ reason: "requiretls-not-supported" });
    const notice = (await rig.got("anna@example.org")).toString();
    expect(notice).toContain("Status: 5.7.30");
    expect(notice).not.toContain("X-Secret");
    expect(toAcme(rig)).toEqual([]);
  });
  it("waits where the host has not proven who it is, although the level asks for nothing of the kind", async () => {
    const rig = await started({ ...unproven, extensionsInTls: EXTENSIONS });
    await rig.site.start();
    expect(await submitOverTls(rig, " REQUIRETLS")).toContain("queued");
    expect(await line(rig, "delivery", outcome("deferred"))).toMatchObject({ reason: "certificate-not-trusted" });
    expect(toAcme(rig)).toEqual([]);
  });
});

describe("TLS-Required: No [RFC 8689 §3]", { timeout: 2 * LONG_MS }, () => {
  const wish = letter(["TLS-Required: No"]);
  /** MTA-STS is announced and cannot be fetched: `require` lets mail wait for it. */
  const sts = (tls: Tree): Tree => ({ outbound: { tls: { level: "encrypt", mta_sts: "require", ...tls } } });
  async function withSts(tls: Tree): Promise<Rig> {
    const rig = await started(proven, sts(tls));
    rig.dns.zones["_mta-sts.acme.test"] = { TXT: ["v=STSv1; id=1;"] };
    rig.dns.zones["mta-sts.acme.test"] = { A: ["127.0.0.1"] };
    await rig.site.start();
    await submit(rig.site, { to: "bea@acme.test", content: wish });
    return rig;
  }
  it("changes nothing where the policy does not honour it", async () => {
    const rig = await withSts({});
    expect(await line(rig, "delivery")).toMatchObject({
      outcome: "deferred",
      reason: "sts-policy-fetch-error",
    });
  });
  it("lifts what the domain publishes where it does, and goes along with the message", async () => {
    const rig = await withSts({ tls_required_no: "honour" });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "delivered" });
    expect(namesOf(toAcme(rig)[0]!.content)).toContain("tls-required");
  });
  it("never lifts the level", async () => {
    const rig = await started(plain, { outbound: { tls: { level: "encrypt", tls_required_no: "honour" } } });
    await rig.site.start();
    await submit(rig.site, { to: "bea@acme.test", content: wish });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "deferred", reason: "starttls-not-supported" });
    expect(toAcme(rig)).toEqual([]);
  });
});

describe("a TLS-only alias", { timeout: 2 * LONG_MS }, () => {
  const alias = { tls_only_alias: "secure.example.org" };
  it.each([
    ["goes to a host that has proven who it is, from the same address", proven, "delivered", undefined],
    ["waits for one that has not", unproven, "deferred", "certificate-not-trusted"],
    ["waits for one without TLS, although level may would do", plain, "deferred", "starttls-not-supported"],
  ] as const)("as sender %s", async (_, mx, wanted, reason) => {
    const rig = await started(mx, { outbound: { tls: { level: "may", mta_sts: "ignore", dane: "ignore" } } }, alias);
    await rig.site.start();
    await submit(rig.site, { from: "anna@secure.example.org", to: "bea@acme.test", content: letter() });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: wanted, ...(reason && { reason }) });
    expect(toAcme(rig).map(({ mail }) => /<(.*?)>/.exec(mail)?.[1])).toEqual(
      wanted === "delivered" ? ["anna@secure.example.org"] : [],
    );
  });
  it("takes no mail as a recipient yet", async () => {
    const rig = await started(proven, {}, alias);
    await rig.site.start();
    expect(await submit(rig.site, { to: "bea@secure.example.org", content: letter() })).toMatch(/^(?:550 )?5\.1\.1/);
  });
});

describe("rules", { timeout: 2 * LONG_MS }, () => {
  const tls = { tls: { level: "authenticated" } };
  it.each<[string, Tree, boolean]>([
    ["sender", { sender: "anna@*" }, true],
    ["another sender", { sender: "bob@*" }, false],
    ["from", { from: "*@example.org" }, true],
    ["recipient", { recipient: "*@acme.test" }, true],
    ["another recipient", { recipient: "*@other.test" }, false],
    ["subject", { subject: "[tls]*" }, true],
    ["header", { header: { Sensitivity: "company-*" } }, true],
    ["another header", { header: { Sensitivity: "personal" } }, false],
    ["direction", { direction: "outbound", sender: "*" }, true],
  ])("by %s", async (_, when, matches) => {
    const rig = await started(unproven, { rules: [rule(when, tls)] });
    await rig.site.start();
    const content = letter(["Sensitivity: Company-Confidential"]).replace(/^Subject:.*$/m, "Subject: [tls] x");
    await submit(rig.site, { to: "bea@acme.test", content });
    expect(await line(rig, "delivery")).toMatchObject(
      matches
        ? { outcome: "deferred", reason: "certificate-not-trusted", rules: ["r"] }
        : { outcome: "delivered", rules: [] },
    );
    expect(await line(rig, "message.accepted")).toMatchObject({ rules: matches ? ["r"] : [] });
  });
  it("demand TLS that stays with the message when the rule is gone", async () => {
    const rig = await started(unproven, { rules: [rule({ sender: "*" }, tls)] });
    await rig.site.start();
    await submit(rig.site, { to: "bea@acme.test", content: letter() });
    await line(rig, "delivery", outcome("deferred"));
    await rig.configure({ tls: { trust: ["../ca.crt"] }, queue: { retry: ["300ms"], reserve: "1MiB" } });
    expect(await rig.site.gateway().reload()).toEqual([]);
    const before = rig.site.log.length;
    await eventually(() => rig.site.log.slice(before).filter((one) => one.event === "delivery").length >= 2, LONG_MS);
    expect(toAcme(rig)).toEqual([]);
  });
  it("refuse with their sentence", async () => {
    const rig = await started(proven, {
      rules: [rule({ subject: "*internal*" }, { refuse: "This stays in the house" })],
    });
    await rig.site.start();
    const content = letter().replace(/^Subject:.*$/m, "Subject: Internal!");
    expect(await submit(rig.site, { to: "bea@acme.test", content })).toContain("5.7.1 This stays in the house");
  });
  it("send another way, where every demand stays", async () => {
    const rig = await started(proven);
    const settings = {
      tls: { trust: ["../ca.crt"] },
      outbound: { next_hop: "[127.0.0.1]:9", tls: { level: "encrypt" } },
      rules: [rule({ recipient: "bea@*" }, { next_hop: `[127.0.0.1]:${rig.mx.port}` })],
    };
    await rig.configure(settings);
    await rig.site.start();
    await submit(rig.site, { to: ["bea@acme.test", "cas@acme.test"], content: letter() });
    expect(await line(rig, "delivery", outcome("delivered"))).toMatchObject({ recipients: ["bea@acme.test"] });
    expect(await line(rig, "delivery", outcome("deferred"))).toMatchObject({ recipients: ["cas@acme.test"] });
  });
  it("take the tag out of the subject", async () => {
    const rig = await started(proven, {
      rules: [rule({ subject: "[tls]*" }, { ...tls, remove_subject_tag: true })],
    });
    await rig.site.start();
    const content = letter().replace(/^Subject:.*$/m, "Subject: [tls] Hello");
    await submit(rig.site, { to: "bea@acme.test", content });
    await line(rig, "delivery", outcome("delivered"));
    expect(toAcme(rig)[0]?.content.toString()).toContain("\r\nSubject: Hello\r\n");
  });
  it("ask for S/MIME that cannot be had: refused", async () => {
    const rig = await started(proven, {
      rules: [rule({ sender: "*" }, { smime: { encrypt: "always" } })],
    });
    await rig.site.start();
    expect(await submit(rig.site, { to: "bea@acme.test", content: letter() })).toContain("5.7.5");
  });
});

describe("outbound.unlisted: refuse", { timeout: 2 * LONG_MS }, () => {
  it("takes mail for partners and our own domains, and for nobody else", async () => {
    const rig = await started(proven, { outbound: { unlisted: "refuse" } });
    await rig.site.partner("acme", { domains: ["acme.test"], addresses: ["joint@other.test"] });
    await rig.site.start();
    const to = (recipient: string) => submit(rig.site, { to: recipient, content: letter() });
    expect(await to("bea@acme.test")).toContain("queued");
    expect(await to("joint@other.test")).toContain("queued");
    expect(await to("carl@example.org")).toContain("queued");
    expect(await to("x@other.test")).toContain("5.7.1");
  });
});

describe("mode: report", { timeout: 2 * LONG_MS }, () => {
  const until = new Date(Date.now() + 10 * 86_400_000).toISOString().slice(0, 10);
  it.each([
    ["a host without TLS", plain, { level: "encrypt" }, "starttls-not-supported"],
    ["a certificate of another CA", unproven, { level: "secure" }, "certificate-not-trusted"],
    ["another pin", proven, { level: "fingerprint", fingerprints: ["ab".repeat(32)] }, "fingerprint-mismatch"],
    ["nothing amiss", proven, { level: "secure" }, undefined],
  ] as const)("delivers to %s and says what enforce would have done", async (_, mx, tls, reason) => {
    const rig = await started(mx);
    await rig.site.partner("acme", { domains: ["acme.test"], mode: "report", report_until: until, outbound: { tls } });
    await rig.site.start();
    await submit(rig.site, { to: "bea@acme.test", content: letter() });
    const told = await line(rig, "delivery");
    expect(told).toMatchObject({ outcome: "delivered", mode: "report", partner: "acme" });
    expect(told["wouldDefer"]).toBe(reason);
  });
  it("of the whole gateway holds for every destination but our own", async () => {
    const rig = await started(plain, { mode: "report", report_until: until });
    await rig.site.start();
    await submit(rig.site, { to: ["bea@acme.test", "carl@example.org"], content: letter() });
    expect(await line(rig, "delivery", (one) => one["domain"] === "acme.test")).toMatchObject({
      outcome: "delivered",
      mode: "report",
      wouldDefer: "starttls-not-supported",
    });
    expect(await line(rig, "delivery", (one) => one["domain"] === "example.org")).toMatchObject({ mode: "enforce" });
  });
});
