/** Each level against each bad peer: the mail waits for the right reason, and nothing but EHLO, STARTTLS and QUIT went out. */
import { afterEach, describe, expect, it } from "vitest";
import type { TlsPolicy } from "../../src/decide/policy.ts";
import { createAuthority, type Issued, selfSigned, type Subject } from "../peers/certificates.ts";
import { type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import {
  type Attempted,
  hostOf,
  policy,
  trusting,
  until,
  type WayOut,
  wayOut,
  weakProfile,
} from "../peers/outgoing.ts";

const DAY = 86_400_000;
const inDays = (days: number): Date => new Date(Date.now() + days * DAY);

const ca = createAuthority("Acme CA");
const stranger = createAuthority("Stranger CA");
const names = ["mx.acme.test"];
const good = ca.issue({ names });
const issued = (subject: Subject, by = ca): Issued => by.issue(subject);

let mx: MxServer;
let out: WayOut;

afterEach(async () => {
  out.stop.abort();
  await mx.close();
});

async function tryPeer(peer: MxOptions, tls: Partial<TlsPolicy>, bent: Parameters<typeof wayOut>[0] = {}) {
  mx = await startMx(peer);
  out = wayOut({ commandTimeoutMs: 400, ...bent });
  return out.attempt(hostOf(mx), policy(ca, tls));
}

async function expectWaits({ problem, outcomes }: Attempted, reason: string): Promise<void> {
  expect(outcomes).toBeUndefined();
  expect(problem).toMatchObject({ kind: "deferred", reason });
  await until(() => mx.open() === 0, "the peer sees the connection end");
  expect(mx.messages).toEqual([]);
  for (const { line } of mx.commands) expect(line).toMatch(/^(EHLO relay\.test|STARTTLS|QUIT)$/);
}

const delivered = new Map([[0, expect.objectContaining({ kind: "delivered" })]]);

const server = (certificate: Issued, more: Partial<MxOptions["tls"]> = {}): MxOptions => ({
  tls: { certificate: certificate.chain, key: certificate.key, ...more },
});

const levels: [string, Partial<TlsPolicy>][] = [
  ["encrypt", { level: "encrypt" }],
  ["verify", { level: "verify" }],
  ["secure", { level: "secure", match: [{ host: "mx.acme.test" }] }],
  ["fingerprint", { level: "fingerprint", fingerprints: [{ sha256: good.sha256, of: "certificate" }] }],
];

describe.each(levels)("level %s", (_, tls) => {
  it("carries mail to a good peer", async () => {
    const { outcomes, session } = await tryPeer(server(good), tls);
    expect(outcomes).toEqual(delivered);
    expect(session?.evidence).toMatchObject({ version: "TLSv1.3", sni: "mx.acme.test" });
    expect(mx.messages).toMatchObject([{ secure: true }]);
  });

  it.each<[string, MxOptions, string]>([
    ["no STARTTLS", { ...server(good), starttls: "absent" }, "starttls-not-supported"],
    ["454 to STARTTLS", { ...server(good), starttls: "refused" }, "starttls-not-supported"],
    [
      "no EHLO",
      { ...server(good), answer: ({ line }) => (line.startsWith("EHLO") ? "502 What?" : undefined) },
      "starttls-not-supported",
    ],
    ["garbage behind the 220", { ...server(good), starttls: "garbage" }, "validation-failure"],
    ["silence at STARTTLS", { ...server(good), starttls: "hang" }, "validation-failure"],
    ["silence behind the 220", { ...server(good), starttls: "hang-after-220" }, "validation-failure"],
    ["a drop at STARTTLS", { ...server(good), starttls: "drop" }, "validation-failure"],
    ["plain text injected behind the 220 [RFC 3207 §6]", { ...server(good), starttls: "inject" }, "validation-failure"],
    [
      "TLS 1.1 only",
      server(good, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }),
      "tls-parameters-too-weak",
    ],
    [
      "no suite in common",
      server(good, { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-SHA@SECLEVEL=0" }),
      "tls-parameters-too-weak",
    ],
    ["a client certificate demanded", server(good, { clientCa: stranger.certificate }), "client-certificate-demanded"],
  ])("waits: %s", async (_, peer, reason) => {
    const weakSuite = { ...policy(ca).profile, ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_256_GCM_SHA384" };
    await expectWaits(await tryPeer(peer, { ...tls, profile: weakSuite }), reason);
  });

  it("waits: TLS 1.1, though the profile would speak it", async () => {
    const old = server(good, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
    await expectWaits(await tryPeer(old, { ...tls, profile: weakProfile }), "tls-parameters-too-weak");
  });
});

describe("what level encrypt does not ask", () => {
  it.each<[string, Issued]>([
    ["wrong name", issued({ names: ["other.test"] })],
    ["expired", issued({ names, notBefore: inDays(-9), notAfter: inDays(-1) })],
    ["self-signed", selfSigned({ names })],
    ["a stranger's", issued({ names }, stranger)],
  ])("%s", async (_, certificate) => {
    const { outcomes, verdict } = await tryPeer(server(certificate), { level: "encrypt" });
    expect(outcomes).toEqual(delivered);
    expect(verdict).toEqual({ trusted: false });
  });

  it("is told all the same: a valid certificate counts as trusted", async () => {
    expect((await tryPeer(server(good), { level: "encrypt" })).verdict).toEqual({ trusted: true });
  });
});

const intermediate = ca.intermediate("Acme Issuing CA");
const behind = intermediate.issue({ names });
const revoked = ca.issue({ names });

describe.each(levels.filter(([level]) => level === "verify" || level === "secure"))(
  "certificates at level %s",
  (_, tls) => {
    it.each<[string, Issued, string]>([
      ["another name", issued({ names: ["other.test"] }), "certificate-host-mismatch"],
      ["only a common name [RFC 6125 §6.4.4]", issued({ commonName: "mx.acme.test" }), "certificate-host-mismatch"],
      ["expired", issued({ names, notBefore: inDays(-9), notAfter: inDays(-1) }), "certificate-expired"],
      ["not valid yet", issued({ names, notBefore: inDays(1) }), "certificate-expired"],
      ["self-signed", selfSigned({ names }), "certificate-not-trusted"],
      ["a stranger's", issued({ names }, stranger), "certificate-not-trusted"],
      [
        "a stranger's that has expired",
        issued({ names, notBefore: inDays(-9), notAfter: inDays(-1) }, stranger),
        "certificate-not-trusted",
      ],
      [
        "self-signed and expired",
        selfSigned({ names, notBefore: inDays(-9), notAfter: inDays(-1) }),
        "certificate-not-trusted",
      ],
      ["a client's certificate", issued({ names, client: true }), "certificate-not-trusted"],
      ["its intermediate was not sent", { ...behind, chain: behind.certificate }, "certificate-not-trusted"],
    ])("waits: %s", async (_, certificate, reason) => {
      await expectWaits(await tryPeer(server(certificate), tls), reason);
    });

    it.each<[string, Partial<TlsPolicy>, string]>([
      ["revoked", { trust: trusting([ca], [ca.revocationList([revoked])]) }, "certificate-not-trusted"],
      [
        "the revocation list is out of date",
        { trust: trusting([ca], [ca.revocationList([], { nextUpdate: inDays(-1), thisUpdate: inDays(-2) })]) },
        "certificate-not-trusted",
      ],
      [
        "no revocation list of its authority",
        { trust: trusting([ca], [stranger.revocationList([])]) },
        "certificate-not-trusted",
      ],
    ])("waits: %s", async (_, trust, reason) => {
      await expectWaits(await tryPeer(server(revoked), { ...tls, ...trust }), reason);
    });

    it.each<[string, Issued, Partial<TlsPolicy>]>([
      ["not revoked", good, { trust: trusting([ca], [ca.revocationList([revoked])]) }],
      [
        "every authority's list in one text",
        behind,
        { trust: trusting([ca], [ca.revocationList([revoked]) + intermediate.revocationList([])]) },
      ],
      ["an intermediate, sent along", behind, {}],
      ["a pinned intermediate as the only authority", behind, { trust: trusting([intermediate]) }],
      ["its own certificate as the only authority", good, { trust: trusting([good]) }],
      ["an RSA key", ca.issue({ names, keyType: "rsa" }), {}],
    ])("carries mail: %s", async (_, certificate, trust) => {
      const { outcomes, verdict } = await tryPeer(server(certificate), { ...tls, ...trust });
      expect(outcomes).toEqual(delivered);
      expect(verdict).toMatchObject({ authenticatedBy: "private-ca", matched: "mx.acme.test" });
    });

    it("never takes the machine's authorities for the partner's own", async () => {
      await expectWaits(
        await tryPeer(server(good), { ...tls, trust: { id: "system", ca: "system", crl: [] } }),
        "certificate-not-trusted",
      );
    });
  },
);

it("level secure proves nothing by a name that came from insecure DNS", async () => {
  await expectWaits(await tryPeer(server(good), { level: "secure", match: ["hostname"] }), "certificate-host-mismatch");
});

describe("pins", () => {
  const pinned = selfSigned({ names: ["whatever.test"], notBefore: inDays(-9), notAfter: inDays(-1) });
  it.each<[string, TlsPolicy["fingerprints"]]>([
    ["of the certificate, whatever its name, date and issuer", [{ sha256: pinned.sha256, of: "certificate" }]],
    ["of the public key", [{ sha256: pinned.spkiSha256, of: "public-key" }]],
    [
      "the second of two",
      [
        { sha256: good.sha256, of: "certificate" },
        { sha256: pinned.spkiSha256, of: "public-key" },
      ],
    ],
  ])("carry mail: %s", async (_, fingerprints) => {
    const { outcomes, verdict } = await tryPeer(server(pinned), { level: "fingerprint", fingerprints });
    expect(outcomes).toEqual(delivered);
    expect(verdict).toMatchObject({ authenticatedBy: "fingerprint" });
  });

  it.each<[string, TlsPolicy["fingerprints"]]>([
    ["another certificate", [{ sha256: good.sha256, of: "certificate" }]],
    ["the right digest for the wrong thing", [{ sha256: pinned.sha256, of: "public-key" }]],
    ["past its date", [{ sha256: pinned.sha256, of: "certificate", notAfter: Date.now() - 1 }]],
  ])("wait: %s", async (_, fingerprints) => {
    await expectWaits(await tryPeer(server(pinned), { level: "fingerprint", fingerprints }), "fingerprint-mismatch");
  });
});

describe("client certificates", () => {
  const clients = createAuthority("Clients CA");
  const client = clients.issue({ names: ["relay.test"], client: true });
  const asks = server(good, { clientCa: clients.certificate });

  it("are shown where one is configured", async () => {
    const clientCertificate = { certificate: client.chain, key: client.key };
    const { outcomes } = await tryPeer(asks, { level: "verify", clientCertificate });
    expect(outcomes).toEqual(delivered);
    expect(mx.handshakes).toMatchObject([{ client: "CN=relay.test" }]);
  });

  it("that cannot be used let the mail wait", async () => {
    const clientCertificate = { certificate: client.chain, key: good.key };
    await expectWaits(await tryPeer(asks, { level: "verify", clientCertificate }), "internal-error");
    expect(mx.connections()).toBe(0);
  });
});

describe("level may", () => {
  const may: Partial<TlsPolicy> = { level: "may" };

  it("uses TLS where it is offered, whoever the peer is", async () => {
    const { outcomes } = await tryPeer(server(selfSigned({ names: ["x.test"] })), may);
    expect(outcomes).toEqual(delivered);
    expect(mx.messages).toMatchObject([{ secure: true }]);
  });

  it("goes in clear where it is not offered", async () => {
    const { outcomes, session } = await tryPeer({}, may);
    expect(outcomes).toEqual(delivered);
    expect(session).not.toHaveProperty("evidence");
    expect(mx.messages).toMatchObject([{ secure: false }]);
  });

  it("falls back to HELO where EHLO is not understood [RFC 5321 §3.2]", async () => {
    const answer: MxOptions["answer"] = ({ line }) => (line.startsWith("EHLO") ? "500 What?" : undefined);
    expect((await tryPeer({ answer }, may)).outcomes).toEqual(delivered);
    expect(mx.verbs()).toBe("EHLO HELO MAIL RCPT DATA");
  });

  it.each<[string, MxOptions, string]>([
    ["garbage behind the 220", { ...server(good), starttls: "garbage" }, "validation-failure"],
    ["454 to STARTTLS", { ...server(good), starttls: "refused" }, "starttls-not-supported"],
  ])("does not go on in clear in the same attempt: %s", async (_, peer, reason) => {
    await expectWaits(await tryPeer(peer, may), reason);
  });
});

it("level none does not try TLS", async () => {
  expect((await tryPeer(server(good), { level: "none" })).outcomes).toEqual(delivered);
  expect(mx.messages).toMatchObject([{ secure: false }]);
  expect(mx.verbs()).not.toContain("STARTTLS");
});

describe("names and versions sent", () => {
  it("sends the configured SNI", async () => {
    await tryPeer(server(good), { servername: "smtp.acme.test" });
    expect(mx.handshakes).toMatchObject([{ servername: "smtp.acme.test" }]);
  });

  it("sends no SNI for an address [RFC 6066 §3]", async () => {
    mx = await startMx(server(good));
    out = wayOut();
    const { outcomes } = await out.attempt(hostOf(mx, { name: "127.0.0.1" }), policy(ca));
    expect(outcomes).toEqual(delivered);
    expect(mx.handshakes).toMatchObject([{ servername: null }]);
  });

  it("refuses TLS 1.2 where 1.3 is demanded", async () => {
    const old = server(good, { maxVersion: "TLSv1.2" });
    await expectWaits(await tryPeer(old, { minVersion: "TLSv1.3" }), "tls-parameters-too-weak");
  });

  it("takes the higher of policy and profile as the least version", async () => {
    const old = server(good, { maxVersion: "TLSv1.2" });
    const strict = { ...policy(ca).profile, minVersion: "TLSv1.3" } as const;
    await expectWaits(await tryPeer(old, { profile: strict, minVersion: "TLSv1.2" }), "tls-parameters-too-weak");
  });
});

describe("implicit TLS", () => {
  it("carries mail inside TLS from the first octet", async () => {
    mx = await startMx({ ...server(good), implicitTls: true });
    out = wayOut();
    const { outcomes, session } = await out.attempt(hostOf(mx, { implicitTls: true }), policy(ca, { level: "verify" }));
    expect(outcomes).toEqual(delivered);
    expect(session?.evidence?.chain[0]?.sha256).toBe(good.sha256);
    expect(mx.verbs()).toBe("EHLO MAIL RCPT DATA");
  });

  it("waits when the peer speaks in clear there", async () => {
    mx = await startMx({});
    out = wayOut();
    await expectWaits(await out.attempt(hostOf(mx, { implicitTls: true }), policy(ca)), "validation-failure");
  });
});

it("forgets what EHLO offered before TLS [RFC 3207 §4.2]", async () => {
  const { session } = await tryPeer(
    { ...server(good), extensions: ["SIZE 10", "DSN"], extensionsInTls: ["8BITMIME"] },
    {},
  );
  expect(session?.extensions).toEqual(new Set(["8BITMIME"]));
  expect(session).not.toHaveProperty("maxSize");
});

it("delivers the same message once the peer is mended", async () => {
  await expectWaits(
    await tryPeer({ ...server(good), starttls: "absent" }, { level: "verify" }),
    "starttls-not-supported",
  );
  mx.change(server(good));
  expect((await out.attempt(hostOf(mx), policy(ca, { level: "verify" }))).outcomes).toEqual(delivered);
});
