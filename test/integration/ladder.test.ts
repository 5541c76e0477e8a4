/** The steps of `on_expiry` through a whole gateway, with partners' servers on loopback that cannot prove who they are. */
import { describe, expect, it } from "vitest";
import { eventually } from "../contract/messages.ts";
import { createAuthority } from "../peers/certificates.ts";
import type { Line, Tree } from "../peers/gateway.ts";
import { type MxMessage, type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import { fieldOf } from "../unit/transform/smime-mime-reader.ts";
import { newKey } from "../unit/transform/dkim-keys.ts";
import {
  cmsOf,
  count,
  createRig,
  dkimVerdicts,
  goodMx,
  later,
  letter,
  opened,
  person,
  readersOf,
  type Rig,
  SIGNERS,
  submit,
} from "./treatment-rig.ts";

const LONG_MS = 30_000;
const trusted = createAuthority("Partner CA that is trusted");
const proven = trusted.issue({ names: ["backup.acme.test"] });
const BACKUP: MxOptions = { hostname: "backup.acme.test", tls: { certificate: proven.chain, key: proven.key } };
const SMIME = { smime_encrypt: true, approved_by: "anna@example.org", lifetime: "10m" };

/** acme.test must show a certificate of a CA that its own server has not; it is given a second. */
async function acme(rig: Rig, onExpiry: readonly unknown[], outbound: Tree = {}): Promise<void> {
  rig.dns.zones["backup.acme.test"] = { A: ["127.0.0.1"] };
  await rig.site.write("partner-ca.crt", trusted.certificate);
  await rig.site.partner("acme", {
    name: "ACME AG",
    domains: ["acme.test"],
    outbound: {
      tls: { level: "verify", ca: "../../partner-ca.crt" },
      lifetime: "1s",
      on_expiry: [...onExpiry, "bounce"],
      ...outbound,
    },
  });
}

async function started(onExpiry: readonly unknown[], settings: Tree = {}): Promise<Rig> {
  const rig = await createRig();
  await acme(rig, onExpiry);
  await rig.configure({ queue: QUICK, ...settings });
  return rig;
}

const QUICK = { retry: ["200ms"], reserve: "1MiB", idle_connection: "100ms" };

async function backup(options: MxOptions): Promise<MxServer> {
  const mx = await startMx(options);
  later(mx.close);
  return mx;
}

/** A line of the log, within half a minute. */
async function line(rig: Rig, event: string, matches: (line: Line) => boolean = () => true): Promise<Line> {
  const found = (): Line | undefined => rig.site.log.find((one) => one.event === event && matches(one));
  await eventually(() => found() !== undefined, LONG_MS).catch(() => undefined);
  const one = found();
  if (one === undefined)
    throw new Error(
      `No ${event} in the log:\n${rig.site.log
        .slice(-40)
        .map((each) => JSON.stringify(each))
        .join("\n")}`,
    );
  return one;
}
const deliveredTo = (recipient: string) => (one: Line) =>
  one["outcome"] === "delivered" && String(one["recipients"]).includes(recipient);

/** Those handed over to somebody at acme.test. */
const toAcme = (mx: MxServer): readonly MxMessage[] =>
  mx.messages.filter(({ recipients }) => recipients.some((one) => one.includes("acme.test")));
const endedOnes = (message: MxMessage): boolean => message.complete;

describe("on_expiry: another next hop", { timeout: 2 * LONG_MS }, () => {
  it("gets what the first one could not be proven to be, with every demand kept", async () => {
    const other = await backup(BACKUP);
    const rig = await started([{ next_hop: `[backup.acme.test]:${other.port}`, lifetime: "10m" }]);
    await rig.site.start();
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    const told = await line(rig, "delivery", deliveredTo("bert@"));
    expect(told).toMatchObject({
      partner: "acme",
      route: "next-hop",
      mx: { host: "backup.acme.test" },
      tls: { demanded: "verify", result: "authenticated" },
    });
    expect(told).not.toHaveProperty("exception");
    expect(toAcme(rig.mx)).toEqual([]);
    expect(toAcme(other).map(({ secure }) => secure)).toEqual([true]);
  });

  it("gets nothing where it cannot prove who it is either: the sender is told when its time has passed, too", async () => {
    const other = await backup({ ...BACKUP, tls: goodMx.tls! });
    const rig = await started([{ next_hop: `[backup.acme.test]:${other.port}`, lifetime: "1s" }]);
    await rig.site.start();
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    const end = await line(rig, "message.finished", (one) => JSON.stringify(one).includes("bert@"));
    expect(end["outcome"]).toEqual([{ recipient: "bert@acme.test", end: "expired" }]);
    expect((await rig.got("anna@example.org")).toString()).toContain("bert@acme.test");
    expect(other.connections()).toBeGreaterThan(0);
    expect([...toAcme(rig.mx), ...toAcme(other)]).toEqual([]);
    expect([...rig.mx.commands, ...other.commands].filter((one) => one.line.includes("acme.test"))).toEqual([]);
  });

  it("is tried although the first one's destination is closed for long", async () => {
    const other = await backup(BACKUP);
    const rig = await createRig();
    await acme(rig, [{ next_hop: `[backup.acme.test]:${other.port}`, lifetime: "10m" }]);
    // Two quick attempts, then nothing for ten minutes.
    await rig.configure({ queue: { ...QUICK, retry: ["100ms", "900ms", "10m"] } });
    await rig.site.start();
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    await line(rig, "delivery", deliveredTo("bert@"));
    expect(toAcme(other).length).toBe(1);
  });
});

describe("on_expiry: S/MIME", { timeout: 2 * LONG_MS }, () => {
  const bert = person("bert@acme.test");

  it("sends it encrypted over TLS that proves nothing, and to nobody in plain; who has no certificate does not get it", async () => {
    const rig = await createRig();
    await acme(rig, [SMIME]);
    const keys = await rig.useKeys([newKey("rsa-sha256", "example.org", "r")]);
    await rig.configure({ queue: QUICK }, { ...keys, ...SIGNERS });
    await rig.useSigner("anna@example.org", person("anna@example.org"));
    await rig.usePartner("bert", bert);
    await rig.site.start();
    const reply = await submit(rig.site, { to: ["bert@acme.test", "carl@acme.test"], content: letter() });
    const queueId = /^250 2\.0\.0 (\w+)/.exec(reply)?.[1];
    const told = await line(rig, "delivery", deliveredTo("bert@"));
    expect(told).toMatchObject({
      exception: { approvedBy: "anna@example.org", reason: "S/MIME after expiry (on_expiry)" },
      tls: { demanded: "encrypt", result: "encrypted" },
      smime: { encrypted: true },
      attempt: 1,
    });
    expect(await line(rig, "message.moved")).toMatchObject({
      queueId,
      into: told["queueId"],
      approvedBy: "anna@example.org",
    });
    const end = await line(rig, "message.finished", (one) => one["queueId"] === queueId);
    expect(end["outcome"]).toEqual([
      { recipient: "bert@acme.test", end: "moved" },
      { recipient: "carl@acme.test", end: "expired" },
    ]);
    const [got] = toAcme(rig.mx);
    expect(toAcme(rig.mx).map(({ secure, recipients }) => [secure, recipients.length])).toEqual([[true, 1]]);
    const content = got?.content ?? Buffer.of();
    expect(fieldOf(content, "content-type")).toMatch(/smime-type=(?:auth)?enveloped-data/);
    expect(content.toString("latin1")).not.toContain("Hello Bert");
    expect(opened(content, bert.key)?.toString()).toContain("Hello Bert");
    expect(readersOf(content)).toBe(2); // he, and its author
    expect(count(content, "received")).toBe(1);
    expect(await dkimVerdicts(content, rig.dns)).toEqual(["example.org r rsa-sha256 pass"]);
    const notice = (await rig.got("anna@example.org")).toString();
    expect([...notice.matchAll(/^Final-Recipient: *rfc822; *(.*)\r$/gm)].map(([, one]) => one)).toEqual([
      "carl@acme.test",
    ]);
  });

  it("is not taken where the other side offers no TLS: nothing leaves in clear, encrypted or not", async () => {
    const rig = await started([{ ...SMIME, lifetime: "2s" }]);
    rig.mx.change({ ...goodMx, starttls: "absent" });
    await rig.configure({ queue: QUICK, domains: [{ domain: ["example.org"] }] });
    await rig.usePartner("bert", bert);
    await rig.site.start();
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    const { into } = await line(rig, "message.moved");
    await line(rig, "message.finished", (one) => one["queueId"] === into);
    expect(rig.mx.messages.filter(({ secure, mail }) => !secure && mail !== "MAIL FROM:<>")).toEqual([]);
    expect(rig.mx.commands.filter(({ line: one }) => one.includes("acme.test"))).toEqual([]);
  });

  it("re-sends the same octets at each try, over a restart, too: encrypted once, before the first", async () => {
    const rig = await started([SMIME]);
    await rig.usePartner("bert", bert);
    rig.mx.change({ ...goodMx, final: "451 4.3.0 Not now" });
    await rig.site.start();
    const large = "Hello Bert, and so on.\r\n".repeat(20_000); // in a file, not in the database
    await submit(rig.site, { to: "bert@acme.test", content: letter([], large) });
    const seen = (): readonly MxMessage[] => toAcme(rig.mx).filter(endedOnes);
    await eventually(() => seen().length >= 2, LONG_MS);
    await rig.site.gateway().stop("test");
    const before = seen().length;
    rig.mx.change(goodMx);
    await rig.site.start();
    await line(rig, "delivery", deliveredTo("bert@"));
    const contents = seen().map(({ content }) => content.toString("latin1"));
    expect(contents.length).toBeGreaterThan(before);
    expect(new Set(contents).size).toBe(1);
    expect(opened(seen()[0]!.content, bert.key)?.toString()).toContain("Hello Bert");
    expect(rig.site.log.filter(({ event }) => event === "message.moved").length).toBe(1);
  });

  it("waits for the whole level again once a reload takes the step away", async () => {
    const rig = await started([SMIME]);
    await rig.usePartner("bert", bert);
    rig.mx.change({ ...goodMx, final: "451 4.3.0 Not now" });
    await rig.site.start();
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    const { into } = await line(rig, "message.moved");
    await acme(rig, []);
    expect(await rig.site.gateway().reload()).toEqual([]);
    rig.mx.change(goodMx);
    const generation = 2;
    const held = (one: Line): boolean => one["queueId"] === into && one["generation"] === generation;
    const told = await line(rig, "delivery", held);
    expect(told).toMatchObject({ outcome: "deferred", reason: "certificate-not-trusted" });
    expect(told).not.toHaveProperty("exception");
  });

  it("of what its user has encrypted changes no octet of the body: only the level falls", async () => {
    const rig = await started([SMIME]);
    await rig.usePartner("bert", bert);
    await rig.site.start();
    const other = await createRig();
    await other.usePartner("bert", bert);
    await other.configure({ outbound: { smime: { encrypt: "always" } } });
    await other.site.start();
    await submit(other.site, { to: "bert@acme.test", content: letter() });
    const sealed = await other.got("bert@acme.test");
    await submit(rig.site, { to: "bert@acme.test", content: sealed });
    await line(rig, "delivery", deliveredTo("bert@"));
    const [got] = toAcme(rig.mx);
    expect(cmsOf(got?.content ?? Buffer.of())).toEqual(cmsOf(sealed));
  });

  it("is followed by the next step for those to whom nothing can be encrypted", async () => {
    const other = await backup(BACKUP);
    const rig = await started([SMIME, { next_hop: `[backup.acme.test]:${other.port}` }]);
    await rig.usePartner("bert", bert);
    await rig.site.start();
    await submit(rig.site, { to: ["bert@acme.test", "carl@acme.test"], content: letter() });
    await line(rig, "delivery", deliveredTo("bert@"));
    await line(rig, "delivery", deliveredTo("carl@"));
    expect(toAcme(rig.mx).map(({ recipients }) => recipients.join())).toEqual([expect.stringContaining("bert@")]);
    expect(toAcme(other).map(({ recipients }) => recipients.join())).toEqual([expect.stringContaining("carl@")]);
  });
});
