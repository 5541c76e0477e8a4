import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { acceptSettings, gateway, until } from "./accept-harness.ts";
import { hashPassword } from "../../src/accept/passwords.ts";
import { systemRandom } from "../../src/runtime/random.ts";

const WORDS = [
  "EHLO a.example\r\n",
  "HELO\r\n",
  "MAIL FROM:<a@example.org>\r\n",
  "MAIL FROM:<> SIZE=1 BODY=8BITMIME\r\n",
  "RCPT TO:<b@acme.example>\r\n",
  "RCPT TO:<@a:b@c>\r\n",
  "DATA\r\n",
  "Subject: x\r\n\r\nbody\r\n",
  ".\r\n",
  "..\r\n",
  "\r\n.\r\n",
  "RSET\r\n",
  "NOOP\r\n",
  "AUTH PLAIN\r\n",
  "AUTH LOGIN\r\n",
  "*\r\n",
  "XCLIENT ADDR=10.0.0.1\r\n",
  "XFORWARD NAME=x\r\n",
  "STARTTLS\r\n",
  "\n",
  "\r",
  "\0",
  "\xff\xfe",
  "<",
  '"',
  "a".repeat(3000),
];

describe("whatever a client sends", () => {
  it("the gateway lives, reports no defect, and serves others", async () => {
    const users = [{ name: "anna", password: await hashPassword("x", systemRandom), senders: "own" as const }];
    const { connect, greeted, fieldsOf, listeners } = await gateway(
      acceptSettings({ auth: { users }, xclient: [{ address: "127.0.0.1", prefix: 32 }] }),
    );
    const parts = fc.array(fc.oneof(fc.constantFrom(...WORDS), fc.uint8Array({ maxLength: 8 })), { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(parts, fc.boolean(), async (sent, atOnce) => {
        const client = await connect();
        const bytes = sent.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part)));
        if (atOnce) await client.send(Buffer.concat(bytes));
        else for (const part of bytes) await client.send(part);
        client.socket.end();
        await client.untilClosed();
      }),
      { numRuns: 150 },
    );
    expect(fieldsOf("error")).toEqual([]);
    const other = await greeted();
    expect((await other.message("a@example.org", ["b@acme.example"], "Subject: a\r\n\r\nb")).code).toBe(250);
    other.close();
    await until(() => listeners.sessions() === 0);
  });

  it("its place is free again when it leaves, inside TLS as well", async () => {
    const { greeted, listeners } = await gateway(acceptSettings());
    const inside = await greeted({ tls: {} });
    await inside.begin("a@example.org", ["b@acme.example"]);
    const clear = await greeted();
    expect(listeners.sessions()).toBe(2);
    inside.close();
    clear.close();
    await until(() => listeners.sessions() === 0);
  });

  it("a client that never reads its replies is no longer read, and then cut", async () => {
    const { greeted, listeners, fieldsOf } = await gateway(acceptSettings({}, { idleTimeoutMs: 500 }));
    const client = await greeted();
    await client.ask("MAIL FROM:<a@example.org>", 250);
    client.socket.pause();
    const flood = Buffer.from("RCPT TO:<b@acme.example>\r\n".repeat(1_500_000));
    let taken = false;
    void client.send(flood).then(() => {
      taken = true;
    });
    await until(() => fieldsOf("limit.hit").length > 0, 20_000);
    expect(fieldsOf("limit.hit")).toMatchObject([{ limit: "idle_timeout" }]);
    expect(taken).toBe(false);
    await until(() => listeners.sessions() === 0, 10_000);
  });
});
