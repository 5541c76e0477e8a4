/**
 * Why a session could not be opened, as one of the contract's reasons. Pure. Decides by stage, code and reply,
 * never by message text; whatever it does not know is the reason that waits.
 */
import { type PeerReply, problem, type Problem } from "../mail/outcome.ts";
import type { TlsFailure } from "../mail/tls-failure.ts";
import type { ReplyFault } from "./reply-limits.ts";

/** How far opening came; noted by us, since nodemailer does not tell. `ehlo2` is the EHLO inside TLS. */
export type Stage = "greeting" | "ehlo" | "starttls" | "handshake" | "ehlo2";

export interface Break {
  readonly stage: Stage;
  /** `not-offered`: EHLO names no STARTTLS. `injected`: plain text came behind the 220 to STARTTLS. */
  readonly cause: "reply" | "timeout" | "closed" | "not-offered" | "injected" | "unreadable" | ReplyFault;
  /** For `closed`: the code of the error, OpenSSL's among them. */
  readonly code?: string;
  readonly reply?: PeerReply;
}

/** The two sides found no version, suite, group or key that both accept; the peer's alerts 40, 70, 71 and our own refusals. */
const TOO_WEAK: ReadonlySet<string> = new Set([
  "ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE",
  "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
  "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
  "ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY",
  "ERR_SSL_UNSUPPORTED_PROTOCOL",
  "ERR_SSL_WRONG_SSL_VERSION",
  "ERR_SSL_VERSION_TOO_LOW",
  "ERR_SSL_NO_PROTOCOLS_AVAILABLE",
  "ERR_SSL_NO_CIPHERS_AVAILABLE",
  "ERR_SSL_WRONG_CIPHER_RETURNED",
  "ERR_SSL_UNKNOWN_CIPHER_RETURNED",
  "ERR_SSL_WRONG_CURVE",
  "ERR_SSL_WRONG_SIGNATURE_TYPE",
  "ERR_SSL_DH_KEY_TOO_SMALL",
  "ERR_SSL_EE_KEY_TOO_SMALL",
  "ERR_SSL_BAD_KEY_SHARE",
]);

/** Alerts 42 and 116. */
const CLIENT_CERTIFICATE: ReadonlySet<string> = new Set([
  "ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE",
  "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
  "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
]);

/** `host` names the peer in the sentence for people. */
export function openingProblem(host: string, broke: Break): Problem<"deferred"> {
  const { stage, cause, code = "", reply } = broke;
  if (cause === "not-offered") {
    return problem("deferred", "starttls-not-supported", `${host} does not offer STARTTLS`, reply);
  }
  if (stage === "starttls" && cause === "reply") {
    return problem("deferred", "starttls-not-supported", `${host} refuses STARTTLS: ${quote(reply)}`, reply);
  }
  if (cause === "injected") {
    return problem("deferred", "validation-failure", `${host} or someone between sent plain text behind STARTTLS`);
  }
  // In TLS 1.3 the refusal of a client certificate comes after the handshake, so an alert counts at any stage.
  if (stage === "starttls" || stage === "handshake" || code.startsWith("ERR_SSL_"))
    return handshakeProblem(host, broke);
  if (cause === "reply") {
    const greeted = stage === "greeting" ? "turns the connection away" : "refuses EHLO";
    return problem("deferred", "connection-failed", `${host} ${greeted}: ${quote(reply)}`, reply);
  }
  return problem("deferred", "connection-lost", `${host} ${HOW[cause]} (${WHERE[stage]})`);
}

function handshakeProblem(host: string, { stage, cause, code = "" }: Break): Problem<"deferred"> {
  const reason: TlsFailure = TOO_WEAK.has(code)
    ? "tls-parameters-too-weak"
    : CLIENT_CERTIFICATE.has(code)
      ? "client-certificate-demanded"
      : "validation-failure";
  return problem("deferred", reason, `${host} ${SENTENCE[reason] ?? HOW[cause]} (${code || WHERE[stage]})`);
}

const SENTENCE: Partial<Record<TlsFailure, string>> = {
  "tls-parameters-too-weak":
    "and this gateway have no TLS version, cipher suite or group in common, or it wants a client certificate",
  "client-certificate-demanded": "demands a client certificate that it accepts",
};

const HOW: Record<Break["cause"], string> = {
  reply: "gave an unexpected answer",
  timeout: "did not answer in time",
  closed: "ended the connection",
  "not-offered": "does not offer STARTTLS",
  injected: "sent plain text behind STARTTLS",
  unreadable: "showed a certificate that cannot be read",
  "reply-too-long": "sent an answer without end",
  "reply-malformed": "does not speak SMTP",
};

const WHERE: Record<Stage, string> = {
  greeting: "before its greeting",
  ehlo: "at EHLO",
  starttls: "at STARTTLS",
  handshake: "in the TLS handshake",
  ehlo2: "at EHLO inside TLS",
};

function quote(reply: PeerReply | undefined): string {
  return reply === undefined ? "an answer without a code" : `${reply.code} ${reply.text}`.trim();
}
