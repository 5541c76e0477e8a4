import { describe, expect, it } from "vitest";
import {
  countOwnReceived,
  isOwnAddress,
  isOwnAuthenticationResult,
  isOwnName,
  isOwnSpfResult,
  ownSide,
  tellsOfInside,
} from "../../../src/transform/own-side.ts";
import { utf8 } from "../../corpus/build.ts";
import { INSIDE_RECEIVED, OUTSIDE_RECEIVED } from "../../corpus/traces.ts";

const own = ownSide({
  hostname: "relay.gateway.example",
  domains: ["example.org", "xn--gre-6ka8l.example"],
  isClientAddress: (address) => address === "203.0.113.77" || address === "2001:db8:77::1",
});
const value = (lines: readonly string[]): string =>
  lines
    .filter((line) => !line.startsWith("X-"))
    .join("")
    .replace(/^[^:]*:/, "");

describe("a name of our own side", () => {
  it.each([
    ["relay.gateway.example", true],
    ["RELAY.Gateway.Example.", true],
    ["gateway.example", false],
    ["example.org", true],
    ["exch01.corp.example.org", true],
    ["EXCH01.EXAMPLE.ORG", true],
    ["notexample.org", false],
    ["example.org.third.example", false],
    [utf8("grüße.example"), true],
    ["mx.xn--gre-6ka8l.example", true],
    ["localhost", true],
    ["pc-anna", true],
    ["pc_17", true],
    ["unknown", false],
    ["", false],
    ["a.local", true],
    ["b.lan", true],
    ["c.internal", true],
    ["d.corp", true],
    ["e.home.arpa", true],
    ["f.localdomain", true],
    ["g.intranet", true],
    ["h.private", true],
    ["mail.local.example", false],
    ["hidden.invalid", true],
    ["third.example", false],
    [".", false],
    ["..third.example", false],
  ])("%j: %s", (name, expected) => expect(isOwnName(name, own)).toBe(expected));

  it("costs the same, however many domains are ours and however many labels a name has", () => {
    const looked: string[] = [];
    class Counted extends Set<string> {
      override has(name: string): boolean {
        looked.push(name);
        return super.has(name);
      }
    }
    const parents = new Counted(Array.from({ length: 1000 }, (_, at) => `d${at}.example`));
    const many = { ...own, parents };
    expect(isOwnName(`${"a.".repeat(100_000)}third.test`, many)).toBe(false);
    expect(looked.length).toBeLessThan(130);
    expect(isOwnName(`${"a.".repeat(100_000)}d999.example`, many)).toBe(true);
  });
});

describe("what tells of the inside", () => {
  it.each([
    ["example.org", false],
    ["Example.ORG.", false],
    ["relay.gateway.example", false],
    [utf8("grüße.example"), false],
    ["third.example", false],
    ["192.0.2.1", false],
    ["exch01.example.org", true],
    ["EXCH01", true],
    ["pc17.local", true],
    ["[10.1.1.1]", true],
    ["10.1.1.1", true],
    ["[IPv6:fd00::1]", true],
    ["[203.0.113.77]", true],
  ])("%j: %s", (host, expected) => expect(tellsOfInside(host, own)).toBe(expected));
});

describe("an address of our own side", () => {
  it.each([
    ["10.1.2.3", true],
    ["172.16.0.1", true],
    ["172.32.0.1", false],
    ["192.168.255.255", true],
    ["127.0.0.1", true],
    ["169.254.1.1", true],
    ["100.64.0.1", true],
    ["100.128.0.1", false],
    ["192.0.2.1", false],
    ["203.0.113.77", true],
    ["::1", true],
    ["fe80::1%5", true],
    ["fd12:3456::1", true],
    ["2001:db8::1", false],
    ["2001:db8:77::1", true],
    ["::ffff:10.0.0.1", true],
    ["::ffff:192.0.2.1", false],
    ["2002:a05:6402::1", false],
    ["10.1.2", false],
    ["mail.example.org", false],
  ])("%j: %s", (address, expected) => expect(isOwnAddress(address, own)).toBe(expected));
});

describe("a Received field", () => {
  it.each(INSIDE_RECEIVED)("of the inside is ours: %s", (_, lines) =>
    expect(countOwnReceived([value(lines)], own)).toBe(1),
  );
  it.each(OUTSIDE_RECEIVED)("of others is not: %s", (_, lines) =>
    expect(countOwnReceived([value(lines)], own)).toBe(0),
  );
  it.each([
    ["the gateway's own", "by relay.gateway.example (sealpost) with ESMTPS id 1 (hop 2); x", 1],
    ["written at our public name", "from third.example ([192.0.2.1]) by mx.example.org; x", 1],
    ["from our public name", "from mail.example.org ([192.0.2.1]) by mx.third.example; x", 1],
    ["from a client's address", "from third.example (third.example [203.0.113.77]) by mx.third.example; x", 1],
    [
      "that names a private address in `for` or `id` only",
      "from a.third.example by b.third.example id 10.1.1.1 for <x@[10.1.1.1]>; x",
      0,
    ],
    ["with a program's name in a comment", "from a.third.example by b.third.example (Postfix); x", 0],
    ["with a version like an address", "from a.third.example by b.third.example (Foo 10.0.0.1); x", 0],
    ["with our name in the date only", "from a.third.example by b.third.example; x (relay.gateway.example)", 0],
    ["of a client whose name nobody knows", "from unknown (unknown [192.0.2.1]) by b.third.example; x", 0],
    ["with words in quotes", 'from "pc 1" by b.third.example; x', 0],
    ["with a private address alone in a comment", "from a.third.example (10.1.1.1) by b.third.example; x", 1],
    ["with a user of ours in a comment", "from a.third.example (anna@pc.lan) by b.third.example; x", 1],
    ["from a local user", "(from root@pc.lan) by b.third.example; x", 1],
    ["with an open comment", "from a.third.example (by mx.example.org", 1],
    ["with nested comments", "from a.third.example (x (y [10.1.1.1])) by b.third.example; x", 1],
  ])("%s", (_, text, expected) => expect(countOwnReceived([text], own)).toBe(expected));

  const ours = "from pc1 by mx.example.org; x";
  const other = "from a.third.example by b.third.example; x";
  const unnamed = "(qmail 1 invoked from network); x";
  it.each([
    ["none", [], 0],
    ["up to the first that is not ours", [ours, ours, other, ours], 2],
    ["none below one that is not ours", [other, ours, ours], 0],
    ["those without names above ours", [unnamed, ours, unnamed, unnamed, ours, other], 5],
    ["not those without names above others'", [ours, unnamed, other], 1],
    ["those without names at the end", [ours, unnamed], 2],
    ["nothing but those without names", [unnamed, unnamed], 2],
  ])("counts from the top: %s", (_, values, expected) => expect(countOwnReceived(values, own)).toBe(expected));

  it("of 100 kB is read in linear time", () => {
    for (const piece of ["(", ")", ";", "[", '"', "\\", "from ", "by ", "(a", "a@", "helo ", " ", "a;(", "x.", "1"]) {
      const start = performance.now();
      countOwnReceived([`from ${piece.repeat(100_000 / piece.length)}`], own);
      expect(performance.now() - start).toBeLessThan(2_000);
    }
  });
});

describe("results of checks", () => {
  it.each([
    ["mx.example.org; spf=pass", true],
    [" MX.example.org 1; dkim=none", true],
    ["(c) mailout.corp.example.org (amavisd-new); dkim=pass header.d=third.example", true],
    ["localhost; none", true],
    ["mx.third.example; spf=pass smtp.mailfrom=example.org", false],
    ["spf=pass smtp.mailfrom=third.example", true],
    ["", true],
    ["(open mx.third.example; x", true],
  ])("of %j are of our own host: %s [RFC 8601 §2.2]", (text, expected) =>
    expect(isOwnAuthenticationResult(text, own)).toBe(expected),
  );
  it.each([
    ["Pass (mx.example.org: domain of a@third.example designates 192.0.2.1) client-ip=192.0.2.1;", true],
    ["pass client-ip=192.0.2.1; receiver=mx.example.org; helo=x", true],
    ["Pass (mx.third.example: domain of a@example.org) receiver=mx.third.example", false],
    ["none", false],
  ])("of %j are of our own host: %s [RFC 7208 §9.1]", (text, expected) =>
    expect(isOwnSpfResult(text, own)).toBe(expected),
  );
});
