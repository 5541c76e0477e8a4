/** Postfix lookup tables as text [postmap(1), transport(5)], and the words of a TLS policy [postconf(5)]. */
import { describe, expect, it } from "vitest";
import { parseKey } from "../../../src/cli/postfix/key.ts";
import { readProtocols } from "../../../src/cli/postfix/protocols.ts";
import { policyValue, readTable } from "../../../src/cli/postfix/table.ts";
import { readRoutes } from "../../../src/cli/postfix/transport.ts";

describe("a table [postmap(1)]", () => {
  it("is lines of key and value; comments, blank lines and continuations count as Postfix counts them", () =>
    expect(
      readTable(
        "\ufeff# head\r\n\r\nA.Example\tsecure\r\n  # within\r\n\r\n   match=x.example\r\n   ciphers=high\r\nb.example  may\r\n",
      ),
    ).toEqual([
      {
        line: 3,
        text: "A.Example secure match=x.example ciphers=high",
        key: "a.example",
        value: "secure match=x.example ciphers=high",
      },
      { line: 8, text: "b.example may", key: "b.example", value: "may" },
    ]));
  it("has keys in quotes since Postfix 3.2", () =>
    expect(readTable('"a \\"b\\".example"  may')).toMatchObject([{ key: 'a "b".example', value: "may" }]));
  it.each([
    ["  may", "begins with a blank"],
    ["a.example", "has no value"],
    ["a.example:  root", "form of an alias"],
  ])("%j is no entry: it %s", (text, why) =>
    expect(readTable(text)).toEqual([
      { line: 1, text: text.trim().replace(/ +/, " "), why: expect.stringContaining(why) },
    ]),
  );
  it("takes the first of two entries with one key", () =>
    expect(readTable("a.example may\nA.example secure\n")).toMatchObject([
      { value: "may" },
      { line: 2, why: expect.stringContaining("line 1") },
    ]));
});

describe("the value [postconf(5), smtp_tls_policy_maps]", () => {
  it.each([
    ["SECURE", "secure", []],
    ["secure match=a:b", "secure", ["match=a:b"]],
    ["encrypt,ciphers=high,  PROTOCOLS=!SSLv3", "encrypt", ["ciphers=high", "protocols=!SSLv3"]],
    [
      "secure { policy_string = mx: a.example, b } policy_type=sts",
      "secure",
      ["policy_string=mx: a.example, b", "policy_type=sts"],
    ],
    ["verify {match=a} ciphers=", "verify", ["match=a", "ciphers="]],
  ])("%s", (value, level, attributes) => {
    const read = policyValue(value);
    expect([read.level, read.attributes.map((one) => `${one.name}=${one.value}`)]).toEqual([level, attributes]);
    expect(read.malformed).toEqual([]);
  });
  it.each([
    ["encrypt forever", ["forever"]],
    ["encrypt {match=a", ["{match=a"]],
    ["encrypt match= a", ["a"]],
    ["encrypt =a", ["=a"]],
  ])("%s is malformed", (value, malformed) => expect(policyValue(value).malformed).toEqual(malformed));
});

describe("a key", () => {
  it.each<[string, object]>([
    ["acme.example", { kind: "domain", domain: "acme.example" }],
    ["bücher.example", { kind: "domain", domain: "xn--bcher-kva.example" }],
    [".acme.example", { kind: "below", domain: "acme.example" }],
    ["[mail.acme.example]:587", { kind: "hop", hop: "[mail.acme.example]:587", name: "mail.acme.example" }],
    ["[mail.acme.example]", { kind: "hop", hop: "[mail.acme.example]", name: "mail.acme.example" }],
    ["[mail.acme.example]:submission", { kind: "hop", hop: "[mail.acme.example]:587", name: "mail.acme.example" }],
    ["acme.example:26", { kind: "hop", hop: "acme.example:26", name: "acme.example" }],
    ["acme.example:smtp", { kind: "hop", hop: "acme.example:25", name: "acme.example" }],
    ["[192.0.2.1]:25", { kind: "hop", hop: "[192.0.2.1]:25" }],
    ["[ipv6:2001:db8::1]:25", { kind: "hop", hop: "[2001:db8::1]:25" }],
  ])("%s", (key, expected) => expect(parseKey(key)).toEqual(expected));
  it.each([
    ["anna@acme.example", "an address"],
    ["*", "a pattern"],
    ["*.acme.example", "a pattern"],
    ["/var/run/lmtp", "a socket"],
    [".not..a.name", "not a domain name"],
    ["not..a.name", "neither a domain nor a next hop"],
    ["192.0.2.1", "neither a domain nor a next hop"],
    ["acme.example:pigeon", "names a port"],
    ["[acme.example", "neither"],
  ])("%s is none: %s", (key, why) =>
    expect(parseKey(key)).toEqual({ kind: "none", why: expect.stringContaining(why) }),
  );
});

describe("protocols= [postconf(5), smtp_tls_mandatory_protocols]", () => {
  it.each([
    [">=TLSv1.2", "TLSv1.2", "TLSv1.3"],
    [">=TLSv1.2:<=TLSv1.2", "TLSv1.2", "TLSv1.2"],
    [">=tlsv1.3", "TLSv1.3", "TLSv1.3"],
    [">=0303", "TLSv1.2", "TLSv1.3"],
    [">=0x303:<=0x0304", "TLSv1.2", "TLSv1.3"],
    ["!SSLv2:!SSLv3", "TLSv1", "TLSv1.3"],
    ["!SSLv2:!SSLv3:!TLSv1:!TLSv1.1", "TLSv1.2", "TLSv1.3"],
    ["!SSLv2:!SSLv3:!TLSv1.1", "TLSv1", "TLSv1"],
    ["!TLSv1.3", "TLSv1", "TLSv1.2"],
    ["TLSv1", "TLSv1", "TLSv1"],
    ["TLSv1.2:TLSv1.3", "TLSv1.2", "TLSv1.3"],
    ["SSLv3:TLSv1:!TLSv1.2", "TLSv1", "TLSv1"],
    ["", "TLSv1", "TLSv1.3"],
  ])("%s: from %s to %s", (value, lowest, highest) =>
    expect(readProtocols(value)).toEqual({ ok: true, lowest, highest }),
  );
  it.each([["TLSv2"], ["!0303"], [">="], [">=TLSv1.9"], ["SSLv3"], ["<=SSLv3"], ["!TLSv1:!TLSv1.1:!TLSv1.2:!TLSv1.3"]])(
    "%s is nothing that can be had",
    (value) => expect(readProtocols(value).ok).toBe(false),
  );
});

describe("routes [transport(5)]", () => {
  it.each([
    ["acme.example smtp:[mx.acme.example]:587", "acme.example", ["[mx.acme.example]:587"]],
    [".acme.example :[mx.acme.example]", ".acme.example", ["[mx.acme.example]"]],
    ["acme.example relay:hoster.example", "acme.example", ["hoster.example"]],
    ["acme.example partner-tls:[a.example]:25, [b.example]:25", "acme.example", ["[a.example]:25", "[b.example]:25"]],
  ])("%s", (text, pattern, hops) => {
    const { routes, left } = readRoutes(text);
    const names = routes.map((route) =>
      route.hops.map((hop) => ("hop" in hop ? hop.hop : "domain" in hop ? hop.domain : "")),
    );
    expect([routes.map((route) => route.pattern), names, left]).toEqual([[pattern], [hops], []]);
  });
  it.each([["acme.example smtp:"], ["acme.example smtp"], ["acme.example :"]])("%s is the recipient's own MX", (text) =>
    expect(readRoutes(text)).toEqual({ routes: [], left: [] }),
  );
  it.each([
    ["* smtp:[relay.example]:25", "outbound.next_hop"],
    ["anna@acme.example smtp:[x.example]", "not for a domain"],
    ["acme.example lmtp:unix:/run/lmtp", "no next hop"],
    ["acme.example error:5.1.1 gone", "no next hop"],
    ["acme.example smtp:[x..example]", "none here"],
  ])("%s is left out", (text, why) =>
    expect(readRoutes(text)).toMatchObject({ routes: [], left: [{ line: 1, why: expect.stringContaining(why) }] }),
  );
});
