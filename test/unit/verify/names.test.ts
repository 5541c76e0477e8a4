import { expect, it } from "vitest";
import type { NamePattern } from "../../../src/mail/tls-requirement.ts";
import { matchingName } from "../../../src/verify/names.ts";

const host = (name: string): NamePattern => ({ host: name });
const below = (name: string): NamePattern => ({ below: name });

it.each<[string, string, NamePattern]>([
  ["the same name", "mx.acme.example", host("mx.acme.example")],
  ["letter case does not count [RFC 4343]", "MX.Acme.Example", host("mx.acme.example")],
  ["a trailing dot does not count", "mx.acme.example.", host("mx.acme.example")],
  ["a wildcard stands for one label [RFC 6125 §6.4.3]", "*.acme.example", host("mx.acme.example")],
  ["a wildcard stands for an A-label, too", "*.acme.example", host("xn--mller-kva.acme.example")],
  ["A-labels are compared as they stand [RFC 6125 §6.4.2]", "mx.xn--mller-kva.de", host("mx.xn--mller-kva.de")],
  ["a name below, one level", "mx.acme.example", below("acme.example")],
  ["a name below, any depth", "a.b.c.acme.example", below("acme.example")],
  ["a wildcard whose names all lie below", "*.acme.example", below("acme.example")],
  ["a deeper wildcard whose names all lie below", "*.mail.acme.example", below("acme.example")],
])("matches: %s", (_, certified, pattern) => {
  expect(matchingName([certified], [pattern])).toBe(certified);
});

it.each<[string, string, NamePattern]>([
  ["another name", "mx.other.example", host("mx.acme.example")],
  ["a name that only ends alike", "notacme.example", below("acme.example")],
  ["the parent itself is not below it", "acme.example", below("acme.example")],
  ["a wildcard above the parent proves nothing below it", "*.example", below("acme.example")],
  ["a wildcard does not stand for two labels [RFC 6125 §6.4.3]", "*.acme.example", host("a.b.acme.example")],
  ["a wildcard does not stand for no label", "*.acme.example", host("acme.example")],
  ["a wildcard within a label [RFC 9525 §6.3]", "m*.acme.example", host("mx.acme.example")],
  ["a wildcard in the middle [RFC 6125 §6.4.3]", "mx.*.example", host("mx.acme.example")],
  ["two wildcards", "*.*.example", host("mx.acme.example")],
  ["a wildcard over a whole top level", "*.example", host("acme.example")],
  ["a lone star", "*", host("mx.acme.example")],
  ["a NUL within the name [CVE-2009-2408]", "mx.acme.example\0.evil.example", host("mx.acme.example")],
  ["a U-label in a dNSName", "mx.müller.de", host("mx.müller.de")],
  ["an empty name", "", host("")],
  ["an empty host under a wildcard", "*.acme.example", host(".acme.example")],
])("does not match: %s", (_, certified, pattern) => {
  expect(matchingName([certified], [pattern])).toBeUndefined();
});

it("needs any one of the names to meet any one of the patterns", () => {
  const certified = ["a.example", "b.example"];
  expect(matchingName(certified, [host("c.example"), host("b.example")])).toBe("b.example");
});

it("matches nothing where nothing is named", () => {
  expect(matchingName([], [host("a.example")])).toBeUndefined();
  expect(matchingName(["a.example"], [])).toBeUndefined();
});
