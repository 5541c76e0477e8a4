import { describe, expect, it } from "vitest";
import type { OutboundPolicy } from "../../../src/decide/policy.ts";
import type { Demand, Published } from "../../../src/decide/published-requirement.ts";
import { tlsProfile } from "../../../src/config/tls-profiles.ts";
import { type Outcome, problem } from "../../../src/mail/outcome.ts";
import type { PeerEvidence } from "../../../src/mail/peer-evidence.ts";
import type { Session, Verdict } from "../../../src/mail/session.ts";
import { opportunistic } from "../../../src/mail/tls-requirement.ts";
import { assuranceOf, isRecommended } from "../../../src/report/assurance.ts";
import { type AttemptFacts, deliveryEvents } from "../../../src/report/delivery-event.ts";
import { outbound, tls } from "../decide/policies.ts";
import { delivered, delivery, host, session } from "../spine/fixtures.ts";

const evidence: PeerEvidence = {
  version: "TLSv1.3",
  cipher: "TLS_AES_256_GCM_SHA384",
  group: "secp256r1",
  sni: "mx.acme.example",
  chain: [
    {
      subject: "CN=mx.acme.example",
      names: ["mx.acme.example"],
      issuer: "CN=ACME CA",
      notBefore: 0,
      notAfter: Date.UTC(2027, 0, 1),
      keyType: "ec",
      keyBits: 256,
      sha256: "aa",
      spkiSha256: "bb",
      der: Buffer.alloc(1),
    },
  ],
  trustId: "acme",
};
const proven: Verdict = { authenticatedBy: "private-ca", matched: "mx.acme.example", trusted: false };
const encrypted: Session = { ...session("mx.acme.example"), localAddress: "192.0.2.9", evidence };
const at = { now: 5_000, generation: 3 };

const demanded: Demand = { requirement: { level: "mandatory", minVersion: "TLSv1.2", checks: [] }, by: [] };
const asked = (name: string) => ({ host: host(name), published: {}, demand: demanded });

function facts(
  outcomes: readonly Outcome[],
  over: Partial<AttemptFacts> & { seen?: AttemptFacts["trial"]["seen"] } = {},
): AttemptFacts {
  const { seen, ...rest } = over;
  return {
    delivery: delivery({ attempts: 1 }),
    outbound: outbound({ partner: "acme", source: "partner", tls: tls({ level: "secure" }) }),
    trial: { outcomes: new Map(outcomes.map((outcome, position) => [position, outcome])), ...(seen && { seen }) },
    durationMs: 12.4,
    nextAttemptAt: 60_000,
    ...rest,
  };
}

describe("the delivery event", () => {
  it("tells what the session that decided has shown", () => {
    const seen = { ...asked("mx.acme.example"), session: encrypted, verdict: proven };
    const [event, ...more] = deliveryEvents(facts([delivered, delivered], { seen }), at);
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      recipients: ["a@acme.example", "b@acme.example"],
      sender: "anna@example.org",
      partner: "acme",
      outcome: "delivered",
      attempt: 2,
      route: "mx",
      mx: { host: "mx.acme.example", address: "192.0.2.1", port: 25, localAddress: "192.0.2.9" },
      durationMs: 12,
      delayMs: 5_000,
      generation: 3,
      expires: "1970-01-01T00:16:40.000Z",
      nextAttempt: undefined,
      tls: {
        demanded: "secure",
        demandedBy: ["partner"],
        result: "authenticated",
        assurance: "qualified",
        version: "TLSv1.3",
        authenticatedBy: "private-ca",
        matched: "mx.acme.example",
        profile: "intermediate@2026",
        peer: { subject: "CN=mx.acme.example", notAfter: "2027-01-01T00:00:00.000Z", keyBits: 256 },
      },
    });
    expect(JSON.stringify(event)).not.toContain('"der"');
  });

  it("is one for each group of recipients with one outcome", () => {
    const unknown = problem("failed", "smtp-5xx", "no such user", { code: 550, text: "no such user" });
    const events = deliveryEvents(facts([delivered, unknown]), at);
    expect(events.map(({ outcome, recipients }) => [outcome, recipients])).toEqual([
      ["delivered", ["a@acme.example"]],
      ["failed", ["b@acme.example"]],
    ]);
  });

  it("tells replies with different codes apart, not replies that differ in words", () => {
    const reply = (code: number, text: string) => problem("deferred", "smtp-4xx", text, { code, text });
    expect(deliveryEvents(facts([reply(450, "a"), reply(451, "a")]), at)).toHaveLength(2);
    expect(deliveryEvents(facts([reply(450, "a"), reply(450, "b")]), at)).toHaveLength(1);
  });

  it("tells that a recipient without any result waits [unknown is never no]", () => {
    const events = deliveryEvents(facts([delivered]), at);
    expect(events[1]).toMatchObject({ outcome: "deferred", reason: "internal-error", recipients: ["b@acme.example"] });
  });

  it("names reason, next attempt and the host of a failed handshake, and claims no TLS", () => {
    const refused = problem("deferred", "starttls-not-supported", "mx.acme.example offers no encryption");
    const [event] = deliveryEvents(facts([refused, refused], { seen: asked("mx.acme.example") }), at);
    expect(event).toMatchObject({
      outcome: "deferred",
      reason: "starttls-not-supported",
      detail: "mx.acme.example offers no encryption",
      nextAttempt: "1970-01-01T00:01:00.000Z",
      mx: { host: "mx.acme.example", localAddress: undefined },
      tls: { demanded: "secure", result: "none", assurance: "none", version: undefined, peer: undefined },
    });
  });

  it("calls what waited too long failed and expired, and keeps the last reason", () => {
    const refused = problem("deferred", "certificate-expired", "the certificate ended yesterday");
    const [event] = deliveryEvents(facts([refused, refused], { nextAttemptAt: undefined }), at);
    expect(event).toMatchObject({ outcome: "failed", reason: "expired", nextAttempt: undefined });
    expect(event?.detail).toContain("after 2 attempts");
    expect(event?.detail).toContain("certificate-expired: the certificate ended yesterday");
  });

  it("tells apart who has expired, who goes on as another message and who waits: one line once called them all the same", () => {
    const refused = problem("deferred", "certificate-expired", "the certificate ended yesterday");
    const told = (ends: ReadonlyMap<number, "expired" | "moved">) =>
      deliveryEvents(facts([refused, refused], { nextAttemptAt: 60_000, ends }), at).map(
        ({ outcome, reason, nextAttempt }) => [outcome, reason, nextAttempt?.slice(11, 19)].join(" ").trim(),
      );
    expect(told(new Map([[0, "expired"]]))).toEqual(["failed expired", "deferred certificate-expired 00:01:00"]);
    expect(told(new Map([[1, "moved"]]))).toEqual([
      "deferred certificate-expired 00:01:00",
      "deferred certificate-expired",
    ]);
  });

  it("does not fill the log with a peer's endless reply", () => {
    const text = "x".repeat(60_000);
    const [event] = deliveryEvents(facts([problem("deferred", "smtp-4xx", text, { code: 450, text })]), at);
    expect(event?.smtp?.text.length).toBeLessThan(2_100);
    expect(event?.detail?.length).toBeLessThan(2_100);
  });

  it("survives a certificate whose dates are none", () => {
    const strange = {
      ...encrypted,
      evidence: { ...evidence, chain: [{ ...evidence.chain[0]!, notAfter: Number.NaN }] },
    };
    const seen = { ...asked("mx"), session: strange, verdict: proven };
    expect(deliveryEvents(facts([delivered], { seen }), at)[0]?.tls?.peer?.notAfter).toBe("unknown");
  });

  it("names the exception that applied, with its last day", () => {
    const origin = { file: "acme.yaml", line: 1, column: 1 };
    const exception = { approvedBy: "anna@example.org", reason: "expired", endsAt: Date.UTC(2027, 0, 1), origin };
    const policy = outbound({ source: "exception", exception });
    const [event] = deliveryEvents(facts([delivered], { outbound: policy }), at);
    expect(event?.exception).toEqual({ approvedBy: "anna@example.org", reason: "expired", until: "2026-12-31" });
    expect(event?.tls?.demandedBy).toEqual(["exception"]);
  });

  it.each([
    ["default", "default"],
    ["own-domain", "default"],
    ["partner", "partner"],
  ] as const)("says by whom TLS was demanded: %s", (source, by) => {
    expect(deliveryEvents(facts([delivered], { outbound: outbound({ source }) }), at)[0]?.tls?.demandedBy).toEqual([
      by,
    ]);
  });

  const policy = { kind: "policy", domain: "acme.example" as never, id: "1", mx: [], expiresAt: 0 } as const;
  it.each<[string, Published, object]>([
    ["nothing that was not asked", {}, { dane: undefined, mtaSts: undefined }],
    ["TLSA records", { dane: { kind: "usable", base: "mx" as never, names: [], records: [] } }, { dane: "usable" }],
    ["none, and why", { dane: { kind: "none", why: "untrusted-resolver" } }, { dane: "untrusted-resolver" }],
    ["what is not known", { dane: { kind: "unknown", detail: "x" } }, { dane: "unknown" }],
    ["the mode of a policy", { mtaSts: { ...policy, mode: "testing" } }, { mtaSts: "testing" }],
    ["that there is none", { mtaSts: { kind: "none" } }, { mtaSts: "none" }],
    [
      "why it cannot be had",
      { mtaSts: { kind: "unavailable", result: "sts-webpki-invalid", detail: "x" } },
      { mtaSts: "sts-webpki-invalid" },
    ],
  ])("tells what the destination publishes: %s", (_, published, expected) => {
    const seen = { ...asked("mx"), published };
    expect(deliveryEvents(facts([delivered], { seen }), at)[0]?.tls?.published).toMatchObject(expected);
  });

  it("says that DNSSEC vouches for the MX", () => {
    const dnssec = { mx: "secure", address: "secure", expanded: "mx" as never } as const;
    const seen = { ...asked("mx"), host: { ...host("mx"), dnssec } };
    expect(deliveryEvents(facts([delivered], { seen }), at)[0]?.tls?.published?.mxSecure).toBe(true);
  });

  it("says that what is published was demanded, also of a host that it forbids", () => {
    const demand = { ...demanded, by: ["dane"] } as const;
    const { demand: _, ...forbidden } = {
      ...asked("mx"),
      published: { mtaSts: { ...policy, mode: "enforce" } as const },
    };
    const by = (seen: AttemptFacts["trial"]["seen"]) =>
      deliveryEvents(facts([delivered], { ...(seen && { seen }) }), at)[0]?.tls?.demandedBy;
    expect(by({ ...asked("mx"), demand })).toEqual(["partner", "dane"]);
    expect(by(forbidden)).toEqual(["partner", "mta-sts"]);
    expect(by({ host: host("mx"), published: { mtaSts: { ...policy, mode: "testing" } } })).toEqual(["partner"]);
  });

  it("says what the message itself and rules demand, also where no host was tried", () => {
    const told = (own: AttemptFacts["trial"]["demanded"], seen?: AttemptFacts["trial"]["seen"]) => {
      const given = facts([delivered], { ...(seen && { seen }) });
      const trial = { ...given.trial, ...(own && { demanded: own }) };
      const [event] = deliveryEvents({ ...given, trial }, at);
      return [event?.tls?.demanded, ...(event?.tls?.demandedBy ?? [])].join(" ");
    };
    const published = { ...asked("mx"), demand: { ...demanded, by: ["dane", "message"] } } as const;
    expect(told(undefined)).toBe("secure partner");
    expect(told({ level: "authenticated", by: ["message", "rule"], lifted: false })).toBe(
      "authenticated partner message rule",
    );
    expect(told({ level: "encrypt", by: ["message"], lifted: false }, published)).toBe("encrypt partner dane message");
  });

  it("says that what is published was not demanded, by the sender's wish", () => {
    const given = facts([delivered]);
    const lifted = (trial: AttemptFacts["trial"]) => deliveryEvents({ ...given, trial }, at)[0]?.tls?.tlsRequiredNo;
    expect(lifted({ ...given.trial, demanded: { level: "encrypt", by: [], lifted: true } })).toBe(true);
    expect(lifted({ ...given.trial, demanded: { level: "encrypt", by: [], lifted: false } })).toBeUndefined();
  });

  it("takes the route from the policy while no host is known", () => {
    const hop = { kind: "host", host: "relay", port: 25, implicitTls: false } as const;
    const toHop: OutboundPolicy = outbound({ nextHop: [hop] });
    const failed = problem("deferred", "dns-failed", "no answer");
    expect(deliveryEvents(facts([failed]), at)[0]?.route).toBe("mx");
    expect(deliveryEvents(facts([failed], { outbound: toHop }), at)[0]?.route).toBe("next-hop");
  });

  it.each([
    ["in clear", undefined, { trusted: false }, "none"],
    ["encrypted", evidence, { trusted: false }, "encrypted"],
    ["valid though nobody asked", evidence, { trusted: true }, "trusted"],
    ["as demanded", evidence, proven, "authenticated"],
    ["not admitted", evidence, undefined, "encrypted"],
  ] as const)("calls the result of a session %s by its name", (_, shown, verdict, result) => {
    const open: Session = { ...session("mx"), ...(shown && { evidence: shown }) };
    const seen = { ...asked("mx"), session: open, ...(verdict && { verdict }) };
    expect(deliveryEvents(facts([delivered], { seen }), at)[0]?.tls?.result).toBe(result);
  });
});

describe("assurance [DSK Orientierungshilfe 4.2.2, 4.2.3]", () => {
  const secure = tls({ level: "secure" });
  const unproven: Verdict = { trusted: false };
  const rsa = (keyBits: number): PeerEvidence => ({
    ...evidence,
    chain: [{ ...evidence.chain[0]!, keyType: "rsa", keyBits }],
  });
  it.each([
    ["clear text", secure, undefined, proven, "none"],
    ["TLS that nobody demanded", tls({ level: "may" }), evidence, { trusted: true }, "none"],
    ["a session that was not admitted", secure, evidence, undefined, "none"],
    ["a version older than TLS 1.2", secure, { ...evidence, version: "TLSv1.1" }, proven, "none"],
    ["demanded TLS with anybody", tls({ level: "encrypt" }), evidence, unproven, "mandatory"],
    ["a valid certificate that nobody demanded", tls({ level: "encrypt" }), evidence, { trusted: true }, "mandatory"],
    [
      "a suite outside TR-02102-2",
      secure,
      { ...evidence, cipher: "TLS_CHACHA20_POLY1305_SHA256" },
      proven,
      "mandatory",
    ],
    ["a group outside TR-02102-2", secure, { ...evidence, group: "X25519" }, proven, "mandatory"],
    ["an RSA key of 2048 bits", secure, rsa(2048), proven, "mandatory"],
    ["an RSA key of 3072 bits", secure, rsa(3072), proven, "qualified"],
    ["an agreed name", secure, evidence, proven, "qualified"],
    ["a pin", tls({ level: "fingerprint" }), evidence, { ...proven, authenticatedBy: "fingerprint" }, "qualified"],
    ["a name learned from MX", tls({ level: "verify" }), evidence, proven, "mandatory"],
    [
      "verify with agreed names",
      tls({ level: "verify", match: [{ host: "mx.acme.example" }] }),
      evidence,
      proven,
      "qualified",
    ],
  ] as const)("of %s", (_, policy, shown, verdict, expected) => {
    const open = shown === undefined ? {} : { evidence: shown };
    const demand = policy.level === "may" ? { requirement: opportunistic, by: [] } : demanded;
    expect(assuranceOf({ tls: policy, demand, session: open, verdict, learnedFromMx: true })).toBe(expected);
  });

  it("of verify with a host written by name is not spoiled by MX", () => {
    const judged = { tls: tls({ level: "verify" }), session: { evidence }, verdict: proven, learnedFromMx: false };
    expect(assuranceOf({ ...judged, demand: demanded })).toBe("qualified");
  });

  const dane = { by: "dane", records: [], names: [] } as const;
  it.each([
    [
      "may, where TLSA records match, excludes clear text and proves the peer",
      "may",
      ["dane"],
      [dane],
      proven,
      "qualified",
    ],
    ["may, where the records cannot be used, excludes clear text", "may", ["dane"], [], unproven, "mandatory"],
    ["verify with a name from MX, where TLSA records match", "verify", ["dane"], [dane], proven, "qualified"],
    ["verify with a name from MX that an MTA-STS policy permits", "verify", ["mta-sts"], [], proven, "qualified"],
    ["verify with a name from MX, where the records cannot be used", "verify", ["dane"], [], proven, "mandatory"],
  ] as const)("of what is published: %s", (_, level, by, checks, verdict, expected) => {
    const demand: Demand = { requirement: { level: "mandatory", minVersion: "TLSv1.2", checks }, by };
    expect(assuranceOf({ tls: tls({ level }), demand, session: { evidence }, verdict, learnedFromMx: true })).toBe(
      expected,
    );
  });

  it("does not take what the handshake did not tell for fulfilled", () => {
    const { group: _, ...unknownGroup } = evidence;
    expect(isRecommended(unknownGroup)).toBe(false);
    expect(isRecommended({ ...evidence, chain: [] })).toBe(false);
  });

  it("knows the groups that the profile of the same document offers", () => {
    const groups = tlsProfile("bsi-tr-02102-2")?.groups.replaceAll("*", "").split(":") ?? [];
    expect(groups.length).toBeGreaterThan(5);
    for (const group of groups) expect([group, isRecommended({ ...evidence, group })]).toEqual([group, true]);
  });
});
