import { describe, expect, it } from "vitest";
import { literalOf, matchesGlob } from "../../../src/mail/glob.ts";
import type { Rule } from "../../../src/decide/policy.ts";
import { applyRules, rulesAbout } from "../../../src/decide/rules.ts";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import { UNTOUCHED } from "../../../src/mail/treatment.ts";
import { origin, outbound, policy } from "./policies.ts";

function rule(when: Rule["when"], effects: Rule["effects"] = { tls: { level: "authenticated" } }, name = "r"): Rule {
  return { name, when, effects, origin };
}

const FIELDS = ["From: Anna <anna@hr.example.org>", "Subject: [tls] Hello", "Sensitivity: Company-Confidential"];

function ruled(
  rules: readonly Rule[],
  over: { fields?: readonly string[]; sender?: string; recipients?: readonly string[] } = {},
) {
  const {
    fields = FIELDS,
    sender = "anna@hr.example.org",
    recipients = ["bea@acme.example", "cas@other.example"],
  } = over;
  return applyRules(policy({ rules, ownDomains: [own] }), {
    header: Buffer.from(`${fields.join("\r\n")}\r\n\r\n`),
    reversePath: sender === "" ? null : parseMailbox(sender)!,
    recipients: recipients.map((address, position) => ({ position, mailbox: parseMailbox(address)! })),
  });
}
const own = { domain: "example.org", outbound: outbound(), dkim: [], smime: [], tlsOnlyAlias: "secure.example.org" };
const names = (...given: Parameters<typeof ruled>) => ruled(...given).demands?.rules?.map(({ name }) => name) ?? [];

describe("patterns", () => {
  it.each([
    ["*", "", true],
    ["*@hr.example.org", "ANNA@HR.example.org", true],
    ["*@hr.example.org", "anna@hr.example.org.evil", false],
    ["a?c", "abc", true],
    ["a?c", "ac", false],
    ["a*b*c", "a--b--c", true],
    ["a*b*c", "a--c--b", false],
    ["*ab", "aab", true],
    ["ab*ab", "ab", false],
    ["ab*ab", "abab", true],
    ["*?x*", "xx", true],
    ["[tls]*", "[TLS] hello", true],
    ["[tls]*", "t", false],
    ["", "", true],
    ["", "a", false],
    ["*a*a*a*a*a*a*a*a*a*b", "a".repeat(100_000), false],
    ["*b?d*", "abcd", true],
    ["*b?d*", "abc", false],
    ["a?", "bc", false],
    ["caf\u00e9*", "Cafe\u0301 au lait", true],
  ])("%j on %j: %j", (pattern, text, expected) => expect(matchesGlob(pattern, text)).toBe(expected));
  it.each([
    ["[tls]*", "[tls]"],
    ["*urgent?*", "urgent"],
    ["*", ""],
  ])("the text of %j is %j", (pattern, text) => expect(literalOf(pattern)).toBe(text));
});

describe("conditions", () => {
  it.each<[string, Rule["when"], boolean]>([
    ["the envelope sender", { sender: ["*@hr.example.org"] }, true],
    ["another sender", { sender: ["*@sales.example.org"] }, false],
    ["one of several senders", { sender: ["x@x", "anna@*"] }, true],
    ["the author", { from: ["anna@*"] }, true],
    ["another author", { from: ["bob@*"] }, false],
    ["a recipient", { recipient: ["*@acme.example"] }, true],
    ["no recipient", { recipient: ["*@nobody.example"] }, false],
    ["the subject", { subject: ["[tls]*"] }, true],
    ["another subject", { subject: ["[no]*"] }, false],
    ["a header field", { header: { sensitivity: ["company-confidential"] } }, true],
    ["a field of another value", { header: { sensitivity: ["private"] } }, false],
    ["a field that is not there", { header: { "x-none": ["*"] } }, false],
    ["all of them", { sender: ["*"], subject: ["*"], header: { sensitivity: ["*"] } }, true],
    ["all but one", { sender: ["*"], subject: ["*"], header: { sensitivity: ["no"] } }, false],
    ["outgoing mail", { direction: "outbound", sender: ["*"] }, true],
    ["incoming mail", { direction: "inbound", sender: ["*"] }, false],
  ])("%s", (_, when, matches) => expect(names([rule(when)])).toEqual(matches ? ["r"] : []));

  it("the null sender is the empty text, and no pattern of an address", () => {
    expect(names([rule({ sender: [""] })], { sender: "" })).toEqual(["r"]);
    expect(names([rule({ sender: ["*@*"] })], { sender: "" })).toEqual([]);
  });
  it.each([
    ["=?utf-8?B?W3Rsc10gR3LDvMOfZQ==?=", "[tls] grüße"],
    ["=?iso-8859-1?Q?[tls]_Gr=FC=DFe?=", "[tls]*grüße"],
  ])("a subject is read as people do: %s [RFC 2047]", (subject, glob) =>
    expect(names([rule({ subject: [glob] })], { fields: [`Subject: ${subject}`] })).toEqual(["r"]),
  );
  it("every author counts, and an author that cannot be read with certainty matches", () => {
    const from = (field: string) => names([rule({ from: ["boss@*"] })], { fields: [field] });
    expect(from("From: a@example.org, Boss <boss@example.org>")).toEqual(["r"]);
    expect(from("From: <<boss>@")).toEqual(["r"]);
    expect(from("From: a@example.org")).toEqual([]);
  });
});

it("a rule can be about a recipient unless it names others, or is for incoming mail", () => {
  const about = (when: Rule["when"]) => rulesAbout([rule(when)], parseMailbox("bea@acme.example")!).length === 1;
  expect([
    about({ sender: ["x"] }),
    about({ recipient: ["*@acme.example"] }),
    about({ recipient: ["*@other.example"] }),
    about({ direction: "inbound" }),
  ]).toEqual([true, true, false, false]);
});

describe("an author who cannot be read with certainty", () => {
  const unread = { fields: ["From: Anna <anna@hr.example.org", "Subject: x"] };
  const about = (effects: Rule["effects"]) => ruled([rule({ from: ["*@hr.example.org"] }, effects)], unread);
  const smime = { sign: "if-possible", encrypt: "if-known", format: "detached", tripleWrap: false } as const;
  const strict = { ...UNTOUCHED, smime };
  it("is under the TLS demands of every rule, and its refusals", () => {
    expect(about({ tls: { level: "authenticated" } }).demands?.rules).toHaveLength(1);
    expect(about({ refuse: "No" }).refused?.rule).toBe("r");
  });
  it.each([
    ["lowered", { sign: "never", encrypt: "never" }, smime],
    ["raised", { sign: "always", encrypt: "always" }, { ...smime, sign: "always", encrypt: "always" }],
  ] as const)("has no S/MIME %s that a rule does not raise", (_, said, expected) =>
    expect(about({ smime: said }).treatment(0, strict).smime).toEqual(expected),
  );
  it.each([
    ["From: Anna <anna@secure.example.org", true],
    ["From: Anna <anna@example.org", undefined],
  ])("%s: alias %j, as far as it is named there", (field, expected) =>
    expect(ruled([], { fields: [field] }).demands?.alias).toBe(expected),
  );
  it("has nothing to do with an alias where none is configured", () => {
    const message = { header: Buffer.from("From: <a@secure.example.org\r\n\r\n"), reversePath: null, recipients: [] };
    const { tlsOnlyAlias: _, ...plain } = own;
    expect(applyRules(policy({ ownDomains: [plain] }), message).demands).toBeUndefined();
  });
});

describe("what rules ask", () => {
  it("adds up for TLS, for the recipients that match", () => {
    const { demands } = ruled([
      rule({ sender: ["*"] }, { tls: { level: "encrypt", minVersion: "TLSv1.3" } }, "a"),
      rule({ recipient: ["*@acme.example"] }, { tls: { level: "authenticated" } }, "b"),
    ]);
    expect(demands?.rules).toEqual([
      { name: "a", tls: { level: "encrypt", minVersion: "TLSv1.3" } },
      { name: "b", positions: [0], tls: { level: "authenticated" } },
    ]);
  });
  it("is refused by the first that refuses, with its sentence", () =>
    expect(
      ruled([rule({ sender: ["*"] }), rule({ subject: ["*"] }, { refuse: "Not from here" }, "no")]).refused,
    ).toEqual({
      rule: "no",
      text: "Not from here",
    }));
  it("of S/MIME comes from the first rule that says it, over the partner", () => {
    const { treatment } = ruled([
      rule({ recipient: ["bea@*"] }, { smime: { sign: "always" } }),
      rule({ recipient: ["*"] }, { smime: { sign: "never", encrypt: "always" } }),
    ]);
    const of = (position: number) => treatment(position, UNTOUCHED).smime;
    expect([of(0).sign, of(0).encrypt, of(1).sign]).toEqual(["always", "always", "never"]);
  });
  it("of a subject tag names the text that matched", () => {
    const tagged = rule({ subject: ["[tls]*"], recipient: ["bea@*"] }, { removeSubjectTag: true });
    const { treatment } = ruled([tagged]);
    expect(treatment(0, UNTOUCHED).headers.subjectTags).toEqual(["[tls]"]);
    expect(treatment(1, UNTOUCHED)).toBe(UNTOUCHED);
  });
});

describe("what a message demands by itself", () => {
  it.each([
    ["TLS-Required: No", true],
    ["tls-required:  no ", true],
    ["TLS-Required: Yes", undefined],
    ["TLS-Required: No\r\nTLS-Required: No", undefined],
    ["X: 1", undefined],
  ])("%j [RFC 8689 §3]", (field, expected) =>
    expect(ruled([], { fields: ["From: a@example.org", field] }).demands?.tlsRequiredNo).toBe(expected),
  );
  it.each([
    ["anna@secure.example.org", "From: anna@example.org", true],
    ["anna@example.org", "From: anna@secure.example.org", true],
    ["anna@example.org", "From: anna@example.org", undefined],
    ["anna@sub.secure.example.org", "From: anna@example.org", undefined],
    ["", "From: anna@secure.example.org", true],
    ["", "X: 1", undefined],
  ])("sent by %s, %s: alias %j", (sender, from, expected) =>
    expect(ruled([], { sender, fields: [from] }).demands?.alias).toBe(expected),
  );
  it("nothing, as a rule", () => expect(ruled([]).demands).toBeUndefined());
});
