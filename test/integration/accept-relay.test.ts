import { describe, expect, it } from "vitest";
import { acceptSettings, gateway, loopback } from "./accept-harness.ts";

const ADDRESSES = [
  "victim@elsewhere.example",
  "VICTIM@ELSEWHERE.EXAMPLE",
  "victim@elsewhere.example.",
  "victim%elsewhere.example@example.org",
  "victim%elsewhere.example@[127.0.0.1]",
  "victim%elsewhere.example@relay.example.org",
  "victim%elsewhere.example",
  "elsewhere.example!victim",
  "elsewhere.example!victim@example.org",
  "elsewhere.example!victim@relay.example.org",
  "example.org!elsewhere.example!victim",
  "@example.org:victim@elsewhere.example",
  "@relay.example.org:victim@elsewhere.example",
  "@example.org,@relay.example.org:victim@elsewhere.example",
  "@[127.0.0.1]:victim@elsewhere.example",
  '"victim@elsewhere.example"',
  '"victim@elsewhere.example"@example.org',
  '"victim@elsewhere.example"@relay.example.org',
  '"victim%elsewhere.example"@example.org',
  '"victim%elsewhere.example"',
  '"elsewhere.example!victim"@example.org',
  "victim@elsewhere.example@example.org",
  "victim@elsewhere.example@[127.0.0.1]",
  "victim@example.org@elsewhere.example",
  "victim@[127.0.0.1]",
  "victim@[192.0.2.1]",
  "victim@[IPv6:::1]",
  "victim@[IPv6:2001:db8::1]",
  "victim@2130706433",
  "victim@0x7f.1",
  "victim@127.0.0.1",
  "victim@localhost",
  "victim@relay.example.org",
  "victim@example.org",
  "victim@sub.example.org",
  "victim@notexample.org",
  "victim",
  "",
  "postmaster",
  "<victim@elsewhere.example>",
  "<victim@elsewhere.example>@example.org",
  "victim@elsewhere.example,bob@example.org",
  "victim@elsewhere.example bob@example.org",
  "victim@xn--bcher-kva.example",
  "victim\\@elsewhere.example@example.org",
  "victim@elsewhere.example%00@example.org",
  "victim:elsewhere.example@example.org",
  "victim/elsewhere.example@example.org",
];

const SENDERS = [
  "",
  "a@example.org",
  "postmaster@relay.example.org",
  "a@elsewhere.example",
  "a@[127.0.0.1]",
  '"a b"@example.org',
  "root@localhost",
];

describe("a client that is not listed", () => {
  const nobody = acceptSettings({ clients: [{ network: { address: "10.0.0.0", prefix: 8 }, normalizeBareLf: false }] });

  it.each(ADDRESSES)("may not send to <%s>", async (address) => {
    const { greeted, kept } = await gateway(nobody);
    const client = await greeted();
    await client.ask("MAIL FROM:<a@example.org>", 250);
    const answer = await client.ask(`RCPT TO:<${address}>`);
    expect(answer.text).toMatch(/^550 5\.7\.1 /);
    expect((await client.ask("DATA")).code).toBe(554);
    expect(kept).toEqual([]);
  });

  it.each(SENDERS)("may send to nobody as <%s>", async (sender) => {
    const { greeted } = await gateway(nobody);
    const client = await greeted();
    await client.ask(`MAIL FROM:<${sender}>`);
    expect((await client.ask("RCPT TO:<victim@elsewhere.example>")).code).toBeGreaterThanOrEqual(500);
  });

  it.each([
    ["XCLIENT ADDR=10.0.0.1", 550],
    ["XCLIENT ADDR=10.0.0.1 NAME=inside LOGIN=anna", 550],
    ["XFORWARD ADDR=10.0.0.1", 550],
    ["PROXY TCP4 10.0.0.1 127.0.0.1 4000 25", 500],
    ["HELO 10.0.0.1", 250],
    ["EHLO [10.0.0.1]", 250],
    ["EHLO relay.example.org", 250],
  ])("gains nothing by %s", async (command, code) => {
    const { greeted } = await gateway(nobody);
    const client = await greeted();
    await client.ask(command, code);
    await client.ask("MAIL FROM:<a@example.org>", 250);
    await client.ask("RCPT TO:<victim@elsewhere.example>", 550);
  });

  it("is told so once in the log, with what it wanted", async () => {
    const { greeted, fieldsOf } = await gateway(nobody);
    const client = await greeted();
    await client.ask("MAIL FROM:<a@example.org>", 250);
    await client.ask("RCPT TO:<victim@elsewhere.example>", 550);
    expect(fieldsOf("message.refused")).toMatchObject([
      {
        stage: "rcpt",
        code: 550,
        enhancedCode: "5.7.1",
        sender: "a@example.org",
        recipients: ["victim@elsewhere.example"],
        client: { address: "127.0.0.1" },
      },
    ]);
  });
});

describe("a permitted client", () => {
  it.each([
    ["victim%elsewhere.example@acme.example", "victim%elsewhere.example"],
    ["elsewhere!victim@acme.example", "elsewhere!victim"],
    ['"a@b"@acme.example', '"a@b"'],
  ])("has <%s> passed on as it is, uninterpreted", async (address, localPart) => {
    const { greeted, kept } = await gateway(acceptSettings());
    const client = await greeted();
    await client.message("a@example.org", [address], "Subject: a\r\n\r\nb");
    expect(kept[0]?.transaction.envelope.recipients).toMatchObject([
      { mailbox: { localPart, domain: "acme.example" } },
    ]);
  });

  it.each([
    "@example.org:victim@elsewhere.example",
    "victim@elsewhere.example@example.org",
    "",
    "victim",
    "victim@",
    "@elsewhere.example",
    ".victim@elsewhere.example",
    "vic..tim@elsewhere.example",
    "victim@127.0.0.1",
    "victim@-a.example",
    "victim@[300.0.0.1]",
    `${"a".repeat(65)}@elsewhere.example`,
    `a@${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.${"e".repeat(60)}.${"f".repeat(60)}.example`,
  ])("has the address <%s> refused [RFC 5321 §4.1.2]", async (address) => {
    const { greeted } = await gateway(acceptSettings());
    const client = await greeted();
    await client.ask("MAIL FROM:<a@example.org>", 250);
    expect((await client.ask(`RCPT TO:<${address}>`)).text).toMatch(/^553 5\.1\.3 /);
  });

  it("reaches the postmaster without a domain [RFC 5321 §4.5.1]", async () => {
    const { greeted, kept } = await gateway(acceptSettings());
    const client = await greeted();
    await client.message("a@example.org", ["Postmaster"], "Subject: a\r\n\r\nb");
    expect(kept[0]?.transaction.envelope.recipients).toMatchObject([{ mailbox: { domain: "example.org" } }]);
  });

  it("is one no longer after its end", async () => {
    const ended = { ...loopback, endsAt: 1 };
    const { greeted } = await gateway(acceptSettings({ clients: [ended] }));
    const client = await greeted();
    await client.ask("MAIL FROM:<a@example.org>", 250);
    await client.ask("RCPT TO:<bob@acme.example>", 550);
  });

  it.each([
    ["own", "a@elsewhere.example", "550 5.7.1"],
    ["own", "a@sub.example.org", "550 5.7.1"],
    ["own", "a@example.org", "250 2.1.0"],
    ["own", "", "250 2.1.0"],
    [["scanner@example.org"], "SCANNER@example.org", "250 2.1.0"],
    [["scanner@example.org"], "a@example.org", "550 5.7.1"],
    [["*@print.example"], "x@print.example", "250 2.1.0"],
    ["any", "a@elsewhere.example", "250 2.1.0"],
  ] as const)("with senders %j has MAIL FROM:<%s> answered %s", async (senders, sender, expected) => {
    const { greeted } = await gateway(acceptSettings({ clients: [{ ...loopback, senders }] }));
    const client = await greeted();
    expect((await client.ask(`MAIL FROM:<${sender}>`)).text.slice(0, 9)).toBe(expected);
  });

  it.each([
    ["From: a@example.org", 250],
    ['From: "Anna, of example" <a@example.org>', 250],
    ["From: a@elsewhere.example", 550],
    ["From: a@example.org, b@elsewhere.example", 550],
    ["From: a@example.org\r\nFrom: b@elsewhere.example", 550],
    ["From: a@example.org <b@elsewhere.example>", 550],
    ["from:b@elsewhere.example", 550],
    ["From : b@elsewhere.example", 550],
    ["From: nonsense", 550],
    ["Subject: no From at all", 250],
  ])("with senders own has a message with %j answered %i", async (fields, code) => {
    const { greeted } = await gateway(acceptSettings({ clients: [{ ...loopback, senders: "own" }] }));
    const client = await greeted();
    const answer = await client.message("a@example.org", ["bob@acme.example"], `${fields}\r\n\r\nbody`);
    expect(answer.code).toBe(code);
  });

  it("cannot hide its From behind a line that is no field", async () => {
    const { greeted, kept } = await gateway(acceptSettings({ clients: [{ ...loopback, senders: "own" }] }));
    const client = await greeted();
    await client.message(
      "a@example.org",
      ["bob@acme.example"],
      "Subject: a\r\nnot a field\r\nFrom: ceo@elsewhere.example\r\n\r\nb",
    );
    expect(kept[0]).toMatchObject({
      header: "Subject: a\r\n\r\n",
      body: "not a field\r\nFrom: ceo@elsewhere.example\r\n\r\nb\r\n",
    });
  });

  it("hears what the policy says of a recipient", async () => {
    const { greeted, fieldsOf } = await gateway(acceptSettings(), {
      decideRecipient: ({ domain }) =>
        domain === "closed.example" ? { code: 550, enhancedCode: "5.7.1", text: "Not listed" } : undefined,
    });
    const client = await greeted();
    await client.ask("MAIL FROM:<a@example.org>", 250);
    expect((await client.ask("RCPT TO:<x@closed.example>")).text).toBe("550 5.7.1 Not listed");
    await client.ask("RCPT TO:<x@acme.example>", 250);
    expect(fieldsOf("message.refused")).toMatchObject([{ stage: "rcpt", recipients: ["x@closed.example"] }]);
  });
});
