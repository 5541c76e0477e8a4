/** RFC 8461 §3.1, §3.2 and §4.1: records, policies and patterns are read exactly by their grammar. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MOST_POLICY_OCTETS, readPolicy } from "../../../src/connect/mta-sts-policy.ts";
import { mxMatches } from "../../../src/mail/sts-policy.ts";
import { announcedId } from "../../../src/connect/mta-sts-record.ts";
import type { StsPolicy } from "../../../src/mail/sts-policy.ts";

describe("the TXT record [RFC 8461 §3.1]", () => {
  it.each<[string, string[], string]>([
    ["with an id", ["v=STSv1; id=20160831085700Z;"], "20160831085700Z"],
    ["without the last delimiter", ["v=STSv1; id=1"], "1"],
    ["with blanks and tabs around delimiters", ["v=STSv1; \t id=1 \t; "], "1"],
    ["with an id of 32 characters", [`v=STSv1;id=${"a".repeat(32)}`], "a".repeat(32)],
    ["with extensions in any order", ["v=STSv1; x-a.b_c=1:!~; id=1; z=2"], "1"],
    ["with an id twice: the first counts [§3.2]", ["v=STSv1; id=1; id=2;"], "1"],
    ["among records of others", ["v=spf1 -all", "v=STSv1; id=1;", "v=STSv10; id=2;", "v=stsv1; id=3"], "1"],
  ])("%s announces a policy", (_, records, id) => expect(announcedId(records)).toBe(id));

  it.each<[string, string[]]>([
    ["none at all", []],
    ["two of them", ["v=STSv1; id=1;", "v=STSv1; id=1;"]],
    ["two of them, one without id", ["v=STSv1; id=1;", "v=STSv1;"]],
    ["another version", ["v=STSv2; id=1;"]],
    ["the version in other letters", ["V=STSv1; id=1;"]],
    ["a version that is not the first field", ["id=1; v=STSv1;"]],
    ["a blank before the version", [" v=STSv1; id=1;"]],
    ["a blank before the first delimiter", ["v=STSv1 ; id=1;"]],
    ["the version alone", ["v=STSv1;"]],
    ["no delimiter", ["v=STSv1"]],
    ["an empty id", ["v=STSv1; id=;"]],
    ["an id of 33 characters", [`v=STSv1; id=${"a".repeat(33)};`]],
    ["an id with a hyphen", ["v=STSv1; id=2016-08-31;"]],
    ["an id in letters of another alphabet", ["v=STSv1; id=é;"]],
    ["a wrong id before a right one [§3.2]", ["v=STSv1; id=a-b; id=1;"]],
    ["ID for id", ["v=STSv1; ID=1;"]],
    ["blanks around the equals sign", ["v=STSv1; id = 1;"]],
    ["an empty field", ["v=STSv1;; id=1;"]],
    ["two delimiters at the end", ["v=STSv1; id=1;;"]],
    ["a blank at the end without delimiter", ["v=STSv1; id=1 "]],
    ["an extension without value", ["v=STSv1; id=1; x="]],
    ["an extension with two equals signs", ["v=STSv1; id=1; x=a=b"]],
    ["an extension with a blank inside", ["v=STSv1; id=1; x=a b"]],
    ["an extension name of 33 characters", [`v=STSv1; id=1; ${"x".repeat(33)}=1`]],
    ["something that is no field", ["v=STSv1; id=1; hello"]],
    ["a line end", ["v=STSv1; id=1\n"]],
  ])("%s announces none", (_, records) => expect(announcedId(records)).toBeUndefined());
});

const octets = (text: string): Uint8Array => Buffer.from(text);
const lines = (...all: string[]): string => all.map((line) => `${line}\r\n`).join("");
const GOOD = ["version: STSv1", "mode: enforce", "mx: mail.example.com", "mx: *.example.net", "max_age: 604800"];
const READ: StsPolicy = { mode: "enforce", mx: ["mail.example.com", "*.example.net"], maxAgeSeconds: 604800 };

describe("a policy [RFC 8461 §3.2]", () => {
  it.each<[string, string, Partial<StsPolicy>]>([
    ["as in the RFC", lines(...GOOD), {}],
    ["with LF", GOOD.join("\n"), {}],
    ["with LF and CRLF mixed", `${GOOD.slice(0, 2).join("\n")}\n${lines(...GOOD.slice(2))}`, {}],
    ["without a last line end", lines(...GOOD).trimEnd(), {}],
    ["with its fields in another order", lines(...GOOD.toReversed()), { mx: ["*.example.net", "mail.example.com"] }],
    ["without blanks", lines(...GOOD.map((line) => line.replace(" ", ""))), {}],
    ["with many blanks and tabs", lines(...GOOD.map((line) => `${line.replace(" ", " \t ")} \t`)), {}],
    ["with unknown fields", lines(...GOOD, "x-1.a_b: Größe 🔒 : ok", "Version: 7"), {}],
    ["in mode testing", lines(...GOOD).replace("enforce", "testing"), { mode: "testing" }],
    [
      "in mode none, without mx",
      lines("version: STSv1", "mode: none", "max_age: 0"),
      { mode: "none", mx: [], maxAgeSeconds: 0 },
    ],
    ["in mode none, with mx", lines(...GOOD).replace("enforce", "none"), { mode: "none" }],
    ["with the longest max_age", lines(...GOOD).replace("604800", "31557600"), { maxAgeSeconds: 31_557_600 }],
    ["with leading zeros", lines(...GOOD).replace("604800", "0000604800"), {}],
    ["with fields twice: the first counts", lines(...GOOD, "mode: none", "max_age: 1", "version: STSv2"), {}],
    ["with fields twice, the second nonsense", lines(...GOOD, "mode: nonsense", "max_age: soon"), {}],
    ["with the same mx twice", lines(...GOOD, "mx: mail.example.com"), {}],
    ["with mx in capitals", lines(...GOOD).replace("mail.example.com", "Mail.EXAMPLE.com"), {}],
    ["with A-labels", lines(...GOOD, "mx: xn--mnchen-3ya.example"), { mx: [...READ.mx, "xn--mnchen-3ya.example"] }],
  ])("%s is read", (_, text, differs) => {
    expect(readPolicy(octets(text))).toEqual({ ok: true, policy: { ...READ, ...differs } });
  });

  it.each<[string, string | Uint8Array]>([
    ["empty", ""],
    ["no version", lines(...GOOD.slice(1))],
    ["no mode", lines(...GOOD.filter((line) => !line.startsWith("mode")))],
    ["no max_age", lines(...GOOD.slice(0, -1))],
    ["no mx", lines(...GOOD.filter((line) => !line.startsWith("mx")))],
    ["another version", lines(...GOOD).replace("STSv1", "STSv2")],
    ["the version in other letters", lines(...GOOD).replace("STSv1", "stsv1")],
    ["another mode", lines(...GOOD).replace("enforce", "report")],
    ["the mode in capitals", lines(...GOOD).replace("enforce", "Enforce")],
    ["field names in capitals", lines(...GOOD).replace("mode", "Mode")],
    ["a wrong mode before a right one", lines("mode: x", ...GOOD)],
    ["max_age over a year", lines(...GOOD).replace("604800", "31557601")],
    ["max_age of eleven digits", lines(...GOOD).replace("604800", "00000604800")],
    ["max_age below zero", lines(...GOOD).replace("604800", "-1")],
    ["max_age with a fraction", lines(...GOOD).replace("604800", "1.5")],
    ["max_age in other digits", lines(...GOOD).replace("604800", "٦٠")],
    ["an mx that is no name", lines(...GOOD, "mx: mail_1.example.com")],
    ["an mx in Unicode", lines(...GOOD, "mx: münchen.example")],
    ["an mx with a trailing dot", lines(...GOOD, "mx: mail.example.com.")],
    ["an mx with a star inside", lines(...GOOD, "mx: mail.*.example.com")],
    ["an mx with two stars", lines(...GOOD, "mx: *.*.example.com")],
    ["an mx with part of a label starred", lines(...GOOD, "mx: mail*.example.com")],
    ["an mx that is only a star", lines(...GOOD, "mx: *")],
    ["an mx with a leading dot", lines(...GOOD, "mx: .example.com")],
    ["an mx with a long label", lines(...GOOD, `mx: ${"a".repeat(64)}.example`)],
    ["an mx that is too long", lines(...GOOD, `mx: ${"a.".repeat(127)}aa`)],
    ["several mx in one field", lines(...GOOD, "mx: a.example, b.example")],
    ["an empty value", lines(...GOOD, "x:")],
    ["a line without colon", lines(...GOOD, "hello")],
    ["a blank line", lines(...GOOD, "", "x: y")],
    ["two line ends at the end", lines(...GOOD, "")],
    ["a blank before a field", lines(" version: STSv1", ...GOOD.slice(1))],
    ["a blank before a colon", lines(...GOOD).replace("mode:", "mode :")],
    ["a field name of 33 characters", lines(...GOOD, `${"x".repeat(33)}: y`)],
    ["a comment", lines("# our policy", ...GOOD)],
    ["CR as line end", GOOD.join("\r")],
    ["NUL", lines(...GOOD, "x: a\0b")],
    ["a tab in a value", lines(...GOOD, "x: a\tb")],
    ["HTML", "<!DOCTYPE html>\n<html></html>\n"],
    ["a byte order mark", `\ufeff${lines(...GOOD)}`],
    ["UTF-16", Buffer.from(lines(...GOOD), "utf16le")],
    ["broken UTF-8", Buffer.concat([octets(`${lines(...GOOD)}x: `), Buffer.of(0xc3, 0x28)])],
    ["a surrogate", Buffer.concat([octets(`${lines(...GOOD)}x: `), Buffer.of(0xed, 0xa0, 0x80)])],
    ["over 64 KiB", lines(...GOOD, `x: ${"y".repeat(MOST_POLICY_OCTETS)}`)],
  ])("%s is invalid", (_, text) => {
    const read = readPolicy(typeof text === "string" ? octets(text) : text);
    expect(read).toEqual({ ok: false, detail: expect.any(String) });
  });

  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
  const host = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
  const pattern = fc.tuple(fc.boolean(), host).map(([any, name]) => (any ? `*.${name}` : name));
  const blanks = fc.stringMatching(/^[ \t]{0,3}$/);

  it("is read back, however it is written", () => {
    const written = fc.record({
      policy: fc.record({
        mode: fc.constantFrom("enforce" as const, "testing" as const, "none" as const),
        mx: fc.uniqueArray(pattern, { minLength: 1, maxLength: 20 }),
        maxAgeSeconds: fc.integer({ min: 0, max: 31_557_600 }),
      }),
      before: blanks,
      after: blanks,
      end: fc.constantFrom("\n", "\r\n"),
      last: fc.boolean(),
    });
    fc.assert(
      fc.property(written, ({ policy, before, after, end, last }) => {
        const fields = [
          ["version", "STSv1"],
          ["mode", policy.mode],
          ...policy.mx.map((mx) => ["mx", mx]),
          ["max_age", String(policy.maxAgeSeconds)],
        ];
        const text = fields.map(([name, value]) => `${name}:${before}${value}${after}`).join(end) + (last ? end : "");
        expect(readPolicy(octets(text))).toEqual({ ok: true, policy });
      }),
    );
  });

  it("never throws, and what it reads is within bounds", () => {
    const piece = fc.oneof(fc.constantFrom(...GOOD, "\n", "\r\n", "\r", ":", " ", "mx: *.", "\0"), fc.string());
    const text = fc.oneof(
      fc.array(piece).map((parts) => octets(parts.join(""))),
      fc.uint8Array({ maxLength: 500 }),
    );
    fc.assert(
      fc.property(text, (bytes) => {
        const read = readPolicy(bytes);
        if (!read.ok) return;
        expect(read.policy.maxAgeSeconds).toBeLessThanOrEqual(31_557_600);
        expect(read.policy.mode === "none" || read.policy.mx.length > 0).toBe(true);
      }),
    );
  });

  it.each<[string, (size: number) => string]>([
    ["blanks", (size) => `version:${" ".repeat(size)}\x01`],
    ["tabs at the end of a line without end", (size) => `version: x${"\t".repeat(size)}\x01`],
    ["colons", (size) => ":".repeat(size)],
    ["line ends", (size) => "\r\n".repeat(size / 2)],
    ["names", (size) => "a".repeat(size)],
    ["labels", (size) => `mx: ${"a.".repeat(size / 2)}`],
    ["hyphens", (size) => `mx: a${"-".repeat(size)}`],
    ["fields", (size) => "mx: a\n".repeat(size / 6)],
  ])("takes no longer than a blink for 64 KiB of %s", (_, make) => {
    const bytes = octets(make(MOST_POLICY_OCTETS - 16));
    const start = performance.now();
    readPolicy(bytes);
    announcedId([`v=STSv1;${make(MOST_POLICY_OCTETS)}`]);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe("an MX host [RFC 8461 §4.1]", () => {
  it.each<[string, string, boolean]>([
    ["mail.example.com", "mail.example.com", true],
    ["mail.example.com", "MAIL.Example.COM", true],
    ["Mail.Example.com", "mail.example.com", true],
    ["mail.example.com", "mail.example.com.", true],
    ["mail.example.com", "example.com", false],
    ["mail.example.com", "a.mail.example.com", false],
    ["*.example.com", "mail.example.com", true],
    ["*.example.com", "example.com", false],
    ["*.example.com", "foo.bar.example.com", false],
    ["*.example.com", ".example.com", false],
    ["*.example.com", "mailexample.com", false],
    ["*.example.com", "mail.badexample.com", false],
    ["*.example.com", "*.example.com", true],
    ["*.com", "example.com", true],
    ["mail.example.com", "", false],
    ["*.", "mail.", false],
  ])("pattern %s, host %s: %s", (pattern, host, expected) => expect(mxMatches(pattern, host)).toBe(expected));
});
