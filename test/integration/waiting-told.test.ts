/** Who is told that mail waits, that it went through after all, and that an exception ends: through a whole gateway. */
import { describe, expect, it, onTestFinished } from "vitest";
import { dayOf } from "../../src/config/scalars.ts";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import { eventually } from "../contract/messages.ts";
import { createAuthority } from "../peers/certificates.ts";
import { startDnsServer } from "../peers/dns-server.ts";
import { createSite, type Line, type Site, type Tree } from "../peers/gateway.ts";
import { type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import { fieldOf } from "../unit/transform/smime-mime-reader.ts";

const LONG_MS = 30_000;
const DAY_MS = 86_400_000;
const server = createAuthority("Partner CA").issue({ names: ["mx.acme.test"] });
const MX: MxOptions = { hostname: "mx.acme.test", tls: { certificate: server.chain, key: server.key } };

interface Rig {
  readonly mx: MxServer;
  readonly site: Site;
}

/** acme.test and own.test have the same server, whose certificate proves nothing. */
async function createRig(options: MxOptions, settings: Tree, clock?: Clock): Promise<Rig> {
  const mx = await startMx(options);
  onTestFinished(mx.close);
  const dns = await startDnsServer({
    "acme.test": { MX: ["10 mx.acme.test"] },
    "mx.acme.test": { A: ["127.0.0.1"] },
  });
  onTestFinished(dns.close);
  const site = await createSite({}, clock);
  onTestFinished(site.close);
  await site.configure({
    dns: { resolvers: [`127.0.0.1:${dns.port}`], timeout: "1s" },
    delivery: { port: mx.port },
    domains: [{ domain: ["own.test"], next_hop: `[127.0.0.1]:${mx.port}` }],
    ...settings,
  });
  return { mx, site };
}

/** What somebody of ours got, by subject. */
async function letterTo({ mx }: Rig, recipient: string, subject: RegExp): Promise<string> {
  const found = () =>
    mx.messages.find(
      ({ recipients, content, complete }) =>
        complete && recipients.join().includes(recipient) && subject.test(fieldOf(content, "subject") ?? ""),
    );
  await eventually(() => found() !== undefined, LONG_MS);
  return found()?.content.toString() ?? "";
}

async function line({ site }: Rig, event: string, matches: (line: Line) => boolean): Promise<Line> {
  const found = (): Line | undefined => site.log.find((one) => one.event === event && matches(one));
  await eventually(() => found() !== undefined, LONG_MS);
  return found()!;
}

const QUEUE = { retry: ["200ms"], reserve: "1MiB", idle_connection: "100ms" };

describe("mail that waits", { timeout: 3 * LONG_MS }, () => {
  it("is told to its sender once, and that it went through after all; to the owner of the partner without its header", async () => {
    let isOpen = false;
    const answer: MxOptions["answer"] = ({ line: said }) =>
      !isOpen && said.startsWith("RCPT TO:<bert@acme.test>") ? "451 4.3.0 Our disk is full" : undefined;
    const rig = await createRig(
      { ...MX, answer },
      { queue: { ...QUEUE, delay_notices: ["1s", "1h"] }, alarms: { waiting: "1s", mail: true } },
    );
    await rig.site.partner("acme", { name: "ACME AG", domains: ["acme.test"], owner: "owner@own.test" });
    await rig.site.start();
    await rig.site.send({ to: "bert@acme.test", content: "Subject: Secret figures\r\n\r\nhello\r\n" });
    const delayed = await letterTo(rig, "anna@own.test", /delayed/i);
    expect(delayed).toContain("bert@acme.test");
    const copy = await letterTo(rig, "owner@own.test", /acme/i);
    expect(copy).not.toContain("Secret figures");
    const raised = await line(rig, "alarm", ({ code }) => code === "mail-waiting");
    expect(raised).toMatchObject({ partner: "acme", state: "raised" });
    expect(String(raised["remedy"])).toContain("acme.test");
    await letterTo(rig, "owner@own.test", /mail-waiting/);
    isOpen = true;
    const through = await letterTo(rig, "anna@own.test", /after all/i);
    expect(through).toContain("bert@acme.test");
    const told = rig.site.log.filter(({ event, kind }) => event === "notice.queued" && kind !== "alarm");
    expect(told.map(({ kind }) => kind)).toEqual(["delay", "copy", "delivered"]);
  });
});

describe("an exception", { timeout: 3 * LONG_MS }, () => {
  it("lowers the level in its time only: logged with what it let through, told to the owner before and after its end", async () => {
    const clock = { ...systemClock, ahead: 0, now: () => systemClock.now() + clock.ahead };
    const rig = await createRig(MX, { queue: QUEUE, alarms: { waiting: "0s", mail: true } }, clock);
    const until = dayOf(systemClock.now() + 2 * DAY_MS);
    await rig.site.partner("acme", {
      name: "ACME AG",
      domains: ["acme.test"],
      owner: "owner@own.test",
      outbound: { tls: { level: "verify" } },
      exceptions: [
        { until, approved_by: "boss@own.test", reason: "their CA is new", outbound: { tls: { level: "encrypt" } } },
      ],
    });
    await rig.site.start();
    expect(await line(rig, "exception.started", () => true)).toMatchObject({ partner: "acme", until });
    expect(await line(rig, "alarm", ({ code }) => code === "exception-ends")).toMatchObject({ state: "raised" });
    await letterTo(rig, "owner@own.test", /exception-ends/);
    await rig.site.send({ to: "bert@acme.test" });
    expect(await line(rig, "delivery", (one) => String(one["recipients"]).includes("bert@"))).toMatchObject({
      outcome: "delivered",
      exception: { approvedBy: "boss@own.test", reason: "their CA is new" },
      tls: { demanded: "encrypt", demandedBy: ["exception"] },
    });
    clock.ahead = 4 * DAY_MS;
    expect(await rig.site.gateway().reload()).toEqual([]);
    await line(rig, "exception.ended", () => true);
    await letterTo(rig, "owner@own.test", /exception-ended/);
    await rig.site.send({ to: "carl@acme.test" });
    const kept = await line(rig, "delivery", (one) => String(one["recipients"]).includes("carl@"));
    expect(kept).toMatchObject({ outcome: "deferred", reason: "certificate-not-trusted" });
    expect(kept).not.toHaveProperty("exception");
  });
});
