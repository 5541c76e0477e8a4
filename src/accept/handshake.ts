/**
 * Our side of a TLS handshake, for STARTTLS and implicit TLS alike. A context is made before it is used: one that
 * cannot be made leaves what was there. Client certificates are asked for and noted, never trusted here.
 */
import { constants, X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { verifyPeerCertificate } from "smtp-server/lib/smtp-connection.js";
import { nameParts } from "../mail/certificate.ts";
import type { TlsProfile } from "../mail/tls-profile.ts";
import type { Clock } from "../runtime/clock.ts";
import type { ShownCertificate } from "./permission.ts";
import type { ListenerSettings, OwnCertificate } from "./settings.ts";

/** The contexts of one listener, by profile. */
export interface ListenerTls {
  readonly contextFor: (profile: TlsProfile, serverName: string) => SecureContext;
  readonly asksForCertificate: boolean;
}

/** Throws what OpenSSL says when a certificate, key, suite list or CA cannot be used. */
export function createListenerTls(listener: ListenerSettings): ListenerTls {
  const profiles = [listener.profile, ...listener.clients.flatMap(({ profile }) => profile ?? [])];
  const byProfile = new Map<string, { own: OwnCertificate; context: SecureContext }[]>();
  for (const profile of profiles) {
    const contexts = listener.certificates.map((own) => ({ own, context: createContext(listener, profile, own) }));
    byProfile.set(JSON.stringify(profile), contexts);
  }
  return {
    asksForCertificate: listener.clientCertificates !== undefined,
    contextFor: (profile, serverName) => {
      const contexts = byProfile.get(JSON.stringify(profile)) ?? byProfile.get(JSON.stringify(listener.profile)) ?? [];
      const chosen = contexts.find(({ own }) => own.names.some((name) => namesHost(name, serverName))) ?? contexts[0];
      if (chosen === undefined) throw new Error(`The listener ${listener.name} has no certificate`);
      return chosen.context;
    },
  };
}

function createContext(listener: ListenerSettings, profile: TlsProfile, own: OwnCertificate): SecureContext {
  const wanted = listener.clientCertificates;
  return createSecureContext({
    cert: own.certificate,
    key: own.key,
    minVersion: profile.minVersion,
    ciphers: profile.ciphers,
    ecdhCurve: profile.groups,
    sigalgs: profile.signatureAlgorithms,
    honorCipherOrder: true,
    // No tickets: a resumed session would keep a client certificate that was revoked since. No renegotiation either.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
    ...(wanted && wanted.ca.length > 0 && { ca: [...wanted.ca] }),
    ...(wanted && wanted.crl.length > 0 && { crl: [...wanted.crl] }),
  });
}

/** RFC 6125 §6.4.3: a wildcard stands for one whole label. */
function namesHost(name: string, host: string): boolean {
  const [pattern, wanted] = [name.toLowerCase(), host.toLowerCase()];
  if (!pattern.startsWith("*.")) return pattern === wanted;
  return wanted.includes(".") && wanted.slice(wanted.indexOf(".")) === pattern.slice(1);
}

export interface Handshake {
  readonly tls: ListenerTls;
  readonly profile: TlsProfile;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

export type Secured =
  | { readonly ok: true; readonly socket: TLSSocket }
  | { readonly ok: false; readonly reason: TlsFailed; readonly detail: string };
export type TlsFailed = "tls-parameters-too-weak" | "validation-failure" | "handshake-timeout";

/** Resolves once; on failure the socket is gone. */
export function handshake(raw: Socket, { tls, profile, clock, timeoutMs }: Handshake): Promise<Secured> {
  const socket = new TLSSocket(raw, {
    isServer: true,
    secureContext: tls.contextFor(profile, ""),
    SNICallback: (name, done) => done(null, tls.contextFor(profile, name)),
    ALPNCallback: ({ protocols }) => (protocols.includes("smtp") ? "smtp" : undefined), // RFC 7301 §3.2: none in common is fatal
    requestCert: tls.asksForCertificate,
    rejectUnauthorized: false,
  });
  return new Promise((resolve) => {
    let settled = false;
    const settle = (result: Secured): void => {
      if (settled) return;
      settled = true;
      cancel();
      if (!result.ok) socket.destroy();
      resolve(result);
    };
    const failed = (error: unknown): void => settle(describe(error));
    const cancel = clock.after(timeoutMs, () =>
      settle({ ok: false, reason: "handshake-timeout", detail: "The handshake took too long" }),
    );
    socket.on("error", failed);
    socket.once("_tlsError", failed);
    socket.once("close", () => failed(undefined));
    socket.once("secure", () => {
      verifyPeerCertificate(socket, { requestCert: tls.asksForCertificate });
      settle({ ok: true, socket });
    });
  });
}

const TOO_WEAK = [
  "ERR_SSL_UNSUPPORTED_PROTOCOL",
  "ERR_SSL_NO_SHARED_CIPHER",
  "ERR_SSL_NO_SUITABLE_KEY_SHARE",
  "ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS",
  "ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM",
  "ERR_SSL_VERSION_TOO_LOW",
];

function describe(error: unknown): Secured {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const detail = code === "" ? "The client closed the connection during the handshake" : code;
  return { ok: false, reason: TOO_WEAK.includes(code) ? "tls-parameters-too-weak" : "validation-failure", detail };
}

/** The client certificate of an established session, if one was shown. */
export function shownCertificate(socket: TLSSocket): ShownCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (!(certificate instanceof X509Certificate)) return undefined;
  // A string code at run time, whatever the types say.
  const error = socket.authorized ? undefined : String(socket.authorizationError ?? "UNVERIFIED");
  return {
    subject: nameParts(certificate.subject).join(", "),
    sha256: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    names: dnsNames(certificate.subjectAltName ?? ""),
    ...(error !== undefined && { error }),
  };
}

/** `DNS:a, DNS:b`; an entry that Node had to quote is no host name and is left out. */
function dnsNames(subjectAltName: string): string[] {
  return subjectAltName
    .split(", ")
    .flatMap((entry) => (/^DNS:[A-Za-z0-9._-]+$/.test(entry) ? [entry.slice(4).toLowerCase()] : []));
}
