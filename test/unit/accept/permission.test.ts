import { describe, expect, it } from "vitest";
import { fromMailboxes } from "../../../src/mail/from-field.ts";
import { maySend, permitsOf } from "../../../src/accept/permission.ts";
import { matchesGlob } from "../../../src/mail/glob.ts";
import type { ListenerSettings } from "../../../src/accept/settings.ts";
import { formatMailbox, parseMailbox } from "../../../src/mail/mailbox.ts";

describe("the From fields", () => {
  it.each([
    ["From: a@x.example", ["a@x.example"]],
    ["From: <a@x.example>", ["a@x.example"]],
    ["From: Anna <a@x.example>", ["a@x.example"]],
    ['From: "Anna <b@y.example>" <a@x.example>', ["a@x.example"]],
    ['From: "a, b" <a@x.example>, c@z.example', ["a@x.example", "c@z.example"]],
    ["From: a@x.example (b@y.example)", ["a@x.example"]],
    ["From: (comment (nested\\)) <z@z.example>) Anna <a@x.example>", ["a@x.example"]],
    ["From: Anna\r\n <a@x.example>", ["a@x.example"]],
    ["From: team: a@x.example, b@y.example;", ["a@x.example", "b@y.example"]],
    ["From: a@x.example\r\nFROM: b@y.example", ["a@x.example", "b@y.example"]],
    ["From: a@x.example\r\nFrom  :b@y.example\r\nFrom\t: c@z.example", ["a@x.example", "b@y.example", "c@z.example"]],
    ["Subject: none", []],
    ["From: a@x.example b@y.example", undefined],
    ["From: <a@x.example> <b@y.example>", undefined],
    ["From: a@x.example <", undefined],
    ['From: "open <a@x.example>', undefined],
    ["From: (open a@x.example", undefined],
    ["From:", undefined],
    ["From: undisclosed", undefined],
  ])("%j are read as %j, or not at all", (fields, expected) =>
    expect(fromMailboxes(Buffer.from(`${fields}\r\n\r\n`))?.map(formatMailbox)).toEqual(expected),
  );
});

describe("a pattern", () => {
  it.each([
    ["*@example.org", "anna@example.org", true],
    ["*@example.org", "anna@sub.example.org", false],
    ["anna*@example.org", "anna+x@example.org", true],
    ["a?na@example.org", "anna@example.org", true],
    ["a?na@example.org", "ana@example.org", false],
    ["*", "", true],
    ["a*b*c", "a-b-b-c", true],
    ["a*b*c", "a-b-b-d", false],
    ["a.c", "abc", false],
  ])("%s on %s: %s", (pattern, text, expected) => expect(matchesGlob(pattern, text)).toBe(expected));

  it("full of stars costs no more than its length times the text", () => {
    const started = performance.now();
    expect(matchesGlob(`${"*a".repeat(500)}b`, "a".repeat(2000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe("a sender rule", () => {
  it.each([
    ["own", "a@example.org", true],
    ["own", "a@[192.0.2.1]", false],
    ["own", "a@notexample.org", false],
    ["any", "a@elsewhere.example", true],
    [["a@example.org"], "A@example.org", true],
    [[], "a@example.org", false],
  ] as const)("%j permits %s: %s", (rule, sender, expected) =>
    expect(maySend(rule, ["example.org"], parseMailbox(sender) ?? null)).toBe(expected),
  );

  it("always permits the null reverse-path [RFC 5321 §4.5.5]", () => expect(maySend([], [], null)).toBe(true));
});

describe("permits", () => {
  const listener = {
    clients: [
      { network: { address: "10.0.0.0", prefix: 8 }, normalizeBareLf: false, senders: "any" },
      { network: { address: "10.1.0.0", prefix: 16 }, normalizeBareLf: false, senders: ["x@example.org"], endsAt: 100 },
    ],
  } as unknown as ListenerSettings;

  it("come from the most precise entry, as long as it lasts", () => {
    expect(permitsOf(listener, { address: "10.1.2.3" }, 99)).toMatchObject([{ senders: ["x@example.org"] }]);
    expect(permitsOf(listener, { address: "10.1.2.3" }, 100)).toMatchObject([{ senders: "any" }]);
    expect(permitsOf(listener, { address: "192.0.2.1" }, 99)).toEqual([]);
  });

  it("for a certificate need one to be configured", () => {
    const certificate = { subject: "CN=x", sha256: "ab", names: ["x.example"] };
    expect(permitsOf(listener, { address: "192.0.2.1", certificate }, 0)).toEqual([]);
  });
});
