/** Why a session did not prove what was demanded of it. RFC 8460 §4.3 result types verbatim, and our own beside them. */

/** RFC 8460 §4.3. */
export type TlsResultType =
  | "starttls-not-supported"
  | "certificate-host-mismatch"
  | "certificate-expired"
  | "certificate-not-trusted"
  | "validation-failure"
  | "tlsa-invalid"
  | "dnssec-invalid"
  | "dane-required"
  | "sts-policy-fetch-error"
  | "sts-policy-invalid"
  | "sts-webpki-invalid";

export type TlsFailure =
  | TlsResultType
  | "tls-parameters-too-weak"
  | "fingerprint-mismatch"
  | "client-certificate-demanded"
  | "requiretls-not-supported"
  | "mx-not-in-policy";
