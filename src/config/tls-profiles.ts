/**
 * The named TLS profiles (contract section 4): what a handshake may negotiate, as published by those who set the
 * rules. One table an auditor can lay beside the documents; where a document leaves a choice, the stricter subset
 * is taken. An edition never changes after its year: a new document makes a new edition.
 *
 * Everywhere: forward secrecy first, and no finite-field DHE in TLS 1.2, whose group the server alone chooses
 * (draft-ietf-tls-deprecate-obsolete-kex). `*` marks the groups a client sends key shares of, which saves a round
 * trip with peers that lack the first one (OpenSSL SSL_CTX_set1_groups_list).
 */
import { createSecureContext } from "node:tls";
import type { TlsProfile } from "../mail/tls-profile.ts";

const EDITION = "2026";

interface Source {
  readonly minVersion: TlsProfile["minVersion"];
  readonly suites: readonly string[];
  /** OpenSSL commands beside the suites: the security level. */
  readonly commands?: readonly string[];
  readonly groups: readonly string[];
  readonly signatureAlgorithms: readonly string[];
}

const AES_GCM_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"];
const CHACHA_13 = ["TLS_CHACHA20_POLY1305_SHA256"];
const CCM_13 = ["TLS_AES_128_CCM_SHA256"];
const ECDHE_GCM = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
];
const ECDHE_CHACHA = ["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"];
const ECDHE_CCM = ["ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES256-CCM"];
const ECDHE_CBC = [
  "ECDHE-ECDSA-AES128-SHA256",
  "ECDHE-RSA-AES128-SHA256",
  "ECDHE-ECDSA-AES256-SHA384",
  "ECDHE-RSA-AES256-SHA384",
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
];
const STATIC_RSA = [
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA256",
  "AES256-SHA256",
  "AES128-SHA",
  "AES256-SHA",
];

const MOZILLA_GROUPS = ["*X25519MLKEM768", "*X25519", "secp256r1", "secp384r1"];
const NIST_HYBRIDS = ["*SecP256r1MLKEM768", "SecP384r1MLKEM1024"];
const NIST_GROUPS = ["*secp256r1", "secp384r1", "secp521r1"];
const FFDHE = ["ffdhe3072", "ffdhe4096"];
/** TLS 1.2 and 1.3 name them apart (RFC 7027, RFC 8734). */
const BRAINPOOL = [
  "brainpoolP256r1tls13",
  "brainpoolP384r1tls13",
  "brainpoolP512r1tls13",
  "brainpoolP256r1",
  "brainpoolP384r1",
  "brainpoolP512r1",
];

const ECDSA = ["ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512"];
const BRAINPOOL_ECDSA = [
  "ecdsa_brainpoolP256r1tls13_sha256",
  "ecdsa_brainpoolP384r1tls13_sha384",
  "ecdsa_brainpoolP512r1tls13_sha512",
];
const EDDSA = ["ed25519", "ed448"];
const RSA_PSS = [
  "rsa_pss_rsae_sha256",
  "rsa_pss_rsae_sha384",
  "rsa_pss_rsae_sha512",
  "rsa_pss_pss_sha256",
  "rsa_pss_pss_sha384",
  "rsa_pss_pss_sha512",
];
/** Most certificates are still signed so, and the one list speaks for both (RFC 8446 §4.2.3). */
const RSA_PKCS1 = ["rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512"];
const COMMON = [...ECDSA, ...EDDSA, ...RSA_PSS, ...RSA_PKCS1];

const SOURCES: Readonly<Record<string, Source>> = {
  // Mozilla / TLSRef, Server Side TLS 6.0, "modern".
  modern: {
    minVersion: "TLSv1.3",
    suites: [...AES_GCM_13, ...CHACHA_13],
    groups: MOZILLA_GROUPS,
    signatureAlgorithms: COMMON,
  },
  // Mozilla / TLSRef, Server Side TLS 6.0, "intermediate".
  intermediate: {
    minVersion: "TLSv1.2",
    suites: [...AES_GCM_13, ...CHACHA_13, ...ECDHE_GCM, ...ECDHE_CHACHA],
    groups: MOZILLA_GROUPS,
    signatureAlgorithms: COMMON,
  },
  // BSI TR-02102-2, 2026-01, sections 3.3 and 3.4: Brainpool before the NIST curves, no X25519, no ChaCha20; RSA
  // PKCS#1 v1.5 ended with 2025. The CBC suites hold only with Encrypt-then-MAC, which OpenSSL cannot demand.
  "bsi-tr-02102-2": {
    minVersion: "TLSv1.2",
    suites: [...AES_GCM_13, ...CCM_13, ...ECDHE_GCM, ...ECDHE_CCM],
    groups: [...BRAINPOOL, ...NIST_GROUPS, ...FFDHE],
    signatureAlgorithms: [...BRAINPOOL_ECDSA, ...ECDSA, ...RSA_PSS],
  },
  // BSI TR-03116-4, sections 2.2 and 2.3: P-256 and brainpoolP256r1 are mandatory, other groups are to be refused;
  // the hybrids of these curves are recommended. Signatures and suites as in TR-02102-2.
  "bsi-tr-03116-4": {
    minVersion: "TLSv1.2",
    suites: [...AES_GCM_13, ...CCM_13, ...ECDHE_GCM, ...ECDHE_CCM],
    groups: [...NIST_HYBRIDS, ...NIST_GROUPS, ...BRAINPOOL, ...FFDHE],
    signatureAlgorithms: [...ECDSA, ...BRAINPOOL_ECDSA, ...RSA_PSS],
  },
  // NIST SP 800-52r2 §3.3.1: ephemeral before static, GCM and CCM before CBC (left out), nothing unlisted, so no
  // ChaCha20; groups of SP 800-186, hybrids of FIPS 203 with approved curves only.
  "nist-800-52r2": {
    minVersion: "TLSv1.2",
    suites: [...AES_GCM_13, ...CCM_13, ...ECDHE_GCM, ...ECDHE_CCM],
    groups: [...NIST_HYBRIDS, ...NIST_GROUPS, ...FFDHE],
    signatureAlgorithms: [...ECDSA, ...RSA_PSS, ...RSA_PKCS1],
  },
  // PCI DSS 4.0.1, requirement 4.2.1: "strong cryptography" (Appendix G: accepted algorithms, 112 bits and more);
  // it names no suites and points to SP 800-52. TLS 1.2, AEAD and ephemeral keys only.
  "pci-dss-4": {
    minVersion: "TLSv1.2",
    suites: [...AES_GCM_13, ...CHACHA_13, ...CCM_13, ...ECDHE_GCM, ...ECDHE_CHACHA, ...ECDHE_CCM],
    groups: [...MOZILLA_GROUPS, "secp521r1", ...FFDHE],
    signatureAlgorithms: COMMON,
  },
  // For devices that know nothing better: close to the last "old" of Mozilla (5.8), without 3DES (RFC 7525 §4.1) and DHE. TLS 1.0
  // and 1.1 sign with MD5 and SHA-1, which OpenSSL 3 does at security level 0 only; that level also takes short keys.
  legacy: {
    minVersion: "TLSv1",
    suites: [...AES_GCM_13, ...CHACHA_13, ...ECDHE_GCM, ...ECDHE_CHACHA, ...ECDHE_CBC, ...STATIC_RSA],
    commands: ["@SECLEVEL=0"],
    groups: [...MOZILLA_GROUPS, "secp521r1"],
    signatureAlgorithms: [...COMMON, "ecdsa_sha1", "rsa_pkcs1_sha1"],
  },
};

/** In the order of the contract, without edition. */
export const TLS_PROFILE_NAMES: readonly string[] = Object.keys(SOURCES);

/** A profile by its name, with or without its edition; undefined for a name or an edition there is not. */
export function tlsProfile(name: string): TlsProfile | undefined {
  const [plain = "", edition = EDITION, ...rest] = name.split("@");
  const source = Object.hasOwn(SOURCES, plain) ? SOURCES[plain] : undefined;
  if (source === undefined || edition !== EDITION || rest.length > 0) return undefined;
  return {
    name: `${plain}@${EDITION}`,
    minVersion: source.minVersion,
    ciphers: [...source.suites, ...(source.commands ?? [])].join(":"),
    groups: source.groups.join(":"),
    signatureAlgorithms: source.signatureAlgorithms.join(":"),
  };
}

/** What a profile leaves in effect with the OpenSSL at hand, each list in order of preference. */
export interface ProfileInEffect {
  readonly name: string;
  readonly minVersion: TlsProfile["minVersion"];
  readonly tls13Suites: readonly string[];
  /** Suites of TLS 1.2 and older; empty where the profile does not go so low. */
  readonly tls12Suites: readonly string[];
  readonly groups: readonly string[];
  readonly signatureAlgorithms: readonly string[];
}

export function describeProfile(profile: TlsProfile): ProfileInEffect {
  const words = profile.ciphers.split(":").filter((word) => !word.startsWith("@"));
  const level = profile.ciphers.split(":").filter((word) => word.startsWith("@"));
  const older = words.filter((suite) => !suite.startsWith("TLS_"));
  return {
    name: profile.name,
    minVersion: profile.minVersion,
    tls13Suites: words.filter((suite) => suite.startsWith("TLS_") && takes({ ciphers: suite, minVersion: "TLSv1.3" })),
    tls12Suites:
      profile.minVersion === "TLSv1.3" ? [] : older.filter((suite) => takes({ ciphers: [suite, ...level].join(":") })),
    groups: profile.groups
      .split(":")
      .map((group) => group.replace(/^\*/, ""))
      .filter((group) => takes({ ecdhCurve: group })),
    signatureAlgorithms: profile.signatureAlgorithms.split(":").filter((sigalgs) => takes({ sigalgs })),
  };
}

/** OpenSSL skips names it does not know in a list, but refuses one that stands alone. */
function takes(options: Parameters<typeof createSecureContext>[0]): boolean {
  try {
    createSecureContext(options);
    return true;
  } catch {
    return false;
  }
}
