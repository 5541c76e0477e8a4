import { describe, expect, it } from "vitest";
import { decisions, describeNextHop, destinationOf, requirementOf } from "../../../src/decide/decide.ts";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import { origin, outbound, partner, policy, tls } from "./policies.ts";

const NOW = Date.UTC(2026, 10, 24);
const exception = (endsAt: number) =>
  outbound({ source: "exception", exception: { approvedBy: "a@example.org", reason: "r", endsAt, origin } });

describe("the policy of a recipient", () => {
  const acme = partner("acme", { domains: ["acme.example"], subdomainsOf: ["acme.example"] });
  const lab = partner("lab", { subdomainsOf: ["lab.acme.example"] });
  const joint = partner("joint", { addresses: ["anna@joint.example", "root@[192.0.2.1]"] });
  const decide = decisions(
    policy({
      partners: [acme, lab, joint],
      ownDomains: [{ domain: "example.org", outbound: outbound({ source: "own-domain" }), dkim: [], smime: [] }],
    }),
  );
  it.each([
    ["anna@acme.example", "acme", "the domain itself"],
    ["anna@mx.acme.example", "acme", "a pattern, one level below"],
    ["anna@a.b.acme.example", "acme", "a pattern, any depth"],
    ["anna@x.lab.acme.example", "lab", "the longest pattern"],
    ["anna@lab.acme.example", "acme", "a pattern does not name its own base"],
    ["Anna@joint.example", "joint", "an address, in any case"],
    ['"anna"@joint.example', "joint", "an address with quotes that it does not need"],
    ['"a\\nna"@joint.example', "joint", "or with letters quoted one by one"],
    ["bert@joint.example", null, "another address of that domain"],
    ["root@[192.0.2.1]", "joint", "an address literal written as an address"],
    ["root@[192.0.2.2]", null, "another address literal"],
    ["anna@notacme.example", null, "a name that only ends alike"],
    ["anna@other.example", null, "nobody"],
  ])("%s → %s (%s)", (address, expected, _why) => expect(decide(parseMailbox(address)!, NOW).partner).toBe(expected));
  it("for our own domain is its next hop's", () =>
    expect(decide(parseMailbox("a@example.org")!, NOW).source).toBe("own-domain"));
});

describe("an exception", () => {
  const decide = decisions(
    policy({
      partners: [partner("acme", { domains: ["acme.example"], exceptions: [exception(NOW)] })],
      defaultExceptions: [exception(NOW)],
    }),
  );
  it.each([
    ["acme.example", NOW - 1, "exception"],
    ["acme.example", NOW, "partner"],
    ["other.example", NOW - 1, "exception"],
    ["other.example", NOW, "default"],
  ])("for %s at %i leaves %s in force", (domain, now, source) =>
    expect(decide(parseMailbox(`a@${domain}`)!, now).source).toBe(source),
  );
});

describe("an exception for some domains only", () => {
  const scoped = exception(NOW + 1);
  const domains = [{ host: "late.example" }, { below: "old.example" }];
  const decide = decisions(
    policy({ defaultExceptions: [{ ...scoped, exception: { ...scoped.exception!, domains } }] }),
  );
  it.each([
    ["late.example", "exception"],
    ["mx.late.example", "default"],
    ["a.b.old.example", "exception"],
    ["old.example", "default"],
    ["other.example", "default"],
    ["[192.0.2.1]", "default"],
  ])("for %s leaves %s in force", (domain, source) =>
    expect(decide(parseMailbox(`a@${domain}`)!, NOW).source).toBe(source),
  );
});

describe("what a host must prove", () => {
  const mx = { host: "mx1.hoster.example", route: "mx", learnedFromMx: true, recipientDomain: "acme.example" } as const;
  const hop = {
    host: "relay.example",
    route: "next-hop",
    learnedFromMx: false,
    nextHopName: "relay.example",
    recipientDomain: "acme.example",
  } as const;
  const signed = { ...mx, mxSecure: true };
  const { nextHopName: _, ...literal } = { ...hop, host: "192.0.2.1" };
  const hosterOfHop = { ...hop, host: "mx1.hoster.example", learnedFromMx: true };
  const names = (
    level: "verify" | "secure" | "authenticated",
    match: Parameters<typeof tls>[0],
    target: Parameters<typeof requirementOf>[1],
  ) => {
    const requirement = requirementOf(tls({ level, ...match }), target);
    const check = requirement.level === "mandatory" ? requirement.checks[0] : undefined;
    return check?.by === "pkix" ? check.names : undefined;
  };
  it.each([
    ["verify names the MX host", "verify", {}, mx, [{ host: "mx1.hoster.example" }]],
    ["verify may name another", "verify", { match: [{ below: "hoster.example" }] }, mx, [{ below: "hoster.example" }]],
    [
      "secure names the domain and what is below it",
      "secure",
      {},
      mx,
      [{ host: "acme.example" }, { below: "acme.example" }],
    ],
    [
      "secure at a next hop names the next hop",
      "secure",
      {},
      hop,
      [{ host: "relay.example" }, { below: "relay.example" }],
    ],
    ["secure never takes a name from insecure DNS", "secure", { match: ["hostname"] }, mx, []],
    ["nor from the MX of a next-hop domain", "secure", { match: ["hostname"] }, hosterOfHop, []],
    ["secure may name a configured host", "secure", { match: ["hostname"] }, hop, [{ host: "relay.example" }]],
    ["a next hop by address has no name", "secure", {}, literal, []],
    [
      "match may name a host",
      "secure",
      { match: [{ host: "mx.hoster.example" }] },
      literal,
      [{ host: "mx.hoster.example" }],
    ],
    [
      "secure may take a name from signed DNS",
      "secure",
      { match: ["hostname"] },
      signed,
      [{ host: "mx1.hoster.example" }],
    ],
    [
      "authenticated asks for what secure does",
      "authenticated",
      {},
      mx,
      [{ host: "acme.example" }, { below: "acme.example" }],
    ],
    [
      "authenticated may also take the MX host's name from signed DNS",
      "authenticated",
      {},
      signed,
      [{ host: "acme.example" }, { below: "acme.example" }, { host: "mx1.hoster.example" }],
    ],
    [
      "authenticated may name another",
      "authenticated",
      { match: [{ below: "hoster.example" }] },
      signed,
      [{ below: "hoster.example" }],
    ],
  ] as const)("%s", (_, level, match, target, expected) =>
    expect(names(level, match as Parameters<typeof tls>[0], target)).toEqual(expected),
  );

  it.each([
    ["none", "opportunistic"],
    ["may", "opportunistic"],
    ["encrypt", "mandatory"],
    ["fingerprint", "mandatory"],
    ["verify", "mandatory"],
  ] as const)("%s is %s", (level, expected) => expect(requirementOf(tls({ level }), mx).level).toBe(expected));

  it("dane-only by itself is met by nobody: its records come with what is published", () =>
    expect(requirementOf(tls({ level: "dane-only" }), mx)).toMatchObject({
      level: "mandatory",
      checks: [{ by: "dane", records: [] }],
    }));

  it("fingerprint demands the pins and nothing of a CA", () => {
    const fingerprints = [{ sha256: "00", of: "certificate" }] as const;
    expect(requirementOf(tls({ level: "fingerprint", fingerprints }), mx)).toEqual({
      level: "mandatory",
      minVersion: "TLSv1.2",
      checks: [{ by: "fingerprint", pins: fingerprints }],
    });
  });
});

describe("the destination that slots are counted by", () => {
  it.each([
    [[{ kind: "mx" }], "acme.example"],
    [[], "acme.example"],
    [[{ kind: "mx-of", domain: "relay.example" }], "relay.example"],
    [[{ kind: "mx-of", domain: "relay.example", port: 26 }], "relay.example:26"],
    [[{ kind: "host", host: "127.0.0.1", port: 25, implicitTls: false }], "[127.0.0.1]:25"],
  ] as const)("%j → %s", (nextHop, expected) =>
    expect(destinationOf(outbound({ nextHop }), "acme.example")).toBe(expected),
  );
  it("describes MX routing, too", () => expect(describeNextHop({ kind: "mx" })).toBe("mx"));
});

describe("report mode", () => {
  const reporting = partner("acme", {
    domains: ["acme.example"],
    outbound: outbound({ partner: "acme", mode: "report", reportEndsAt: NOW + 1_000 }),
  });
  const decide = decisions(policy({ partners: [reporting] }));
  const bea = parseMailbox("bea@acme.example")!;
  it("ends by itself with its last day", () => {
    expect([decide(bea, NOW).mode, decide(bea, NOW + 999).mode]).toEqual(["report", "report"]);
    expect(decide(bea, NOW + 1_000)).toMatchObject({ partner: "acme", mode: "enforce" });
  });
  it("is one policy before and one after, so that attempts see the change and nothing else", () => {
    expect(decide(bea, NOW)).toBe(decide(bea, NOW + 999));
    expect(decide(bea, NOW + 1_000)).toBe(decide(bea, NOW + 9_999));
  });
});
