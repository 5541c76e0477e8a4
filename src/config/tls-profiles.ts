/**
 * The named TLS profiles (contract section 4): what a handshake may negotiate, as published by those who set the
 * rules. One table an auditor can lay beside the documents. An edition is never changed after its year: a new
 * document becomes a new edition. OpenSSL takes the strings as they stand here.
 */
import type { TlsProfile } from "../mail/tls-profile.ts";

const EDITION = "2026";

interface Source {
  readonly minVersion: TlsProfile["minVersion"];
  readonly suites: readonly string[];
  /** OpenSSL commands beside the suites, e.g. the security level. */
  readonly commands?: readonly string[];
  readonly groups: readonly string[];
  readonly signatureAlgorithms: readonly string[];
}

const TLS13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

const ECDHE_GCM = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
];
const DHE_GCM = ["DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384"];
const ECDHE_CHACHA = ["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"];

const HYBRID = "X25519MLKEM768";
const MOZILLA_GROUPS = [HYBRID, "X25519", "prime256v1", "secp384r1"];

const NIST_ECDSA = ["ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512"];
const RSA_PSS = [
  "rsa_pss_rsae_sha256",
  "rsa_pss_rsae_sha384",
  "rsa_pss_rsae_sha512",
  "rsa_pss_pss_sha256",
  "rsa_pss_pss_sha384",
  "rsa_pss_pss_sha512",
];
const RSA_PKCS1 = ["rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512"];
const EDDSA = ["ed25519", "ed448"];
const COMMON_SIGNATURES = [...NIST_ECDSA, ...EDDSA, ...RSA_PSS, ...RSA_PKCS1];

const SOURCES: Readonly<Record<string, Source>> = {
  // Mozilla, Server Side TLS, "modern": TLS 1.3 only.
  modern: {
    minVersion: "TLSv1.3",
    suites: TLS13,
    groups: MOZILLA_GROUPS,
    signatureAlgorithms: COMMON_SIGNATURES,
  },
  // Mozilla, Server Side TLS, "intermediate".
  intermediate: {
    minVersion: "TLSv1.2",
    suites: [...TLS13, ...ECDHE_GCM, ...ECDHE_CHACHA, ...DHE_GCM, "DHE-RSA-CHACHA20-POLY1305"],
    groups: [...MOZILLA_GROUPS, "ffdhe2048", "ffdhe3072"],
    signatureAlgorithms: COMMON_SIGNATURES,
  },
};

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
