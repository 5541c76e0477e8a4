/** Every kind of notice through a whole gateway: what happens to mail on loopback, and who is told of it. */
import { describe, expect, it, vi } from "vitest";
import { eventually } from "../contract/messages.ts";
import { createAuthority } from "../peers/certificates.ts";
import type { Line, Tree } from "../peers/gateway.ts";
import { type MxMessage, type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";
import { fieldGroups, field, type Entity, readNotice } from "../unit/notify/read-notice.ts";
import { createRig, goodMx, later, letter, type Rig } from "./treatment-rig.ts";

const LONG_MS = 30_000;
vi.setConfig({ testTimeout: 3 * LONG_MS });
const NO_DSN: MxOptions = { ...goodMx, extensions: ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 52428800"] };
const NO_TLS: MxOptions = { hostname: "mx.acme.test" };

interface Town extends Rig {
  /** The partner's server; the rig's own one has what is for example.org and other.test. */
  readonly theirs: MxServer;
}

async function town(theirs: MxOptions, settings: Tree = {}, outbound: Tree = {}): Promise<Town> {
  const rig = await createRig();
  const mx = await startMx(theirs);
  later(mx.close);
  await rig.site.partner("acme", {
    name: "ACME AG",
    domains: ["acme.test"],
    owner: "olga@example.org",
    outbound: { next_hop: `[127.0.0.1]:${mx.port}`, tls: { level: "encrypt" }, ...outbound },
  });
  const queue = { retry: ["300ms"], reserve: "1MiB", idle_connection: "100ms", ...(settings["queue"] as Tree) };
  await rig.configure({ alarms: { mail: false }, ...settings, queue });
  await rig.site.start();
  return { ...rig, theirs: mx };
}

interface Handed {
  readonly from?: string;
  /** Parameters of MAIL and of RCPT. */
  readonly mail?: string;
  readonly rcpt?: string;
  readonly to?: string;
}

async function hand({ site }: Rig, of: Handed = {}): Promise<void> {
  const client = await SmtpClient.greeted({ port: site.gateway().listeners[0]?.port ?? 0 });
  await client.ask(`MAIL FROM:<${of.from ?? "anna@example.org"}> ${of.mail ?? ""}`.trim(), 250);
  await client.ask(`RCPT TO:<${of.to ?? "bert@acme.test"}> ${of.rcpt ?? ""}`.trim(), 250);
  await client.ask("DATA", 354);
  await client.send(letter());
  await client.ask(".", 250);
  client.close();
}

/** Notices that arrived for one reader. */
const arrived = ({ mx }: Rig, reader: string): MxMessage[] =>
  mx.messages.filter(({ complete, recipients }) => complete && recipients.some((line) => line.includes(`<${reader}>`)));

interface Notice {
  readonly whole: Entity;
  readonly plain: string;
  readonly message: Pick<Entity, "fields">;
  readonly recipients: readonly Pick<Entity, "fields">[];
  readonly original: string | undefined;
  readonly envelope: MxMessage;
}

/** The `number`th, from 1, that arrived for one reader. */
async function notice(rig: Rig, reader: string, number = 1): Promise<Notice> {
  await eventually(() => arrived(rig, reader).length >= number, LONG_MS).catch((error: unknown) => told(rig, error));
  const envelope = arrived(rig, reader)[number - 1]!;
  const end = envelope.content.indexOf("\r\n\r\n") + 4;
  const whole = readNotice({ header: envelope.content.subarray(0, end), body: envelope.content.subarray(end) });
  const [words, status, original] = whole.parts;
  const [message = { fields: [] }, ...recipients] = fieldGroups(status?.text ?? "");
  const plain = (words?.parts[0]?.text ?? "").replace(/\s+/g, " ");
  return { whole, plain, message, recipients, original: original?.text, envelope };
}

function told({ site }: Rig, cause: unknown): never {
  throw new Error(site.log.map((line) => JSON.stringify(line).slice(0, 800)).join("\n"), { cause });
}

async function logged(rig: Rig, event: string, matches: (line: Line) => boolean): Promise<Line> {
  const found = (): Line | undefined => rig.site.log.find((line) => line.event === event && matches(line));
  await eventually(() => found() !== undefined, LONG_MS).catch((error: unknown) => told(rig, error));
  return found()!;
}

const queued = (rig: Rig): string[] =>
  rig.site.log
    .filter(({ event }) => event === "notice.queued")
    .map(({ kind, recipient }) => `${String(kind)} ${String(recipient)}`);
/** The message to Bert, not a notice about it. */
const ended = (rig: Rig): Promise<Line> =>
  logged(rig, "message.finished", ({ outcome }) => JSON.stringify(outcome).includes("bert@acme.test"));

describe("mail that waits", () => {
  const DELAY = { queue: { delay_notices: ["1s"] } };

  it("is told of once to its sender and the partner's owner, and again when it went through after all", async () => {
    const rig = await town(NO_TLS, DELAY);
    await hand(rig, { mail: "ENVID=QQ+2B1", rcpt: "ORCPT=rfc822;Bert@acme.test" });
    const { whole, plain, message, recipients, original, envelope } = await notice(rig, "anna@example.org");
    expect(envelope.mail).toMatch(/^MAIL FROM:<>/);
    expect(field(whole, "Subject")).toBe("Delayed: your message to acme.test");
    expect(plain).toContain("the mail system of acme.test offers no encryption at present");
    expect(plain).toContain("the message has not left the house unencrypted");
    expect(field(message, "Original-Envelope-Id")).toBe("QQ+1");
    expect(recipients).toHaveLength(1);
    expect(Object.fromEntries(recipients[0]?.fields ?? [])).toMatchObject({
      "Original-Recipient": "rfc822; Bert@acme.test",
      "Final-Recipient": "rfc822; bert@acme.test",
      Action: "delayed",
      Status: "4.7.5",
    });
    const until = Date.parse(field(recipients[0] ?? { fields: [] }, "Will-Retry-Until") ?? "");
    expect(until - Date.now()).toBeGreaterThan(4 * 24 * 3_600_000);
    expect(original).toContain("Subject: Figures");

    const copy = await notice(rig, "olga@example.org");
    expect(field(copy.whole, "Subject")).toBe("Mail to ACME AG is waiting");
    expect(copy.original).toBeUndefined();
    expect(copy.envelope.content.toString()).not.toMatch(/Figures|<1@example\.org>/);

    rig.theirs.change(goodMx);
    const after = await notice(rig, "anna@example.org", 2);
    expect(field(after.whole, "Subject")).toBe("Delivered after all: your message to acme.test");
    expect(after.recipients.map((one) => [field(one, "Action"), field(one, "Status")])).toEqual([["relayed", "2.0.0"]]);
    await ended(rig);
    expect(rig.theirs.messages.filter(({ complete }) => complete)).toHaveLength(1);
    expect(queued(rig)).toEqual(["delay anna@example.org", "copy olga@example.org", "delivered anna@example.org"]);
  });

  it("is told of to nobody who has asked for silence, now or later [RFC 3461 §4.1]", async () => {
    const rig = await town(NO_TLS, DELAY);
    await hand(rig, { rcpt: "NOTIFY=NEVER" });
    await notice(rig, "olga@example.org");
    rig.theirs.change(goodMx);
    await ended(rig);
    expect(queued(rig)).toEqual(["copy olga@example.org"]);
  });

  it("ends with a failure notice that names the last reason", async () => {
    const rig = await town(NO_TLS, { queue: { delay_notices: ["1h"] } }, { lifetime: "1s" });
    await hand(rig);
    const { whole, plain, recipients } = await notice(rig, "anna@example.org");
    expect(field(whole, "Subject")).toBe("Not delivered: your message to acme.test");
    expect(plain).toContain("the mail system of acme.test offers no encryption at present");
    expect(plain).toContain("the message has not left the house unencrypted");
    expect(recipients.map((one) => [field(one, "Action"), field(one, "Status")])).toEqual([["failed", "5.4.7"]]);
    expect(rig.theirs.verbs()).not.toContain("MAIL");
    expect(queued(rig)).toEqual(["failure anna@example.org"]);
  });

  it("at a level that allows clear text is told of without promising anything", async () => {
    const rig = await createRig({ ...goodMx, recipients: { "bert@acme.test": "451 4.2.1 Later" } });
    await rig.configure({
      outbound: { tls: { level: "may" } },
      queue: { retry: ["300ms"], reserve: "1MiB", delay_notices: ["1s"] },
    });
    await rig.site.start();
    await hand(rig);
    const { plain, recipients } = await notice(rig, "anna@example.org");
    expect(plain).toContain("did not accept the message for the time being");
    expect(plain).not.toContain("unencrypted");
    expect(plain).toContain("451 4.2.1 Later");
    expect(recipients.map((one) => [field(one, "Status"), field(one, "Diagnostic-Code")])).toEqual([
      ["4.2.1", "smtp; 451 4.2.1 Later"],
    ]);
  });

  it("that was once let go in clear is told of without promising anything, whatever is demanded since", async () => {
    const rig = await createRig({ ...goodMx, recipients: { "bert@acme.test": "451 4.2.1 Later" } });
    const queue = { retry: ["300ms"], reserve: "1MiB", delay_notices: ["3s"] };
    await rig.configure({ outbound: { tls: { level: "may" } }, queue });
    await rig.site.start();
    await hand(rig);
    await logged(rig, "delivery", ({ outcome }) => outcome === "deferred");
    await rig.configure({ outbound: { tls: { level: "encrypt" } }, queue });
    expect(await rig.site.gateway().reload()).toEqual([]);
    const { plain } = await notice(rig, "anna@example.org");
    expect(plain).not.toContain("unencrypted");
  });
});

describe("mail whose sender asks to be told of success", () => {
  it("is told of as passed on, where the next host does not report [RFC 3461 §5.2.2]", async () => {
    const rig = await town(NO_DSN);
    await hand(rig, { mail: "RET=FULL ENVID=E1", rcpt: "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@acme.test" });
    const { whole, message, recipients, original } = await notice(rig, "anna@example.org");
    expect(field(whole, "Subject")).toBe("Passed on: your message to acme.test");
    expect(field(message, "Original-Envelope-Id")).toBe("E1");
    expect(Object.fromEntries(recipients[0]?.fields ?? [])).toMatchObject({
      "Original-Recipient": "rfc822; b@acme.test",
      Action: "relayed",
      Status: "2.0.0",
      "Remote-MTA": "dns; 127.0.0.1",
    });
    expect(original).toContain("Subject: Figures");
    expect(original).not.toContain("Hello Bert");
    const [given] = rig.theirs.messages;
    expect([given?.mail, given?.recipients].join()).not.toMatch(/RET|ENVID|NOTIFY|ORCPT/);
  });

  it("goes with its wishes to a host that reports itself, and we are silent [RFC 3461 §5.2.1]", async () => {
    const rig = await town(goodMx);
    await hand(rig, { mail: "RET=HDRS ENVID=E1", rcpt: "NOTIFY=SUCCESS ORCPT=rfc822;b@acme.test" });
    await ended(rig);
    const [given] = rig.theirs.messages;
    expect(given?.mail).toContain("RET=HDRS ENVID=E1");
    expect(given?.recipients).toEqual(["RCPT TO:<bert@acme.test> NOTIFY=SUCCESS ORCPT=rfc822;b@acme.test"]);
    expect(queued(rig)).toEqual([]);
  });
});

describe("a notice of ours that reaches nobody", () => {
  it("goes to the postmaster, headers only, and no further", async () => {
    const refusing = { "otto@other.test": "550 5.1.1 Moved", "postmaster@example.org": "550 5.1.1 Gone" };
    const rig = await town({ ...goodMx, recipients: { "bert@acme.test": "550 5.1.1 Nobody" } });
    rig.mx.change({ ...goodMx, recipients: { "otto@other.test": "550 5.1.1 Moved" } });
    await hand(rig, { from: "otto@other.test" });
    const { whole, plain, recipients, original } = await notice(rig, "postmaster@example.org");
    expect(field(whole, "Subject")).toBe("A notice to other.test could not be delivered");
    expect(plain).toContain("otto@other.test");
    expect(recipients.map((one) => field(one, "Status"))).toEqual(["5.1.1"]);
    expect(original).toContain("Subject: Not delivered: your message to acme.test");
    expect(original).not.toContain("Figures");

    rig.mx.change({ ...goodMx, recipients: refusing });
    rig.mx.cut(); // sessions kept for reuse know the old ones
    await hand(rig, { from: "otto@other.test" });
    await logged(rig, "alarm", ({ code }) => code === "undeliverable-notice");
    expect(queued(rig)).toEqual([
      "failure otto@other.test",
      "undeliverable postmaster@example.org",
      "failure otto@other.test",
      "undeliverable postmaster@example.org",
    ]);
  });

  it("is no mail at all where the null sender's own fails: an alarm", async () => {
    const rig = await town({ ...goodMx, recipients: { "bert@acme.test": "550 5.1.1 Nobody" } });
    await hand(rig, { from: "" });
    await logged(rig, "alarm", ({ code }) => code === "undeliverable-null-sender");
    await ended(rig);
    expect(queued(rig)).toEqual([]);
  });
});

it("a notice about mail from a TLS-only alias comes home, and repeats nothing of it", async () => {
  const authority = createAuthority("A CA that is trusted");
  const { chain, key } = authority.issue({ names: ["mx.acme.test"] });
  const tls = { certificate: chain, key };
  const rig = await createRig({ ...goodMx, tls, recipients: { "bert@acme.test": "550 5.1.1 Nobody" } });
  await rig.site.partner("acme", {
    name: "ACME AG",
    domains: ["acme.test"],
    outbound: { tls: { level: "verify", match: ["mx.acme.test"], ca: "../../ca.crt" } },
  });
  await rig.site.write("ca.crt", authority.certificate);
  await rig.configure({ queue: { retry: ["300ms"], reserve: "1MiB" } }, { tls_only_alias: "secure.example.org" });
  await rig.site.start();
  await hand(rig, { from: "anna@secure.example.org" });
  const { whole, plain, recipients, original, envelope } = await notice(rig, "anna@example.org");
  expect(field(whole, "To")).toBe("<anna@secure.example.org>");
  expect(recipients.map((one) => field(one, "Status"))).toEqual(["5.1.1"]);
  expect(plain).toContain("nothing of its header is repeated here");
  expect(original).toBeUndefined();
  expect(envelope.content.toString()).not.toMatch(/Figures|<1@example\.org>/);
});
