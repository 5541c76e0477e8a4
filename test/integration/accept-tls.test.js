import { connect as connectTcp } from "node:net";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/runtime/clock.js";
import { acceptSettings, authority, gateway, loopback, ownCertificate, profile, until } from "./accept-harness.js";
import { createAuthority } from "../peers/certificates.js";
const MESSAGE = "Subject: a\r\n\r\nb";
const modern = { ...profile, name: "modern@test", minVersion: "TLSv1.3" };
const legacy = {
    name: "legacy@test",
    minVersion: "TLSv1",
    ciphers: "DEFAULT@SECLEVEL=0",
    groups: "X25519:P-256",
    signatureAlgorithms: "ecdsa_secp256r1_sha256:ECDSA+SHA1:rsa_pss_rsae_sha256",
};
describe("STARTTLS", () => {
    it("is offered in clear and not inside TLS [RFC 3207 §4.2]", async () => {
        const { connect, greeted } = await gateway(acceptSettings());
        const clear = await connect();
        await clear.expect(220);
        expect((await clear.ask("EHLO a.example", 250)).lines).toEqual([
            "relay.example.org",
            "PIPELINING",
            "SIZE 1048576",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "DSN",
            "STARTTLS",
        ]);
        const inside = await greeted({ tls: {} });
        expect((await inside.ask("EHLO a.example", 250)).lines).not.toContain("STARTTLS");
        expect((await inside.ask("STARTTLS")).text).toMatch(/^503 5\.5\.1 /);
    });
    it("forgets what was said before it [RFC 3207 §4.2]", async () => {
        const { greeted } = await gateway(acceptSettings());
        const client = await greeted();
        await client.ask("MAIL FROM:<a@example.org>", 250);
        await client.startTls();
        await client.ask("MAIL FROM:<a@example.org>", 503);
        await client.ask("EHLO client.example", 250);
        await client.ask("RCPT TO:<bob@acme.example>", 503);
    });
    it("with plain text behind it ends the session [CVE-2011-0411]", async () => {
        const { greeted } = await gateway(acceptSettings());
        const client = await greeted();
        await client.send("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n");
        expect((await client.untilClosed()).map(({ code }) => code)).toEqual([554]);
    });
    it("with plain text behind it a little later runs none of it", async () => {
        const { greeted, fieldsOf, kept } = await gateway(acceptSettings());
        const client = await greeted();
        await client.ask("STARTTLS", 220);
        await client.send("MAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@acme.example>\r\nDATA\r\n");
        expect((await client.untilClosed()).filter(({ code }) => code < 400)).toEqual([]);
        await until(() => fieldsOf("tls.failed").length === 1);
        expect(fieldsOf("tls.failed")).toMatchObject([{ reason: "validation-failure", listener: "smarthost" }]);
        expect(kept).toEqual([]);
    });
    it("takes no parameter", async () => {
        const { greeted } = await gateway(acceptSettings());
        const client = await greeted();
        await client.ask("STARTTLS now", 501);
    });
});
describe("a listener that requires TLS", () => {
    it("answers MAIL in clear with 530 5.7.0, and takes it inside TLS", async () => {
        const { greeted, fieldsOf } = await gateway(acceptSettings({ tls: "require" }));
        const clear = await greeted();
        expect((await clear.ask("MAIL FROM:<a@example.org>")).text).toMatch(/^530 5\.7\.0 /);
        expect(fieldsOf("message.refused")).toMatchObject([{ stage: "mail", code: 530, enhancedCode: "5.7.0" }]);
        const inside = await greeted({ tls: {} });
        expect((await inside.message("a@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(250);
    });
    it("lets a client entry with tls: offer send in clear, and the reverse", async () => {
        const exempt = await gateway(acceptSettings({ tls: "require", clients: [{ ...loopback, tls: "offer" }] }));
        expect((await (await exempt.greeted()).message("a@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(250);
        const bound = await gateway(acceptSettings({ tls: "offer", clients: [{ ...loopback, tls: "require" }] }));
        await (await bound.greeted()).ask("MAIL FROM:<a@example.org>", 530);
    });
});
describe("a listener with implicit TLS", () => {
    const settings = acceptSettings({ tls: "implicit" });
    it("greets inside TLS only", async () => {
        const { greeted, kept } = await gateway(settings);
        const client = await greeted({ implicitTls: {} });
        expect((await client.message("a@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(250);
        expect(kept[0]?.transaction.client.tls).toMatchObject({ version: "TLSv1.3" });
        expect((await client.ask("EHLO a.example", 250)).lines).not.toContain("STARTTLS");
    });
    it("says nothing to a client in clear, and the log says why", async () => {
        const { connect, fieldsOf } = await gateway(settings);
        const client = await connect();
        await client.send("EHLO client.example\r\n");
        expect((await client.untilClosed()).filter(({ code }) => code < 400)).toEqual([]);
        await until(() => fieldsOf("tls.failed").length === 1);
    });
});
describe("the certificate", () => {
    const first = ownCertificate("relay.example.org");
    const second = ownCertificate("mail.example.com", "*.wild.example");
    const settings = acceptSettings({ certificates: [first, second] });
    it.each([
        ["relay.example.org", "relay.example.org"],
        ["mail.example.com", "mail.example.com"],
        ["MAIL.Example.COM", "mail.example.com"],
        ["a.wild.example", "mail.example.com"],
        ["a.b.wild.example", "relay.example.org"],
        ["other.example", "relay.example.org"],
        [undefined, "relay.example.org"],
    ])("for SNI %s is that of %s", async (servername, expected) => {
        const { greeted } = await gateway(settings);
        const client = await greeted({ tls: servername === undefined ? {} : { servername } });
        expect(client.tls.getPeerCertificate().subject.CN).toBe(expected);
    });
});
describe("the profile", () => {
    it("refuses an older version, and the log says why", async () => {
        const { greeted, fieldsOf } = await gateway(acceptSettings({ profile: modern }));
        const client = await greeted();
        await expect(client.startTls({ maxVersion: "TLSv1.2" })).rejects.toThrow();
        await until(() => fieldsOf("tls.failed").length === 1);
        expect(fieldsOf("tls.failed")).toMatchObject([{ reason: "tls-parameters-too-weak" }]);
    });
    it("of a client entry is laid over the listener's", async () => {
        const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
        const { greeted, kept } = await gateway(acceptSettings({ clients: [{ ...loopback, profile: legacy }] }));
        const client = await greeted({ tls: old });
        expect((await client.message("a@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(250);
        expect(kept[0]?.transaction.client.tls?.version).toBe("TLSv1.1");
        const others = await gateway(acceptSettings());
        await expect(others.greeted({ tls: old })).rejects.toThrow();
    });
    it("refuses a foreign protocol by ALPN and takes smtp [RFC 7301 §3.2]", async () => {
        const { greeted } = await gateway(acceptSettings());
        await expect(greeted({ tls: { ALPNProtocols: ["http/1.1"] } })).rejects.toThrow();
        expect((await greeted({ tls: { ALPNProtocols: ["smtp"] } })).tls.alpnProtocol).toBe("smtp");
    });
    it("issues nothing to resume by: a session always shows what it has anew", async () => {
        const { greeted } = await gateway(acceptSettings());
        const before = await greeted({ tls: { maxVersion: "TLSv1.2" } });
        const session = before.tls.getSession();
        const after = await greeted({ tls: { maxVersion: "TLSv1.2", ...(session && { session }) } });
        expect(after.tls.isSessionReused()).toBe(false);
    });
});
describe("a reload", () => {
    it("shows the new certificate to new sessions and drops none", async () => {
        const { greeted, listeners, kept } = await gateway(acceptSettings());
        const open = await greeted({ tls: {} });
        await open.begin("a@example.org", ["bob@acme.example"]);
        const renewed = ownCertificate("renewed.example.org");
        expect(listeners.reload(acceptSettings({ certificates: [renewed] }))).toEqual({ ok: true });
        const later = await greeted({ tls: {} });
        expect(later.tls.getPeerCertificate().subject.CN).toBe("renewed.example.org");
        await open.send(`${MESSAGE}\r\n.\r\n`);
        await open.expect(250);
        expect(kept).toHaveLength(1);
    });
    it.each([
        ["a key of another certificate", { ...ownCertificate("x.example"), key: ownCertificate("y.example").key }],
        ["junk", { certificate: "junk", key: "junk", names: [] }],
    ])("with %s changes nothing", async (_, bad) => {
        const { greeted, listeners } = await gateway(acceptSettings());
        const answer = listeners.reload(acceptSettings({ certificates: [bad], clients: [] }));
        expect(answer).toMatchObject({ ok: false, listener: "smarthost" });
        const client = await greeted({
            tls: { servername: "relay.example.org", ca: authority.certificate, rejectUnauthorized: true },
        });
        expect((await client.message("a@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(250);
    });
    it("reaches open sessions at their next MAIL", async () => {
        const { greeted, listeners } = await gateway(acceptSettings());
        const client = await greeted();
        listeners.reload(acceptSettings({ tls: "require" }));
        await client.ask("MAIL FROM:<a@example.org>", 530);
    });
    it.each([{ port: 1 }, { name: "other" }, { address: "127.0.0.2" }, { tls: "implicit" }])("of an address is refused: %j", async (change) => {
        const { listeners } = await gateway(acceptSettings());
        expect(listeners.reload(acceptSettings(change))).toMatchObject({ ok: false });
    });
});
describe("a certificate that cannot be used", () => {
    it("is told at the start", async () => {
        const junk = { certificate: createAuthority("x").certificate, key: "junk", names: [] };
        await expect(gateway(acceptSettings({ certificates: [junk] }))).rejects.toThrow();
    });
});
describe("an address that is taken", () => {
    it("is told at the start with the system's code", async () => {
        const { port } = await gateway(acceptSettings());
        await expect(gateway(acceptSettings({ port }))).rejects.toMatchObject({ code: "EADDRINUSE" });
    });
});
describe("a silent handshake", () => {
    /** Ten seconds pass in fifty milliseconds. */
    const hurried = {
        ...systemClock,
        after: (ms, run) => systemClock.after(ms === 10_000 ? 50 : ms, run),
    };
    it("after STARTTLS ends after ten seconds", async () => {
        const { greeted, fieldsOf } = await gateway(acceptSettings(), { clock: hurried });
        const client = await greeted();
        await client.ask("STARTTLS", 220);
        expect(await client.untilClosed()).toEqual([]);
        expect(fieldsOf("tls.failed")).toMatchObject([{ reason: "handshake-timeout" }]);
    });
    it("with implicit TLS ends after ten seconds", async () => {
        const { connect, fieldsOf, listeners } = await gateway(acceptSettings({ tls: "implicit" }), { clock: hurried });
        const client = await connect();
        expect(await client.untilClosed()).toEqual([]);
        expect(fieldsOf("tls.failed")).toMatchObject([{ reason: "handshake-timeout" }]);
        await until(() => listeners.sessions() === 0);
    });
    it("of a proxy that announces nobody ends after ten seconds", async () => {
        const proxyProtocol = [{ address: "127.0.0.0", prefix: 8 }];
        const { connect, fieldsOf } = await gateway(acceptSettings({ proxyProtocol }), { clock: hurried });
        const client = await connect();
        expect((await client.untilClosed()).map(({ code }) => code)).toEqual([554]);
        expect(fieldsOf("session.refused")).toHaveLength(1);
    });
    it("does not keep the gateway from stopping", async () => {
        const { port, listeners } = await gateway(acceptSettings({ tls: "implicit" }));
        const silent = connectTcp(port, "127.0.0.1");
        silent.on("error", () => { });
        await until(() => listeners.sessions() === 1);
        await listeners.stop(0);
        silent.destroy();
    });
});
