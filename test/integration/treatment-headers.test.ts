/** What of the inside leaves in a header, seen by the server that gets it. */
import { dkimSign } from "mailauth/lib/dkim/sign.js";
import { expect, describe, it } from "vitest";
import { EXCHANGE, POSTFIX } from "../corpus/traces.ts";
import { newKey } from "../unit/transform/dkim-keys.ts";
import { fieldOf } from "../unit/transform/smime-mime-reader.ts";
import {
  accepted,
  count,
  createRig,
  delivered,
  headerOf,
  letter,
  namesOf,
  person,
  publish,
  SIGNERS,
  submit,
} from "./treatment-rig.ts";

const INSIDE = [
  "Received: from pc7.corp.example.org (10.1.2.3)",
  "\tby mail.corp.example.org with ESMTP id 1;",
  "\tTue, 24 Nov 2026 10:11:12 +0100",
];
const OUTER_ID: unknown = expect.stringMatching(/^<[^@]+@relay\.example\.org>$/);
const withBody = (fields: readonly string[]): string => [...fields, "", "Hello", ""].join("\r\n");

describe("a header on its way out", () => {
  it.each([
    ["Exchange", EXCHANGE],
    ["Postfix, Amavis and webmail", POSTFIX],
  ])("of %s tells nothing of the inside: no name, no address, no program, no user", async (_, fields) => {
    const { site, got, configure } = await createRig();
    await configure();
    await site.start();
    const signed = "DKIM-Signature: v=1; a=rsa-sha256; d=exch01.corp.local; s=s; h=from; bh=eA==; b=eA==";
    await submit(site, { to: "bert@acme.test", content: withBody([signed, ...fields]) });
    const header = headerOf(await got("bert@acme.test"));
    expect(header).not.toMatch(/corp|intern|exch0|pc-anna|localhost|mailout|gw1|abeispiel|amavis|webmail/i);
    expect(header).not.toMatch(/\b(?:10|127|192|172)\.\d|fe80:|client\.example/i);
    expect(namesOf(Buffer.from(header))).not.toEqual(expect.arrayContaining(["x-mailer", "user-agent"]));
    expect(header).toMatch(/^Received: by relay\.example\.org \(sealpost\) with ESMTP id [0-9a-f]{32}/);
    expect(count(await got("bert@acme.test"), "received")).toBe(1);
    expect(header).toContain("Subject: Quartalszahlen\r\n");
  });

  it("of mail that only passes through leaves as it came, below one Received field", async () => {
    const { site, got } = await createRig();
    await site.start();
    const fields = [...INSIDE, "X-Mailer: theirs", "From: carl@third.test", "To: bert@acme.test", "Subject:  x "];
    await submit(site, { from: "carl@third.test", to: "bert@acme.test", content: withBody(fields) });
    const header = headerOf(await got("bert@acme.test"));
    expect(header.startsWith("Received: by relay.example.org")).toBe(true);
    expect(header.endsWith(`${fields.join("\r\n")}\r\n\r\n`)).toBe(true);
    expect(header.split("\r\n").findIndex((line) => line === INSIDE[0])).toBeGreaterThan(0);
    expect(count(Buffer.from(header), "received")).toBe(2);
  });

  it("of mail to our own domains stays whole, and is neither signed nor encrypted", async () => {
    const rig = await createRig();
    await rig.configure({}, await rig.useKeys([newKey("ed25519-sha256")]));
    await rig.site.start();
    const content = letter([...INSIDE, "X-Mailer: ours"]);
    await submit(rig.site, { to: "carla@example.org", content });
    const message = await rig.got("carla@example.org");
    expect(message.toString().endsWith(content)).toBe(true);
    expect(headerOf(message)).toContain("from client.example ([127.0.0.1])");
    expect(count(message, "received")).toBe(2);
    expect(count(message, "dkim-signature")).toBe(0);
    expect(await delivered(rig.site, "carla@")).not.toHaveProperty("dkim");
  });

  it.each([
    ["keep", "keep", 2, true, "<1@pc.corp.example.org>"],
    ["strip", "strip", 1, false, OUTER_ID],
    ["received: anonymize", { received: "anonymize" }, 2, false, OUTER_ID],
    ["remove: [x-secret]", { remove: ["x-secret"] }, 1, true, OUTER_ID],
    ["message_id: keep", { message_id: "keep" }, 1, false, "<1@pc.corp.example.org>"],
  ])("by headers: %s", async (_, headers, received, mailer, id) => {
    const { site, got, configure } = await createRig();
    await configure({ outbound: { headers } });
    await site.start();
    const fields = ["From: anna@example.org", "Message-ID: <1@pc.corp.example.org>", "X-Mailer: x", "X-Secret: y"];
    await submit(site, { to: "bert@acme.test", content: withBody([...INSIDE, ...fields]) });
    const message = await got("bert@acme.test");
    expect(count(message, "received")).toBe(received);
    expect(namesOf(message).includes("x-mailer")).toBe(mailer);
    expect(fieldOf(message, "message-id")).toEqual(id);
    if (headers !== "keep") expect(headerOf(message)).not.toMatch(/10\.1\.2\.3/);
  });

  it("gets the same outer Message-ID each time, and an answer names it in References", async () => {
    const { site, got, configure } = await createRig();
    await configure({ outbound: { headers: { message_id: "rewrite" } } });
    await site.start();
    const inner = "<1@pc.corp.example.org>";
    const of = (...fields: string[]) => withBody(["From: anna@example.org", ...fields]);
    await submit(site, { to: "bert@acme.test", content: of(`Message-ID: ${inner}`) });
    await submit(site, { to: "bea@acme.test", content: of(`Message-ID: ${inner}`) });
    const others = "<x@acme.test>";
    const answer = ["Message-ID: <2@pc.corp.example.org>", `In-Reply-To: ${inner}`, `References: ${others} ${inner}`];
    await submit(site, { to: "bob@acme.test", content: of(...answer) });
    const outer = fieldOf(await got("bert@acme.test"), "message-id");
    expect(outer).toMatch(/@relay\.example\.org>$/);
    expect(fieldOf(await got("bea@acme.test"), "message-id")).toBe(outer);
    const third = await got("bob@acme.test");
    expect(fieldOf(third, "references")).toBe(`${others} ${outer}`);
    expect(fieldOf(third, "in-reply-to")).toBe(outer);
    expect(fieldOf(third, "message-id")).not.toBe(outer);
  });

  it("is that of mail without our domains: where none is configured nothing is stripped, and the log says why nothing is signed", async () => {
    const { site, got, configure } = await createRig();
    await configure({ domains: [] });
    await site.start();
    const content = letter([...INSIDE, "X-Mailer: x"]);
    await submit(site, { to: "bert@acme.test", content });
    expect((await got("bert@acme.test")).toString().endsWith(content)).toBe(true);
    expect(await delivered(site, "bert@")).toMatchObject({
      dkim: { signatures: [], unsigned: "the From address is not in one of our domains" },
    });
  });
});

describe("a field that should go, and that another domain has signed", () => {
  const shop = newKey("rsa-sha256", "shop.test", "s1");
  const signed = async (content: string): Promise<string> => {
    const holder = { signingDomain: "shop.test", selector: "s1", privateKey: shop.key };
    const { signatures } = await dkimSign(content, {
      headerList: ["From", "Subject", "X-Mailer"],
      ...holder,
      signatureData: [holder],
    });
    return `${signatures.trimEnd()}\r\n${content}`;
  };
  const plain = letter(["X-Mailer: shop", "User-Agent: shop"]);

  it("stays when that signature holds, and the log tells it; what it does not cover goes", async () => {
    const { site, dns, got } = await createRig();
    publish(dns, shop);
    await site.start();
    const reply = await submit(site, { to: "bert@acme.test", content: await signed(plain) });
    expect(fieldOf(await got("bert@"), "x-mailer")).toBe("shop");
    expect(fieldOf(await got("bert@"), "user-agent")).toBeUndefined();
    expect(await accepted(site, reply)).toMatchObject({ headersKept: ["X-Mailer"] });
  });

  it("goes when S/MIME makes a new body, for then that signature no longer holds", async () => {
    const rig = await createRig();
    publish(rig.dns, shop);
    await rig.useSigner("anna@example.org", person("anna@example.org"));
    await rig.configure({ outbound: { smime: { sign: "if-possible" } } }, SIGNERS);
    await rig.site.start();
    const reply = await submit(rig.site, { to: "bert@acme.test", content: await signed(plain) });
    expect(fieldOf(await rig.got("bert@"), "x-mailer")).toBeUndefined();
    expect(await accepted(rig.site, reply)).not.toHaveProperty("headersKept");
  });

  it("goes when that signature is broken", async () => {
    const { site, dns, got } = await createRig();
    publish(dns, shop);
    await site.start();
    const content = (await signed(plain)).replace("Hello", "Hallo");
    const reply = await submit(site, { to: "bert@acme.test", content });
    expect(fieldOf(await got("bert@"), "x-mailer")).toBeUndefined();
    expect(await accepted(site, reply)).not.toHaveProperty("headersKept");
  });

  it("goes when the domain publishes no such key", async () => {
    const { site, got } = await createRig();
    await site.start();
    await submit(site, { to: "bert@acme.test", content: await signed(plain) });
    expect(fieldOf(await got("bert@"), "x-mailer")).toBeUndefined();
  });

  it("stays when DNS fails: nobody knows whether it holds", async () => {
    const { site, dns, got } = await createRig();
    dns.faults["s1._domainkey.shop.test"] = "servfail";
    await site.start();
    const reply = await submit(site, { to: "bert@acme.test", content: await signed(plain) });
    expect(fieldOf(await got("bert@"), "x-mailer")).toBe("shop");
    expect(await accepted(site, reply)).toMatchObject({ headersKept: ["X-Mailer"] });
  });
});

describe("a loop", () => {
  it("between two gateways that strip ends with 554 5.4.6 [RFC 5321 §6.3]", async () => {
    const one = await createRig();
    const two = await createRig();
    const toOther = (port: number) => ({
      limits: { received_headers: 5 },
      outbound: { next_hop: `[127.0.0.1]:${port}`, tls: { level: "may" } },
    });
    await one.site.start();
    await two.configure(toOther(one.site.gateway().listeners[0]?.port ?? 0));
    await two.site.start();
    await one.configure(toOther(two.site.gateway().listeners[0]?.port ?? 0));
    expect(await one.site.gateway().reload()).toEqual([]);
    await submit(one.site, { to: "bert@acme.test", content: letter() });
    const refused = await Promise.race([one, two].map(({ site }) => site.logged("message.refused")));
    expect(refused).toMatchObject({ code: 554, enhancedCode: "5.4.6" });
    const taken = [one, two].flatMap(({ site }) => site.log).filter(({ event }) => event === "message.accepted");
    expect(taken.filter(({ sender }) => sender !== "").length).toBeLessThanOrEqual(6);
  });

  it("of our own output, fed in again and again, ends though one Received field is all there ever is", async () => {
    const { site, mx, arrived, configure } = await createRig();
    await configure({ limits: { received_headers: 3 } });
    await site.start();
    let content: string | Buffer = letter();
    for (let round = 1; round < 10; round += 1) {
      const reply = await submit(site, { to: "bert@acme.test", content });
      if (!reply.startsWith("250")) {
        expect([round, reply.slice(0, 9)]).toEqual([5, "554 5.4.6"]);
        return;
      }
      await arrived(round);
      content = mx.messages.at(-1)?.content ?? "";
      expect(count(Buffer.from(content), "received")).toBe(1);
    }
    throw new Error("never ended");
  });
});
