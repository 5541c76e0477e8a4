import { describe, expect, it } from "vitest";
import { acceptSettings, gateway, loopback, until } from "./accept-harness.js";
const MESSAGE = "Subject: a\r\n\r\nb";
const strangers = { clients: [{ network: { address: "10.0.0.0", prefix: 8 }, normalizeBareLf: false }] };
describe("limits", () => {
    it("recipients: the one too many gets 452, the others are served [RFC 5321 §4.5.3.1.10]", async () => {
        const { greeted, kept } = await gateway(acceptSettings({}, { recipients: 2 }));
        const client = await greeted();
        await client.ask("MAIL FROM:<a@example.org>", 250);
        await client.ask("RCPT TO:<b@acme.example>", 250);
        await client.ask("RCPT TO:<c@acme.example>", 250);
        expect((await client.ask("RCPT TO:<d@acme.example>")).text).toMatch(/^452 4\.5\.3 /);
        await client.ask("RCPT TO:<c@acme.example>", 250);
        await client.ask("DATA", 354);
        await client.send(`${MESSAGE}\r\n.\r\n`);
        await client.expect(250);
        expect(kept[0]?.transaction.envelope.recipients).toHaveLength(2);
    });
    it("messages a minute: the one too many gets 450", async () => {
        const { greeted, fieldsOf } = await gateway(acceptSettings({}, { messagesPerMinutePerClient: 2 }));
        const client = await greeted();
        await client.message("a@example.org", ["b@acme.example"], MESSAGE);
        await client.message("a@example.org", ["b@acme.example"], MESSAGE);
        expect((await client.ask("MAIL FROM:<a@example.org>")).text).toMatch(/^450 4\.7\.0 /);
        expect(fieldsOf("limit.hit")).toMatchObject([{ limit: "messages_per_minute_per_client", value: 2 }]);
    });
    it("connections per client: a permitted client's oldest idle session makes room", async () => {
        const { greeted, fieldsOf } = await gateway(acceptSettings({}, { connectionsPerClient: 2 }));
        const busy = await greeted();
        await busy.ask("MAIL FROM:<a@example.org>", 250);
        const idle = await greeted();
        const newcomer = await greeted();
        expect((await idle.untilClosed()).map(({ text }) => text.slice(0, 9))).toEqual(["421 4.7.0"]);
        await newcomer.ask("NOOP", 250);
        await busy.ask("RCPT TO:<b@acme.example>", 250);
        expect(fieldsOf("session.refused")).toEqual([]);
    });
    it("connections per client: a stranger's newest is refused", async () => {
        const { greeted, connect, fieldsOf, listeners } = await gateway(acceptSettings(strangers, { connectionsPerClient: 1 }));
        const first = await greeted();
        const second = await connect();
        expect((await second.untilClosed()).map(({ text }) => text.slice(0, 9))).toEqual(["421 4.7.0"]);
        expect(fieldsOf("limit.hit")).toMatchObject([{ limit: "connections_per_client", value: 1 }]);
        expect(fieldsOf("session.refused")).toMatchObject([{ code: 421 }]);
        first.close();
        await until(() => listeners.sessions() === 0);
        await (await greeted()).ask("NOOP", 250);
    });
    it("connections: a tenth is kept for permitted clients, and strangers' idle sessions go first", async () => {
        const clients = [{ ...loopback, network: { address: "127.0.0.9", prefix: 32 } }];
        const { greeted, connect } = await gateway(acceptSettings({ clients }, { connections: 3 }));
        const strangers = [await greeted(), await greeted({ localAddress: "127.0.0.2" })];
        expect((await (await connect()).untilClosed()).map(({ code }) => code)).toEqual([421]);
        const permitted = { localAddress: "127.0.0.9" };
        const first = await greeted(permitted);
        const second = await greeted(permitted);
        expect((await strangers[0]?.untilClosed())?.map(({ code }) => code)).toEqual([421]);
        await first.ask("NOOP", 250);
        await second.ask("NOOP", 250);
        await strangers[1]?.ask("NOOP", 250);
    });
    it("errors: twenty end the session", async () => {
        const { greeted, fieldsOf } = await gateway(acceptSettings());
        const client = await greeted();
        for (let count = 0; count < 20; count++)
            await client.ask("NONSENSE", 500);
        expect((await client.untilClosed()).map(({ text }) => text.slice(0, 9))).toEqual(["421 4.7.0"]);
        expect(fieldsOf("limit.hit")).toMatchObject([{ limit: "errors", value: 20 }]);
    });
    it("commands without mail: a hundred end the session, also in one segment", async () => {
        const { greeted } = await gateway(acceptSettings());
        const client = await greeted();
        await client.send("NOOP\r\nRSET\r\n".repeat(5000));
        const replies = await client.untilClosed();
        expect(replies.length).toBeLessThanOrEqual(101);
        expect(replies.at(-1)?.code).toBe(421);
    });
});
describe("a session that gets nowhere", () => {
    it.each(["", "NOOP\r\n", "RSET\r\n", "EHLO a.example\r\n", "NONSENSE\r\n"])("ends after idle_timeout, whatever %j it repeats", async (repeated) => {
        const { greeted, fieldsOf } = await gateway(acceptSettings({}, { idleTimeoutMs: 200 }));
        const client = await greeted();
        const repeat = setInterval(() => void client.send(repeated), 30);
        const replies = await client.untilClosed();
        clearInterval(repeat);
        expect(replies.at(-1)?.text).toMatch(/^421 4\.4\.2 /);
        expect(fieldsOf("limit.hit")).toMatchObject([{ limit: "idle_timeout" }]);
    });
    it("ends after command_timeout while a command drips in", async () => {
        const { greeted, fieldsOf } = await gateway(acceptSettings({}, { commandTimeoutMs: 200 }));
        const client = await greeted();
        const drip = setInterval(() => void client.send("N"), 20);
        const replies = await client.untilClosed();
        clearInterval(drip);
        expect(replies.map(({ code }) => code)).toEqual([421]);
        expect(fieldsOf("limit.hit")).toMatchObject([{ limit: "command_timeout" }]);
    });
    it("ends in silence in DATA, and the body ends with an error", async () => {
        let failed = false;
        const { greeted, fieldsOf } = await gateway(acceptSettings({}, { idleTimeoutMs: 200 }), {
            receive: async ({ body }) => {
                try {
                    for await (const chunk of body)
                        void chunk;
                }
                catch (error) {
                    failed = true;
                    throw error;
                }
                throw new Error("not reached");
            },
        });
        const client = await greeted();
        await client.begin("a@example.org", ["b@acme.example"]);
        await client.send("Subject: a\r\n\r\nbody");
        expect((await client.untilClosed()).map(({ code }) => code)).toEqual([421]);
        await until(() => failed);
        expect(fieldsOf("limit.hit")).toMatchObject([{ limit: "idle_timeout" }]);
        expect(fieldsOf("error")).toEqual([]);
    });
    it("ends after data_timeout when DATA drips in more slowly than 500 bytes a second", async () => {
        const { greeted, fieldsOf } = await gateway(acceptSettings({}, { dataTimeoutMs: 300 }));
        const client = await greeted();
        await client.begin("a@example.org", ["b@acme.example"]);
        await client.send("S: a\r\n\r\n");
        const drip = setInterval(() => void client.send("x"), 20);
        const replies = await client.untilClosed();
        clearInterval(drip);
        expect(replies.map(({ code }) => code)).toEqual([421]);
        expect(fieldsOf("limit.hit")).toMatchObject([{ limit: "data_timeout" }]);
    });
    it("stays beyond data_timeout while data comes fast enough", async () => {
        const { greeted, kept } = await gateway(acceptSettings({}, { dataTimeoutMs: 200 }));
        const client = await greeted();
        await client.begin("a@example.org", ["b@acme.example"]);
        await client.send("Subject: a\r\n\r\n");
        for (let count = 0; count < 40; count++) {
            await client.send(`${"x".repeat(98)}\r\n`);
            await new Promise((resolve) => setTimeout(resolve, 15));
        }
        await client.send(".\r\n");
        await client.expect(250);
        expect(kept[0]?.body.length).toBe(4000);
    });
    it("is not ended while we take our time", async () => {
        const { greeted } = await gateway(acceptSettings({}, { idleTimeoutMs: 100, dataTimeoutMs: 100, commandTimeoutMs: 100 }), {
            receive: async ({ body }) => {
                for await (const chunk of body)
                    void chunk;
                return new Promise((resolve) => {
                    setTimeout(() => resolve({ code: 250, enhancedCode: "2.0.0", text: "late queued" }), 400);
                });
            },
        });
        const client = await greeted();
        expect((await client.message("a@example.org", ["b@acme.example"], MESSAGE)).text).toBe("250 2.0.0 late queued");
    });
});
describe("greet_delay", () => {
    it("catches a client that talks before the greeting", async () => {
        const { connect, fieldsOf } = await gateway(acceptSettings({ greetDelayMs: 300 }));
        const client = await connect();
        await client.send("EHLO early.example\r\n");
        expect((await client.untilClosed()).map(({ code }) => code)).toEqual([554]);
        expect(fieldsOf("session.refused")).toHaveLength(1);
    });
    it("does no harm to one that waits", async () => {
        const { greeted } = await gateway(acceptSettings({ greetDelayMs: 50 }));
        await (await greeted()).ask("NOOP", 250);
    });
});
describe("stopping", () => {
    it("tells idle sessions, lets a message in hand finish, and takes nothing new", async () => {
        const { greeted, connect, listeners, kept } = await gateway(acceptSettings());
        const idle = await greeted();
        const busy = await greeted();
        await busy.begin("a@example.org", ["b@acme.example"]);
        await busy.send("Subject: a\r\n\r\n");
        const stopped = listeners.stop(5_000);
        expect((await idle.untilClosed()).map(({ text }) => text.slice(0, 9))).toEqual(["421 4.3.2"]);
        await expect(connect()).rejects.toThrow();
        await busy.send("body\r\n.\r\n");
        await busy.expect(250);
        expect((await busy.untilClosed()).map(({ code }) => code)).toEqual([421]);
        await stopped;
        expect(kept).toHaveLength(1);
        expect(listeners.sessions()).toBe(0);
    });
    it("ends what is left when the time is up", async () => {
        const { greeted, listeners, kept } = await gateway(acceptSettings());
        const busy = await greeted();
        await busy.begin("a@example.org", ["b@acme.example"]);
        await listeners.stop(50);
        expect((await busy.untilClosed()).map(({ code }) => code)).toEqual([421]);
        expect(kept).toEqual([]);
    });
});
describe("a large message", () => {
    const line = Buffer.from(`${"0123456789abcdef".repeat(4)}\r\n`);
    const block = Buffer.concat(Array.from({ length: 1000 }, () => line));
    const blocks = Math.ceil((50 * 1024 * 1024) / block.length);
    it("of 50 MiB passes through and is never held: a slow reader stops the sender", async () => {
        let read = 0;
        let mayRead = () => { };
        const go = new Promise((resolve) => {
            mayRead = resolve;
        });
        const { greeted } = await gateway(acceptSettings({}, { messageSize: 60 * 1024 * 1024 }), {
            receive: async ({ body }) => {
                for await (const chunk of body) {
                    read += chunk.length;
                    await go;
                }
                return { code: 250, enhancedCode: "2.0.0", text: "large queued" };
            },
        });
        const client = await greeted();
        await client.begin("a@example.org", ["b@acme.example"]);
        await client.send("Subject: large\r\n\r\n");
        let sent = 0;
        const sending = (async () => {
            for (let count = 0; count < blocks; count++) {
                await client.send(block);
                sent += block.length;
            }
            await client.send(".\r\n");
        })();
        // What the sender got rid of stands in the two kernels' buffers and in ours; it stops growing.
        let before = -1;
        await until(() => read > 0);
        while (before !== sent) {
            before = sent;
            await new Promise((resolve) => setTimeout(resolve, 200));
        }
        expect(read).toBeLessThan(256 * 1024);
        expect(sent).toBeLessThan(16 * 1024 * 1024);
        mayRead();
        await sending;
        expect((await client.expect(250)).text).toBe("250 2.0.0 large queued");
        expect(read).toBe(blocks * block.length);
    });
    it("made of dots costs no more than another", async () => {
        const { greeted, kept } = await gateway(acceptSettings({}, { messageSize: 60 * 1024 * 1024 }));
        const client = await greeted();
        const dots = Buffer.from("..\r\n".repeat(500_000));
        expect((await client.message("a@example.org", ["b@acme.example"], Buffer.concat([Buffer.from("S: a\r\n\r\n"), dots])))
            .code).toBe(250);
        expect(kept[0]?.body).toBe(`${".\r\n".repeat(500_000)}\r\n`);
    });
});
