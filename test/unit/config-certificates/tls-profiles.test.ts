import { describe, expect, it } from "vitest";
import { describeProfile, TLS_PROFILE_NAMES, tlsProfile } from "../../../src/config/tls-profiles.ts";

function profile(name: string) {
  const found = tlsProfile(name);
  if (found === undefined) throw new Error(`no profile ${name}`);
  return found;
}

describe("names of profiles", () => {
  it("are those of the contract", () => {
    expect(TLS_PROFILE_NAMES).toEqual([
      "modern",
      "intermediate",
      "bsi-tr-02102-2",
      "bsi-tr-03116-4",
      "nist-800-52r2",
      "pci-dss-4",
      "legacy",
    ]);
  });

  it.each(TLS_PROFILE_NAMES)("may carry the edition, which the profile always does: %s", (name) => {
    expect(tlsProfile(`${name}@2026`)).toEqual(tlsProfile(name));
    expect(tlsProfile(name)?.name).toBe(`${name}@2026`);
  });

  it.each(["", "strong", "Modern", "intermediate@2025", "intermediate@", "intermediate@2026@2026", "toString"])(
    "are no others: %j",
    (name) => expect(tlsProfile(name)).toBeUndefined(),
  );
});

describe.each(TLS_PROFILE_NAMES)("%s", (name) => {
  const inEffect = describeProfile(profile(name));

  it("says nothing that OpenSSL does not know", () => {
    const words = profile(name)
      .ciphers.split(":")
      .filter((word) => !word.startsWith("@"));
    expect([...inEffect.tls13Suites, ...inEffect.tls12Suites]).toEqual(words);
    expect(inEffect.groups).toHaveLength(profile(name).groups.split(":").length);
    expect(inEffect.signatureAlgorithms.join(":")).toBe(profile(name).signatureAlgorithms);
  });

  it("puts forward secrecy first", () => {
    const secret = inEffect.tls12Suites.map((suite) => suite.startsWith("ECDHE-"));
    expect(secret).toEqual(secret.toSorted((a, b) => Number(b) - Number(a)));
  });
});

it.each(TLS_PROFILE_NAMES.filter((name) => name !== "legacy"))(
  "%s has TLS 1.2 at least, forward secrecy and AEAD only [RFC 9325 §4.2]",
  (name) => {
    const inEffect = describeProfile(profile(name));
    expect(["TLSv1.2", "TLSv1.3"]).toContain(inEffect.minVersion);
    expect(inEffect.tls12Suites.filter((suite) => !/^ECDHE-.*(GCM|CCM|CHACHA20)/.test(suite))).toEqual([]);
    expect(inEffect.signatureAlgorithms.filter((algorithm) => /sha1|sha224/.test(algorithm))).toEqual([]);
  },
);

it.each([
  ["bsi-tr-02102-2", /X25519|CHACHA20/i, "no X25519, no ChaCha20 [TR-02102-2 §3.3]"],
  ["bsi-tr-03116-4", /X25519|CHACHA20/i, "no X25519, no ChaCha20 [TR-03116-4 §2.2]"],
  ["bsi-tr-02102-2", /pkcs1/i, "no PKCS#1 v1.5 signatures after 2025 [TR-02102-2 §3.4]"],
  ["nist-800-52r2", /X25519|CHACHA20|brainpool/i, "nothing unlisted [SP 800-52r2 §3.3.1]"],
])("%s has %s: %s", (name, forbidden) => {
  const { ciphers, groups, signatureAlgorithms } = profile(name);
  expect(`${ciphers} ${groups} ${signatureAlgorithms}`).not.toMatch(forbidden);
});

it.each(["modern", "intermediate", "bsi-tr-03116-4", "nist-800-52r2", "pci-dss-4", "legacy"])(
  "%s asks for a hybrid with ML-KEM first",
  (name) => expect(describeProfile(profile(name)).groups[0]).toMatch(/MLKEM/),
);
