import { describe, expect, it } from "vitest";
import type { Target } from "../../../src/decide/decide.ts";
import { demandOf, honoured, tlsUse } from "../../../src/decide/demand.ts";
import type { Published } from "../../../src/decide/published-requirement.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";
import type { TlsLevel } from "../../../src/mail/tls-requirement.ts";
import { tls } from "./policies.ts";

const MX = "mx1.hoster.example";
const base = MX as DomainName;
const mx: Target = { host: MX, route: "mx", learnedFromMx: true, recipientDomain: "acme.example" };
const records = [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32) }];

const PUBLISHED = {
  nothing: {},
  usable: { dane: { kind: "usable", base, names: [MX], records } },
  unusable: { dane: { kind: "unusable", base } },
  unknown: { dane: { kind: "unknown", detail: "SERVFAIL" } },
  absent: { dane: { kind: "none", why: "absent" } },
  insecure: { dane: { kind: "none", why: "insecure" } },
  unbelieved: { dane: { kind: "none", why: "untrusted-resolver" } },
  enforce: {
    dane: { kind: "none", why: "insecure" },
    mtaSts: { kind: "policy", domain: "acme.example" as DomainName, id: "1", mode: "enforce", mx: [MX], expiresAt: 0 },
  },
} as const satisfies Record<string, Published>;

function word(level: TlsLevel, published: keyof typeof PUBLISHED, target: Target = mx): string {
  const policy = tls({ level, fingerprints: [] });
  const demand = demandOf(policy, target, PUBLISHED[published]);
  if ("waits" in demand) return `waits: ${demand.waits}`;
  const { requirement } = demand;
  const checks = requirement.level === "mandatory" ? requirement.checks : [];
  const names = checks.flatMap((check) =>
    check.by === "pkix"
      ? [`pkix(${check.names.map((name) => ("host" in name ? name.host : `.${name.below}`)).join(" ")})`]
      : [check.by],
  );
  return [tlsUse(policy, demand), ...names].join(" ");
}

const SECURE = "pkix(acme.example .acme.example)";

describe("level and publication together", () => {
  it.each<[TlsLevel, keyof typeof PUBLISHED, string]>([
    ["none", "usable", "never"],
    ["may", "nothing", "if-offered"],
    ["may", "insecure", "if-offered"],
    ["may", "usable", "required dane"],
    ["may", "unusable", "required"],
    ["may", "enforce", `required pkix(${MX})`],
    ["may", "unknown", "waits: dnssec-invalid"],
    ["encrypt", "nothing", "required"],
    ["encrypt", "usable", "required dane"],
    ["encrypt", "unusable", "required"],
    ["encrypt", "enforce", `required pkix(${MX})`],
    ["encrypt", "unknown", "waits: dnssec-invalid"],
    ["verify", "nothing", `required pkix(${MX})`],
    ["verify", "usable", `required pkix(${MX}) dane`],
    ["verify", "enforce", `required pkix(${MX}) pkix(${MX})`],
    ["verify", "unknown", "waits: dnssec-invalid"],
    ["secure", "usable", `required ${SECURE}`],
    ["secure", "unknown", `required ${SECURE}`],
    ["fingerprint", "usable", "required fingerprint"],
    ["dane-only", "usable", "required dane"],
    ["dane-only", "unusable", "waits: tlsa-invalid"],
    ["dane-only", "unknown", "waits: dnssec-invalid"],
    ["dane-only", "absent", "waits: dane-required"],
    ["dane-only", "insecure", "waits: dane-required"],
    ["dane-only", "unbelieved", "waits: dane-required"],
    ["dane-only", "nothing", "waits: dane-required"],
    ["authenticated", "usable", "required dane"],
    ["authenticated", "enforce", `required pkix(${MX})`],
    ["authenticated", "absent", `required ${SECURE}`],
    ["authenticated", "nothing", `required ${SECURE}`],
    ["authenticated", "unusable", `required ${SECURE}`],
    ["authenticated", "unknown", "waits: dnssec-invalid"],
  ])("%s, published %s: %s", (level, published, expected) => expect(word(level, published)).toBe(expected));

  it("authenticated takes the MX host's name where DNSSEC vouches for it", () =>
    expect(word("authenticated", "absent", { ...mx, mxSecure: true })).toBe(
      `required pkix(acme.example .acme.example ${MX})`,
    ));

  it("names the TLSA base domain for SNI, also where no record can be used [RFC 7672 §8.1]", () => {
    expect(demandOf(tls({ level: "may" }), mx, PUBLISHED.usable)).toMatchObject({ servername: MX, by: ["dane"] });
    expect(demandOf(tls({ level: "authenticated" }), mx, PUBLISHED.unusable)).toMatchObject({ servername: MX });
    expect(demandOf(tls({ level: "may" }), mx, PUBLISHED.nothing)).not.toHaveProperty("servername");
  });

  it.each([
    ["absent", `${MX} has no TLSA records`],
    ["insecure", `DNS on the way to ${MX} is not signed`],
    ["unbelieved", "no resolver whose DNSSEC validation is to be believed is configured (dns.trust_ad)"],
  ] as const)("dane-only says why it waits: %s", (published, detail) =>
    expect(demandOf(tls({ level: "dane-only" }), mx, PUBLISHED[published])).toMatchObject({
      detail: `DANE is demanded, and ${detail}`,
    }),
  );
});

it.each<[TlsLevel, boolean, boolean]>([
  ["none", false, false],
  ["may", true, true],
  ["encrypt", true, true],
  ["verify", true, true],
  ["authenticated", true, true],
  ["secure", false, false],
  ["fingerprint", false, false],
  ["dane-only", true, false],
])("%s asks for DANE: %s, for MTA-STS: %s", (level, dane, mtaSts) =>
  expect(honoured(tls({ level }))).toEqual({ dane, mtaSts }),
);

it("asks for nothing that is to be ignored", () => {
  expect(honoured(tls({ level: "verify", dane: "ignore", mtaSts: "ignore" }))).toEqual({ dane: false, mtaSts: false });
  expect(honoured(tls({ level: "verify", mtaSts: "require" })).mtaSts).toBe(true);
});
