/** What becomes of good files: inheritance, routes, names, exceptions, origins. */
import { describe, expect, it } from "vitest";
import { createAuthority } from "../../peers/certificates.ts";
import { BASE, gateway, NOW, outboundOf, partner, partnerPolicy, settings, type Tree, warnings } from "./memory.ts";

const D = "domains: [acme.example]\n";
const SHA = "ab".repeat(32);
const COLONS = Array.from({ length: 32 }, () => "AB").join(":");

describe("a partner's outbound is laid over the default's, key by key", () => {
  const base =
    "outbound:\n  next_hop: [a.example, b.example]\n  lifetime: 3d\n  tls: {level: secure, match: [one.example, two.example], min_version: TLSv1.3}\n";
  it.each<[string, string, object]>([
    [
      "nothing written: the default",
      "",
      {
        nextHop: [{ domain: "a.example" }, { domain: "b.example" }],
        lifetimeMs: 259_200_000,
        tls: { level: "secure", match: [{ host: "one.example" }, { host: "two.example" }], minVersion: "TLSv1.3" },
      },
    ],
    [
      "one key deep down leaves the others",
      "outbound: {tls: {servername: sni.example}}\n",
      {
        tls: { level: "secure", servername: "sni.example", match: [{ host: "one.example" }, { host: "two.example" }] },
      },
    ],
    [
      "a list is replaced",
      "outbound: {tls: {match: [three.example]}}\n",
      { tls: { match: [{ host: "three.example" }] } },
    ],
    [
      "a single value stands for a list",
      "outbound: {tls: {match: .three.example}}\n",
      { tls: { match: [{ below: "three.example" }] } },
    ],
    [
      "next_hop: mx undoes an inherited one",
      "outbound: {next_hop: mx}\n",
      { nextHop: [{ kind: "mx" }], lifetimeMs: 259_200_000 },
    ],
    ["a lifetime of its own", "outbound: {lifetime: 2d}\n", { lifetimeMs: 172_800_000 }],
    ["a missing level is the default's", "outbound: {tls: {match: [x.example]}}\n", { tls: { level: "secure" } }],
  ])("%s", async (_, more, expected) =>
    expect(await outboundOf({ "sealpost.yaml": BASE + base, "partners/acme.yaml": D + more })).toMatchObject(expected),
  );
  it("a next hop written as a map takes nothing from an inherited one", async () => {
    const tree = {
      "sealpost.yaml": `${BASE}outbound: {tls: {level: secure}, next_hop: {to: "[a.example]:465", implicit_tls: true, auth: {user: u, password_file: p}}}\n`,
      p: "secret\n",
      "partners/acme.yaml": `${D}outbound: {next_hop: {to: "[b.example]:25"}}\n`,
    };
    expect((await outboundOf(tree)).nextHop).toEqual([
      { kind: "host", host: "b.example", port: 25, implicitTls: false },
    ]);
    expect((await settings(tree)).policy.default.nextHop).toEqual([
      { kind: "host", host: "a.example", port: 465, implicitTls: true, auth: { user: "u", password: "secret" } },
    ]);
  });
  it("inherited keys are never dead", async () =>
    expect(
      (
        await outboundOf(
          partner(
            `${D}outbound: {tls: {level: fingerprint, fingerprints: ${SHA}}}\n`,
            "outbound: {tls: {level: secure, match: [a.example]}}\n",
          ),
        )
      ).tls.level,
    ).toBe("fingerprint"));
  it("a profile of its own undoes an inherited min_version", async () => {
    const { tls } = await outboundOf(
      partner(
        `${D}outbound: {tls: {profile: intermediate}}\n`,
        "outbound: {tls: {min_version: TLSv1.2, ciphers: AES128-SHA}}\n",
      ),
    );
    expect(tls).toMatchObject({ minVersion: "TLSv1.2", profile: { name: "intermediate@2026" } });
  });
  it("a min_version of its own is laid over an inherited profile, and the name says so", async () => {
    const { tls } = await outboundOf(
      partner(`${D}outbound: {tls: {min_version: TLSv1.3}}\n`, "outbound: {tls: {profile: bsi-tr-02102-2}}\n"),
    );
    expect(tls).toMatchObject({
      minVersion: "TLSv1.3",
      profile: { name: expect.stringMatching(/^bsi-tr-02102-2@\d+\+custom$/) },
    });
  });
  it("keys point to the file they are written in", async () => {
    const { origins } = await outboundOf({
      "sealpost.yaml": BASE + base,
      "partners/acme.yaml": `${D}outbound:\n  tls:\n    match: [x.example]\n`,
    });
    const place = (key: string) =>
      origins[key] && `${origins[key].file.split("/").at(-1)}:${origins[key].line}:${origins[key].column}`;
    expect(["tls.level", "tls.match", "next_hop", "lifetime"].map(place)).toEqual([
      "sealpost.yaml:7:9",
      "acme.yaml:4:5",
      "sealpost.yaml:5:3",
      "sealpost.yaml:6:3",
    ]);
  });
});

describe("next_hop", () => {
  it.each<[string, unknown]>([
    ["mx", [{ kind: "mx" }]],
    ["relay.acme.example", [{ kind: "mx-of", domain: "relay.acme.example" }]],
    ['"relay.acme.example:2525"', [{ kind: "mx-of", domain: "relay.acme.example", port: 2525 }]],
    ['"[relay.acme.example]:2525"', [{ kind: "host", host: "relay.acme.example", port: 2525, implicitTls: false }]],
    ['"[relay.acme.example]"', [{ kind: "host", host: "relay.acme.example", port: 26, implicitTls: false }]],
    ['"[192.0.2.1]:25"', [{ kind: "host", host: "192.0.2.1", port: 25, implicitTls: false }]],
    ['"[2001:DB8::1]:25"', [{ kind: "host", host: "2001:db8::1", port: 25, implicitTls: false }]],
    ['"[IPv6:2001:db8::1]:25"', [{ kind: "host", host: "2001:db8::1", port: 25, implicitTls: false }]],
    ['"[Bücher.example]:25"', [{ kind: "host", host: "xn--bcher-kva.example", port: 25, implicitTls: false }]],
    ['["[a.example]:25", b.example, mx]', [{ host: "a.example" }, { domain: "b.example" }, { kind: "mx" }]],
    [
      '{to: "[a.example]:465", implicit_tls: true}',
      [{ kind: "host", host: "a.example", port: 465, implicitTls: true }],
    ],
    [
      '[{to: "[a.example]:465", implicit_tls: true, auth: {user: u, password: "${PW}"}}, "[b.example]:25"]',
      [{ port: 465, auth: { user: "u", password: "12345" } }, { host: "b.example" }],
    ],
  ])("%s", async (written, expected) => {
    const tree = partner(
      `${D}outbound: {tls: {level: secure, match: [x.example]}, next_hop: ${written}}\n`,
      "delivery: {port: 26}\n",
    );
    const { policy } = await settings(tree, { PW: "12345" });
    expect(policy.partners[0]?.outbound.nextHop).toMatchObject(expected as object);
  });
});

describe("names", () => {
  it.each<[string, object]>([
    ["domains: [acme.example, .acme.example]", { domains: ["acme.example"], subdomainsOf: ["acme.example"] }],
    ['domains: "*.acme.example"', { domains: [], subdomainsOf: ["acme.example"] }],
    ["domains: [BÜCHER.example]", { domains: ["xn--bcher-kva.example"] }],
    ["domains: [.xn--bcher-kva.example]", { subdomainsOf: ["xn--bcher-kva.example"] }],
    [
      "addresses: [Anna@Joint.example, bert@bücher.example]",
      { addresses: ["anna@joint.example", "bert@xn--bcher-kva.example"], domains: [] },
    ],
    ['addresses: "root@[192.0.2.1]"', { addresses: ["root@[192.0.2.1]"] }],
    [
      "domains: a.example\nname: ACME AG\nowner: o@example.org\ncontact: c@acme.example",
      { id: "acme", name: "ACME AG", owner: "o@example.org" },
    ],
    ["domains: a.example", { id: "acme", name: "acme" }],
  ])("%s", async (written, expected) => expect(await partnerPolicy(partner(`${written}\n`))).toMatchObject(expected));
});

describe("tls of a partner", () => {
  const authority = createAuthority("Partner CA");
  const client = authority.issue({
    names: [],
    commonName: "us",
    client: true,
    notBefore: new Date("2026-01-01"),
    notAfter: new Date("2027-11-01"),
  });
  const crl = authority.revocationList([]);
  it("expands match sets, in order", async () =>
    expect(
      (
        await outboundOf(
          partner(
            `${D}outbound: {tls: {level: verify, match: [set:m, hostname, x.example]}}\n`,
            'match_sets: {m: [.mail.example, "*.mx.example", nexthop]}\n',
          ),
        )
      ).tls.match,
    ).toEqual([{ below: "mail.example" }, { below: "mx.example" }, "nexthop", "hostname", { host: "x.example" }]));
  it("reads ca and crl relative to the file that names them", async () => {
    const { tls } = await outboundOf({
      ...partner(`${D}outbound: {tls: {level: secure, ca: ../../certs/ca.pem, crl: crl.pem}}\n`),
      "../certs/ca.pem": authority.certificate,
      "partners/crl.pem": crl,
    });
    expect(tls.trust.ca).toHaveLength(1);
    expect(tls.trust.crl).toHaveLength(1);
    expect(tls.trust.id).not.toBe("system");
  });
  it("inherits a ca by the path sealpost.yaml wrote", async () => {
    const tree = { ...partner(D, "outbound: {tls: {level: verify, ca: ca.pem}}\n"), "ca.pem": authority.certificate };
    expect((await outboundOf(tree)).tls.trust).toEqual((await settings(tree)).policy.default.tls.trust);
  });
  it("trusts what tls.trust names where no ca is written", async () => {
    const tree = { ...gateway("tls: {trust: ca.pem}\n"), "ca.pem": authority.certificate };
    expect((await settings(tree)).policy.default.tls.trust.ca).toHaveLength(1);
  });
  it("reads pins in each form", async () => {
    const pins = `[${SHA}, "${COLONS}", {sha256: "${COLONS}", of: public-key, not_after: 2027-03-01}]`;
    expect(
      (await outboundOf(partner(`${D}outbound: {tls: {level: fingerprint, fingerprints: ${pins}}}\n`))).tls
        .fingerprints,
    ).toEqual([
      { sha256: SHA, of: "certificate" },
      { sha256: SHA, of: "certificate" },
      { sha256: SHA, of: "public-key", notAfter: Date.UTC(2027, 2, 2) },
    ]);
  });
  it("warns when every pin has ended", async () =>
    expect(
      await warnings(
        partner(`${D}outbound: {tls: {level: fingerprint, fingerprints: {sha256: ${SHA}, not_after: 2026-11-23}}}\n`),
      ),
    ).toEqual([expect.stringContaining("every fingerprint has ended")]));
  it("reads a client certificate, and its key for the group where that is allowed", async () => {
    const tree: Tree = {
      ...partner(
        `${D}outbound: {tls: {client_certificate: {certificate: us.crt, key: us.key, allow_group_read: true}}}\n`,
      ),
      "partners/us.crt": client.chain,
      "partners/us.key": { text: client.key, mode: 0o640 },
    };
    expect((await outboundOf(tree)).tls.clientCertificate).toEqual({ certificate: client.chain, key: client.key });
  });
  it("takes own suites, older ones in an exception", async () => {
    const { outbound, exceptions } = await partnerPolicy(
      partner(
        `${D}outbound: {tls: {ciphers: ECDHE-RSA-AES128-GCM-SHA256}}\nexceptions: [{until: 2026-12-31, approved_by: a, reason: r, outbound: {tls: {min_version: TLSv1}}}]\n`,
      ),
    );
    expect(outbound.tls.profile).toMatchObject({
      ciphers: "ECDHE-RSA-AES128-GCM-SHA256",
      name: "intermediate@2026+custom",
    });
    expect(exceptions[0]?.tls.minVersion).toBe("TLSv1");
  });
});

describe("exceptions", () => {
  const exception = (until: string, more = "") =>
    `exceptions:\n  - {until: ${until}, approved_by: anna@example.org, reason: "expired, sorry"${more}, outbound: {tls: {level: may}}}\n`;
  it("are laid over the partner's policy and end with their day, UTC", async () => {
    const { exceptions } = await partnerPolicy(
      partner(`${D}outbound: {lifetime: 1d, tls: {level: secure, match: [a.example]}}\n${exception("2026-12-31")}`),
    );
    expect(exceptions).toMatchObject([
      {
        source: "exception",
        partner: "acme",
        lifetimeMs: 86_400_000,
        tls: { level: "may" },
        exception: {
          approvedBy: "anna@example.org",
          reason: "expired, sorry",
          endsAt: Date.UTC(2027, 0, 1),
          origin: { line: 4, column: 5 },
        },
      },
    ]);
  });
  it.each([
    ["2026-11-24", 1, "today counts"],
    ["2027-11-25", 1, "the longest"],
    ["2026-11-23", 0, "yesterday does not"],
  ])("until %s: %i in force (%s)", async (until, count) =>
    expect((await partnerPolicy(partner(D + exception(until)))).exceptions).toHaveLength(count),
  );
  it("that have ended are told", async () =>
    expect(await warnings(partner(D + exception("2026-11-23")))).toEqual([
      expect.stringMatching(/^partners\/acme.yaml:3:13 this exception ended with 2026-11-23.* → remove it$/),
    ]));
  it("of sealpost.yaml hold for their domains", async () =>
    expect(
      (await settings(gateway(exception("2026-12-31", ', domains: [late.example, "*.old.example"]')))).policy
        .defaultExceptions,
    ).toMatchObject([
      {
        source: "exception",
        partner: null,
        exception: { domains: [{ host: "late.example" }, { below: "old.example" }] },
      },
    ]));
  it("may drop TLS altogether", async () =>
    expect(
      (await partnerPolicy(partner(D + exception("2026-12-31").replace("level: may", "level: none")))).exceptions[0]
        ?.tls.level,
    ).toBe("none"));
});

describe("our own domains", () => {
  const own = (text: string) => gateway(`domains: [{domain: [example.org, bücher.example], ${text}}]\n`);
  it.each<[string, string]>([
    ['next_hop: "[127.0.0.1]:2600"', "may"],
    ['next_hop: "[::1]:2600"', "may"],
    ['next_hop: "[10.0.0.1]:25"', "encrypt"],
    ['next_hop: ["[127.0.0.1]:25", "[inner.example.org]:25"]', "encrypt"],
    ['next_hop: "[10.0.0.1]:25", next_hop_tls: none', "none"],
    ['next_hop: "[10.0.0.1]:25", next_hop_tls: {level: verify, match: [inner.example.org]}', "verify"],
    [`next_hop: "[10.0.0.1]:25", next_hop_tls: {level: fingerprint, fingerprints: ${SHA}}`, "fingerprint"],
  ])("%s → %s", async (text, level) => {
    const { policy, accept } = await settings(own(text));
    expect(policy.ownDomains.map(({ domain, outbound }) => [domain, outbound.tls.level, outbound.source])).toEqual([
      ["example.org", level, "own-domain"],
      ["xn--bcher-kva.example", level, "own-domain"],
    ]);
    expect(accept.ownDomains).toEqual(["example.org", "xn--bcher-kva.example"]);
  });
  it("without a next hop use the local one, with a word about it", async () =>
    expect(await warnings(own("language: de"))).toEqual([expect.stringContaining("[127.0.0.1]:2600 is used")]));
});

describe("the rest of sealpost.yaml", () => {
  it("has the documented defaults", async () => {
    const loaded = await settings(gateway(""));
    expect(loaded).toMatchObject({
      postmaster: "postmaster@example.org",
      dataDir: "/etc/sealpost/data",
      noticeLanguage: "auto",
      concurrencyPerDestination: 5,
      admin: { address: "127.0.0.1", port: 8025, tokenFile: "/etc/sealpost/data/admin.token" },
      store: { keyFile: "/etc/sealpost/certs/queue.key", reserve: 2 ** 30, allowGroupRead: false },
      log: { level: "info", addresses: "full", to: "stdout" },
      schedule: { retryMs: [60_000, 300_000, 900_000, 1_800_000, 3_600_000] },
      policy: {
        bounceLifetimeMs: 172_800_000,
        default: { lifetimeMs: 432_000_000, permitted: true, tls: { level: "encrypt" } },
      },
    });
    expect(loaded.accept.limits).toMatchObject({ messageSize: 52_428_800, recipients: 1000, idleTimeoutMs: 300_000 });
    expect(loaded.accept.listeners[0]?.certificates).toEqual([
      { certificate: "CERT", key: "KEY", names: ["relay.example.org"] },
    ]);
  });
  it("warns of a hostname nobody wrote", async () =>
    expect(await warnings({ "sealpost.yaml": "listeners: [{clients: [127.0.0.1]}]\n" })).toEqual([
      expect.stringContaining("no hostname is written"),
    ]));
  it("takes the machine's resolvers, or those written", async () => {
    const machine = { ...gateway(""), "/etc/resolv.conf": "# x\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n" };
    expect((await settings(machine)).dns.resolvers.map(({ address }) => address)).toEqual([
      "192.0.2.53",
      "2001:db8::53",
    ]);
    const written = gateway(
      'dns: {resolvers: [127.0.0.1, "10.0.0.1:5353", "[::1]:54", "tls://9.9.9.9#dns.quad9.net"]}\n',
    );
    expect((await settings(written)).dns.resolvers).toEqual([
      { transport: "udp", address: "127.0.0.1", port: 53, trustAd: true },
      { transport: "udp", address: "10.0.0.1", port: 5353 },
      { transport: "udp", address: "::1", port: 54, trustAd: true },
      { transport: "tls", address: "9.9.9.9", port: 853, name: "dns.quad9.net", trustAd: true },
    ]);
  });
  it("refuses unlisted destinations when told so", async () =>
    expect((await settings(partner(D, "outbound: {unlisted: refuse}\n"))).policy).toMatchObject({
      default: { permitted: false },
      partners: [{ outbound: { permitted: true } }],
    }));
  it("keeps the generation it is given", async () => expect((await settings(gateway(""))).policy.generation).toBe(1));
});

describe("listeners", () => {
  const one = async (text: string, more: Tree = {}) =>
    (
      await settings({
        ...more,
        "sealpost.yaml": `hostname: relay.example.org\ndomains: [{domain: example.org, next_hop: "[127.0.0.1]:2600"}]\nlisteners: [{${text}}]\n`,
      })
    ).accept.listeners[0];
  it("take clients in short and in long", async () => {
    const listener = await one(
      'clients: [10.0.0.0/8, "2001:db8::/32", {network: 10.1.9.7/32, tls: offer, profile: legacy, senders: [Scanner@example.org], normalize_bare_lf: true, until: 2027-06-30}]',
    );
    expect(listener?.clients).toMatchObject([
      { network: { address: "10.0.0.0", prefix: 8 }, normalizeBareLf: false },
      { network: { address: "2001:db8::", prefix: 32 } },
      {
        network: { address: "10.1.9.7", prefix: 32 },
        tls: "offer",
        profile: { name: "legacy@2026" },
        senders: ["scanner@example.org"],
        normalizeBareLf: true,
        endsAt: Date.UTC(2027, 6, 1),
      },
    ]);
  });
  it("keep a client that has ended out of the way, with a warning", async () => {
    const tree = {
      "sealpost.yaml": "hostname: a.example\nlisteners: [{clients: [{network: 127.0.0.1, until: 2026-11-23}]}]\n",
    };
    expect((await settings(tree)).accept.listeners[0]?.clients[0]?.endsAt).toBeLessThan(NOW);
    expect(await warnings(tree)).toEqual([expect.stringContaining("no longer permitted")]);
  });
  it("read users, each with the senders permitted", async () => {
    const hash = `scrypt:16384:8:1:c2FsdHNhbHQ=:${"A".repeat(43)}=`;
    const listener = await one("auth: {users_file: users}", {
      users: `anna ${hash}\nbert ${hash} any\r\ncarl ${hash} carl@example.org,*@Shop.example\n`,
    });
    expect(listener?.auth?.users.map(({ name, senders }) => [name, senders])).toEqual([
      ["anna", "own"],
      ["bert", "any"],
      ["carl", ["carl@example.org", "*@shop.example"]],
    ]);
  });
  it("read whose certificates may relay", async () => {
    const authority = createAuthority("Clients");
    const listener = await one(
      "client_certificates: {ca: ca.pem, names: [exch01.corp.example], header: {X-Tenant: abc, constructor: x}}",
      { "ca.pem": authority.certificate },
    );
    expect(listener?.clientCertificates).toMatchObject({
      names: [{ host: "exch01.corp.example" }],
      header: { "X-Tenant": "abc", constructor: "x" },
    });
    expect(listener?.clientCertificates?.ca).toHaveLength(1);
  });
  it("keep certificates, proxies and senders", async () => {
    const authority = createAuthority("Own");
    const issued = authority.issue({
      names: ["in.example.org"],
      notBefore: new Date("2026-01-01"),
      notAfter: new Date("2027-11-01"),
    });
    const listener = await one(
      "name: s, port: 0, tls: implicit, senders: own, xclient: 127.0.0.1, proxy_protocol: [10.0.0.1], greet_delay: 2s, clients: [127.0.0.1], certificates: {certificate: a.crt, key: a.key}",
      { "a.crt": issued.chain, "a.key": { text: issued.key, mode: 0o400 } },
    );
    expect(listener).toMatchObject({
      name: "s",
      port: 0,
      tls: "implicit",
      senders: "own",
      greetDelayMs: 2000,
      xclient: [{ address: "127.0.0.1", prefix: 32 }],
      proxyProtocol: [{ address: "10.0.0.1" }],
      certificates: [{ names: ["in.example.org"] }],
    });
  });
  it("warn when nobody may use them", async () =>
    expect(await warnings({ "sealpost.yaml": "hostname: a.example\nlisteners: [{name: x}]\n" })).toEqual([
      expect.stringContaining("nobody may send"),
    ]));
});

describe("the environment", () => {
  it.each<[string, Record<string, string>, string | number]>([
    ["address: ${A:-127.0.0.9}", {}, "127.0.0.9"],
    ["address: ${A:-127.0.0.9}", { A: "127.0.0.2" }, "127.0.0.2"],
    ["address: ${A:-127.0.0.9}", { A: "" }, "127.0.0.9"],
    ['address: "127.0.${A}"', { A: "0.3" }, "127.0.0.3"],
  ])("%s with %j", async (text, env, expected) =>
    expect(
      (
        await settings(
          { "sealpost.yaml": `hostname: a.example\nlisteners:\n  - clients: [127.0.0.1]\n    ${text}\n` },
          env,
        )
      ).accept.listeners[0]?.address,
    ).toBe(expected),
  );
  it("gives numbers where it is not quoted", async () =>
    expect((await settings(gateway("admin:\n  port: ${P}\n"), { P: "9000" })).admin.port).toBe(9000));
  it("leaves $${ as it is meant", async () =>
    expect((await partnerPolicy(partner(`${D}name: "a $\${B}"\n`))).name).toBe("a ${B}"));
});

describe("what the destination publishes", () => {
  const honoured = { dane: "honour", mtaSts: "honour" };
  it.each<[string, Tree, object]>([
    ["is honoured where nothing is written", partner(D), honoured],
    [
      "is honoured or not as the default says",
      partner(D, "outbound: {tls: {dane: ignore, mta_sts: require}}\n"),
      { dane: "ignore", mtaSts: "require" },
    ],
    [
      "may be honoured where the default ignores it",
      partner(
        `${D}outbound: {tls: {dane: honour, mta_sts: honour}}\n`,
        "outbound: {tls: {dane: ignore, mta_sts: ignore}}\n",
      ),
      honoured,
    ],
    [
      "may be ignored where the default states the whole demand: nothing is weakened",
      partner(`${D}outbound: {tls: {level: verify, dane: ignore}}\n`, "outbound: {tls: {level: secure}}\n"),
      { dane: "ignore", mtaSts: "honour" },
    ],
    [
      "is honoured at authenticated",
      partner(`${D}outbound: {tls: {level: authenticated}}\n`),
      { ...honoured, level: "authenticated" },
    ],
    ["dane-only is there", partner(`${D}outbound: {tls: {level: dane-only}}\n`), { level: "dane-only" }],
  ])("%s", async (_, tree, expected) => expect((await outboundOf(tree)).tls).toMatchObject(expected));

  it("may be ignored by an exception", async () => {
    const exception =
      "{until: 2026-12-24, approved_by: a@example.org, reason: r, outbound: {tls: {dane: ignore, mta_sts: ignore}}}";
    const { exceptions } = await partnerPolicy(partner(`${D}exceptions: [${exception}]\n`));
    expect(exceptions[0]?.tls).toMatchObject({ level: "encrypt", dane: "ignore", mtaSts: "ignore" });
  });

  it.each([
    ["encrypt", "ignore"],
    ["authenticated", "honour"],
  ])("is not asked on the way to our own servers, unless the level is authenticated: %s", async (level, expected) => {
    const { policy } = await settings(
      gateway(`domains: [{domain: example.org, next_hop: "[mail.example.org]:25", next_hop_tls: ${level}}]\n`),
    );
    expect(policy.ownDomains[0]?.outbound.tls).toMatchObject({ level, dane: expected, mtaSts: expected });
  });
});
