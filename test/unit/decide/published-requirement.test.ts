import { describe, expect, it } from "vitest";
import { type Demand, joined, publishedRequirement, type Terms } from "../../../src/decide/published-requirement.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";
import type { DaneFacts, MtaStsFacts } from "../../../src/mail/published.ts";
import { opportunistic } from "../../../src/mail/tls-requirement.ts";

const MX = "mx1.hoster.example";
const terms: Terms = { minVersion: "TLSv1.2", trust: { id: "acme-ca" }, mtaSts: "honour" };
const base = MX as DomainName;
const records = [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32) }];

const DANE: Readonly<Record<string, DaneFacts>> = {
  unknown: { kind: "unknown", detail: "SERVFAIL" },
  usable: { kind: "usable", base, names: [MX, "acme.example"], records },
  unusable: { kind: "unusable", base },
  none: { kind: "none", why: "absent" },
  insecure: { kind: "none", why: "insecure" },
};
const policy = (mode: "enforce" | "testing" | "none", mx: string[] = [MX]): MtaStsFacts => ({
  kind: "policy",
  domain: "acme.example" as DomainName,
  id: "1",
  mode,
  mx,
  expiresAt: 0,
});
const STS: Readonly<Record<string, MtaStsFacts>> = {
  unknown: { kind: "unknown", detail: "time-out" },
  none: { kind: "none" },
  unavailable: { kind: "unavailable", result: "sts-webpki-invalid", detail: "self-signed" },
  enforce: policy("enforce"),
  wildcard: policy("enforce", ["*.hoster.example"]),
  others: policy("enforce", ["mx2.hoster.example", "*.other.example"]),
  testing: policy("testing", []),
  off: policy("none", []),
};

/** One word for each outcome, so that the table below can be read. */
function word(dane: string, sts: string, mtaSts: Terms["mtaSts"] = "honour"): string {
  const result = publishedRequirement(MX, { dane: DANE[dane]!, mtaSts: STS[sts]! }, { ...terms, mtaSts });
  if ("waits" in result) return `waits: ${result.waits}`;
  const { requirement, by, servername } = result;
  if (requirement.level === "opportunistic") return by.length === 0 ? "nothing" : "by nothing";
  const checks = requirement.checks.map((check) => check.by).join("+") || "TLS";
  return `${checks} for ${by.join("+")}${servername === undefined ? "" : ", SNI"}`;
}

describe("what is published demands", () => {
  it.each([
    // DANE       MTA-STS        demanded
    ["usable", "enforce", "dane for dane, SNI", "DANE wins [RFC 8461 §2]"],
    ["usable", "others", "dane for dane, SNI", "DANE wins, also over a policy without the host [RFC 8461 §2]"],
    ["usable", "unknown", "dane for dane, SNI", "MTA-STS does not count beside DANE [RFC 8461 §2]"],
    ["usable", "none", "dane for dane, SNI", "records to match [RFC 7672 §2.2]"],
    ["unusable", "none", "TLS for dane, SNI", "encrypt, unauthenticated [RFC 7672 §2.2]"],
    ["unusable", "testing", "TLS for dane, SNI", "a policy in testing takes nothing away [RFC 8461 §5]"],
    ["unusable", "enforce", "pkix for dane+mta-sts, SNI", "MTA-STS adds to it"],
    ["unusable", "others", "waits: mx-not-in-policy", "MTA-STS adds to it, and forbids the host"],
    ["unusable", "unknown", "waits: dns-failed", "what may be added is not known"],
    ["unknown", "none", "waits: dnssec-invalid", "a failed look-up is not a no [RFC 7672 §2.1.1]"],
    ["unknown", "enforce", "waits: dnssec-invalid", "nor does MTA-STS stand in for it [RFC 8461 §2]"],
    ["none", "none", "nothing", "nothing"],
    ["insecure", "none", "nothing", "insecure DNS has no DANE [RFC 7672 §2.2]"],
    ["insecure", "enforce", "pkix for mta-sts", "a policy needs no DNSSEC [RFC 8461 §1]"],
    ["none", "enforce", "pkix for mta-sts", "a valid certificate with the host's name [RFC 8461 §4.2]"],
    ["none", "wildcard", "pkix for mta-sts", "a wildcard names the host [RFC 8461 §4.1]"],
    ["none", "others", "waits: mx-not-in-policy", "the host is not in the policy [RFC 8461 §4.1]"],
    ["none", "testing", "nothing", "testing asks for nothing [RFC 8461 §5]"],
    ["none", "off", "nothing", "mode none asks for nothing [RFC 8461 §5]"],
    ["none", "unavailable", "nothing", "announced, but not to be had, counts as none [RFC 8461 §3.3]"],
    ["none", "unknown", "waits: dns-failed", "a failed look-up is not a no"],
  ])("DANE %s, MTA-STS %s: %s (%s)", (dane, sts, expected) => expect(word(dane, sts)).toBe(expected));

  it.each([
    ["none", "unavailable", "waits: sts-webpki-invalid"],
    ["unusable", "unavailable", "waits: sts-webpki-invalid"],
    ["usable", "unavailable", "dane for dane, SNI"],
    ["none", "none", "nothing"],
    ["none", "testing", "nothing"],
    ["none", "enforce", "pkix for mta-sts"],
  ])("with mta_sts: require, DANE %s, MTA-STS %s: %s", (dane, sts, expected) =>
    expect(word(dane, sts, "require")).toBe(expected),
  );

  it("what was not asked demands nothing", () =>
    expect(publishedRequirement(MX, {}, terms)).toEqual({ requirement: opportunistic, by: [] }));

  it("names records, names and authorities to judge by: the partner's own `ca` also for MTA-STS", () => {
    expect(publishedRequirement(MX, { dane: DANE["usable"]! }, terms)).toMatchObject({
      requirement: {
        level: "mandatory",
        minVersion: "TLSv1.2",
        checks: [{ by: "dane", records, names: [MX, "acme.example"] }],
      },
      servername: MX,
    });
    expect(publishedRequirement(MX, { mtaSts: STS["enforce"]! }, terms)).toMatchObject({
      requirement: { checks: [{ by: "pkix", trustId: "acme-ca", names: [{ host: MX }] }] },
    });
  });

  it("a wait says why", () => {
    expect(publishedRequirement(MX, { dane: DANE["unknown"]! }, terms)).toMatchObject({ detail: "SERVFAIL" });
    expect(publishedRequirement(MX, { mtaSts: STS["others"]! }, terms)).toMatchObject({
      detail: `${MX} is not among the hosts that the MTA-STS policy of acme.example permits (mx2.hoster.example, *.other.example)`,
    });
  });
});

it("Requirements only add up; nothing published, cached or sent along weakens one", () => {
  const strict: Demand = {
    requirement: { level: "mandatory", minVersion: "TLSv1.3", checks: [{ by: "fingerprint", pins: [] }] },
    by: [],
  };
  for (const dane of [undefined, ...Object.values(DANE)]) {
    for (const mtaSts of [undefined, ...Object.values(STS)]) {
      const published = publishedRequirement(MX, { ...(dane && { dane }), ...(mtaSts && { mtaSts }) }, terms);
      const both = joined(strict, published);
      if ("waits" in both) expect(published).toBe(both);
      else
        expect(both.requirement).toMatchObject({
          level: "mandatory",
          minVersion: "TLSv1.3",
          checks: expect.arrayContaining([{ by: "fingerprint", pins: [] }]),
        });
    }
  }
});
