import { describe, expect, it } from "vitest";
import { laneOn, onCourse, policyName } from "../../../src/decide/course.ts";
import type { LadderStep, NextHop, Rule } from "../../../src/decide/policy.ts";
import type { Delivery } from "../../../src/mail/delivery.ts";
import { delivery, facts } from "../spine/fixtures.ts";
import { origin, outbound, tls } from "./policies.ts";

const hop = (host: string): NextHop => ({ kind: "host", host, port: 25, implicitTls: false });
const backup: LadderStep = { kind: "next-hop", nextHop: [hop("backup.example")], lifetimeMs: 1 };
const smime: LadderStep = { kind: "smime", approvedBy: "boss@example.org", lifetimeMs: 1 };
const rule: Rule = { name: "away", when: {}, effects: { nextHop: [hop("rule.example")] }, origin };
const ruled: Partial<Delivery> = { message: { ...facts, demands: { rules: [{ name: "away" }] } } };
const secure = outbound({ tls: tls({ level: "secure", match: [{ host: "a.example" }] }), onExpiry: [backup] });

const wayOf = (over: Partial<Delivery>, policy = secure, rules: readonly Rule[] = [rule]) =>
  onCourse(delivery(over), policy, rules).nextHop.map((one) => (one.kind === "host" ? one.host : one.kind));

describe("the way that mail takes", () => {
  it("is the policy's, which is left as it is", () => expect(onCourse(delivery(), secure, [rule])).toBe(secure));
  it.each<[string, Partial<Delivery>, string]>([
    ["a rule's", ruled, "rule.example"],
    ["a step's, before a rule's", { ...ruled, course: { step: 1 } }, "backup.example"],
    ["a person's, before all", { ...ruled, course: { step: 1, route: hop("person.example") } }, "person.example"],
    [
      "a rule's for others only",
      { message: { ...facts, demands: { rules: [{ name: "away", positions: [7] }] } } },
      "mx",
    ],
    ["a step's that the ladder of now no longer has", { course: { step: 4 } }, "mx"],
  ])("%s", (_, over, host) => expect(wayOf(over)).toEqual([host]));
  it("is the policy's again when the rule is gone", () => expect(wayOf(ruled, secure, [])).toEqual(["mx"]));
  it("never changes a demand", () =>
    expect(onCourse(delivery({ course: { step: 1 } }), secure, []).tls).toBe(secure.tls));
});

describe("what S/MIME had to do to it", () => {
  const always = { sign: "always", encrypt: "always", format: "detached", tripleWrap: false } as const;
  const strict = outbound({ treatment: { ...outbound().treatment, smime: always } });
  const exempting = (name: string): Rule => ({ ...rule, name, effects: { smime: { encrypt: "never" } } });
  const smimeOf = (over: Partial<Delivery>, rules: readonly Rule[]) =>
    onCourse(delivery(over), strict, rules).treatment.smime;
  it("is what the rule said that let it be stored so: it does not wait for what its policy alone demands", () =>
    expect(smimeOf(ruled, [exempting("away")])).toEqual({ ...always, encrypt: "never" }));
  it("comes from the first rule that says it", () => {
    const first: Rule = { ...rule, name: "first", effects: { smime: { encrypt: "if-known" } } };
    const message = { ...facts, demands: { rules: [{ name: "first" }, { name: "away" }] } };
    expect(smimeOf({ message }, [exempting("away"), first])).toEqual({ ...always, encrypt: "if-known" });
  });
  it.each<[string, Partial<Delivery>, readonly Rule[]]>([
    ["without a rule", {}, [exempting("away")]],
    ["when the rule is gone", ruled, []],
    [
      "where the rule is for others",
      { message: { ...facts, demands: { rules: [{ name: "away", positions: [7] }] } } },
      [exempting("away")],
    ],
  ])("is the policy's %s", (_, over, rules) => expect(smimeOf(over, rules)).toEqual(always));
});

describe("a message that the S/MIME step has made", () => {
  const made = (encrypted: boolean) =>
    delivery({
      message: {
        ...facts,
        fallback: { of: "x", approvedBy: "boss@example.org" },
        contents: [{ size: 1, smime: { signed: false, encrypted } }],
      },
    });
  const laddered = outbound({ tls: secure.tls, onExpiry: [smime] });
  it("goes over plain TLS, as an exception with who approved it", () =>
    expect(onCourse(made(true), laddered, [])).toMatchObject({
      source: "exception",
      tls: { level: "encrypt", match: [] },
      exception: { approvedBy: "boss@example.org" },
    }));
  it("names the line of the ladder that lets it go so", () => {
    const at = { file: "acme.yaml", line: 7, column: 3 };
    const origins = { on_expiry: at };
    expect(onCourse(made(true), { ...laddered, origins }, []).exception?.origin).toEqual(at);
  });
  it.each([
    ["acme", {}, "acme"],
    [null, {}, ""],
    ["acme", { level: "encrypt" }, "acme/at encrypt"],
    [null, { level: "encrypt" }, "/at encrypt"],
    ["acme", { tlsRequiredNo: true }, "acme/tls-required-no"],
    [null, { level: "encrypt", tlsRequiredNo: true }, "/at encrypt/tls-required-no"],
  ])("is closed apart by TLS: %j at %j is %j", (partner, less, name) => expect(policyName(partner, less)).toBe(name));
  it("goes over TLS also while its policy is only reported", () => {
    const reported = outbound({ tls: secure.tls, onExpiry: [smime], mode: "report", reportEndsAt: 1 });
    expect(onCourse(made(true), reported, [])).toMatchObject({ mode: "enforce", tls: { level: "encrypt" } });
  });
  it.each([
    ["that is not encrypted", made(false), laddered],
    ["whose step the ladder of now no longer has", made(true), secure],
  ])("%s keeps the whole level", (_, message, policy) => expect(onCourse(message, policy, []).tls).toBe(secure.tls));
  it.each([
    ["may", "encrypt"],
    ["none", "none"],
  ] as const)("needs TLS at least: level %s is %s then", (level, expected) => {
    const policy = outbound({ tls: tls({ level }), onExpiry: [smime] });
    expect(onCourse(made(true), policy, []).tls.level).toBe(expected);
  });
  it.each<[string, Delivery, string]>([
    ["what goes as the rest of its domain is claimed by it", delivery(), "acme.example"],
    ["what goes elsewhere, apart", delivery({ course: { step: 1 } }), "acme.example via [backup.example]:25"],
    [
      "what a person has sent to its own MX, too",
      delivery({ course: { route: { kind: "mx" } } }),
      "acme.example via acme.example",
    ],
    ["what needs less, apart", made(true), "acme.example at encrypt"],
    [
      "what goes elsewhere and needs less, apart from both",
      { ...made(true), course: { step: 1 } },
      "acme.example via [backup.example]:25 at encrypt",
    ],
    [
      "what asks to be sent without what its domain publishes, apart, whether or not that is honoured now",
      delivery({ message: { ...facts, demands: { tlsRequiredNo: true } }, course: { step: 1 } }),
      "acme.example via [backup.example]:25 tls-required-no",
    ],
    [
      "what is for a partner given by address, apart from its domain on every way",
      delivery({ lane: "acme.example for joint", course: { step: 1 } }),
      "acme.example via [backup.example]:25 for joint",
    ],
  ])("%s", (_, on, lane) => {
    const policy = outbound({ tls: secure.tls, onExpiry: [backup, smime] });
    expect(laneOn(on, policy, [])).toBe(lane);
  });
});
