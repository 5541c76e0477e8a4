/**
 * One TLS context per set of authorities, revocation lists, profile and client certificate: making one costs more
 * than a handshake. Bounded. Never holds TLS sessions: what was resumed shows no certificate.
 */
import { createHash } from "node:crypto";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import type { TlsProfile } from "../mail/tls-profile.ts";
import { isAtLeast, type TlsVersion, type TrustSet } from "../mail/tls-requirement.ts";

/** What shapes the handshake; decide/'s TlsPolicy is one. */
export interface TlsParameters {
  readonly trust: TrustSet;
  readonly minVersion: TlsVersion;
  readonly profile: TlsProfile;
  /** PEM, chain included. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string };
  /** SNI; absent: the host's name. */
  readonly servername?: string;
}

export interface PreparedContext {
  readonly context: SecureContext;
  /** The authorities in it, for verify/evidence.ts. */
  readonly anchors: { readonly trustId: string; readonly sha256: ReadonlySet<string> };
}

const MOST_CONTEXTS = 200;

export interface SecureContexts {
  /** Throws what OpenSSL says of unusable key material; config/ has tried it before. */
  readonly prepare: (parameters: TlsParameters) => PreparedContext;
  /** Equal for equal handshakes; a digest, so that no key material stands in it. Remembered per object. */
  readonly keyOf: (parameters: TlsParameters) => string;
}

export function createSecureContexts(): SecureContexts {
  const made = new Map<string, PreparedContext>();
  const systemAuthorities = once(() => {
    const system = getCACertificates("system");
    return system.length > 0 ? system : getCACertificates("bundled");
  });

  const keys = new WeakMap<TlsParameters, string>();
  const keyOf = (parameters: TlsParameters): string => {
    const key = keys.get(parameters) ?? contextKey(parameters);
    keys.set(parameters, key);
    return key;
  };

  return {
    keyOf,
    prepare: (parameters) => {
      const key = keyOf(parameters);
      const known = made.get(key) ?? prepare(parameters, systemAuthorities);
      made.delete(key); // moves it to the end: the first is the one unused for longest
      made.set(key, known);
      const [oldest] = made.keys();
      if (made.size > MOST_CONTEXTS && oldest !== undefined) made.delete(oldest);
      return known;
    },
  };
}

function contextKey(parameters: TlsParameters): string {
  const { trust, profile, clientCertificate } = parameters;
  const content = [trust.id, profile, effectiveMinimum(parameters), clientCertificate ?? null];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

function prepare(parameters: TlsParameters, systemAuthorities: () => readonly string[]): PreparedContext {
  const { trust, profile, clientCertificate } = parameters;
  const authorities = trust.ca === "system" ? systemAuthorities() : trust.ca;
  const crl = trust.crl.flatMap((text) => blocks(text, "X509 CRL"));
  const context = createSecureContext({
    ca: [...authorities],
    ...(crl.length > 0 && { crl }),
    // A pinned intermediate is an anchor of its own (X509_V_FLAG_PARTIAL_CHAIN).
    ...(trust.ca !== "system" && { allowPartialTrustChain: true }),
    minVersion: effectiveMinimum(parameters),
    ciphers: profile.ciphers,
    ecdhCurve: profile.groups,
    sigalgs: profile.signatureAlgorithms,
    ...(clientCertificate && { cert: clientCertificate.certificate, key: clientCertificate.key }),
  });
  const digests = once(() => new Set(authorities.flatMap((text) => blocks(text, "CERTIFICATE").map(digestOfPem))));
  const anchors = {
    trustId: trust.id,
    get sha256(): ReadonlySet<string> {
      return digests();
    },
  };
  return { context, anchors };
}

function effectiveMinimum({ minVersion, profile }: TlsParameters): TlsVersion {
  return isAtLeast(minVersion, profile.minVersion) ? minVersion : profile.minVersion;
}

/** Each PEM block of a kind: Node reads only the first revocation list of a text. */
function blocks(text: string, label: string): string[] {
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`];
  return text
    .split(begin)
    .slice(1)
    .map((rest) => `${begin}${rest.split(end)[0] ?? ""}${end}\n`);
}

function digestOfPem(block: string): string {
  const base64 = block.split("\n").slice(1, -2).join("");
  return createHash("sha256").update(Buffer.from(base64, "base64")).digest("hex");
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
