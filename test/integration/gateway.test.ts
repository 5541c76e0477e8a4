import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it } from "vitest";
import { eventually } from "../contract/messages.ts";
import { createAuthority } from "../peers/certificates.ts";
import { startDnsServer } from "../peers/dns-server.ts";
import { createSite, type Line, type Site, type Tree } from "../peers/gateway.ts";
import { type MxOptions, startMx } from "../peers/mx-server.ts";

const authority = createAuthority("Partner CA");
const own = authority.issue({ names: ["mx.acme.test"] });
const good: MxOptions = { hostname: "mx.acme.test", tls: { certificate: own.chain, key: own.key } };

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function peers(mxOptions: MxOptions, settings: Tree = {}) {
  const mx = await startMx(mxOptions);
  const dns = await startDnsServer({ "acme.test": { MX: ["10 mx.acme.test"] }, "mx.acme.test": { A: ["127.0.0.1"] } });
  open.push(mx.close, dns.close);
  const site = await createSite({
    dns: { resolvers: [`127.0.0.1:${dns.port}`] },
    delivery: { port: mx.port },
    ...settings,
  });
  open.push(site.close);
  await site.write("ca.crt", authority.certificate);
  return { mx, dns, site };
}

const secure: Tree = { domains: ["acme.test"], outbound: { tls: { level: "secure", ca: "../../ca.crt" } } };
const delivery = (site: Site, outcome: string): Promise<Line> =>
  site.logged("delivery", (line) => line["outcome"] === outcome);
const tlsOf = (line: Line): Tree => line["tls"] as Tree;

describe("the gateway, from end to end", () => {
  it("delivers over TLS that met the policy, and the message is the one that was handed in", async () => {
    const { mx, site } = await peers(good);
    await site.partner("acme", secure);
    await site.start();
    const content = "From: anna@own.test\r\nSubject: =?utf-8?q?=C3=A4?=\r\n\r\nline\r\n\r\nlast line\r\n";
    const answer = await site.send({ to: ["bob@acme.test", "eve@acme.test"], content });
    expect(answer).toMatch(/^250 2\.0\.0 [0-9a-f]{32} queued$/);
    const line = await delivery(site, "delivered");
    expect(line).toMatchObject({
      partner: "acme",
      recipients: ["bob@acme.test", "eve@acme.test"],
      route: "mx",
      attempt: 1,
    });
    expect(tlsOf(line)).toMatchObject({
      demanded: "secure",
      result: "authenticated",
      version: "TLSv1.3",
      matched: "mx.acme.test",
    });
    expect(mx.messages.length).toBe(1);
    expect(mx.messages[0]).toMatchObject({ complete: true, secure: true });
    const [, , , ...rest] = mx.messages[0]!.content.toString().split("\r\n");
    expect(rest.join("\r\n")).toBe(content);
    expect(await site.logged("message.finished")).toMatchObject({ shredded: true });
  });

  it("lets mail wait when the host offers no STARTTLS; nothing but EHLO crosses; and delivers it once it does", async () => {
    const { mx, site } = await peers({ hostname: "mx.acme.test", starttls: "absent" });
    await site.partner("acme", secure);
    await site.start();
    await site.send({ to: "bob@acme.test" });
    expect(await delivery(site, "deferred")).toMatchObject({ reason: "starttls-not-supported", partner: "acme" });
    expect(mx.verbs()).toMatch(/^(EHLO QUIT ?)+$|^EHLO$/);
    mx.change(good);
    await delivery(site, "delivered");
    expect(mx.messages.length).toBe(1);
  });

  it("a reload with the right CA reaches what is queued, without a restart", async () => {
    const other = createAuthority("Another CA");
    const { mx, site } = await peers(good, { queue: { retry: ["1h"], reserve: "1MiB" } });
    await site.write("wrong.crt", other.certificate);
    await site.partner("acme", { ...secure, outbound: { tls: { level: "secure", ca: "../../wrong.crt" } } });
    await site.start();
    await site.send({ to: "bob@acme.test" });
    expect(await delivery(site, "deferred")).toMatchObject({ reason: "certificate-not-trusted" });
    await site.partner("acme", secure);
    expect(await site.gateway().reload()).toEqual([]);
    await delivery(site, "delivered");
    expect(mx.messages.length).toBe(1);
  });

  it("mail that waited under the default is due at once when its partner file comes; it kept its schedule", async () => {
    const { mx, site } = await peers(good, {
      queue: { retry: ["1h"], reserve: "1MiB" },
      outbound: { tls: { level: "dane-only" } },
    });
    await site.start();
    await site.send({ to: "bob@acme.test" });
    expect(await delivery(site, "deferred")).toMatchObject({ partner: null });
    await site.partner("acme", secure);
    expect(await site.gateway().reload()).toEqual([]);
    expect(await delivery(site, "delivered")).toMatchObject({ partner: "acme" });
    expect(mx.messages.length).toBe(1);
  });

  it("a reload that only moves lines tells of no changed policy", async () => {
    const { site } = await peers(good);
    await site.partner("acme", secure);
    await site.start();
    const file = await readFile(join(site.folder, "config/partners/acme.yaml"), "utf8");
    await site.write("config/partners/acme.yaml", `# a word of explanation\n\n${file}`);
    expect(await site.gateway().reload()).toEqual([]);
    await site.logged("config.reloaded");
    expect(site.log.filter(({ event }) => event === "policy.changed")).toEqual([]);
    await site.write("config/partners/acme.yaml", `${file}name: ACME AG\n`);
    expect(await site.gateway().reload()).toEqual([]);
    expect(await site.logged("policy.changed")).toMatchObject({ partner: "acme" });
  });

  it("a reload with an error changes nothing, and says why with its place", async () => {
    const { site } = await peers(good);
    await site.partner("acme", secure);
    await site.start();
    await site.partner("acme", { ...secure, outbund: {} });
    const problems = await site.gateway().reload();
    expect(problems[0]).toMatch(/acme\.yaml:\d+:\d+: .*outbund/);
    expect(await site.logged("config.refused")).toBeDefined();
    await site.send({ to: "bob@acme.test" });
    expect(tlsOf(await delivery(site, "delivered"))).toMatchObject({ demanded: "secure" });
  });

  it("a reload while the queue fails ended the process: the new rules are in force, and the log says what failed", async () => {
    const settings = { queue: { retry: ["1h"], reserve: "1MiB" } };
    const { site } = await peers({ hostname: "mx.acme.test", starttls: "absent" }, settings);
    await site.partner("acme", secure);
    await site.start();
    await site.send({ to: "bob@acme.test" });
    await delivery(site, "deferred");
    const database = new DatabaseSync(join(site.folder, "data/queue.db"), { timeout: 5_000 });
    const waiting = database.prepare("SELECT count(*) AS count FROM delivery WHERE state = 'waiting'");
    await eventually(() => waiting.get()?.["count"] === 1);
    database.exec(`CREATE TRIGGER broken BEFORE UPDATE ON delivery WHEN NEW.state = 'waiting'
      BEGIN SELECT RAISE(ABORT, 'broken'); END`);
    await site.partner("acme", { ...secure, name: "ACME AG" });
    expect(await site.gateway().reload()).toEqual([]);
    expect(await site.logged("error", ({ kind }) => kind === "reload")).toMatchObject({ level: "error" });
    expect(await site.logged("config.reloaded")).toMatchObject({ generation: 2 });
    database.exec("DROP TRIGGER broken");
    database.close();
  });

  it("keeps what waits over a restart", async () => {
    const { mx, site } = await peers({ ...good, final: "451 4.3.0 later" });
    const gateway = await site.start();
    await site.send({ to: "bob@acme.test" });
    expect(await delivery(site, "deferred")).toMatchObject({ reason: "smtp-4xx", smtp: { code: 451 } });
    await gateway.stop("restart");
    mx.change(good);
    await site.start();
    await delivery(site, "delivered");
    expect(mx.messages.filter(({ complete }) => complete).length).toBe(2);
  });

  it("each recipient has its own end, and the sender hears once of those that failed [RFC 3464]", async () => {
    const { mx, site } = await peers(
      { ...good, recipients: { "no@acme.test": "550 5.1.1 No such user" } },
      { domains: [{ domain: "own.test", next_hop: "[127.0.0.1]:1" }] },
    );
    const home = await startMx({ hostname: "home.own.test", starttls: "absent" });
    open.push(home.close);
    await site.configure({
      dns: { resolvers: ["127.0.0.1:9"] },
      outbound: { next_hop: `[127.0.0.1]:${mx.port}` },
      domains: [{ domain: "own.test", next_hop: `[127.0.0.1]:${home.port}` }],
    });
    await site.start();
    await site.send({ to: ["bob@acme.test", "no@acme.test"] });
    expect(await delivery(site, "failed")).toMatchObject({ reason: "smtp-5xx", recipients: ["no@acme.test"] });
    await site.logged("delivery", (line) => line["domain"] === "own.test" && line["outcome"] === "delivered");
    expect(mx.messages[0]?.recipients.length).toBe(1);
    const notice = home.messages[0]!.content.toString();
    expect(home.messages[0]?.mail).toMatch(/^MAIL FROM:<>/);
    expect(notice).toContain("Final-Recipient: rfc822; no@acme.test");
    expect(notice).toContain("Status: 5.1.1");
    expect(notice).not.toContain("hello");
  });
});
