import { describe, expect, it } from "vitest";
import { hashPassword } from "../../src/accept/passwords.ts";
import type { ListenerSettings, User } from "../../src/accept/settings.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { acceptSettings, gateway, until } from "./accept-harness.ts";
import { createAuthority } from "../peers/certificates.ts";

const MESSAGE = "From: anna@example.org\r\nSubject: a\r\n\r\nb";
const password = await hashPassword("correct horse", systemRandom);
const anna: User = { name: "anna", password, senders: ["anna@example.org"] };
const robot: User = { name: "robot", password, senders: "own" };
const withAuth: Partial<ListenerSettings> = { clients: [], auth: { users: [anna, robot] } };
const plain = (user: string, secret: string, as = ""): string =>
  Buffer.from(`${as}\0${user}\0${secret}`).toString("base64");
const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("AUTH", () => {
  it("is offered inside TLS only [RFC 4954 §4]", async () => {
    const { greeted } = await gateway(acceptSettings(withAuth));
    const clear = await greeted();
    expect((await clear.ask("EHLO a.example", 250)).lines.join()).not.toContain("AUTH");
    expect((await clear.ask(`AUTH PLAIN ${plain("anna", "correct horse")}`)).text).toMatch(/^538 5\.7\.11 /);
    const inside = await greeted({ tls: {} });
    expect((await inside.ask("EHLO a.example", 250)).lines).toContain("AUTH PLAIN LOGIN");
  });

  it("is not there where no users are configured", async () => {
    const { greeted } = await gateway(acceptSettings());
    const client = await greeted({ tls: {} });
    expect((await client.ask("EHLO a.example", 250)).lines.join()).not.toContain("AUTH");
    await client.ask(`AUTH PLAIN ${plain("anna", "x")}`, 502);
  });

  it("PLAIN with the right password permits the user's senders [RFC 4616]", async () => {
    const { greeted, kept } = await gateway(acceptSettings(withAuth));
    const client = await greeted({ tls: {} });
    expect((await client.ask(`AUTH PLAIN ${plain("anna", "correct horse")}`)).text).toMatch(/^235 2\.7\.0 /);
    expect((await client.message("anna@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(250);
    expect(kept[0]?.transaction.client).toMatchObject({ via: "auth", user: "anna" });
    expect((await client.ask("MAIL FROM:<robot@example.org>")).text).toMatch(/^550 5\.7\.1 /);
  });

  it("LOGIN with the right password permits as well", async () => {
    const { greeted } = await gateway(acceptSettings(withAuth));
    const client = await greeted({ tls: {} });
    await client.ask("AUTH LOGIN", 334);
    await client.ask(base64("robot"), 334);
    await client.ask(base64("correct horse"), 235);
    expect((await client.message("any@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(250);
    await client.ask("MAIL FROM:<any@elsewhere.example>", 550);
  });

  it.each([
    ["a wrong password", `AUTH PLAIN ${plain("anna", "wrong")}`],
    ["an unknown user", `AUTH PLAIN ${plain("nobody", "correct horse")}`],
    ["an empty password", `AUTH PLAIN ${plain("anna", "")}`],
    ["the right to act for another", `AUTH PLAIN ${plain("anna", "correct horse", "robot")}`],
  ])("with %s is refused, the log says so and never what was typed", async (_, command) => {
    const { greeted, events, fieldsOf } = await gateway(acceptSettings(withAuth));
    const client = await greeted({ tls: {} });
    expect((await client.ask(command)).text).toBe("535 5.7.8 User name or password is wrong");
    expect(fieldsOf("auth.failed")).toHaveLength(1);
    expect(JSON.stringify(events)).not.toMatch(/wrong"|correct horse|scrypt/);
    await client.ask("MAIL FROM:<anna@example.org>", 250);
    await client.ask("RCPT TO:<bob@acme.example>", 550);
  });

  it("is cut after three wrong passwords in a session", async () => {
    const { greeted, fieldsOf } = await gateway(acceptSettings(withAuth));
    const client = await greeted({ tls: {} });
    await client.ask(`AUTH PLAIN ${plain("anna", "1")}`, 535);
    await client.ask(`AUTH PLAIN ${plain("anna", "2")}`, 535);
    await client.ask(`AUTH PLAIN ${plain("anna", "3")}`, 421);
    expect((await client.untilClosed()).length).toBe(0);
    expect(fieldsOf("auth.failed").map(({ user }) => user)).toEqual(["anna", "anna", "anna"]);
  });

  it.each(["AUTH", "AUTH CRAM-MD5", "AUTH XOAUTH2 eA==", "AUTH XCLIENT anna", "AUTH PLAIN a b"])(
    "as %s is refused",
    async (line) => {
      const { greeted } = await gateway(acceptSettings(withAuth));
      const client = await greeted({ tls: {} });
      expect((await client.ask(line)).code).toBeGreaterThanOrEqual(500);
    },
  );

  it("can be given up, and what follows is a command again", async () => {
    const { greeted } = await gateway(acceptSettings(withAuth));
    const client = await greeted({ tls: {} });
    await client.ask("AUTH LOGIN", 334);
    await client.ask("*", 501);
    await client.ask("NOOP", 250);
  });
});

const clientCa = createAuthority("Client CA");
const exchange = clientCa.issue({ names: ["exch01.corp.example.org"], client: true });
const other = clientCa.issue({ names: ["other.corp.example.org"], client: true });
const expired = clientCa.issue({
  names: ["exch01.corp.example.org"],
  client: true,
  notAfter: new Date(0),
  notBefore: new Date(0),
});
const bare = clientCa.issue({ commonName: "", names: ["exch01.corp.example.org"], client: true });
const foreign = createAuthority("Foreign CA").issue({ names: ["exch01.corp.example.org"], client: true });

describe("a client certificate", () => {
  const wanted = {
    ca: [clientCa.certificate],
    crl: [],
    names: [{ host: "exch01.corp.example.org" }],
    fingerprints: [],
    header: {},
  };
  type Wanted = NonNullable<ListenerSettings["clientCertificates"]>;
  const rcpt = async (clientCertificates: Wanted, shown: { certificate: string; key: string } | undefined) => {
    const { greeted, kept } = await gateway(acceptSettings({ clients: [], clientCertificates }));
    const client = await greeted({ tls: shown === undefined ? {} : { cert: shown.certificate, key: shown.key } });
    await client.ask("MAIL FROM:<anna@example.org>", 250);
    return { answer: await client.ask("RCPT TO:<bob@acme.example>"), client, kept };
  };

  it.each<[string, Partial<Wanted>, typeof exchange | undefined, number]>([
    ["valid and with a permitted name", {}, exchange, 250],
    ["with an empty subject [RFC 5280 §4.1.2.6]", {}, bare, 250],
    ["with a name below a permitted one", { names: [{ below: "corp.example.org" }] }, other, 250],
    ["with another name", {}, other, 550],
    ["of another CA", {}, foreign, 550],
    ["that has expired", {}, expired, 550],
    ["that is not shown", {}, undefined, 550],
    ["pinned, without names", { names: [], fingerprints: [other.sha256] }, other, 250],
    ["pinned, though of another CA", { names: [], fingerprints: [foreign.sha256] }, foreign, 250],
    ["of the CA, where others are pinned", { names: [], fingerprints: [exchange.sha256] }, other, 550],
    ["pinned beside names that do not match", { fingerprints: [other.sha256] }, other, 250],
    ["of a private CA, where nothing else is asked", { names: [] }, other, 250],
    ["that was revoked", { crl: [clientCa.revocationList([exchange])] }, exchange, 550],
    [
      "pinned but revoked",
      { crl: [clientCa.revocationList([exchange])], fingerprints: [exchange.sha256] },
      exchange,
      550,
    ],
    ["not among those revoked", { crl: [clientCa.revocationList([other])] }, exchange, 250],
  ])("%s: RCPT is answered as it should be", async (_, change, shown, code) => {
    const { answer } = await rcpt({ ...wanted, ...change }, shown);
    expect(answer.text.slice(0, 9)).toBe(code === 250 ? "250 2.1.5" : "550 5.7.1");
  });

  it("is named in the log and permits own senders only", async () => {
    const { client, kept } = await rcpt(wanted, exchange);
    await client.ask("DATA", 354);
    await client.send(`${MESSAGE}\r\n.\r\n`);
    await client.expect(250);
    expect(kept[0]?.transaction.client).toMatchObject({
      via: "certificate",
      tls: { certificate: "CN=exch01.corp.example.org" },
    });
    await client.ask("MAIL FROM:<anna@elsewhere.example>", 550);
  });

  it.each([
    ["X-Tenant: ours", 250],
    ["X-Tenant: theirs", 550],
    ["X-Other: ours", 550],
  ])("with a demanded header field has a message with %j answered %i", async (field, code) => {
    const { client } = await rcpt({ ...wanted, header: { "X-Tenant": "ours" } }, exchange);
    await client.ask("DATA", 354);
    await client.send(`${field}\r\n${MESSAGE}\r\n.\r\n`);
    await client.expect(code);
  });

  it("is asked for only where one is configured", async () => {
    const { greeted, kept } = await gateway(acceptSettings());
    const client = await greeted({ tls: { cert: exchange.certificate, key: exchange.key } });
    await client.message("a@example.org", ["bob@acme.example"], MESSAGE);
    expect(kept[0]?.transaction.client.tls?.certificate).toBeUndefined();
  });
});

describe("XCLIENT", () => {
  const settings = acceptSettings({
    clients: [{ network: { address: "10.0.0.0", prefix: 8 }, normalizeBareLf: false }],
    xclient: [{ address: "127.0.0.0", prefix: 8 }],
    auth: { users: [anna] },
  });

  it("from a named network makes the session another client's", async () => {
    const { greeted, kept } = await gateway(settings);
    const client = await greeted();
    expect((await client.ask("EHLO a.example", 250)).lines.join("\n")).toContain(
      "XCLIENT NAME ADDR PORT PROTO HELO LOGIN",
    );
    await client.ask("XCLIENT NAME=inside.example.org ADDR=10.0.0.9 PORT=4711", 220);
    await client.ask("MAIL FROM:<anna@example.org>", 503);
    await client.ask("EHLO inside.example.org", 250);
    expect((await client.message("anna@example.org", ["bob@acme.example"], MESSAGE)).code).toBe(250);
    expect(kept[0]?.transaction.client).toEqual({
      address: "10.0.0.9",
      port: 4711,
      name: "inside.example.org",
      helo: "inside.example.org",
      via: "network",
    });
    expect((await client.ask("XCLIENT ADDR=10.0.0.10")).code).toBe(550);
  });

  it("of an address that is not listed permits nothing", async () => {
    const { greeted } = await gateway(settings);
    const client = await greeted();
    await client.ask("XCLIENT ADDR=192.0.2.1", 220);
    await client.ask("EHLO outside.example", 250);
    await client.ask("MAIL FROM:<anna@example.org>", 250);
    await client.ask("RCPT TO:<bob@acme.example>", 550);
  });

  it("with LOGIN stands for a user we know", async () => {
    const { greeted, kept } = await gateway(settings);
    const client = await greeted();
    await client.ask("XCLIENT ADDR=192.0.2.1 LOGIN=anna", 220);
    await client.ask("EHLO outside.example", 250);
    await client.message("anna@example.org", ["bob@acme.example"], MESSAGE);
    expect(kept[0]?.transaction.client).toMatchObject({ via: "auth", user: "anna" });
  });

  it.each([
    "XCLIENT",
    "XCLIENT ADDR=10.0.0.256",
    "XCLIENT ADDR=localhost",
    "XCLIENT PORT=x",
    "XCLIENT COLOUR=red",
    "XCLIENT ADDR=10.0.0.1 ADDR=10.0.0.2",
    "XCLIENT NAME=a+0D+0AMAIL",
    "XCLIENT LOGIN=nobody",
  ])("as %s is refused and changes nothing", async (line) => {
    const { greeted } = await gateway(settings);
    const client = await greeted();
    await client.ask(line, 501);
    await client.ask("MAIL FROM:<anna@example.org>", 250);
    await client.ask("RCPT TO:<bob@acme.example>", 550);
  });

  it("XFORWARD changes what is logged, not what is permitted", async () => {
    const { greeted, kept } = await gateway(acceptSettings({ xclient: [{ address: "127.0.0.1", prefix: 32 }] }));
    const client = await greeted();
    await client.ask("XFORWARD ADDR=192.0.2.7 NAME=scanner.example HELO=scanner", 250);
    await client.message("anna@example.org", ["bob@acme.example"], MESSAGE);
    expect(kept[0]?.transaction.client).toMatchObject({
      address: "192.0.2.7",
      name: "scanner.example",
      helo: "scanner",
      via: "network",
    });
    const stranger = await gateway(settings);
    const pretender = await stranger.greeted();
    await pretender.ask("XFORWARD ADDR=10.0.0.1", 250);
    await pretender.ask("MAIL FROM:<anna@example.org>", 250);
    await pretender.ask("RCPT TO:<bob@acme.example>", 550);
  });
});

const v2 = (command: number, family: number, body: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"),
    Buffer.of(0x20 | command, family, body.length >> 8, body.length & 0xff),
    body,
  ]);
const v4Body = (source: number[]): Buffer => Buffer.from([...source, 127, 0, 0, 1, 0x12, 0x67, 0, 25]);
const v6Body = Buffer.concat([
  Buffer.from("20010db8000000000000000000000009", "hex"),
  Buffer.alloc(15),
  Buffer.of(1, 0x12, 0x67, 0, 25),
]);

describe("PROXY", () => {
  const clients = [
    { network: { address: "10.0.0.0", prefix: 8 }, normalizeBareLf: false },
    { network: { address: "2001:db8::", prefix: 32 }, normalizeBareLf: false },
  ];
  const behind = acceptSettings({ clients, proxyProtocol: [{ address: "127.0.0.0", prefix: 8 }] });

  it.each([
    ["v1 TCP4, listed", Buffer.from("PROXY TCP4 10.1.2.3 127.0.0.1 4711 25\r\n"), 250, "10.1.2.3"],
    ["v1 TCP4, not listed", Buffer.from("PROXY TCP4 192.0.2.1 127.0.0.1 4711 25\r\n"), 550, "192.0.2.1"],
    ["v1 TCP6, listed", Buffer.from("PROXY TCP6 2001:db8::9 ::1 4711 25\r\n"), 250, "2001:db8::9"],
    ["v1 TCP6, IPv4-mapped", Buffer.from("PROXY TCP6 ::ffff:10.1.2.3 ::1 4711 25\r\n"), 250, "10.1.2.3"],
    ["v1 UNKNOWN", Buffer.from("PROXY UNKNOWN\r\n"), 550, "127.0.0.1"],
    ["v2 IPv4, listed", v2(1, 0x11, v4Body([10, 1, 2, 3])), 250, "10.1.2.3"],
    ["v2 IPv4, not listed", v2(1, 0x11, v4Body([192, 0, 2, 1])), 550, "192.0.2.1"],
    ["v2 IPv6, listed", v2(1, 0x21, v6Body), 250, "2001:db8::9"],
    ["v2 with extensions", v2(1, 0x11, Buffer.concat([v4Body([10, 1, 2, 3]), Buffer.of(4, 0, 1, 0)])), 250, "10.1.2.3"],
    ["v2 LOCAL", v2(0, 0, Buffer.alloc(0)), 550, "127.0.0.1"],
  ])("%s is judged by the announced address", async (_, preface, code, address) => {
    const { greeted, fieldsOf, kept } = await gateway(behind);
    const client = await greeted({ preface });
    await client.ask("MAIL FROM:<anna@example.org>", 250);
    await client.ask("RCPT TO:<bob@acme.example>", code);
    if (code === 250) {
      await client.ask("DATA", 354);
      await client.send(`${MESSAGE}\r\n.\r\n`);
      await client.expect(250);
      expect(kept[0]?.transaction.client).toMatchObject({ address });
    } else expect(fieldsOf("message.refused")).toMatchObject([{ client: { address } }]);
  });

  it.each([
    ["nothing of the kind", Buffer.from("EHLO client.example\r\n")],
    ["a bad address", Buffer.from("PROXY TCP4 10.1.2 127.0.0.1 4711 25\r\n")],
    ["a bad port", Buffer.from("PROXY TCP4 10.1.2.3 127.0.0.1 99999 25\r\n")],
    ["another family", Buffer.from("PROXY TCP4 2001:db8::9 ::1 4711 25\r\n")],
    ["a line without end", Buffer.from(`PROXY TCP4 ${"1".repeat(200)}`)],
    [
      "v2 of another version",
      Buffer.concat([v2(1, 0x11, v4Body([10, 1, 2, 3])).subarray(0, 12), Buffer.of(0x31, 0x11, 0, 0)]),
    ],
    ["v2 too short for its family", v2(1, 0x11, Buffer.of(10, 1, 2, 3))],
    ["v2 over a Unix socket", v2(1, 0x31, Buffer.alloc(216))],
  ])("is demanded from a named network: %s ends the connection", async (_, preface) => {
    const { connect, fieldsOf } = await gateway(behind);
    const client = await connect({ preface });
    expect((await client.untilClosed()).map(({ code }) => code)).toEqual([554]);
    await until(() => fieldsOf("session.refused").length === 1);
  });

  it("may come in pieces, with the client's first bytes behind it", async () => {
    const { connect, kept } = await gateway({
      ...behind,
      listeners: behind.listeners.map((one) => ({ ...one, tls: "implicit" as const })),
    });
    const header = v2(1, 0x11, v4Body([10, 1, 2, 3]));
    const client = await connect({ preface: header, implicitTls: {} });
    await client.expect(220);
    await client.ask("EHLO a.example", 250);
    await client.message("anna@example.org", ["bob@acme.example"], MESSAGE);
    expect(kept[0]?.transaction.client).toMatchObject({ address: "10.1.2.3", port: 4711 });
  });

  it("from anybody else is no PROXY header", async () => {
    const { connect } = await gateway(acceptSettings({ clients }));
    const client = await connect();
    await client.expect(220);
    await client.ask("PROXY TCP4 10.1.2.3 127.0.0.1 4711 25", 500);
    await client.ask("EHLO a.example", 250);
    await client.ask("MAIL FROM:<anna@example.org>", 250);
    await client.ask("RCPT TO:<bob@acme.example>", 550);
  });
});
