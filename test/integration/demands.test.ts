/** What a message itself demands of its way: through a whole gateway, with a partner's server on loopback. */
import { describe, expect, it } from "vitest";
import type { Tree } from "../peers/gateway.ts";
import {
  EXTENSIONS,
  line,
  LONG_MS,
  outcome,
  plain,
  prepared,
  proven,
  requiring,
  started,
  submitOverTls,
  toAcme,
  unproven,
} from "./demands-rig.ts";
import { letter, namesOf, type Rig, submit } from "./treatment-rig.ts";

const parameters = " REQUIRETLS";

describe("REQUIRETLS [RFC 8689]", { timeout: 2 * LONG_MS }, () => {
  it("is neither offered nor taken in clear", async () => {
    const rig = await started(requiring);
    expect(await submit(rig.site, { to: "bea@acme.test", parameters, content: letter() })).toMatch(/^(?:530 )?5\.7\.0/);
  });
  it("takes no value", async () => {
    const rig = await started(requiring);
    expect((await submitOverTls(rig, { parameters: " REQUIRETLS=1" })).reply).toMatch(/^(?:501 )?5\.5\.4/);
  });
  it("is passed on to a host that offers it and has proven who it is", async () => {
    const rig = await started(requiring);
    const { offered, reply } = await submitOverTls(rig, { parameters });
    expect([offered, reply]).toEqual([expect.stringContaining("REQUIRETLS"), expect.stringContaining("queued")]);
    const told = await line(rig, "delivery", outcome("delivered"));
    expect(told["tls"]).toMatchObject({ result: "authenticated", demandedBy: ["default", "message"] });
    expect(toAcme(rig)[0]?.mail).toContain("REQUIRETLS");
    expect(await line(rig, "message.accepted")).toMatchObject({ requireTls: true });
  });
  it("is bounced with 5.7.30 where the proven host does not offer it, and the notice tells nothing of the message", async () => {
    const rig = await started(proven);
    expect((await submitOverTls(rig, { parameters, content: letter(["X-Secret: kept"]) })).reply).toContain("queued");
    expect(await line(rig, "delivery", outcome("failed"))).toMatchObject({ reason: "requiretls-not-supported" });
    const notice = (await rig.got("anna@example.org")).toString();
    expect(notice).toContain("Status: 5.7.30");
    expect(notice).not.toContain("X-Secret");
    expect(toAcme(rig)).toEqual([]);
  });
  it("without a sender goes to a proven host that does not offer it, which is not asked for it [RFC 8689 §5]", async () => {
    const rig = await started(proven);
    await submitOverTls(rig, { from: "", parameters });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "delivered", tls: { result: "authenticated" } });
    expect(toAcme(rig).map(({ mail }) => mail.includes("REQUIRETLS"))).toEqual([false]);
  });
  it.each([
    ["the host has not proven who it is", { ...unproven, extensionsInTls: EXTENSIONS }, "certificate-not-trusted", {}],
    ["the host has no TLS", plain, "starttls-not-supported", {}],
    ["the host has no TLS and the policy is only reported", plain, "starttls-not-supported", { report: true }],
  ] as const)("waits where %s, although the level asks for nothing of the kind", async (_, mx, reason, given) => {
    const report = { mode: "report", report_until: new Date(Date.now() + 10 * 86_400_000).toISOString().slice(0, 10) };
    const rig = await started(mx, "report" in given ? report : {});
    expect((await submitOverTls(rig, { parameters })).reply).toContain("queued");
    expect(await line(rig, "delivery", outcome("deferred"))).toMatchObject({ reason });
    expect(toAcme(rig)).toEqual([]);
  });
});

describe("TLS-Required: No [RFC 8689 §3]", { timeout: 2 * LONG_MS }, () => {
  const wish = letter(["TLS-Required: No"]);
  /** MTA-STS is announced and cannot be fetched: `require` lets mail wait for it. */
  const sts = (tls: Tree): Tree => ({ outbound: { tls: { level: "encrypt", mta_sts: "require", ...tls } } });
  async function withSts(tls: Tree): Promise<Rig> {
    const rig = await started(proven, sts(tls));
    rig.dns.zones["_mta-sts.acme.test"] = { TXT: ["v=STSv1; id=1;"] };
    rig.dns.zones["mta-sts.acme.test"] = { A: ["127.0.0.1"] };
    await submit(rig.site, { to: "bea@acme.test", content: wish });
    return rig;
  }
  it("changes nothing where the policy does not honour it", async () => {
    const rig = await withSts({});
    expect(await line(rig, "delivery")).toMatchObject({
      outcome: "deferred",
      reason: "sts-policy-fetch-error",
    });
  });
  it("lifts what the domain publishes where it does, and goes along with the message", async () => {
    const rig = await withSts({ tls_required_no: "honour" });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "delivered", tls: { tlsRequiredNo: true } });
    expect(await line(rig, "message.accepted")).toMatchObject({ tlsRequiredNo: true });
    expect(namesOf(toAcme(rig)[0]!.content)).toContain("tls-required");
  });
  it("goes although other mail of the same policy waits for what the domain publishes", async () => {
    const queue = { retry: ["1h"], reserve: "1MiB" };
    const rig = await started(proven, { ...sts({ tls_required_no: "honour" }), queue });
    rig.dns.zones["_mta-sts.acme.test"] = { TXT: ["v=STSv1; id=1;"] };
    rig.dns.zones["mta-sts.acme.test"] = { A: ["127.0.0.1"] };
    await submit(rig.site, { to: "bea@acme.test", content: letter() });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "deferred", reason: "sts-policy-fetch-error" });
    await submit(rig.site, { to: "bea@acme.test", content: wish });
    const delivered = await line(rig, "delivery", outcome("delivered"));
    expect(toAcme(rig).map(({ content }) => namesOf(content).includes("tls-required"))).toEqual([true]);
    expect(delivered["attempt"]).toBe(1);
  });
  it("never lifts the level", async () => {
    const rig = await started(plain, { outbound: { tls: { level: "encrypt", tls_required_no: "honour" } } });
    await submit(rig.site, { to: "bea@acme.test", content: wish });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "deferred", reason: "starttls-not-supported" });
    expect(toAcme(rig)).toEqual([]);
  });
});

describe("a TLS-only alias", { timeout: 2 * LONG_MS }, () => {
  const alias = { tls_only_alias: "secure.example.org" };
  it.each([
    ["goes to a host that has proven who it is, from the same address", proven, "delivered", undefined],
    ["waits for one that has not", unproven, "deferred", "certificate-not-trusted"],
    ["waits for one without TLS, although level may would do", plain, "deferred", "starttls-not-supported"],
  ] as const)("as sender %s", async (_, mx, wanted, reason) => {
    const rig = await started(
      mx,
      { outbound: { tls: { level: "may", mta_sts: "ignore", dane: "ignore" } } },
      { domain: alias },
    );
    await submit(rig.site, { from: "anna@secure.example.org", to: "bea@acme.test", content: letter() });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: wanted, ...(reason && { reason }) });
    expect(toAcme(rig).map(({ mail }) => /<(.*?)>/.exec(mail)?.[1])).toEqual(
      wanted === "delivered" ? ["anna@secure.example.org"] : [],
    );
  });
  it("takes no mail as a recipient yet", async () => {
    const rig = await started(proven, {}, { domain: alias });
    expect(await submit(rig.site, { to: "bea@secure.example.org", content: letter() })).toMatch(/^(?:550 )?5\.1\.1/);
  });
});

describe("outbound.unlisted: refuse", { timeout: 2 * LONG_MS }, () => {
  it("takes mail for partners and our own domains, and for nobody else", async () => {
    const rig = await prepared(proven, { outbound: { unlisted: "refuse" } });
    await rig.site.partner("acme", { domains: ["acme.test"], addresses: ["joint@other.test"] });
    await rig.site.start();
    const to = (recipient: string) => submit(rig.site, { to: recipient, content: letter() });
    expect(await to("bea@acme.test")).toContain("queued");
    expect(await to("joint@other.test")).toContain("queued");
    expect(await to("carl@example.org")).toContain("queued");
    expect(await to("x@other.test")).toContain("5.7.1");
  });
});

describe("a partner given by address", { timeout: 2 * LONG_MS }, () => {
  it("does not wait for what closes the destination to the rest of its domain", async () => {
    const tls = { level: "encrypt", mta_sts: "ignore", dane: "ignore" };
    const rig = await prepared(unproven, { outbound: { tls }, queue: { retry: ["1h"], reserve: "1MiB" } });
    await rig.site.partner("acme", { domains: ["acme.test"], outbound: { tls: { level: "secure" } } });
    await rig.site.partner("joint", { addresses: ["joint@acme.test"] });
    await rig.site.start();
    await submit(rig.site, { to: "bea@acme.test", content: letter() });
    expect(await line(rig, "delivery")).toMatchObject({ outcome: "deferred" });
    await submit(rig.site, { to: "joint@acme.test", content: letter() });
    await line(rig, "delivery", outcome("delivered"));
    expect(toAcme(rig)).toHaveLength(1);
  });
});
