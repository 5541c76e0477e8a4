/**
 * What `smime:` of sealpost.yaml says: whom certificates are believed from, where those of recipients are sought, and
 * what holds when nobody can say whether one was revoked. Plain data, PEM throughout; config/ fills it.
 */
import type { SmimeRecipientSettings } from "./treatment.ts";

export interface SmimeSettings {
  /** Roots that certificates from LDAP and harvested ones must lead to. `system`: those of Node. */
  readonly trust: "system" | readonly string[];
  /** Of `partners`: put there by hand, so each is trusted as it is, self-signed or not. */
  readonly recipients: readonly SmimeRecipientSettings[];
  /** Taken from mail that came in. */
  readonly harvested: readonly SmimeRecipientSettings[];
  readonly ldap: LdapCertificateSettings | null;
  readonly revocation: RevocationSettings;
}

export interface RevocationSettings {
  readonly check: boolean;
  /** When neither OCSP nor CRL answers: take the certificate, let the client keep the mail (451), or do without it. */
  readonly unreachable: "accept" | "wait" | "refuse";
  /** Addresses in certificates of outsiders may lead into our own networks. */
  readonly allowPrivate: boolean;
}

/** A directory that is asked for a certificate by address (RFC 4523 §2.1, RFC 2798 §2.8). */
export interface LdapCertificateSettings extends LdapServer {
  readonly base: string;
  /** RFC 4515; `{address}` and `{domain}` stand for the recipient's, escaped. Default `(mail={address})`. */
  readonly filter: string;
  /** Default `userCertificate;binary`, `userSMIMECertificate;binary`. */
  readonly attributes: readonly string[];
  /** How long an answer holds. Default 15 min. */
  readonly cacheMs: number;
}

/** How a directory server is spoken to. */
export interface LdapServer {
  /** ldaps://host[:port]; ldap:// on loopback or with `startTls` only. */
  readonly url: string;
  readonly startTls: boolean;
  readonly bind: { readonly dn: string; readonly password: string } | null;
  /** PEM of the CAs that the server's certificate must lead to; empty: those of Node. */
  readonly ca: readonly string[];
  /** For one look-up as a whole. Default 5 s. */
  readonly timeoutMs: number;
}
