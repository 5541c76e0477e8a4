import { describe, expect, it } from "vitest";
import type { PeerEvidence } from "../../../src/mail/peer-evidence.ts";
import { opportunistic, type Pin, type TlsRequirement } from "../../../src/mail/tls-requirement.ts";
import { verifyPeer } from "../../../src/verify/verify-peer.ts";
import { atLeast, CERTIFICATE_DIGEST, DAY, evidence, KEY_DIGEST, leaf, mandatory, NOW, pkix } from "./evidence-rows.ts";

const host = "mx.acme.example";

function verdict(shown: PeerEvidence | undefined, requirement: TlsRequirement): unknown {
  const result = verifyPeer({ host, now: NOW, ...(shown && { evidence: shown }) }, requirement);
  return "failure" in result ? result.failure : result;
}

describe("a session in clear", () => {
  it.each([
    ["may carry mail where nothing is demanded", opportunistic, { trusted: false }],
    ["may not where TLS is", mandatory(), "starttls-not-supported"],
    ["may not where a name is", mandatory(pkix), "starttls-not-supported"],
  ])("%s", (_, requirement, expected) => expect(verdict(undefined, requirement)).toEqual(expected));
});

describe("version", () => {
  it.each([
    ["1.2 meets 1.2", "TLSv1.2", atLeast("TLSv1.2"), { trusted: true }],
    ["1.3 meets 1.2", "TLSv1.3", atLeast("TLSv1.2"), { trusted: true }],
    ["1.2 does not meet 1.3", "TLSv1.2", atLeast("TLSv1.3"), "tls-parameters-too-weak"],
    ["1.1 does not meet 1.2", "TLSv1.1", atLeast("TLSv1.2"), "tls-parameters-too-weak"],
    ["an unknown version meets nothing", "SSLv3" as never, atLeast("TLSv1"), "tls-parameters-too-weak"],
  ] as const)("%s", (_, version, requirement, expected) =>
    expect(verdict(evidence({ version }), requirement)).toEqual(expected),
  );
});

describe("certificate path and names", () => {
  it.each<[string, Partial<PeerEvidence>, unknown]>([
    ["a private authority", {}, { authenticatedBy: "private-ca", matched: host, trusted: false }],
    ["no certificate", { chain: [] }, "certificate-not-trusted"],
    ["self-signed", { chainError: "DEPTH_ZERO_SELF_SIGNED_CERT" }, "certificate-not-trusted"],
    ["revoked", { chainError: "CERT_REVOKED" }, "certificate-not-trusted"],
    ["no revocation list at hand", { chainError: "UNABLE_TO_GET_CRL" }, "certificate-not-trusted"],
    ["opened under other authorities", { trustId: "other" }, "certificate-not-trusted"],
    [
      "a stranger's, expired, with another name: trust comes first",
      {
        chainError: "SELF_SIGNED_CERT_IN_CHAIN",
        chain: [leaf({ notAfter: NOW - DAY, names: ["other.example"] })],
      },
      "certificate-not-trusted",
    ],
    [
      "expired, with another name: the date comes first",
      { chainError: "CERT_HAS_EXPIRED", chain: [leaf({ notAfter: NOW - DAY, names: ["other.example"] })] },
      "certificate-expired",
    ],
    ["expired since the handshake", { chain: [leaf({ notAfter: NOW - 1 })] }, "certificate-expired"],
    ["not valid yet", { chain: [leaf({ notBefore: NOW + 1 })] }, "certificate-expired"],
    ["an issuer's certificate has expired", { chainError: "CERT_HAS_EXPIRED" }, "certificate-expired"],
    ["an issuer's is not valid yet", { chainError: "CERT_NOT_YET_VALID" }, "certificate-expired"],
    ["another name", { chain: [leaf({ names: ["other.example"] })] }, "certificate-host-mismatch"],
    ["the common name is not a name [RFC 6125 §6.4.4]", { chain: [leaf({ names: [] })] }, "certificate-host-mismatch"],
  ])("%s", (_, bent, expected) => expect(verdict(evidence(bent), mandatory(pkix))).toEqual(expected));

  it.each(["system", "system+0a1b"])(
    "says pkix of the machine's authorities, with revocation lists or without: %s",
    (trustId) => {
      const check = { by: "pkix", trustId, names: [{ below: "acme.example" }] } as const;
      expect(verdict(evidence({ trustId }), mandatory(check))).toEqual({
        authenticatedBy: "pkix",
        matched: host,
        trusted: false,
      });
    },
  );

  it("is met by no certificate where the route leaves no name to demand", () => {
    const check = { by: "pkix", trustId: "acme", names: [] } as const;
    expect(verdict(evidence(), mandatory(check))).toBe("certificate-host-mismatch");
  });

  it("names in its detail what was shown and what is demanded", () => {
    const check = { by: "pkix", trustId: "acme", names: [{ host: "a.example" }, { below: "b.example" }] } as const;
    expect(verifyPeer({ host, now: NOW, evidence: evidence() }, mandatory(check))).toMatchObject({
      detail: "The server's certificate names mx.acme.example, but a.example or .b.example is demanded",
    });
  });
});

describe("pins", () => {
  const certificate: Pin = { sha256: CERTIFICATE_DIGEST, of: "certificate" };
  const key: Pin = { sha256: KEY_DIGEST, of: "public-key" };
  const met = (pin: Pin) => ({
    authenticatedBy: "fingerprint",
    matched: `${pin.of} ${pin.sha256}`,
    trusted: false,
  });
  it.each<[string, Partial<PeerEvidence>, Pin[], unknown]>([
    ["of the certificate", {}, [certificate], met(certificate)],
    ["of the public key", {}, [key], met(key)],
    ["any one of them", {}, [{ sha256: "cc".repeat(32), of: "certificate" }, key], met(key)],
    ["stands in for trust", { chainError: "DEPTH_ZERO_SELF_SIGNED_CERT" }, [certificate], met(certificate)],
    ["of the other kind", {}, [{ sha256: KEY_DIGEST, of: "certificate" }], "fingerprint-mismatch"],
    ["another one", {}, [{ sha256: "cc".repeat(32), of: "public-key" }], "fingerprint-mismatch"],
    ["still counted", {}, [{ ...key, notAfter: NOW + 1 }], met(key)],
    ["no longer counted from its date on", {}, [{ ...key, notAfter: NOW }], "fingerprint-mismatch"],
    ["none", {}, [], "fingerprint-mismatch"],
    ["no certificate", { chain: [] }, [certificate], "fingerprint-mismatch"],
  ])("%s", (_, bent, pins, expected) =>
    expect(verdict(evidence(bent), mandatory({ by: "fingerprint", pins }))).toEqual(expected),
  );

  it("all checks must pass, and the first that proved the peer is told", () => {
    const pinned = { by: "fingerprint", pins: [key] } as const;
    const wrong = { by: "fingerprint", pins: [] } as const;
    expect(verdict(evidence(), mandatory(pkix, pinned))).toMatchObject({ authenticatedBy: "private-ca" });
    expect(verdict(evidence(), mandatory(pinned, pkix))).toMatchObject({ authenticatedBy: "fingerprint" });
    expect(verdict(evidence(), mandatory(pkix, wrong))).toBe("fingerprint-mismatch");
  });
});

it("TLSA records are judged like any check, and no valid certificate stands in for them [RFC 7672 §2.2]", () => {
  const records = [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32) }];
  const dane = { by: "dane", records, names: [host] } as const;
  expect(verdict(evidence(), mandatory(dane))).toBe("certificate-not-trusted"); // the octets of this one cannot be read
  expect(verdict(evidence(), mandatory(pkix, dane))).toBe("certificate-not-trusted");
  expect(verdict(undefined, mandatory(dane))).toBe("starttls-not-supported");
});

describe("trusted, though not demanded", () => {
  it.each<[string, Partial<PeerEvidence>, boolean]>([
    ["valid and named after the host", {}, true],
    ["self-signed", { chainError: "DEPTH_ZERO_SELF_SIGNED_CERT" }, false],
    ["another name", { chain: [leaf({ names: ["other.example"] })] }, false],
  ])("%s", (_, bent, trusted) => {
    expect(verdict(evidence(bent), mandatory())).toEqual({ trusted });
    expect(verdict(evidence(bent), opportunistic)).toEqual({ trusted });
  });
});
