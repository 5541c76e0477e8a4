/** Each level and attribute of a Postfix TLS policy, and what it comes to here: the same, more, or closed; never less. */
import { describe, expect, it } from "vitest";
import { arrange } from "../../../src/cli/postfix/arrange.ts";
import type { Asked } from "../../../src/cli/postfix/demand.ts";
import { parseKey } from "../../../src/cli/postfix/key.ts";
import { lineDemand } from "../../../src/cli/postfix/line.ts";
import { partnerText } from "../../../src/cli/postfix/partner-text.ts";
import { readTable } from "../../../src/cli/postfix/table.ts";
import { readRoutes } from "../../../src/cli/postfix/transport.ts";

const SHA = "ab".repeat(32);
const COLONS = SHA.match(/../g)?.join(":").toUpperCase() ?? "";
const MD5 = "ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89";
const BOTH = [
  { sha256: SHA, of: "certificate" },
  { sha256: SHA, of: "public-key" },
];

const asked = (level: Asked["standard"]["level"] = "encrypt", key = "acme.example"): Asked => ({
  key: parseKey(key),
  standard: { level, minVersion: "TLSv1.2", profile: "intermediate@2026", ciphers: "A:B" },
  absolute: (path) => (path.startsWith("/") ? path : `/table/${path}`),
  isFile: (path) => !path.includes("gone"),
});
const demand = (value: string, given: Asked = asked()) => lineDemand(value, given);

describe("levels under a default of encrypt", () => {
  it.each<[string, string, object, object?]>([
    ["none", "stricter", {}, { level: "none" }],
    ["may", "stricter", {}, { level: "may" }],
    ["encrypt", "same", { level: "encrypt" }],
    ["dane", "stricter", { dane: "honour" }, { level: "may" }],
    ["half-dane", "stricter", { dane: "honour" }, { level: "may" }],
    ["dane-only", "same", { level: "dane-only" }],
    ["verify", "same", { level: "verify", match: ["hostname"] }],
    ["secure", "same", { level: "secure", match: ["nexthop", "dot-nexthop"] }],
    [`fingerprint match=${SHA}`, "same", { level: "fingerprint", fingerprints: BOTH }],
    ["ENCRYPT", "same", { level: "encrypt" }],
  ])("%s: %s", (value, verdict, tls, exception) => {
    const found = demand(value);
    expect([found.verdict, found.tls, found.exception]).toEqual([verdict, tls, exception]);
  });
});

describe("levels under another default", () => {
  it.each<[Asked["standard"]["level"], string, string, object, object?]>([
    ["may", "none", "stricter", {}, { level: "none" }],
    ["may", "may", "same", { level: "may" }],
    ["may", "encrypt", "same", { level: "encrypt" }],
    ["may", "dane", "same", { level: "may", dane: "honour" }],
    ["verify", "encrypt", "stricter", {}, { level: "encrypt" }],
    ["verify", "dane", "stricter", { dane: "honour" }, { level: "may" }],
    ["verify", "dane-only", "same", { level: "dane-only" }],
    ["secure", "dane", "stricter", {}, { level: "may" }],
    ["secure", "verify", "same", { level: "verify", match: ["hostname"] }],
  ])("%s: %s is %s", (level, value, verdict, tls, exception) => {
    const found = demand(value, asked(level));
    expect([found.verdict, found.tls, found.exception]).toEqual([verdict, tls, exception]);
  });
});

describe("attributes", () => {
  it.each<[string, string, object, string]>([
    ["secure match=nexthop:.mx.example:A.example", "same", { match: ["nexthop", ".mx.example", "a.example"] }, ""],
    ["secure match=a.example match=b.example", "same", { match: ["a.example", "b.example"] }, ""],
    ["secure match=hostname", "same", { level: "verify", match: ["hostname"] }, "what verify does"],
    ["secure match=hostname:nexthop", "stricter", { level: "secure", match: ["hostname", "nexthop"] }, "DNSSEC"],
    ["verify match=hostname:!x", "stricter", { match: ["hostname"] }, "left out of match"],
    ["secure tafile=ca.pem tafile=/etc/b.pem", "same", { ca: ["/table/ca.pem", "/etc/b.pem"] }, ""],
    [`fingerprint match=${COLONS}|${MD5}`, "stricter", { fingerprints: BOTH }, "not SHA-256"],
    ["encrypt ciphers=high", "same", { level: "encrypt" }, "intermediate@2026 holds here"],
    ["encrypt ciphers=null", "stricter", { level: "encrypt" }, "encrypts nothing"],
    ["encrypt protocols=>=TLSv1.3", "same", { min_version: "TLSv1.3" }, ""],
    ["encrypt protocols=!SSLv3:!TLSv1:!TLSv1.1", "same", { min_version: "TLSv1.2" }, ""],
    ["encrypt protocols=TLSv1.2", "same", { min_version: "TLSv1.2" }, "no highest version"],
    ["encrypt exclude=aNULL:MD5:kEDH+aRSA:RC4:RSA", "same", { level: "encrypt" }, ""],
    ["encrypt exclude=aNULL:AES128:aECDSA", "same", { ciphers: "A:B:!AES128:!aECDSA" }, "will not follow the profile"],
    ["verify servername=mx.acme.example", "same", { servername: "mx.acme.example" }, ""],
    ["verify servername=hostname", "same", { level: "verify" }, ""],
    ["verify servername=nexthop", "same", { servername: "acme.example" }, ""],
    ["encrypt connection_reuse=no", "same", { level: "encrypt" }, "connection_reuse has no equal"],
    ["encrypt enable_rpk=yes", "stricter", { level: "encrypt" }, "a host must show a certificate"],
    ["encrypt enable_rpk=no", "same", { level: "encrypt" }, ""],
    [
      "secure match=mx.a.example servername=hostname policy_type=sts policy_domain=a.example policy_ttl=60 mx_host_pattern=mx.a.example { policy_string = version: STSv1 }",
      "same",
      { level: "secure", match: ["mx.a.example"] },
      "MTA-STS is followed here",
    ],
  ])("%s: %s", (value, verdict, tls, note) => {
    const found = demand(value);
    expect(found.verdict).toBe(verdict);
    expect(found.tls).toMatchObject(tls);
    if (note === "") expect(found.notes).toEqual([]);
    else expect(found.notes).toEqual([expect.stringContaining(note)]);
  });
  it("old versions stay out, and the exception that would let them in is told", () =>
    expect(demand("may protocols=!SSLv2:!SSLv3")).toMatchObject({
      verdict: "stricter",
      tls: {},
      exception: { level: "may", min_version: "TLSv1" },
    }));
  it("are of no use at level none", () =>
    expect(demand("none ciphers=high").notes).toContainEqual(expect.stringContaining("no use for attributes")));
  it("servername=nexthop cannot be said for names below a domain", () =>
    expect(demand("verify servername=nexthop", asked("encrypt", ".acme.example"))).toMatchObject({
      verdict: "same",
      tls: { level: "verify" },
      notes: [expect.stringContaining("no equal")],
    }));
});

describe("what cannot be said here, or what Postfix itself does not take, is closed: its mail waits", () => {
  it.each([
    ["opportunistic", "no level"],
    ["fingerprint", "main.cf"],
    [`fingerprint match=${MD5}`, "no fingerprint is SHA-256"],
    ["fingerprint match=", "empty"],
    ["secure match=", "match names nothing"],
    ["secure match=!acme", "match names nothing"],
    ["secure tafile=/gone.pem", "tafile cannot be read"],
    ["encrypt match=acme.example", "not for level encrypt"],
    ["dane-only tafile=/ca.pem", "not for level dane-only"],
    ["may forever", "name=value"],
    ["secure colour=red", "attribute colour is unknown"],
    ["secure ciphers=best", "no grade"],
    ["secure protocols=TLSv2", "no protocol TLSv2"],
    ["secure protocols=SSLv3", "no version of TLS is left"],
    ["secure exclude=!A", "names no suites"],
    ["secure servername=a..b", "no host name"],
    ["secure ciphers=high ciphers=medium", "more than once"],
  ])("%s", (value, why) => {
    const { verdict, tls, notes } = demand(value);
    expect([verdict, tls.level, tls.fingerprints]).toEqual([
      "closed",
      "fingerprint",
      [{ sha256: "0".repeat(64), of: "certificate" }],
    ]);
    expect(notes[0]).toContain(why);
  });
});

describe("partner files", () => {
  const arranged = (table: string, transport = "", taken: readonly string[] = []) =>
    arrange({
      entries: readTable(table),
      routes: readRoutes(transport).routes,
      demandOf: (entry, key) => lineDemand(entry.value, { ...asked(), key }),
      taken: (pattern) => (taken.includes(pattern) ? "spoken for" : undefined),
    });
  const drafts = (table: string, transport = "") =>
    arranged(table, transport).drafts.map(({ id, domains, nextHop, demand: { tls } }) => [
      id,
      domains.join(" "),
      nextHop.join(" "),
      tls.level,
    ]);

  it("are one for a domain and the names below it where both are treated alike", () =>
    expect(
      drafts(".a.example secure\na.example secure\n.b.example secure\nb.example encrypt\n.c.example secure"),
    ).toEqual([
      ["a.example", "a.example .a.example", "", "secure"],
      ["_below.b.example", ".b.example", "", "secure"],
      ["b.example", "b.example", "", "encrypt"],
      ["_below.c.example", ".c.example", "", "secure"],
    ]));
  it("stay apart for domains that are treated alike", () =>
    expect(drafts("a.example secure\nb.example secure")).toHaveLength(2));
  it("know an IDN in both its forms", () =>
    expect(arranged("bücher.example secure\nxn--bcher-kva.example may").left).toMatchObject([
      { line: 2, why: "is the same as line 1" },
    ]));
  it("go by the next hop where there is a route, as Postfix does", () =>
    expect(
      drafts(
        "[h.example]:587 secure match=nexthop\na.example encrypt\n.hoster.example verify\nc.example verify",
        "a.example smtp:[h.example]:587\n.b.example smtp:mx.hoster.example\nc.example smtp:[x.example]\nd.example smtp:[x.example]",
      ),
    ).toEqual([
      ["_below.hoster.example", ".hoster.example", "", "verify"],
      ["a.example", "a.example", "[h.example]:587", "secure"],
      ["_below.b.example", ".b.example", "mx.hoster.example", "verify"],
      ["c.example", "c.example", "[x.example]", "verify"],
    ]));
  it("are closed where two next hops are treated differently", () =>
    expect(
      arranged("[a.example] secure\n[b.example] encrypt", "c.example smtp:[a.example],[b.example]").drafts[0]?.demand
        .verdict,
    ).toBe("closed"));
  it("leave out what has an owner, and next hops that nobody's mail takes", () =>
    expect(arranged("a.example secure\n[h.example]:587 secure", "", ["a.example"])).toMatchObject({
      drafts: [],
      left: [
        { line: 1, why: "a.example: spoken for" },
        { line: 2, why: expect.stringContaining('next_hop: "[h.example]:587"') },
      ],
    }));
  it("say where they come from, and the exception to complete", () => {
    const [draft] = arranged("old.example may\n  protocols=TLSv1\n").drafts;
    expect(draft && partnerText(draft, { table: "tls_policy", until: "2026-12-25" })).toBe(
      [
        "# tls_policy:1: old.example may protocols=TLSv1",
        "# may is weaker than the default encrypt, which holds here.",
        "# protocols=TLSv1: TLSv1 is weaker than the default TLSv1.2, which holds here.",
        "# protocols=TLSv1: there is no highest version here, TLSv1.3 is offered as well.",
        "domains: [old.example]",
        "# For a while, as before: complete this, and remove the #",
        "# exceptions:",
        '#   - {until: 2026-12-25, approved_by: YOU@YOUR.DOMAIN, reason: "WHY", outbound: {tls: {level: may, min_version: TLSv1}}}',
        "",
      ].join("\n"),
    );
  });
  it("let nothing of the table out of its comment, and nothing of the environment in", () => {
    const [draft] = arranged("a.example secure tafile=/${HOME}/\u0085ca.pem").drafts;
    const text = draft && partnerText(draft, { table: "t\u2028x: y", until: "2026-12-25" });
    expect(text).toContain('ca: ["/$${HOME}/');
    expect(text).not.toMatch(/[\u0085\u2028]/);
  });
});
