import { describe, expect, it } from "vitest";
import type { OutboundPolicy, PartnerPolicy, Policy, Rule } from "../../../src/decide/policy.ts";
import { createAuthority } from "../../peers/certificates.ts";
import { outbound, partner, tls } from "../decide/policies.ts";
import { NOW, run, settings } from "./fake-deps.ts";

const DAY = 86_400_000;
const at = (line: number) => ({ file: "/etc/sealpost/partners/acme.yaml", line, column: 5 });

function acme(over: Partial<OutboundPolicy>, exceptions: readonly OutboundPolicy[] = []): PartnerPolicy {
  return partner("acme", {
    domains: ["acme.example"],
    outbound: outbound({ partner: "acme", source: "partner", ...over }),
    exceptions,
  });
}

async function explained(partners: readonly PartnerPolicy[], address = "bea@acme.example", over: Partial<Policy> = {}) {
  const loadConfig = () =>
    Promise.resolve({ ok: true as const, settings: settings({ partners, ...over }), warnings: [] });
  const text = await run(["explain", address, "--offline"], { loadConfig });
  const json = await run(["explain", address, "--json", "--offline"], { loadConfig });
  expect([text.code, json.code]).toEqual([0, 0]);
  return { text: text.out, json: JSON.parse(json.out) as Record<string, unknown> };
}

describe("explain", () => {
  it("names each demand and the line it comes from", async () => {
    const policy = acme({
      tls: tls({
        level: "secure",
        match: ["nexthop", "dot-nexthop", { below: "hoster.example" }],
        servername: "sni.example",
      }),
      lifetimeMs: 2 * DAY,
      origins: { "tls.level": at(4), "tls.match": at(5), lifetime: at(9) },
    });
    const { text, json } = await explained([policy]);
    expect(text).toMatch(/policy +partner acme\n/);
    expect(text).toMatch(/level +secure +\(partners\/acme\.yaml:4:5\)/);
    expect(text).toMatch(/names +acme\.example, \.acme\.example, \.hoster\.example +\(partners\/acme\.yaml:5:5\)/);
    expect(text).toMatch(/lifetime +2d.*\(partners\/acme\.yaml:9:5\)/);
    expect(text).toMatch(/next hop +the MX of acme\.example\n/);
    expect(json).toMatchObject({
      recipient: "bea@acme.example",
      level: "secure",
      names: ["acme.example", ".acme.example", ".hoster.example"],
      ca: "system",
      lifetimeMs: 2 * DAY,
      servername: "sni.example",
      origins: { level: "partners/acme.yaml:4:5" },
    });
  });

  it("tells of report mode, until when, and of what comes when the lifetime has passed", async () => {
    const { text, json } = await explained([
      acme({
        mode: "report",
        reportEndsAt: Date.UTC(2026, 11, 25),
        onExpiry: [
          {
            kind: "next-hop",
            nextHop: [{ kind: "host", host: "backup.acme.example", port: 25, implicitTls: false }],
            lifetimeMs: DAY,
          },
          { kind: "smime", approvedBy: "anna@example.org", lifetimeMs: DAY / 2 },
        ],
      }),
    ]);
    expect(text).toMatch(/mode +report until 2026-12-24: mail goes as level may lets it/);
    expect(text.replaceAll(/\s+/g, " ")).toContain(
      "then [backup.acme.example]:25 for 1d, then encrypted by S/MIME over any TLS for 12h (approved by anna@example.org), then the sender gets a failure notice",
    );
    expect(json).toMatchObject({ mode: { mode: "report", until: "2026-12-24" } });
    expect((await explained([acme({ mode: "report", reportEndsAt: NOW - 1 })])).text).not.toContain("report until");
  });

  it("names the rules that mail to it may match, each with its line, but not those for others", async () => {
    const rule = (name: string, when: Rule["when"], effects: Rule["effects"]): Rule => ({
      name,
      when,
      effects,
      origin: { ...at(7), file: "/etc/sealpost/sealpost.yaml" },
    });
    const hop = {
      kind: "host",
      host: "h.example",
      port: 25,
      implicitTls: false,
      auth: { user: "u", password: "pw" },
    } as const;
    const rules = [
      rule(
        "hr",
        { sender: ["a@x", "", "c@x", "d@x"], header: { sensitivity: ["private"] } },
        { tls: { level: "secure", minVersion: "TLSv1.3" }, removeSubjectTag: true },
      ),
      rule("away", { recipient: ["bea@*"] }, { nextHop: [hop], smime: { encrypt: "always" } }),
      rule("no", { from: ["*"], subject: ["*x*"] }, { refuse: "Not so" }),
      rule("others", { recipient: ["*@other.example"] }, { refuse: "No" }),
    ];
    const { text, json } = await explained([acme({})], "bea@acme.example", { rules });
    const told = text.replaceAll(/\s+/g, " ");
    expect(told).toContain(
      "hr (sealpost.yaml:7:5): sender a@x or <> or c@x or 1 more and sensitivity private: level secure, at least TLSv1.3, in addition; the tag goes out of the subject",
    );
    expect(told).toContain("away (sealpost.yaml:7:5): recipient bea@*: S/MIME encrypt always; goes by [h.example]:25");
    expect(told).toContain("no (sealpost.yaml:7:5): from * and subject *x*: refused with 550 5.7.1 Not so");
    expect((json["rules"] as { name: string }[]).map(({ name }) => name)).toEqual(["hr", "away", "no"]);
    expect(JSON.stringify(json)).not.toContain("pw");
  });

  it("names the aliases whose mail is under a demand of its own", async () => {
    const own = (alias?: string) => ({
      domain: "example.org",
      outbound: outbound({ origins: { tls_only_alias: { ...at(3), file: "/etc/sealpost/sealpost.yaml" } } }),
      dkim: [],
      smime: [],
      ...(alias !== undefined && { tlsOnlyAlias: alias }),
    });
    const { text, json } = await explained([acme({})], "bea@acme.example", {
      ownDomains: [own(), own("secure.example.org")],
    });
    expect(text).toMatch(
      /aliases +Mail from @secure\.example\.org goes at level authenticated.*\(sealpost\.yaml:3:5\)/,
    );
    expect(json["tlsOnlyAliases"]).toEqual(["secure.example.org"]);
    expect((await explained([acme({})])).text).not.toContain("aliases");
  });

  it.each([
    ["encrypt", "ignore", /TLS-Required +No in a message's header changes nothing\. +\(partners\/acme\.yaml:6:5\)/],
    ["may", "honour", /TLS-Required +No in a message's header lifts what the destination publishes/],
    ["secure", "honour", /^(?![^]*TLS-Required)/],
  ] as const)("at level %s says that TLS-Required: No is under %s", async (level, tlsRequiredNo, expected) => {
    const { text } = await explained([
      acme({ tls: tls({ level, tlsRequiredNo }), origins: { "tls.tls_required_no": at(6) } }),
    ]);
    expect(text).toMatch(expected);
  });

  it("tells how long mail waits, without a sender too, and the lines of mode and ladder", async () => {
    const step = { kind: "next-hop", nextHop: [{ kind: "mx" }], lifetimeMs: DAY } as const;
    const { text, json } = await explained([
      acme({
        mode: "report",
        reportEndsAt: Date.UTC(2026, 11, 25),
        onExpiry: [step],
        origins: { mode: at(2), on_expiry: at(8), lifetime: at(9) },
      }),
    ]);
    expect(text).toMatch(/lifetime +5d; of mail without a sender 2d +\(partners\/acme\.yaml:9:5\)/);
    expect(text).toMatch(
      /on expiry +then mx for 1d, then the sender gets a failure notice +\(partners\/acme\.yaml:8:5\)/,
    );
    expect(json).toMatchObject({
      onExpiry: [{ nextHop: ["mx"], lifetimeMs: DAY }],
      origins: { mode: "partners/acme.yaml:2:5", onExpiry: "partners/acme.yaml:8:5" },
    });
  });

  it("names the MX host for level authenticated only where DNSSEC vouches for it", async () => {
    const { text } = await explained([acme({ tls: tls({ level: "authenticated" }) })]);
    expect(text.replaceAll(/\s+/g, " ")).toContain(
      "names acme.example, .acme.example, the MX host's own name, where DNSSEC vouches for it",
    );
  });

  it("names the private CA and until when it is good", async () => {
    const { certificate } = createAuthority("ACME CA");
    const trust = { id: "acme", ca: [certificate], crl: ["a list"] };
    const { text } = await explained([acme({ tls: tls({ level: "verify", trust }) })]);
    expect(text).toMatch(/trusts +only CN=ACME CA \(until \d{4}-\d\d-\d\d\), with a revocation list/);
    expect(text).toMatch(/names +the MX host's own name/);
  });

  it("takes the names from next_hop where there is one", async () => {
    const hop = { kind: "host", host: "mx.hoster.example", port: 26, implicitTls: false } as const;
    const { json } = await explained([acme({ nextHop: [hop], tls: tls({ level: "secure" }) })]);
    expect(json).toMatchObject({
      nextHop: ["[mx.hoster.example]:26"],
      names: ["mx.hoster.example", ".mx.hoster.example"],
    });
  });

  it("tells pins that count from those that have ended", async () => {
    const fingerprints = [
      { sha256: "aa", of: "certificate", notAfter: NOW - DAY },
      { sha256: "bb", of: "public-key" },
      { sha256: "cc", of: "public-key", notAfter: NOW + DAY },
    ] as const;
    const { text, json } = await explained([acme({ tls: tls({ level: "fingerprint", fingerprints }) })]);
    expect(json["pins"]).toMatchObject([{ counts: false }, { counts: true }, { counts: true }]);
    expect(text).toMatch(/aa of the certificate, ended 2026-11-24/);
    expect(text).toMatch(/bb of the public-key\n/);
    expect(text).not.toMatch(/names|trusts/);
  });

  it("shows the exception in force instead of what it suspends", async () => {
    const weak = outbound({
      partner: "acme",
      source: "exception",
      tls: tls({ level: "may" }),
      exception: {
        approvedBy: "anna@example.org",
        reason: "their certificate expired",
        endsAt: NOW + 3 * DAY,
        origin: at(12),
      },
    });
    const { text, json } = await explained([acme({ tls: tls({ level: "secure" }) }, [weak])]);
    expect(json).toMatchObject({ level: "may", exception: { until: "2026-11-28", approvedBy: "anna@example.org" } });
    expect(text).toMatch(/exception +until 2026-11-28 \(3 days left\), approved by anna@example\.org/);
  });

  it("says that a destination is not permitted, and nothing of a way that no mail takes", async () => {
    const exception = { approvedBy: "anna@example.org", reason: "tests", endsAt: NOW + DAY, origin: at(12) };
    const reported = { mode: "report", reportEndsAt: NOW + DAY } as const;
    const { text, json } = await explained([acme({ permitted: false, ...reported, exception })]);
    expect(json).toEqual({
      recipient: "bea@acme.example",
      source: expect.anything() as unknown,
      permitted: false,
      origins: {},
    });
    expect(text).toMatch(/refused +outbound\.unlisted/);
    expect(text).not.toMatch(/level|next hop|report|exception/);
  });

  it("speaks of the default for everybody else", async () => {
    const { text } = await explained([acme({})], "cem@other.example");
    expect(text).toMatch(/policy +the default/);
    expect(text).toMatch(/level +encrypt\n/);
  });

  it("tells what becomes of header, S/MIME and DKIM, and the line that says so", async () => {
    const treatment = {
      headers: { received: "strip", remove: ["x-mailer", "x-ms-exchange-*"], messageId: "rewrite" },
      smime: { sign: "always", encrypt: "if-known", format: "opaque", tripleWrap: true },
      dkim: "require",
    } as const;
    const { text, json } = await explained([
      acme({ treatment, origins: { headers: at(4), smime: at(5), "smime.encrypt": at(6), dkim: at(7) } }),
    ]);
    expect(text).toMatch(/headers +The Received fields of our own side go;[^]*x-ms-exchange-\*[^]*acme\.yaml:4:5\)/);
    expect(text).toMatch(/S\/MIME +Signed; without a key of the sender the message is refused; encrypted where/);
    expect(text).toMatch(/acme\.yaml:6:5\)[^]*DKIM +Signed with[^]*refused\. {2}\(partners\/acme\.yaml:7:5\)/);
    expect(json).toMatchObject({ ...treatment, origins: { smime: "partners/acme.yaml:6:5" } });
  });

  it("says that mail within the house stays as it is", async () => {
    const { text } = await explained([acme({})]);
    expect(text).toMatch(/headers +One Received field of ours is added; the others stay\.\n/);
    expect(text).toMatch(/S\/MIME +Not signed; not encrypted\.\n/);
    expect(text).toMatch(/DKIM +Not signed\.\n/);
  });

  it("shortens a long list of fields for people, and tells programs all of it", async () => {
    const remove = Array.from({ length: 30 }, (_, at) => `x-field-${at}`);
    const treatment = { headers: { received: "keep", remove, messageId: "keep" }, dkim: "none" } as const;
    const { text, json } = await explained([acme({ treatment: { ...outbound().treatment, ...treatment } })]);
    expect(text.replace(/\s+/g, " ")).toContain(
      "removed: x-field-0, x-field-1, x-field-2, x-field-3, x-field-4, x-field-5 and 24 more.",
    );
    expect(json).toMatchObject({ headers: { remove } });
  });
});
