/** DKIM on its way out of a whole gateway: who signs, when, and what is done where nobody can. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DkimKeySettings } from "../../src/mail/treatment.ts";
import type { Tree } from "../peers/gateway.ts";
import { newKey } from "../unit/transform/dkim-keys.ts";
import { fieldOf } from "../unit/transform/smime-mime-reader.ts";
import {
  accepted,
  count,
  createRig,
  delivered,
  dkimVerdicts,
  goodMx,
  letter,
  type Rig,
  submit,
} from "./treatment-rig.ts";
import { eventually } from "../contract/messages.ts";

const rsa = newKey("rsa-sha256", "example.org", "rsa");
const ed = newKey("ed25519-sha256", "example.org", "ed");
const DAY_S = 86_400;

async function signing(keys: readonly DkimKeySettings[], settings: Tree = {}, dates: readonly Tree[] = []) {
  const rig = await createRig();
  await rig.configure(settings, await rig.useKeys(keys, dates));
  await rig.site.start();
  return rig;
}
const verdicts = async ({ got, dns }: Rig, recipient = "bert@"): Promise<readonly string[]> =>
  dkimVerdicts(await got(recipient), dns);
const day = (offset: number): string => new Date(Date.now() + offset * DAY_S * 1000).toISOString().slice(0, 10);

describe("mail of ours", () => {
  it("leaves with a signature of each key, and the log names them", async () => {
    const rig = await signing([rsa, ed]);
    await submit(rig.site, { to: "bert@acme.test", content: letter([], "a \t b  \r\n\r\n\r\n") });
    expect(await verdicts(rig)).toEqual(["example.org rsa rsa-sha256 pass", "example.org ed ed25519-sha256 pass"]);
    expect(await delivered(rig.site, "bert@")).toMatchObject({
      dkim: {
        signatures: [
          { domain: "example.org", selector: "rsa", algorithm: "rsa-sha256" },
          { domain: "example.org", selector: "ed", algorithm: "ed25519-sha256" },
        ],
      },
    });
  });

  it.each([
    ["an empty body", letter([], "")],
    ["no body and no empty line", "From: anna@example.org\r\nSubject: x\r\n"],
    ["8-bit text in header and body", letter(["X-Note: Grüße"], "Grüße\r\n")],
    ["the null sender", letter()],
    ["dots at the beginning of lines", letter([], "..\r\n...x\r\n")],
  ])("is signed with %s", async (what, content) => {
    const rig = await signing([ed]);
    const parameters = what.startsWith("8-bit") ? " BODY=8BITMIME" : "";
    await submit(rig.site, { to: "bert@acme.test", content, parameters, ...(what.includes("null") && { from: "" }) });
    expect(await verdicts(rig)).toEqual(["example.org ed ed25519-sha256 pass"]);
  });

  it("is signed by the keys whose days they are", async () => {
    const [old, next] = [
      newKey("ed25519-sha256", "example.org", "old"),
      newKey("ed25519-sha256", "example.org", "new"),
    ];
    const dates = [{ not_after: day(-1) }, { not_after: day(0) }, { not_before: day(1) }];
    const rig = await signing([old, ed, next], {}, dates);
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    expect(await verdicts(rig)).toEqual(["example.org ed ed25519-sha256 pass"]);
  });

  it("loses an old signature of ours, and keeps that of others", async () => {
    const rig = await signing([ed]);
    const others = "DKIM-Signature: v=1; a=rsa-sha256; d=list.test; s=x; h=from; bh=eA==; b=eA==";
    const old = "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=old; h=from; bh=eA==; b=eA==";
    await submit(rig.site, { to: "bert@acme.test", content: [old, others, letter()].join("\r\n") });
    const message = await rig.got("bert@");
    expect(count(message, "dkim-signature")).toBe(2);
    expect(message.toString()).toContain(others);
    expect(message.toString()).not.toContain("s=old");
    expect(await verdicts(rig)).toContain("example.org ed ed25519-sha256 pass");
  });

  it("carries an x= later than the longest wait of all its recipients", async () => {
    const rig = await createRig();
    await rig.site.partner("slow", { domains: ["other.test"], outbound: { lifetime: "30d" } });
    await rig.configure({ queue: { lifetime: "5d", retry: ["1s"], reserve: "1MiB" } }, await rig.useKeys([ed]));
    await rig.site.start();
    await submit(rig.site, { to: ["bert@acme.test", "olga@other.test"], content: letter() });
    const signature = fieldOf(await rig.got("bert@"), "dkim-signature") ?? "";
    const [t = 0, x = 0] = ["t", "x"].map((name) => Number(new RegExp(`\\b${name}=(\\d+)`).exec(signature)?.[1]));
    expect(Math.abs(Date.now() / 1000 - t)).toBeLessThan(60);
    expect(x - t).toBe(32 * DAY_S);
  });

  it("is signed by the key of its domain or the nearest above, never by another's", async () => {
    const rig = await signing([ed]);
    await submit(rig.site, { to: "bert@acme.test", content: letter().replace("anna@example", "anna@it.example") });
    expect(await verdicts(rig)).toEqual(["example.org ed ed25519-sha256 pass"]);
  });

  it.each([
    ["in UTF-8", "anna@köln.example"],
    ["as A-label, in capitals", "anna@XN--KLN-SNA.example"],
    ["in a display name's company", '"x@evil.test, Ärger" <anna@köln.example>'],
  ])("is signed by d= as A-label where its author's domain is written %s [RFC 8616 §4]", async (_, author) => {
    const rig = await createRig();
    const keys = await rig.useKeys([newKey("ed25519-sha256", "xn--kln-sna.example", "idn")]);
    await rig.configure({ domains: [{ domain: ["köln.example"], next_hop: `[127.0.0.1]:${rig.mx.port}`, ...keys }] });
    await rig.site.start();
    const content = letter().replace("Anna <anna@example.org>", author);
    const parameters = " SMTPUTF8 BODY=8BITMIME";
    expect(await submit(rig.site, { from: "", to: "bert@acme.test", content, parameters })).toMatch(/^250/);
    expect(await verdicts(rig)).toEqual(["xn--kln-sna.example idn ed25519-sha256 pass"]);
  });

  it("is not signed where dkim: none applies, and the log has no word of it", async () => {
    const rig = await signing([ed], { outbound: { dkim: "none" } });
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    expect(count(await rig.got("bert@"), "dkim-signature")).toBe(0);
    expect(await delivered(rig.site, "bert@")).not.toHaveProperty("dkim");
  });
});

describe("mail that may not be signed", () => {
  it.each([
    [
      "forwarded mail that claims to be ours",
      "carl@third.test",
      letter(),
      "the envelope sender is not in one of our domains",
    ],
    ["two From fields", "anna@example.org", `From: x@evil.test\r\n${letter()}`, "there is more than one From field"],
    [
      "two authors of different domains",
      "anna@example.org",
      letter().replace("<anna@example.org>", "<anna@example.org>, x@evil.test"),
      "the From field names several domains",
    ],
    [
      "no From at all",
      "anna@example.org",
      letter().replace(/^From: .*\r\n/, ""),
      "the From field is missing or unreadable",
    ],
  ])("%s goes unsigned, and the log says why", async (_, from, content, unsigned) => {
    const rig = await signing([ed]);
    await submit(rig.site, { from, to: "bert@acme.test", content });
    expect(count(await rig.got("bert@"), "dkim-signature")).toBe(0);
    expect(await delivered(rig.site, "bert@")).toMatchObject({ dkim: { signatures: [], unsigned } });
  });

  it("is refused where dkim: require applies, with the reason, and nothing is kept of it", async () => {
    const rig = await createRig();
    await rig.configure({ outbound: { dkim: "require" } });
    await rig.site.start();
    const reply = await submit(rig.site, { to: "bert@acme.test", content: letter() });
    expect(reply).toBe(
      "550 5.7.1 A DKIM signature is demanded for mail to bert@acme.test, but its domain has no DKIM key in force",
    );
    expect(await rig.site.logged("message.refused")).toMatchObject({ stage: "data", code: 550, enhancedCode: "5.7.1" });
    expect(rig.site.log.filter(({ event }) => event === "message.accepted")).toEqual([]);
    expect(rig.mx.connections()).toBe(0);
  });

  it("is taken where dkim: require applies to others only", async () => {
    const rig = await createRig();
    await rig.site.partner("strict", { domains: ["acme.test"], outbound: { dkim: "require" } });
    await rig.site.start();
    expect(await submit(rig.site, { to: "olga@other.test", content: letter() })).toMatch(/^250/);
    expect(await submit(rig.site, { to: ["olga@other.test", "bert@acme.test"], content: letter() })).toMatch(/^550/);
  });

  it("of others that passes through gets an ARC seal instead [RFC 8617 §5.1]", async () => {
    const rig = await signing([rsa]);
    const content = letter().replace("<anna@example.org>", "<carl@third.test>");
    await submit(rig.site, { from: "carl@third.test", to: "bert@acme.test", content });
    const message = await rig.got("bert@");
    expect(count(message, "dkim-signature")).toBe(0);
    expect(count(message, "arc-seal")).toBe(1);
    expect(await delivered(rig.site, "bert@")).toMatchObject({ dkim: { signatures: [], arc: "none" } });
  });
});

describe("keys while the gateway runs", () => {
  it("new ones sign the next message after a reload; what waits keeps its bytes", async () => {
    const rig = await createRig({ ...goodMx, final: "451 4.3.0 Not now" });
    const settings = { queue: { retry: ["1s"], reserve: "1MiB" } };
    await rig.configure(settings, await rig.useKeys([ed]));
    await rig.site.start();
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    await rig.arrived();
    const next = newKey("ed25519-sha256", "example.org", "next");
    await rig.configure(settings, await rig.useKeys([next]));
    await rm(join(rig.site.folder, "ed.pem"));
    expect(await rig.site.gateway().reload()).toEqual([]);
    rig.mx.change(goodMx);
    await delivered(rig.site, "bert@");
    const [first, ...others] = rig.mx.messages;
    for (const { content } of others) expect(content.equals(first?.content ?? Buffer.of())).toBe(true);
    expect(others.length).toBeGreaterThan(0);
    await submit(rig.site, { to: "bea@acme.test", content: letter() });
    expect(await verdicts(rig, "bea@")).toEqual(["example.org next ed25519-sha256 pass"]);
  });

  it("the policy of a reload reaches the next message", async () => {
    const rig = await signing([ed]);
    await rig.configure({ outbound: { dkim: "none" } }, await rig.useKeys([ed]));
    expect(await rig.site.gateway().reload()).toEqual([]);
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    expect(count(await rig.got("bert@"), "dkim-signature")).toBe(0);
  });

  it("a record that is not published raises an alarm at start, and a reload clears it once it is", async () => {
    const rig = await createRig();
    const keys = await rig.useKeys([ed]);
    const record = rig.dns.zones["ed._domainkey.example.org"];
    delete rig.dns.zones["ed._domainkey.example.org"];
    await rig.configure({}, keys);
    await rig.site.start();
    const alarm = (state: string) =>
      rig.site.logged("alarm", (line) => line["code"] === "dkim-record" && line["state"] === state);
    expect((await alarm("raised"))["remedy"]).toContain("ed._domainkey.example.org");
    rig.dns.zones["ed._domainkey.example.org"] = record ?? {};
    await eventually(async () => {
      await rig.site.gateway().reload();
      return rig.site.log.some((line) => line["code"] === "dkim-record" && line["state"] === "cleared");
    });
    expect(await accepted(rig.site, await submit(rig.site, { to: "bert@acme.test", content: letter() }))).toBeDefined();
  });
});
