import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ancestry, isBelow, parseDomainName } from "../../../src/mail/domain-name.ts";
import { fieldValues, fromDomain, messageIdOf } from "../../../src/mail/header-field.ts";
import { formatMailbox, parseAddressLiteral, parseMailbox } from "../../../src/mail/mailbox.ts";

describe("a domain name", () => {
  it.each([
    ["acme.example", "acme.example"],
    ["ACME.Example.", "acme.example"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["faß.de", "xn--fa-hia.de"],
    ["_dmarc.acme.example", "_dmarc.acme.example"],
    ["localhost", "localhost"],
  ])("%s is read as %s [RFC 5890 §2.3.2.1]", (text, expected) => expect(parseDomainName(text)).toBe(expected));

  it.each([
    "",
    ".",
    "aa..bb",
    "-a.example",
    "a-.example",
    "a b.example",
    "1.2.3",
    "0x7f.1",
    "127.0.0.1",
    `${"a".repeat(64)}.example`,
    "a.example..",
    "a@b.example",
    "a.example\r\n",
    "a\0.example",
  ])("%j is none", (text) => expect(parseDomainName(text)).toBeUndefined());

  it("is its own fixed point", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseDomainName(text);
        if (parsed !== undefined) expect(parseDomainName(parsed)).toBe(parsed);
      }),
    );
  });

  it("is below its parents by whole labels only", () => {
    expect(isBelow("mx.inside.test", "inside.test")).toBe(true);
    expect(isBelow("notinside.test", "inside.test")).toBe(false);
    expect(isBelow("inside.test", "inside.test")).toBe(false);
  });

  it("names its ancestors, longest first", () => {
    expect([...ancestry(parseDomainName("a.b.c")!)]).toEqual(["a.b.c", "b.c", "c"]);
  });
});

describe("a mailbox [RFC 5321 §4.1.2]", () => {
  it.each([
    ["anna@ACME.example", "anna@acme.example"],
    ["Anna.Muster+x@acme.example", "Anna.Muster+x@acme.example"],
    ['"john doe"@acme.example', '"john doe"@acme.example'],
    ["jürgen@bücher.example", "jürgen@xn--bcher-kva.example"],
    ["root@[192.0.2.1]", "root@[192.0.2.1]"],
    ["root@[IPv6:2001:DB8::1]", "root@[IPv6:2001:db8::1]"],
  ])("%s reads as %s", (text, expected) => expect(formatMailbox(parseMailbox(text)!)).toBe(expected));

  it.each([
    "",
    "anna",
    "@acme.example",
    "anna@",
    ".a@acme.example",
    "a.@acme.example",
    "a..b@acme.example",
    "a b@acme.example",
    'a"b@acme.example',
    "a@b@acme.example",
    "a\r\nRCPT@acme.example",
    "a\0@acme.example",
    `${"a".repeat(65)}@acme.example`,
    "a@[999.1.1.1]",
    "a@[IPv6:fe80::1%eth0]",
    "a@1.2.3.4",
  ])("%j is none", (text) => expect(parseMailbox(text)).toBeUndefined());

  it("tells an address literal from a name", () => {
    expect(parseAddressLiteral("[192.0.2.1]")).toEqual({ address: "192.0.2.1" });
    expect(parseAddressLiteral("192.0.2.1")).toBeUndefined();
  });
});

describe("a header field [RFC 5322 §2.2]", () => {
  const header = Buffer.from(
    "Received: from a\r\n\tby b\r\nSubject: x\r\nMESSAGE-ID:\r\n <1@acme.example>\r\nFrom: Anna <anna@Acme.example>\r\nX-From: no\r\n\r\nFrom: body@other.example\r\n",
  );
  it("is unfolded, found in any case, and never in the body", () => {
    expect(fieldValues(header, "received")).toEqual(["from a\tby b"]);
    expect(fieldValues(header, "From")).toEqual(["Anna <anna@Acme.example>"]);
  });
  it("gives Message-ID and From domain", () => {
    expect(messageIdOf(header)).toBe("<1@acme.example>");
    expect(fromDomain(header)).toBe("acme.example");
  });
  it("gives nothing where there is nothing", () => {
    expect(messageIdOf(Buffer.from("Subject: x\r\n\r\n"))).toBeUndefined();
    expect(fromDomain(Buffer.from("From: nobody\r\n\r\n"))).toBeUndefined();
  });
});
