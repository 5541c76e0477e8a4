import { describe, expect, it } from "vitest";
import { acceptSettings, authority, gateway } from "./accept-harness.js";
const MESSAGE = "From: anna@example.org\r\nSubject: hello\r\n\r\nfirst line\r\n..stuffed\r\nlast";
describe("a permitted client", () => {
    it("hands in a message in clear and learns the queue id", async () => {
        const { greeted, kept } = await gateway(acceptSettings());
        const client = await greeted();
        const answer = await client.message("anna@example.org", ["bob@acme.example"], MESSAGE);
        expect(answer.text).toMatch(/^250 2\.0\.0 [0-9a-f]{32} queued$/);
        await client.ask("QUIT", 221);
        expect(kept).toHaveLength(1);
        expect(kept[0]).toMatchObject({
            header: "From: anna@example.org\r\nSubject: hello\r\n\r\n",
            body: "first line\r\n.stuffed\r\nlast\r\n",
        });
        expect(kept[0]?.transaction).toMatchObject({
            listener: "smarthost",
            client: { address: "127.0.0.1", helo: "client.example", via: "network" },
            envelope: { reversePath: { localPart: "anna" }, recipients: [{ position: 0, mailbox: { localPart: "bob" } }] },
        });
        expect(kept[0]?.transaction.client.tls).toBeUndefined();
    });
    it("hands in several messages in one TLS session [RFC 3207]", async () => {
        const { greeted, kept } = await gateway(acceptSettings());
        const client = await greeted({
            tls: { servername: "relay.example.org", ca: authority.certificate, rejectUnauthorized: true },
        });
        for (const subject of ["one", "two", "three"])
            await client.message("anna@example.org", ["bob@acme.example"], `Subject: ${subject}\r\n\r\n${subject}`);
        expect(kept.map(({ body }) => body)).toEqual(["one\r\n", "two\r\n", "three\r\n"]);
        expect(kept[0]?.transaction.client.tls).toEqual({ version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" });
    });
});
