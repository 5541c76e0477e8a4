/** The probe over scripted hosts, by the real demand and the real gate: what fails, by whose rule, and what to do. */
import { describe, expect, it } from "vitest";
import { decisions } from "../../../src/decide/decide.ts";
import type { OutboundPolicy } from "../../../src/decide/policy.ts";
import type { Host } from "../../../src/mail/host.ts";
import { problem, type Problem } from "../../../src/mail/outcome.ts";
import type { DaneFacts, MtaStsFacts } from "../../../src/mail/published.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";
import type { Session } from "../../../src/mail/session.ts";
import { createProbe, type Prober } from "../../../src/probe.ts";
import { admit } from "../../../src/verify/gate.ts";
import { outbound, policy, tls } from "../decide/policies.ts";
import { settings } from "../cli/fake-deps.ts";
import { DAY, evidence, leaf, NOW, session as shown } from "../verify/evidence-rows.ts";

const clock = {
  now: () => NOW,
  monotonic: () => 0,
  sleep: () => Promise.resolve(),
  after: () => () => undefined,
};

const at = (line: number) => ({ file: "/etc/sealpost/partners/acme.yaml", line, column: 5 });
const origins = { "tls.level": at(4), "tls.match": at(5), "tls.ca": at(6), "tls.fingerprints": at(7) };
const trust = { id: "acme", ca: ["pem"], crl: [] };
const domain = "acme.example" as DomainName;

function mx(name: string, over: Partial<Host> = {}): Host {
  const dnssec = { mx: "insecure", address: "insecure", expanded: name as DomainName } as const;
  return {
    name,
    address: "192.0.2.1",
    port: 25,
    route: "mx",
    learnedFromMx: true,
    implicitTls: false,
    dnssec,
    ...over,
  };
}

function policyOf(mode: "enforce" | "testing", ...patterns: string[]): MtaStsFacts {
  return { kind: "policy", domain, id: "1", mode, mx: patterns, expiresAt: NOW + DAY };
}

interface Script {
  readonly hosts?: readonly Host[] | Problem<"deferred" | "failed">;
  readonly connect?: (host: Host) => Session | Problem<"deferred">;
  readonly dane?: (host: Host) => DaneFacts;
  readonly mtaSts?: MtaStsFacts;
}

const encrypted = (bent = {}): Session => shown({ evidence: evidence(bent) });

function prober(defaults: OutboundPolicy, script: Script): { prober: Prober; diary: string[] } {
  const diary: string[] = [];
  const given = settings({ default: defaults });
  const snapshot = () => ({ settings: given, decide: decisions(policy({ default: defaults })) });
  const steps = {
    resolve: () => Promise.resolve(script.hosts ?? [mx("mx.acme.example")]),
    dane: (host: Host) => Promise.resolve(script.dane?.(host) ?? ({ kind: "none", why: "absent" } as const)),
    mtaSts: () => Promise.resolve(script.mtaSts ?? ({ kind: "none" } as const)),
    connect: (host: Host, { fresh, use }: { fresh: boolean; use: string }) => {
      diary.push(`connect ${host.name} ${use}${fresh ? " fresh" : ""}`);
      return Promise.resolve(script.connect?.(host) ?? encrypted());
    },
    admit: (...[open, requirement, id]: [Session, Parameters<typeof admit>[1], string]) =>
      admit(open, requirement, id, NOW),
    dismiss: () => void diary.push("dismiss"),
  };
  return { prober: createProbe({ clock, snapshot, steps }), diary };
}

const probe = (defaults: OutboundPolicy, script: Script = {}) =>
  prober(defaults, script).prober.probe({ domain, transcript: false });

describe("a probe", () => {
  it("opens sessions of its own and ends every one of them, admitted or not", async () => {
    const { prober: made, diary } = prober(outbound({ tls: tls({ trust }) }), {
      hosts: [mx("mx.acme.example"), mx("mx2.acme.example")],
      connect: (host) => (host.name === "mx.acme.example" ? encrypted() : shown()),
    });
    const report = await made.probe({ domain, transcript: false });
    expect(report.hosts.map(({ problem }) => problem?.reason)).toEqual([undefined, "starttls-not-supported"]);
    expect(diary.toSorted()).toEqual([
      "connect mx.acme.example required fresh",
      "connect mx2.acme.example required fresh",
      "dismiss",
      "dismiss",
    ]);
  });

  it.each<[string, Partial<OutboundPolicy>, Script, object]>([
    [
      "a certificate of a stranger is the line of ca",
      { tls: tls({ level: "verify", trust }) },
      { connect: () => encrypted({ chainError: "SELF_SIGNED_CERT_IN_CHAIN" }) },
      { reason: "certificate-not-trusted", rule: { demand: "level verify", origin: at(6) } },
    ],
    [
      "a wrong name is the line of match",
      { tls: tls({ level: "secure", trust, match: [{ host: "mail.acme.example" }] }) },
      {},
      { reason: "certificate-host-mismatch", rule: { demand: "level secure", origin: at(5) } },
    ],
    [
      "an expired one is the line of the level",
      { tls: tls({ level: "verify", trust }) },
      { connect: () => encrypted({ chain: [leaf({ notAfter: NOW - 1 })] }) },
      { reason: "certificate-expired", rule: { origin: at(4) } },
    ],
    [
      "a key that is not pinned is the line of the pins",
      { tls: tls({ level: "fingerprint", fingerprints: [{ sha256: "00", of: "certificate" }] }) },
      {},
      { reason: "fingerprint-mismatch", rule: { demand: "fingerprints", origin: at(7) } },
    ],
    [
      "an old version is the minimum version, by the level where that is not written",
      { tls: tls({ level: "encrypt", trust }) },
      { connect: () => encrypted({ version: "TLSv1.1" }) },
      { reason: "tls-parameters-too-weak", rule: { origin: at(4) } },
    ],
    [
      "a host outside of the MTA-STS policy is the domain's own policy [RFC 8461 §4.1]",
      { tls: tls({ level: "encrypt", trust }) },
      { mtaSts: policyOf("enforce", "other.acme.example") },
      { reason: "mx-not-in-policy", rule: { demand: expect.stringMatching(/^MTA-STS/) as string } },
    ],
    [
      "a name that MTA-STS demands is MTA-STS [RFC 8461 §4.2]",
      { tls: tls({ level: "encrypt", trust }) },
      { hosts: [mx("mx9.acme.example")], mtaSts: policyOf("enforce", "*.acme.example") },
      { reason: "certificate-host-mismatch", rule: { demand: expect.stringMatching(/^MTA-STS/) as string } },
    ],
    [
      "the level's own check comes before what MTA-STS adds",
      { tls: tls({ level: "verify", trust, match: [{ host: "mail.acme.example" }] }) },
      { mtaSts: policyOf("enforce", "*.acme.example") },
      { reason: "certificate-host-mismatch", rule: { demand: "level verify", origin: at(5) } },
    ],
    [
      "no STARTTLS at level may is what is published [RFC 8461 §2]",
      { tls: tls({ level: "may", trust }) },
      {
        connect: () => problem("deferred", "starttls-not-supported", "no STARTTLS"),
        mtaSts: policyOf("enforce", "*.acme.example"),
      },
      { reason: "starttls-not-supported", rule: { demand: expect.stringMatching(/^MTA-STS/) as string } },
    ],
    [
      "no TLSA record at dane-only is the level",
      { tls: tls({ level: "dane-only", trust }) },
      {},
      { reason: "dane-required", rule: { demand: "level dane-only", origin: at(4) } },
    ],
    [
      "a look-up of TLSA that failed is DANE, and nobody is connected to [RFC 7672 §2.1]",
      { tls: tls({ level: "may", trust }) },
      { dane: () => ({ kind: "unknown", detail: "SERVFAIL" }) },
      { reason: "dnssec-invalid", rule: { demand: expect.stringMatching(/^DANE/) as string } },
    ],
    [
      "an MTA-STS policy that is required and cannot be had is mta_sts: require",
      { tls: tls({ level: "encrypt", trust, mtaSts: "require" }) },
      { mtaSts: { kind: "unavailable", result: "sts-webpki-invalid", detail: "expired" } },
      { reason: "sts-webpki-invalid", rule: { demand: "mta_sts: require" } },
    ],
    [
      "the network has no rule",
      { tls: tls({ level: "verify", trust }) },
      { connect: () => problem("deferred", "connection-failed", "refused") },
      { reason: "connection-failed" },
    ],
  ])("says whose rule it was: %s", async (_, over, script, expected) => {
    const report = await probe(outbound({ origins, ...over }), script);
    expect(report.ok).toBe(false);
    expect(report.problem).toMatchObject({ ...expected, remedy: expect.stringMatching(/\.$/) as string });
    expect(report.hosts[0]?.problem).toEqual(report.problem);
    if (!("rule" in expected)) expect(report.problem).not.toHaveProperty("rule");
  });

  it("names no line for a level that the configuration does not have", async () => {
    const { prober: made } = prober(outbound({ origins, tls: tls({ level: "may", trust }) }), {});
    const report = await made.probe({ domain, transcript: false, level: "dane-only" });
    expect(report.problem?.rule).toEqual({ demand: "level dane-only" });
    expect(report).not.toHaveProperty("levelOrigin");
  });

  it.each([
    ["min_version", { "tls.min_version": at(8), "tls.profile": at(9) }, 8],
    ["profile", { "tls.profile": at(9) }, 9],
  ])("names the line of %s for what is too weak", async (_, more, line) => {
    const weak = outbound({ origins: { ...origins, ...more }, tls: tls({ trust }) });
    const report = await probe(weak, { connect: () => encrypted({ version: "TLSv1.1" }) });
    expect(report.problem?.rule?.origin).toEqual(at(line));
  });

  it("does not demand what the policy ignores, and shows it all the same", async () => {
    const mtaSts = policyOf("enforce", "other.acme.example");
    const report = await probe(outbound({ tls: tls({ trust, mtaSts: "ignore" }) }), { mtaSts });
    expect(report).toMatchObject({
      ok: true,
      hosts: [{ mtaSts: { status: "enforce", mx: ["other.acme.example"], listed: false } }],
    });
  });

  it("counts only hosts that one attempt reaches; those that MTA-STS leaves out do not use it up", async () => {
    const hosts = [...Array(9).keys()].map((at) => mx(`mx${at}.acme.example`));
    const connect = (host: Host) =>
      host.name === "mx8.acme.example" ? encrypted() : problem("deferred", "connection-failed", "refused");
    const far = await probe(outbound({ tls: tls({ trust }) }), { hosts, connect });
    expect(far).toMatchObject({ ok: false, problem: { reason: "connection-failed" } });
    expect(far.hosts.filter(({ withinAttempt }) => withinAttempt)).toHaveLength(6);
    expect(far.hosts[8]).toMatchObject({ withinAttempt: false, verdict: {} });
    const named = [4, 5, 8].map((at) => `mx${at}.acme.example`);
    const certificate = evidence({ chain: [leaf({ names: ["mx8.acme.example"] })] });
    const near = await probe(outbound({ tls: tls({ trust }) }), {
      hosts,
      connect: (host) =>
        host.name === "mx8.acme.example" ? shown({ host: host.name, evidence: certificate }) : connect(host),
      mtaSts: policyOf("enforce", ...named),
    });
    expect(near.ok).toBe(true);
  });

  it("tells of a destination that is not permitted, and connects to nobody", async () => {
    const { prober: made, diary } = prober(outbound({ permitted: false }), {});
    const report = await made.probe({ domain, transcript: false });
    expect(report).toMatchObject({ ok: false, problem: { kind: "failed", reason: "not-permitted" }, hosts: [] });
    expect(diary).toEqual([]);
  });

  it("survives dates that no calendar has", async () => {
    const odd = evidence({ chain: [leaf({ notBefore: Number.NaN, notAfter: 9e15 })] });
    const report = await probe(outbound({ tls: tls({ trust }) }), { connect: () => shown({ evidence: odd }) });
    expect(report.hosts[0]?.tls?.chain).toMatchObject([{ notBefore: "unknown", notAfter: "unknown" }]);
  });
});
