/** Sessions with next hops: opening, limits, reuse, log-in and the end. */
import { afterEach, describe, expect, it } from "vitest";
import { createAuthority } from "../peers/certificates.ts";
import { type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import { hostOf, policy, recipient, trusting, until, type WayOut, wayOut } from "../peers/outgoing.ts";

const ca = createAuthority("Acme CA");
const certificate = ca.issue({ names: ["mx.acme.test"] });
const secured: MxOptions = { tls: { certificate: certificate.chain, key: certificate.key } };
const delivered = new Map([[0, expect.objectContaining({ kind: "delivered" })]]);
const verify = policy(ca, { level: "verify" });

let mx: MxServer;
let out: WayOut;

afterEach(async () => {
  out.stop.abort();
  await mx.close();
});

async function start(options: MxOptions, bent: Parameters<typeof wayOut>[0] = {}): Promise<void> {
  mx = await startMx(options);
  out = wayOut(bent);
}

describe("opening", () => {
  const answerEhlo = (text: string): MxOptions => ({
    answer: ({ line }) => (line.startsWith("EHLO") ? text : undefined),
  });

  it.each<[string, MxOptions, string]>([
    ["turned away with 554 [RFC 5321 §3.1]", { greeting: "554 5.7.1 No service for you" }, "connection-failed"],
    ["busy, with 421", { greeting: "421 4.3.2 Busy" }, "connection-failed"],
    ["no greeting in time", { greeting: null }, "connection-lost"],
    ["another protocol", { greeting: "SSH-2.0-OpenSSH_9.2" }, "connection-lost"],
    ["a greeting without end", { greeting: `220-${"x".repeat(70_000)}\r\n220 x` }, "connection-lost"],
    ["a greeting of 101 lines", { greeting: `${"220-x\r\n".repeat(100)}220 x` }, "connection-lost"],
    ["421 to EHLO", answerEhlo("421 4.3.2 Later"), "connection-failed"],
    ["a drop at EHLO", answerEhlo("drop"), "connection-lost"],
    ["silence at EHLO", answerEhlo("hang"), "connection-lost"],
    ["an endless EHLO reply", answerEhlo(`${"250-SIZE\r\n".repeat(200)}250 OK`), "connection-lost"],
  ])("waits: %s", async (_, options, reason) => {
    await start(options, { commandTimeoutMs: 300 });
    const { problem } = await out.attempt(hostOf(mx), policy(ca));
    expect(problem).toMatchObject({ kind: "deferred", reason });
    await until(() => mx.open() === 0, "the connection is closed");
    expect(mx.verbs()).toMatch(/^(EHLO)? ?(QUIT)?$/);
    expect(out.pool.size()).toBe(0);
  });

  it("a peer that drips its greeting octet by octet is not waited for longer than one that is silent", async () => {
    await start({ greeting: null }, { commandTimeoutMs: 200 });
    const began = performance.now();
    expect((await out.attempt(hostOf(mx), policy(ca))).problem).toMatchObject({ reason: "connection-lost" });
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it("says what the system says when nobody listens", async () => {
    await start({});
    await mx.close();
    const { problem } = await out.attempt(hostOf(mx), policy(ca));
    expect(problem).toMatchObject({ reason: "connection-failed", status: "4.4.1" });
    expect(problem?.detail).toContain("the connection is refused");
  });

  it("connects from the source address of the peer's family", async () => {
    await start(secured, { sourceAddresses: ["::1", "127.0.0.9"] });
    const { session, outcomes } = await out.attempt(hostOf(mx), policy(ca));
    expect(outcomes).toEqual(delivered);
    expect(session?.localAddress).toBe("127.0.0.9");
  });

  it("waits when the source address is not one of ours", async () => {
    await start(secured, { sourceAddresses: ["192.0.2.1"] });
    expect((await out.attempt(hostOf(mx), policy(ca))).problem).toMatchObject({ reason: "connection-failed" });
  });

  it("ends at once when the gateway stops", async () => {
    await start({ greeting: null });
    const attempt = out.attempt(hostOf(mx), policy(ca));
    await until(() => mx.open() === 1, "connected");
    out.stop.abort();
    expect((await attempt).problem).toMatchObject({ reason: "connection-lost" });
    expect((await out.attempt(hostOf(mx), policy(ca))).problem).toMatchObject({ reason: "connection-failed" });
  });
});

describe("reuse", () => {
  const twice = async (first = verify, second = first, bent = {}): Promise<boolean | undefined> => {
    expect((await out.attempt(hostOf(mx), first)).outcomes).toEqual(delivered);
    const { outcomes, session } = await out.attempt(hostOf(mx), second, bent);
    expect(outcomes).toEqual(delivered);
    return session?.reused;
  };

  it("keeps a session for the next delivery", async () => {
    await start(secured);
    expect(await twice()).toBe(true);
    expect(mx.connections()).toBe(1);
    expect(mx.verbs()).toBe("EHLO STARTTLS EHLO MAIL RCPT DATA MAIL RCPT DATA");
  });

  it.each<[string, Partial<typeof verify>]>([
    ["other authorities", { trust: trusting([ca, certificate]) }],
    ["another least version", { minVersion: "TLSv1.3" }],
    ["another profile", { profile: { ...verify.profile, groups: "P-256" } }],
    ["another SNI", { servername: "other.test" }],
    ["a client certificate", { clientCertificate: { certificate: certificate.chain, key: certificate.key } }],
    ["TLS that was only asked for if offered", { level: "may" }],
  ])("never shares a session between different handshakes: %s", async (_, bent) => {
    await start(secured);
    expect(await twice(verify, policy(ca, { level: "verify", ...bent }))).toBe(false);
  });

  it("shares one between levels that shape no handshake, and judges it anew", async () => {
    await start(secured);
    expect(await twice(policy(ca, { level: "encrypt" }), verify)).toBe(true);
    const wrong = policy(ca, { level: "verify", match: [{ host: "other.test" }] });
    expect((await out.attempt(hostOf(mx), wrong)).problem).toMatchObject({ reason: "certificate-host-mismatch" });
    await until(() => mx.open() === 0, "the session that was not admitted is ended");
    expect(mx.verbs().split(" ").at(-1)).toBe("QUIT");
    expect(mx.messages).toHaveLength(2);
  });

  it("judges the dates of a kept session by the time of the delivery", async () => {
    await start(secured);
    await out.attempt(hostOf(mx), verify);
    const later = await out.attempt(hostOf(mx), verify, { now: Date.now() + 60 * 86_400_000 });
    expect(later).toMatchObject({ problem: { reason: "certificate-expired" }, session: { reused: true } });
    expect(mx.messages).toHaveLength(1);
  });

  it("opens another when a fresh one is asked for", async () => {
    await start(secured);
    expect(await twice(verify, verify, { fresh: true })).toBe(false);
  });

  it("ends a session after so many messages", async () => {
    await start(secured, { messagesPerConnection: 2 });
    for (let sent = 0; sent < 4; sent += 1) await out.attempt(hostOf(mx), verify);
    expect(mx.connections()).toBe(2);
    expect(mx.messages.map(({ connection }) => connection)).toEqual([1, 1, 2, 2]);
  });

  it("ends a session that nobody used for a while", async () => {
    await start(secured, { idleConnectionMs: 30 });
    await out.attempt(hostOf(mx), verify);
    await until(() => mx.open() === 0, "idle session ended");
    expect(mx.verbs().split(" ").at(-1)).toBe("QUIT");
    expect(out.pool.size()).toBe(0);
  });

  it("opens another when the kept one was cut", async () => {
    await start(secured);
    await out.attempt(hostOf(mx), verify);
    mx.cut();
    await until(() => out.pool.size() === 0, "the pool saw it end");
    expect(await twice()).toBe(true);
    expect(mx.connections()).toBe(2);
  });

  it("opens another when the kept one was ended with 421 [RFC 5321 §3.8]", async () => {
    await start({ ...secured, final: "250 2.0.0 Queued\r\n421 4.4.2 Idle for too long" });
    await out.attempt(hostOf(mx), verify);
    await until(() => out.pool.size() === 0, "the pool saw it end");
    expect((await out.attempt(hostOf(mx), verify)).outcomes).toEqual(delivered);
  });

  it("ends idle sessions on reload, and those in use when they come back", async () => {
    await start(secured);
    await out.attempt(hostOf(mx), verify);
    out.pool.empty();
    await until(() => mx.open() === 0, "idle session ended");
    const session = await out.pool.connect(hostOf(mx), { use: "required", policy: verify, fresh: false });
    if ("kind" in session) throw new Error(session.detail);
    out.pool.empty();
    expect(out.pool.size()).toBe(1);
    out.pool.release(session);
    await until(() => mx.open() === 0, "session in use ended");
  });

  it("takes a session back once only", async () => {
    await start(secured);
    const session = await out.pool.connect(hostOf(mx), { use: "required", policy: verify, fresh: false });
    if ("kind" in session) throw new Error(session.detail);
    out.pool.release(session);
    out.pool.release(session);
    out.pool.dismiss(session);
    const opening = { use: "required", policy: verify, fresh: false } as const;
    const [a, b] = [await out.pool.connect(hostOf(mx), opening), await out.pool.connect(hostOf(mx), opening)];
    expect([a, b]).toMatchObject([{ reused: true }, { reused: false }]);
  });

  it("resets what a refused transaction left open before the next one [RFC 5321 §4.1.1.5]", async () => {
    await start({ ...secured, recipients: { "bob@acme.test": "550 5.1.1 Unknown" } });
    await out.attempt(hostOf(mx), verify);
    expect((await out.attempt(hostOf(mx), verify, { to: [recipient(0, "eve@acme.test")] })).outcomes).toEqual(
      delivered,
    );
    expect(mx.connections()).toBe(1);
    expect(mx.verbs()).toContain("RSET MAIL");
  });

  it("keeps nothing on a session of each reset", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on("warning", onWarning);
    await start({ ...secured, recipients: { "bob@acme.test": "550 5.1.1 Unknown" } });
    for (let transaction = 0; transaction < 15; transaction += 1) await out.attempt(hostOf(mx), verify);
    expect(mx.connections()).toBe(1);
    await new Promise(setImmediate); // Node warns of too many listeners in a turn of its own
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });
});

describe("logging in at a next hop", () => {
  const auth = { user: "relay", password: "s3cret" };

  it.each(["PLAIN LOGIN", "LOGIN", "CRAM-MD5 PLAIN"])("by %s, once per session, inside TLS", async (authMechanisms) => {
    await start({ ...secured, auth, authMechanisms });
    const host = hostOf(mx, { auth });
    expect((await out.attempt(host, verify)).outcomes).toEqual(delivered);
    expect((await out.attempt(host, verify)).outcomes).toEqual(delivered);
    const logins = mx.commands.filter(({ line }) => line.startsWith("AUTH"));
    expect(logins).toMatchObject([{ secure: true }]);
  });

  it("waits when the credentials are refused", async () => {
    await start({ ...secured, auth });
    const { outcomes } = await out.attempt(hostOf(mx, { auth: { ...auth, password: "wrong" } }), verify);
    expect(outcomes?.get(0)).toMatchObject({
      kind: "deferred",
      reason: "smtp-5xx",
      smtp: { code: 535, enhancedCode: "5.7.8" },
    });
    expect(mx.verbs()).not.toContain("MAIL");
  });

  it("waits when no mechanism is offered", async () => {
    await start(secured);
    const { outcomes } = await out.attempt(hostOf(mx, { auth }), verify);
    expect(outcomes?.get(0)).toMatchObject({ kind: "deferred", reason: "connection-lost" });
    expect(mx.verbs()).not.toContain("AUTH");
  });

  it("never on a session whose peer has proven nothing", async () => {
    await start({ ...secured, auth });
    const { outcomes } = await out.attempt(hostOf(mx, { auth }), policy(ca, { level: "encrypt" }));
    expect(outcomes?.get(0)).toMatchObject({ kind: "deferred", reason: "certificate-not-trusted" });
    expect(mx.verbs()).not.toMatch(/AUTH|MAIL/);
  });

  it("never shares a session with mail that goes without", async () => {
    await start({ ...secured, auth });
    await out.attempt(hostOf(mx, { auth }), verify);
    expect((await out.attempt(hostOf(mx), verify)).session?.reused).toBe(false);
  });
});
