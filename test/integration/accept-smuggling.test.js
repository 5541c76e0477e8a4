import { describe, expect, it } from "vitest";
import { acceptSettings, gateway, loopback } from "./accept-harness.js";
/** What follows each sequence: a second message, if anything but CRLF.CRLF ended the first. */
const SECOND = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@acme.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx";
const SEQUENCES = [
    ["LF.LF", "\n.\n"],
    ["LF.CRLF", "\n.\r\n"],
    ["CRLF.LF", "\r\n.\n"],
    ["CR.CR", "\r.\r"],
    ["CR.CRLF", "\r.\r\n"],
    ["CRLF.CR", "\r\n.\r"],
    ["CR.LF", "\r.\n"],
    ["LF.CR", "\n.\r"],
    ["CRCRLF.CRLF", "\r\r\n.\r\n"],
    ["CRLF.CRCRLF", "\r\n.\r\r\n"],
    ["CRCRLF.CRCRLF", "\r\r\n.\r\r\n"],
    ["LFLF.LFLF", "\n\n.\n\n"],
    ["CRLFLF.CRLF", "\r\n\n.\r\n"],
    ["LFCR.LFCR", "\n\r.\n\r"],
];
const NUL_SEQUENCES = [
    ["CRLF NUL.CRLF", "\r\n\0.\r\n"],
    ["CRLF.NUL CRLF", "\r\n.\0\r\n"],
    ["NUL CRLF.NUL CRLF", "\0\r\n.\0\r\n"],
];
describe("a sequence that is no end of data", () => {
    it.each(SEQUENCES)("%s never brings a second message in, and the first is refused [RFC 5321 §4.1.1.4]", async (_, sequence) => {
        const { greeted, kept } = await gateway(acceptSettings());
        const client = await greeted();
        await client.begin("anna@example.org", ["bob@acme.example"]);
        await client.send(`Subject: first\r\n\r\nbody${sequence}${SECOND}\r\n.\r\n`);
        const replies = await client.untilClosed();
        expect(replies.map(({ text }) => text.slice(0, 9))).toEqual(["550 5.6.0"]);
        expect(kept).toEqual([]);
    });
    it.each(SEQUENCES)("%s byte by byte is refused, too", async (_, sequence) => {
        const { greeted, kept } = await gateway(acceptSettings());
        const client = await greeted();
        await client.begin("anna@example.org", ["bob@acme.example"]);
        for (const byte of Buffer.from(`Subject: first\r\n\r\nb${sequence}x\r\n.\r\n`))
            await client.send(Buffer.of(byte));
        await client.expect(550);
        expect(kept).toEqual([]);
    });
    it.each(NUL_SEQUENCES)("%s is content", async (_, sequence) => {
        const { greeted, kept } = await gateway(acceptSettings());
        const client = await greeted();
        const answer = await client.message("anna@example.org", ["bob@acme.example"], `Subject: a\r\n\r\nb${sequence}${SECOND}`);
        expect(answer.code).toBe(250);
        await client.ask("QUIT", 221);
        expect(kept).toHaveLength(1);
        expect(kept[0]?.body).toContain("MAIL FROM:<evil@example.org>");
    });
    it.each(SEQUENCES)("%s in the header is refused", async (_, sequence) => {
        const { greeted, kept } = await gateway(acceptSettings());
        const client = await greeted();
        const answer = await client.message("anna@example.org", ["bob@acme.example"], `Subject: a${sequence}Bcc: x\r\n\r\nb`);
        expect(answer.code).toBe(550);
        expect(kept).toEqual([]);
    });
    it("a NUL in the header is refused", async () => {
        const { greeted, kept } = await gateway(acceptSettings());
        const client = await greeted();
        const answer = await client.message("anna@example.org", ["bob@acme.example"], "Subject: a\0b\r\n\r\nb");
        expect(answer.text).toMatch(/^550 5\.6\.0 /);
        expect(kept).toEqual([]);
    });
});
describe("a client entry with normalize_bare_lf", () => {
    const settings = acceptSettings({ clients: [{ ...loopback, normalizeBareLf: true }] });
    it("has bare LF repaired before anything else sees it", async () => {
        const { greeted, kept } = await gateway(settings);
        const client = await greeted();
        const answer = await client.message("anna@example.org", ["bob@acme.example"], "Subject: a\nX: b\n\nline\n.\nline");
        expect(answer.code).toBe(250);
        expect(kept[0]).toMatchObject({ header: "Subject: a\r\nX: b\r\n\r\n", body: "line\r\n.\r\nline\r\n" });
    });
    it.each(SEQUENCES)("takes %s for no end of data either", async (_, sequence) => {
        const { greeted, kept } = await gateway(settings);
        const client = await greeted();
        await client.message("anna@example.org", ["bob@acme.example"], `Subject: a\r\n\r\nb${sequence}${SECOND}`);
        await client.send("QUIT\r\n");
        await client.untilClosed();
        expect(kept.length).toBeLessThanOrEqual(1);
        expect(kept.every(({ transaction }) => transaction.envelope.reversePath?.localPart === "anna")).toBe(true);
    });
    it("has bare CR refused all the same", async () => {
        const { greeted, kept } = await gateway(settings);
        const client = await greeted();
        const answer = await client.message("anna@example.org", ["bob@acme.example"], "Subject: a\rBcc: x\n\nb");
        expect(answer.code).toBe(550);
        expect(kept).toEqual([]);
    });
});
describe("a command line", () => {
    it.each([
        ["bare LF ends it", "NOOP\n"],
        ["bare CR is inside", "MAIL FROM:<a@example.org>\rRCPT TO:<b@acme.example>\r\n"],
        ["bare LF is inside", "MAIL FROM:<a@example.org>\nRCPT TO:<b@acme.example>\r\n"],
        ["CR CR LF ends it", "MAIL FROM:<a@example.org>\r\r\n"],
        ["LF comes first", "\nNOOP\r\n"],
    ])("ends the session when %s [RFC 5321 §2.3.8]", async (_, bytes) => {
        const { greeted, kept, fieldsOf } = await gateway(acceptSettings());
        const client = await greeted();
        await client.send(bytes);
        const replies = await client.untilClosed();
        expect(replies.map(({ text }) => text.slice(0, 9))).toEqual(["521 5.5.2"]);
        expect(fieldsOf("session.refused")).toMatchObject([{ code: 521, listener: "smarthost", address: "127.0.0.1" }]);
        expect(kept).toEqual([]);
    });
    it.each([
        ["a NUL", Buffer.from("MAIL FROM:<a\0@example.org>\r\n")],
        ["a tab", Buffer.from("MAIL FROM:<a@example.org>\tSIZE=1\r\n")],
        ["an escape", Buffer.from("EHLO \x1b[31m\r\n")],
        ["DEL", Buffer.from("NOOP \x7f\r\n")],
        ["U+0085", Buffer.from("NOOP \u0085\r\n")],
        ["broken UTF-8", Buffer.from([0x4e, 0x4f, 0x4f, 0x50, 0x20, 0xff, 0xfe, 0x0d, 0x0a])],
        ["overlong UTF-8", Buffer.from([0x4e, 0x4f, 0x4f, 0x50, 0x20, 0xc0, 0xaf, 0x0d, 0x0a])],
        ["half a surrogate", Buffer.from([0x4e, 0x4f, 0x4f, 0x50, 0x20, 0xed, 0xa0, 0x80, 0x0d, 0x0a])],
    ])("with %s is refused, and the session goes on", async (_, bytes) => {
        const { greeted } = await gateway(acceptSettings());
        const client = await greeted();
        await client.send(bytes);
        expect((await client.expect(501)).text).toContain("5.5.2");
        await client.ask("NOOP", 250);
    });
    it("longer than any command ends the session", async () => {
        const { greeted } = await gateway(acceptSettings());
        const client = await greeted();
        await client.send("A".repeat(20_000));
        expect((await client.untilClosed()).map(({ code }) => code)).toEqual([500]);
    });
    it("that never ended is not run when the client leaves", async () => {
        const { greeted, kept, listeners } = await gateway(acceptSettings());
        const client = await greeted();
        await client.begin("anna@example.org", ["bob@acme.example"]);
        await client.send("Subject: a\r\n\r\nbody\r\n.");
        client.socket.end();
        await client.untilClosed();
        expect(kept).toEqual([]);
        await listeners.stop(0);
        expect(listeners.sessions()).toBe(0);
    });
    it("of a web browser ends the session", async () => {
        const { connect } = await gateway(acceptSettings());
        const client = await connect();
        await client.expect(220);
        await client.send("POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO a\r\nMAIL FROM:<a@example.org>\r\n");
        expect((await client.untilClosed()).map(({ code }) => code)).toEqual([554]);
    });
});
