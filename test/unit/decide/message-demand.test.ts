import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Target } from "../../../src/decide/decide.ts";
import { tlsUse } from "../../../src/decide/demand.ts";
import {
  asksFor,
  demandedBy,
  type Demands,
  demandsOn,
  fullDemand,
  reportDemands,
} from "../../../src/decide/message-demand.ts";
import type { FullDemand, Published, Waits } from "../../../src/decide/published-requirement.ts";
import type { MessageDemands } from "../../../src/mail/demands.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";
import { isAtLeast, type TlsLevel, type TlsRequirement } from "../../../src/mail/tls-requirement.ts";
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
    ["a rule that has no TLS in it", on("may", { rules: [{ name: "r" }] }), {}, "if-offered by policy"],
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
      "nor where it may be",
      on("authenticated", { tlsRequiredNo: true }, false, true),
      unknown,
      "waits: dnssec-invalid",
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
  it.each<[TlsLevel, MessageDemands, TlsLevel]>([
    ["may", {}, "may"],
    ["may", { alias: true }, "authenticated"],
    ["none", rule("encrypt"), "encrypt"],
    ["secure", { alias: true }, "secure"],
    ["encrypt", { rules: [...rule("secure").rules!, ...rule("encrypt").rules!] }, "secure"],
  ])("level %s with %j is %s in all", (level, own, all) => expect(demandedBy(on(level, own)).level).toBe(all));
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

const owns = fc.record({
  requireTls: fc.boolean(),
  alias: fc.boolean(),
  wished: fc.boolean(),
  rules: fc.array(
    fc.record({
      level: fc.constantFrom<TlsLevel>("encrypt", "authenticated", "verify", "secure", "dane-only"),
      minVersion: fc.constantFrom("TLSv1.2" as const, "TLSv1.3" as const),
    }),
    { maxLength: 3 },
  ),
});
type Own = typeof owns extends fc.Arbitrary<infer T> ? T : never;

/** The demands of such a message; `honour` where the policy lets it lift what is published. */
function demanding(level: TlsLevel, { requireTls, alias, wished, rules }: Own, honour = false): Demands {
  const own = {
    ...(alias && { alias: true as const }),
    ...(wished && { tlsRequiredNo: true as const }),
    rules: rules.map((tls, at) => ({ name: `r${at}`, tls })),
  };
  return on(level, own, requireTls, honour);
}

/** Whatever meets `more` meets `less`: nothing that it demands is gone. */
function holds(more: FullDemand | Waits, less: FullDemand | Waits): void {
  if ("waits" in more) return; // nothing is sent at all
  expect("waits" in less).toBe(false);
  if ("waits" in less || less.requirement.level === "opportunistic") return;
  expect(more.requirement.level).toBe("mandatory");
  expect(checksOf(more.requirement)).toEqual(expect.arrayContaining([...checksOf(less.requirement)]));
  const least = more.requirement.level === "mandatory" ? more.requirement.minVersion : "";
  expect(isAtLeast(least, less.requirement.minVersion)).toBe(true);
}

const whatever = [fc.constantFrom(...LEVELS), fc.constantFrom(...PUBLISHED), owns] as const;

describe("for whatever message and policy", () => {
  it("a demand of the message only adds to the policy's", () =>
    fc.assert(
      fc.property(...whatever, (level, published, own) =>
        holds(fullDemand(demanding(level, own), mx, published), fullDemand(on(level), mx, published)),
      ),
      { numRuns: 300 },
    ));
  it("each demand that is added leaves those that were there", () =>
    fc.assert(
      fc.property(...whatever, fc.boolean(), (level, published, own, honour) => {
        const before = { ...own, requireTls: false, alias: false, rules: own.rules.slice(1) };
        holds(
          fullDemand(demanding(level, own, honour), mx, published),
          fullDemand(demanding(level, before, honour), mx, published),
        );
      }),
      { numRuns: 300 },
    ));
  it("report mode lets go of the policy's level alone, never of what the message demands", () =>
    fc.assert(
      fc.property(...whatever, (level, published, own) =>
        holds(
          fullDemand(reportDemands(demanding(level, own)), mx, published),
          fullDemand(demanding(level === "none" ? "none" : "may", own), mx, published),
        ),
      ),
      { numRuns: 300 },
    ));
});
