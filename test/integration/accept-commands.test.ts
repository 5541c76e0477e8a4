import { describe, expect, it } from "vitest";
import { acceptSettings, gateway, until } from "./accept-harness.ts";

const MESSAGE = "Subject: a\r\n\r\nb";

describe("MAIL", () => {
  it.each([
    ["MAIL FROM:<a@example.org>", "250 2.1.0"],
    ["mail from:<a@example.org>", "250 2.1.0"],
    ["MAIL FROM: <a@example.org>", "250 2.1.0"],
    ["MAIL FROM:<>", "250 2.1.0"],
    ["MAIL FROM:<a@example.org> SIZE=1000", "250 2.1.0"],
    ["MAIL FROM:<a@example.org> BODY=8BITMIME SIZE=0", "250 2.1.0"],
    ["MAIL FROM:<a@example.org> body=7bit", "250 2.1.0"],
    ["MAIL FROM:<a@example.org> RET=HDRS ENVID=QQ+2B314159", "250 2.1.0"],
    ["MAIL FROM:<jürgen@example.org> SMTPUTF8", "250 2.1.0"],
    ["MAIL FROM:<a@bücher.example> SMTPUTF8", "250 2.1.0"],
    ["MAIL FROM:<jürgen@example.org>", "553 5.6.7"],
    ["MAIL FROM:<a@bücher.example>", "553 5.6.7"],
    ["MAIL FROM:<a@example.org> SIZE=1048577", "552 5.3.4"],
    ["MAIL FROM:<a@example.org> SIZE=99999999999999999999", "552 5.3.4"],
    ["MAIL FROM:<a@example.org> SIZE=-1", "501 5.5.4"],
    ["MAIL FROM:<a@example.org> SIZE=abc", "501 5.5.4"],
    ["MAIL FROM:<a@example.org> SIZE", "501 5.5.4"],
    ["MAIL FROM:<a@example.org> SIZE=1 SIZE=2", "501 5.5.4"],
    ["MAIL FROM:<a@example.org> BODY=BINARYMIME", "501 5.5.4"],
    ["MAIL FROM:<a@example.org> SMTPUTF8=yes", "501 5.5.4"],
    ["MAIL FROM:<a@example.org> RET=ALL", "501 5.5.4"],
    ["MAIL FROM:<a@example.org> ENVID=a+0", "501 5.5.4"],
    [`MAIL FROM:<a@example.org> ENVID=${"a".repeat(101)}`, "501 5.5.4"],
    ["MAIL FROM:<a@example.org> FOO=BAR", "555 5.5.4"],
    ["MAIL FROM:<a@example.org> __PROTO__=1", "501 5.5.4"],
    ["MAIL FROM:<a@example.org> CONSTRUCTOR=1", "555 5.5.4"],
    ["MAIL FROM:<a@example.org> AUTH=<>", "555 5.5.4"],
    ["MAIL FROM:<a@example.org> REQUIRETLS", "530 5.7.0"],
    ["MAIL FROM:<a@example.org> NOTIFY=NEVER", "555 5.5.4"],
    ["MAIL FROM:<a@example.org>SIZE=1", "501 5.5.4"],
    ["MAIL FROM:<a@example.org>  SIZE=1", "501 5.5.4"],
    ["MAIL FROM:a@example.org", "501 5.5.4"],
    ["MAIL FROM <a@example.org>", "501 5.5.4"],
    ["MAIL TO:<a@example.org>", "501 5.5.4"],
    ["MAIL", "501 5.5.4"],
    ["MAIL FROM:<a@example.org", "553 5.1.7"],
    ["MAIL FROM:<a b@example.org>", "553 5.1.7"],
    ["MAIL FROM:<a@b@example.org>", "553 5.1.7"],
    ["MAIL FROM:<a>", "553 5.1.7"],
  ])("%s is answered %s", async (line, expected) => {
    const { greeted } = await gateway(acceptSettings());
    const client = await greeted();
    expect((await client.ask(line)).text.slice(0, 9)).toBe(expected);
  });

  it("before EHLO, and inside a transaction, is out of order [RFC 5321 §4.1.4]", async () => {
    const { connect } = await gateway(acceptSettings());
    const client = await connect();
    await client.expect(220);
    await client.ask("MAIL FROM:<a@example.org>", 503);
    await client.ask("EHLO a.example", 250);
    await client.ask("MAIL FROM:<a@example.org>", 250);
    await client.ask("MAIL FROM:<b@example.org>", 503);
  });

  it.each([
    ["cannot take mail", false, "451 4.3.0 "],
    ["has no space", true, "452 4.3.1 "],
  ])("waits while the queue %s", async (_, full, answer) => {
    const { greeted } = await gateway(acceptSettings(), { usable: () => false, full: () => full });
    expect((await (await greeted()).ask("MAIL FROM:<a@example.org>")).text.slice(0, 10)).toBe(answer);
  });
});

describe("RCPT", () => {
  it.each([
    ["RCPT TO:<bob@acme.example>", "250 2.1.5"],
    ["RCPT TO:<bob@acme.example> NOTIFY=NEVER", "250 2.1.5"],
    ["RCPT TO:<bob@acme.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;bob+2Bx@acme.example", "250 2.1.5"],
    ["RCPT TO:<jürgen@acme.example>", "553 5.6.7"],
    ["RCPT TO:<bob@acme.example> NOTIFY=NEVER,DELAY", "501 5.5.4"],
    ["RCPT TO:<bob@acme.example> NOTIFY=SOMETIMES", "501 5.5.4"],
    ["RCPT TO:<bob@acme.example> NOTIFY=SUCCESS,SUCCESS", "501 5.5.4"],
    ["RCPT TO:<bob@acme.example> NOTIFY", "501 5.5.4"],
    ["RCPT TO:<bob@acme.example> ORCPT=bob@acme.example", "501 5.5.4"],
    ["RCPT TO:<bob@acme.example> ORCPT=rfc822;a+zz", "501 5.5.4"],
    ["RCPT TO:<bob@acme.example> ORCPT=rfc822;", "501 5.5.4"],
    ["RCPT TO:<bob@acme.example> SIZE=1", "555 5.5.4"],
    ["RCPT TO:<bob@acme.example> FOO", "555 5.5.4"],
    ["RCPT TO:bob@acme.example", "501 5.5.4"],
  ])("%s is answered %s", async (line, expected) => {
    const { greeted } = await gateway(acceptSettings());
    const client = await greeted();
    await client.ask("MAIL FROM:<a@example.org>", 250);
    expect((await client.ask(line)).text.slice(0, 9)).toBe(expected);
  });

  it("before MAIL is out of order, and DATA without a recipient gets nowhere", async () => {
    const { greeted } = await gateway(acceptSettings());
    const client = await greeted();
    await client.ask("RCPT TO:<bob@acme.example>", 503);
    await client.ask("DATA", 503);
    await client.ask("MAIL FROM:<a@example.org>", 250);
    await client.ask("DATA", 554);
    await client.ask("RCPT TO:<bob@acme.example>", 250);
    await client.ask("DATA now", 501);
  });

  it("of the same mailbox counts once, of another case twice [RFC 5321 §2.4]", async () => {
    const { greeted, kept } = await gateway(acceptSettings());
    const client = await greeted();
    const to = ["bob@acme.example", "bob@ACME.example", "Bob@acme.example", "bob@acme.example"];
    await client.message("a@example.org", to, MESSAGE);
    expect(kept[0]?.transaction.envelope.recipients).toMatchObject([
      { position: 0, mailbox: { localPart: "bob", domain: "acme.example" } },
      { position: 1, mailbox: { localPart: "Bob", domain: "acme.example" } },
    ]);
  });
});

describe("an envelope", () => {
  it("keeps DSN parameters as they came [RFC 3461 §4]", async () => {
    const { greeted, kept } = await gateway(acceptSettings());
    const client = await greeted();
    await client.ask("MAIL FROM:<a@example.org> RET=full ENVID=a+2Bb BODY=8BITMIME", 250);
    await client.ask("RCPT TO:<bob@acme.example> NOTIFY=success,delay ORCPT=rfc822;b+2Bx@acme.example", 250);
    await client.ask("DATA", 354);
    await client.send(`${MESSAGE}\r\n.\r\n`);
    await client.expect(250);
    expect(kept[0]?.transaction.envelope).toMatchObject({
      mail: { body: "8BITMIME", smtpUtf8: false, requireTls: false, ret: "FULL", envid: "a+2Bb" },
      recipients: [{ notify: ["SUCCESS", "DELAY"], orcpt: "rfc822;b+2Bx@acme.example" }],
    });
  });

  it("is dropped by RSET and EHLO", async () => {
    const { greeted } = await gateway(acceptSettings());
    const client = await greeted();
    for (const command of ["RSET", "EHLO a.example", "HELO a.example"]) {
      await client.ask("MAIL FROM:<a@example.org>", 250);
      await client.ask(command, 250);
      await client.ask("RCPT TO:<bob@acme.example>", 503);
    }
  });

  it("may come with the whole session in one segment [RFC 2920]", async () => {
    const { connect, kept } = await gateway(acceptSettings());
    const client = await connect();
    await client.expect(220);
    const one = `MAIL FROM:<a@example.org>\r\nRCPT TO:<bob@acme.example>\r\nRCPT TO:<bad>\r\nDATA\r\n${MESSAGE}\r\n.\r\n`;
    await client.send(`EHLO a.example\r\n${one}${one}QUIT\r\n`);
    const codes = (await client.untilClosed()).map(({ code }) => code);
    expect(codes).toEqual([250, 250, 250, 553, 354, 250, 250, 250, 553, 354, 250, 221]);
    expect(kept).toHaveLength(2);
  });
});

describe("a command that is not offered", () => {
  it.each([
    "VRFY bob",
    "EXPN list",
    "WIZ",
    "SHELL",
    "KILL",
    "HELP",
    "DEBUG",
    "BDAT 5 LAST",
    "TURN",
    "SEND FROM:<a@b.example>",
    "LHLO a",
    "",
    " ",
    "constructor",
  ])("is refused: %j", async (line) => {
    const { greeted } = await gateway(acceptSettings());
    const client = await greeted();
    expect((await client.ask(line)).text).toMatch(/^50[02] 5\.5\.[12] /);
  });

  it.each(["EHLO", "EHLO a b", "EHLO jürgen.example", `EHLO ${"a".repeat(256)}`, "HELO"])(
    "%s is refused",
    async (line) => {
      const { greeted } = await gateway(acceptSettings());
      expect((await (await greeted()).ask(line)).code).toBe(501);
    },
  );
});

describe("a message", () => {
  it.each([
    ["with a header of more than 256 kB", `${`X: ${"a".repeat(900)}\r\n`.repeat(300)}\r\nbody`, "552 5.3.4"],
    ["with more than 2000 header lines", `${"X: a\r\n".repeat(2001)}\r\nbody`, "552 5.3.4"],
    ["with a header line of more than 998 bytes", `X: ${"a".repeat(1000)}\r\n\r\nbody`, "550 5.6.0"],
    ["with a header line that never ends", `X: ${"a".repeat(300_000)}`, "550 5.6.0"],
    ["with more Received fields than permitted", `${"Received: by x\r\n".repeat(51)}\r\nbody`, "554 5.4.6"],
    [
      "with hops of our own that were stripped",
      `Received: from x by relay.example.org (sealpost) with ESMTP (hop 50)\r\n\r\nbody`,
      "554 5.4.6",
    ],
    ["with just as many Received fields as permitted", `${"Received: by x\r\n".repeat(50)}\r\nbody`, "250 2.0.0"],
    ["larger than the limit", `Subject: a\r\n\r\n${`${"a".repeat(98)}\r\n`.repeat(11_000)}`, "552 5.3.4"],
    ["with long body lines", `Subject: a\r\n\r\n${"a".repeat(100_000)}`, "250 2.0.0"],
    ["without a body", "Subject: a", "250 2.0.0"],
    ["without anything", "", "250 2.0.0"],
  ])("%s is answered as it should be, and the session goes on", async (_, content, expected) => {
    const { greeted, kept, fieldsOf } = await gateway(acceptSettings());
    const client = await greeted();
    expect((await client.message("a@example.org", ["bob@acme.example"], content)).text.slice(0, 9)).toBe(expected);
    expect(fieldsOf("message.refused")).toHaveLength(expected.startsWith("250") ? 0 : 1);
    expect((await client.message("a@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(250);
    expect(kept.at(-1)?.header).toBe("Subject: a\r\n\r\n");
  });

  it("of twice the limit is cut instead of read for ever", async () => {
    const { greeted } = await gateway(acceptSettings({}, { messageSize: 100_000 }));
    const client = await greeted();
    await client.begin("a@example.org", ["bob@acme.example"]);
    void client.send(`Subject: a\r\n\r\n${`${"a".repeat(98)}\r\n`.repeat(10_000)}`);
    expect((await client.untilClosed()).map(({ code }) => code)).toEqual([552]);
  });

  it.each([
    [{ code: 451, enhancedCode: "4.3.0", text: "The queue is broken" }, "451 4.3.0 The queue is broken"],
    [{ code: 452, enhancedCode: "4.3.1", text: "No space" }, "452 4.3.1 No space"],
  ])("that cannot be stored gets the store's reply, though its body was not read: %j", async (answer, expected) => {
    const { greeted, fieldsOf } = await gateway(acceptSettings(), { receive: async () => answer });
    const client = await greeted();
    const body = `${"a".repeat(98)}\r\n`.repeat(9_000);
    expect((await client.message("a@example.org", ["bob@acme.example"], `Subject: a\r\n\r\n${body}`)).text).toBe(
      expected,
    );
    expect(fieldsOf("message.refused")).toMatchObject([{ stage: "data", code: answer.code }]);
    await client.ask("NOOP", 250);
  });

  it("that a defect hits gets 451, and the defect is reported", async () => {
    const { greeted, fieldsOf } = await gateway(acceptSettings(), {
      receive: async () => {
        throw new TypeError("a defect");
      },
    });
    const client = await greeted();
    expect((await client.message("a@example.org", ["bob@acme.example"], MESSAGE)).text).toMatch(/^451 4\.3\.0 /);
    expect(fieldsOf("error")).toEqual([{ kind: "accept", detail: "a defect" }]);
  });

  it("for a recipient on whom the policy fails gets 451 at RCPT", async () => {
    const { greeted, fieldsOf } = await gateway(acceptSettings(), {
      decideRecipient: () => Promise.reject(new TypeError("a defect")),
    });
    const client = await greeted();
    await client.ask("MAIL FROM:<a@example.org>", 250);
    expect((await client.ask("RCPT TO:<b@acme.example>")).text).toMatch(/^451 4\.3\.0 /);
    expect(fieldsOf("error")).toHaveLength(1);
    await client.ask("NOOP", 250);
  });

  it("is not accepted by a receive that did not read it", async () => {
    const { greeted } = await gateway(acceptSettings(), {
      receive: async () => ({ code: 250, enhancedCode: "2.0.0", text: "x queued" }),
    });
    const client = await greeted();
    expect((await client.message("a@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(451);
  });

  it("whose client goes away ends its body with an error", async () => {
    let ending = "";
    const { greeted, kept } = await gateway(acceptSettings(), {
      receive: async ({ body }) => {
        try {
          for await (const chunk of body) void chunk;
          ending = "normal";
        } catch (error) {
          ending = "error";
          throw error;
        }
        throw new Error("not reached");
      },
    });
    const client = await greeted();
    await client.begin("a@example.org", ["bob@acme.example"]);
    await client.send("Subject: a\r\n\r\nhalf a mess");
    client.close();
    await until(() => ending !== "");
    expect(ending).toBe("error");
    expect(kept).toEqual([]);
  });
});
