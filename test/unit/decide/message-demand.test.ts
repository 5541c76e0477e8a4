import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Target } from "../../../src/decide/decide.ts";
import { tlsUse } from "../../../src/decide/demand.ts";
import { asksFor, type Demands, demandsOn, fullDemand } from "../../../src/decide/message-demand.ts";
import type { Published } from "../../../src/decide/published-requirement.ts";
import type { MessageDemands } from "../../../src/mail/demands.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";
import type { TlsLevel, TlsRequirement } from "../../../src/mail/tls-requirement.ts";
import { delivery, facts } from "../spine/fixtures.ts";
import { tls } from "./policies.ts";

const MX = "mx1.hoster.example";
const mx: Target = { host: MX, route: "mx", learnedFromMx: true, recipientDomain: "acme.example" };
const records = [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32) }];
const usable: Published = { dane: { kind: "usable", base: MX as DomainName, names: [MX], records } };
const unknown: Published = { dane: { kind: "unknown", detail: "SERVFAIL" } };

function on(level: TlsLevel, own: MessageDemands = {}, requireTls = false, honour = false): Demands {
  const envelope = { ...facts.envelope, mail: { ...facts.envelope.mail, requireTls } };
  const message = { ...facts, envelope, demands: own };
  return demandsOn(delivery({ message }), tls({ level, tlsRequiredNo: honour ? "honour" : "ignore" }));
}

function word(demands: Demands, published: Published): string {
  const demand = fullDemand(demands, mx, published);
  if ("waits" in demand) return `waits: ${demand.waits}`;
  const checks = demand.requirement.level === "mandatory" ? demand.requirement.checks : [];
  return [tlsUse(demands.tls, demand), ...checks.map(({ by }) => by), `by ${demand.by.join("+") || "policy"}`].join(
    " ",
  );
}

const REQUIRETLS = [{}, true] as const;
const rule = (level: TlsLevel): MessageDemands => ({ rules: [{ name: "r", tls: { level } }] });

describe("what a message demands beside its policy", () => {
  it.each<[string, Demands, Published, string]>([
    ["nothing", on("encrypt"), {}, "required by policy"],
    ["REQUIRETLS at level may [RFC 8689 §4.2.1]", on("may", ...REQUIRETLS), {}, "required pkix by message"],
    ["REQUIRETLS where the policy uses no TLS", on("none", ...REQUIRETLS), {}, "required pkix by message"],
    [
      "REQUIRETLS met by usable TLSA records",
      on("encrypt", ...REQUIRETLS),
      usable,
      "required dane dane by dane+message",
    ],
    ["REQUIRETLS at a level that names the peer", on("secure", ...REQUIRETLS), {}, "required pkix by message"],
    ["an alias", on("encrypt", { alias: true }), {}, "required pkix by message"],
    ["an alias, and what is published is unknown", on("none", { alias: true }), unknown, "waits: dnssec-invalid"],
    ["a rule", on("may", rule("encrypt")), {}, "required by rule"],
    ["a rule of the same level", on("verify", rule("verify")), {}, "required pkix by rule"],
    ["a rule beside another level", on("verify", rule("secure")), {}, "required pkix pkix by rule"],
    ["a rule for DANE where there is none", on("may", rule("dane-only")), {}, "waits: dane-required"],
    ["TLS-Required: No that is not honoured", on("encrypt", { tlsRequiredNo: true }), unknown, "waits: dnssec-invalid"],
    [
      "TLS-Required: No lifts what is published",
      on("may", { tlsRequiredNo: true }, false, true),
      unknown,
      "if-offered by policy",
    ],
    [
      "TLS-Required: No never lifts the level",
      on("encrypt", { tlsRequiredNo: true }, false, true),
      usable,
      "required by policy",
    ],
    [
      "nor the level that what is published is",
      on("dane-only", { tlsRequiredNo: true }, false, true),
      usable,
      "required dane by dane",
    ],
    [
      "nor an alias",
      on("may", { tlsRequiredNo: true, alias: true }, false, true),
      usable,
      "required dane by dane+message",
    ],
    [
      "and counts for nothing beside REQUIRETLS",
      on("may", { tlsRequiredNo: true }, true, true),
      unknown,
      "waits: dnssec-invalid",
    ],
  ])("%s", (_, demands, published, expected) => expect(word(demands, published)).toBe(expected));

  it("counts for the recipients that the rule matched, and no others", () => {
    const rules = [{ name: "r", positions: [1], tls: { level: "authenticated" } }] as const;
    const [first, second] = facts.envelope.recipients;
    const of = (recipient: typeof first) =>
      demandsOn(delivery({ message: { ...facts, demands: { rules } }, recipients: [recipient!] }), tls()).added.length;
    expect([of(first), of(second)]).toEqual([0, 1]);
  });
  it("is looked up, also where the policy alone asks for nothing", () => {
    expect(asksFor([on("none")])).toEqual({ dane: false, mtaSts: false });
    expect(asksFor([on("none", { alias: true })])).toEqual({ dane: true, mtaSts: true });
    expect(asksFor([on("secure", { alias: true })])).toEqual({ dane: false, mtaSts: false });
    expect(asksFor([on("may", { tlsRequiredNo: true }, false, true)])).toEqual({ dane: false, mtaSts: false });
  });
  it("raises the least version, never lowers it", () => {
    const least = (minVersion: "TLSv1.2" | "TLSv1.3") => {
      const demand = fullDemand(
        on("encrypt", { rules: [{ name: "r", tls: { level: "encrypt", minVersion } }] }),
        mx,
        {},
      );
      return "waits" in demand || demand.requirement.level === "opportunistic" ? "" : demand.requirement.minVersion;
    };
    expect([least("TLSv1.3"), least("TLSv1.2")]).toEqual(["TLSv1.3", "TLSv1.2"]);
  });
});

const LEVELS: readonly TlsLevel[] = [
  "none",
  "may",
  "encrypt",
  "authenticated",
  "dane-only",
  "verify",
  "secure",
  "fingerprint",
];
const PUBLISHED: readonly Published[] = [
  {},
  usable,
  unknown,
  { dane: { kind: "none", why: "absent" }, mtaSts: { kind: "none" } },
  { dane: { kind: "unusable", base: MX as DomainName } },
];

const checksOf = (requirement: TlsRequirement) => (requirement.level === "mandatory" ? requirement.checks : []);

it("a demand of a message only ever adds: nothing that the policy demands is gone", () =>
  fc.assert(
    fc.property(
      fc.constantFrom(...LEVELS),
      fc.constantFrom(...PUBLISHED),
      fc.boolean(),
      fc.boolean(),
      fc.array(fc.constantFrom<TlsLevel>("encrypt", "authenticated", "verify", "secure", "dane-only"), {
        maxLength: 3,
      }),
      (level, published, requireTls, alias, rules) => {
        const own = {
          ...(alias && { alias: true as const }),
          rules: rules.map((of) => ({ name: of, tls: { level: of } })),
        };
        const alone = fullDemand(on(level), mx, published);
        const both = fullDemand(on(level, own, requireTls), mx, published);
        expect("waits" in both).toBe("waits" in alone || "waits" in both);
        if ("waits" in alone || "waits" in both) return;
        expect(checksOf(both.requirement)).toEqual(expect.arrayContaining([...checksOf(alone.requirement)]));
        expect([both.requirement.level, alone.requirement.level]).not.toEqual(["opportunistic", "mandatory"]);
      },
    ),
    { numRuns: 200 },
  ));
