/** Report mode through a whole gateway: mail goes as level may lets it, and the log says what enforce would have done. */
import { describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import type { Tree } from "../peers/gateway.ts";
import type { MxOptions } from "../peers/mx-server.ts";
import { expired, line, LONG_MS, plain, prepared, proven, toAcme, unproven } from "./demands-rig.ts";
import { letter, type Rig, submit } from "./treatment-rig.ts";

const DAY_MS = 86_400_000;
const dayIn = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10);
const REPORT: Tree = { mode: "report", report_until: dayIn(10) };

async function reporting(mx: MxOptions, tls: Tree, over: Tree = {}, clock?: Clock): Promise<Rig> {
  const rig = await prepared(mx, {}, clock && { clock });
  await rig.site.partner("acme", { domains: ["acme.test"], ...REPORT, outbound: { tls }, ...over });
  await rig.site.start();
  return rig;
}

describe("mode: report", { timeout: 2 * LONG_MS }, () => {
  it.each<[string, MxOptions, Tree, string | undefined]>([
    ["a host without TLS", plain, { level: "encrypt" }, "starttls-not-supported"],
    ["a certificate of another CA", unproven, { level: "secure" }, "certificate-not-trusted"],
    ["a certificate that has ended", expired, { level: "secure" }, "certificate-expired"],
    ["another name", proven, { level: "secure", match: ["mx.other.test"] }, "certificate-host-mismatch"],
    ["another pin", proven, { level: "fingerprint", fingerprints: ["ab".repeat(32)] }, "fingerprint-mismatch"],
    ["a host without TLSA records", proven, { level: "dane-only" }, "dane-required"],
    ["nothing amiss", proven, { level: "secure" }, undefined],
  ])("delivers to %s and says what enforce would have done", async (_, mx, tls, reason) => {
    const rig = await reporting(mx, tls);
    await submit(rig.site, { to: "bea@acme.test", content: letter() });
    const told = await line(rig, "delivery");
    expect(told).toMatchObject({ outcome: "delivered", mode: "report", partner: "acme" });
    expect(told["wouldDefer"]).toBe(reason);
    expect(toAcme(rig)).toHaveLength(1);
  });
  it("of the whole gateway holds for every destination but our own", async () => {
    const rig = await prepared(plain, REPORT);
    await rig.site.start();
    await submit(rig.site, { to: ["bea@acme.test", "carl@example.org"], content: letter() });
    expect(await line(rig, "delivery", (one) => one["domain"] === "acme.test")).toMatchObject({
      outcome: "delivered",
      mode: "report",
      wouldDefer: "starttls-not-supported",
    });
    expect(await line(rig, "delivery", (one) => one["domain"] === "example.org")).toMatchObject({ mode: "enforce" });
  });
  it("ends by itself when the clock has passed its last day: the policy is enforced then", async () => {
    const clock = { ...systemClock, ahead: 0, now: () => systemClock.now() + clock.ahead };
    const rig = await reporting(plain, { level: "encrypt" }, { report_until: dayIn(1) }, clock);
    const send = () => submit(rig.site, { to: "bea@acme.test", content: letter() });
    await send();
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "delivered", mode: "report" });
    clock.ahead = 3 * DAY_MS;
    await send();
    const told = await line(rig, "delivery", ({ mode }) => mode === "enforce");
    expect(told).toMatchObject({ outcome: "deferred", reason: "starttls-not-supported" });
    expect(told).not.toHaveProperty("wouldDefer");
    expect(toAcme(rig)).toHaveLength(1);
  });
  it("leaves alone what a message itself demands: an alias waits", async () => {
    const rig = await prepared(unproven, {}, { domain: { tls_only_alias: "secure.example.org" } });
    await rig.site.partner("acme", { domains: ["acme.test"], ...REPORT, outbound: { tls: { level: "secure" } } });
    await rig.site.start();
    await submit(rig.site, { from: "anna@secure.example.org", to: "bea@acme.test", content: letter() });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "deferred", reason: "certificate-not-trusted" });
    expect(toAcme(rig)).toEqual([]);
  });
});
