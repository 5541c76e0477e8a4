/** Rules through a whole gateway: each condition and each action, with a partner's server on loopback. */
import { describe, expect, it } from "vitest";
import { eventually } from "../contract/messages.ts";
import type { Tree } from "../peers/gateway.ts";
import { line, LONG_MS, outcome, prepared, proven, rule, SETTINGS, started, toAcme, unproven } from "./demands-rig.ts";
import { letter, submit } from "./treatment-rig.ts";

const titled = (subject: string, fields: readonly string[] = []): string =>
  letter(fields).replace(/^Subject:.*$/m, `Subject: ${subject}`);

describe("rules", { timeout: 2 * LONG_MS }, () => {
  const tls = { tls: { level: "authenticated" } };
  it.each<[string, Tree, boolean]>([
    ["sender", { sender: "anna@*" }, true],
    ["another sender", { sender: "bob@*" }, false],
    ["from", { from: "*@example.org" }, true],
    ["recipient", { recipient: "*@acme.test" }, true],
    ["another recipient", { recipient: "*@other.test" }, false],
    ["subject", { subject: "[tls]*" }, true],
    ["header", { header: { Sensitivity: "company-*" } }, true],
    ["another header", { header: { Sensitivity: "personal" } }, false],
    ["direction", { direction: "outbound", sender: "*" }, true],
  ])("by %s", async (_, when, matches) => {
    const rig = await started(unproven, { rules: [rule(when, tls)] });
    const content = titled("[tls] x", ["Sensitivity: Company-Confidential"]);
    await submit(rig.site, { to: "bea@acme.test", content });
    expect(await line(rig, "delivery")).toMatchObject(
      matches
        ? { outcome: "deferred", reason: "certificate-not-trusted", rules: ["r"] }
        : { outcome: "delivered", rules: [] },
    );
    expect(await line(rig, "message.accepted")).toMatchObject({ rules: matches ? ["r"] : [] });
  });
  it("demand TLS that stays with the message when the rule is gone", async () => {
    const rig = await started(unproven, { rules: [rule({ sender: "*" }, tls)] });
    await submit(rig.site, { to: "bea@acme.test", content: letter() });
    await line(rig, "delivery", outcome("deferred"));
    await rig.configure(SETTINGS);
    expect(await rig.site.gateway().reload()).toEqual([]);
    const before = rig.site.log.length;
    await eventually(() => rig.site.log.slice(before).filter((one) => one.event === "delivery").length >= 2, LONG_MS);
    expect(toAcme(rig)).toEqual([]);
  });
  it("refuse with their sentence", async () => {
    const rig = await started(proven, {
      rules: [rule({ subject: "*internal*" }, { refuse: "This stays in the house" })],
    });
    const reply = await submit(rig.site, { to: ["bea@acme.test", "cas@acme.test"], content: titled("Internal!") });
    expect(reply).toContain("5.7.1 This stays in the house");
    expect(await line(rig, "message.refused")).toMatchObject({ stage: "data", code: 550, rules: ["r"] });
    expect(toAcme(rig)).toEqual([]);
  });
  it("send another way, where every demand stays", async () => {
    const rig = await prepared(proven);
    await rig.configure({
      ...SETTINGS,
      outbound: { next_hop: "[127.0.0.1]:9", tls: { level: "encrypt" } },
      rules: [rule({ recipient: "bea@*" }, { next_hop: `[127.0.0.1]:${rig.mx.port}` })],
    });
    await rig.site.start();
    await submit(rig.site, { to: ["bea@acme.test", "cas@acme.test"], content: letter() });
    expect(await line(rig, "delivery", outcome("delivered"))).toMatchObject({ recipients: ["bea@acme.test"] });
    expect(await line(rig, "delivery", outcome("deferred"))).toMatchObject({ recipients: ["cas@acme.test"] });
  });
  it("send another way, but not past a demand that is not met there", async () => {
    const rig = await prepared(unproven);
    await rig.configure({
      ...SETTINGS,
      rules: [rule({ recipient: "bea@*" }, { next_hop: `mx.acme.test:${rig.mx.port}`, ...tls })],
    });
    await rig.site.start();
    await submit(rig.site, { to: "bea@acme.test", content: letter() });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "deferred", reason: "certificate-not-trusted" });
    expect(toAcme(rig)).toEqual([]);
  });
  it.each([
    ["[tls] Hello", "Hello"],
    [
      `=?utf-8?B?${Buffer.from("[TLS] Grüße").toString("base64")}?=`,
      `=?utf-8?B?${Buffer.from("Grüße").toString("base64")}?=`,
    ],
  ])("take the tag out of the subject: %s", async (subject, left) => {
    const rig = await started(proven, { rules: [rule({ subject: "[tls]*" }, { ...tls, remove_subject_tag: true })] });
    await submit(rig.site, { to: "bea@acme.test", content: titled(subject) });
    await line(rig, "delivery", outcome("delivered"));
    expect(toAcme(rig)[0]?.content.toString()).toContain(`\r\nSubject: ${left}\r\n`);
  });
  it("ask for S/MIME that cannot be had: refused", async () => {
    const rig = await started(proven, {
      rules: [rule({ sender: "*" }, { smime: { encrypt: "always" } })],
    });
    expect(await submit(rig.site, { to: "bea@acme.test", content: letter() })).toContain("5.7.5");
  });
  it("let mail go without the S/MIME that its partner's file demands: it once waited for ever after that", async () => {
    const rig = await prepared(proven, { rules: [rule({ sender: "*" }, { smime: { encrypt: "never" } })] });
    await rig.site.partner("acme", { domains: ["acme.test"], outbound: { smime: { encrypt: "always" } } });
    await rig.site.start();
    expect(await submit(rig.site, { to: "bea@acme.test", content: letter() })).toContain("queued");
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "delivered", partner: "acme", rules: ["r"] });
  });
});
