/**
 * What is done to a message on its way out, before it is stored: which header fields go, whose key signs, for whom it
 * is encrypted. Plain data: policies carry it, transform/ does it.
 */

/** Contract section 5. */
export interface HeaderPolicy {
  /** Received fields of our own side. One of ours is written in any case. */
  readonly received: "strip" | "anonymize" | "keep";
  /** Field names to remove, lower case; a trailing `*` stands for any rest. */
  readonly remove: readonly string[];
  readonly messageId: "keep" | "rewrite";
  /** Texts that a rule takes out of the subject, each once. */
  readonly subjectTags?: readonly string[];
}

export interface SmimePolicy {
  readonly sign: "never" | "if-possible" | "always";
  readonly encrypt: "never" | "if-known" | "always";
  /** detached: multipart/signed. opaque: application/pkcs7-mime, smime-type=signed-data. */
  readonly format: "detached" | "opaque";
  /** Signs what was encrypted once more (RFC 2634 §1.1). */
  readonly tripleWrap: boolean;
}

/** sign: a domain without keys goes unsigned. require: then the message is refused. */
export type DkimPolicy = "sign" | "require" | "none";

/** One destination's treatment; recipients whose treatments are equal share the result. */
export interface Treatment {
  readonly headers: HeaderPolicy;
  readonly smime: SmimePolicy;
  readonly dkim: DkimPolicy;
}

/** Nothing is removed, signed or encrypted: mail that stays in the house. */
export const UNTOUCHED: Treatment = {
  headers: { received: "keep", remove: [], messageId: "keep" },
  smime: { sign: "never", encrypt: "never", format: "detached", tripleWrap: false },
  dkim: "none",
};

/** What was done, as the log tells it; kept with the message. */
export interface Treated {
  /** Whom it is for, where a message has several contents. */
  readonly positions?: readonly number[];
  /** Octets of header and body that are sent. */
  readonly size: number;
  /** The body is 7-bit now, whatever BODY= the client declared. */
  readonly sevenBit?: boolean;
  readonly smime?: SmimeTreated;
  readonly dkim?: DkimTreated;
  /** Fields that should have gone and stayed, since a valid signature of another domain covers them. */
  readonly kept?: readonly string[];
}

export interface SmimeTreated {
  /** By us or before us. */
  readonly signed: boolean;
  readonly encrypted: boolean;
  /** Whose certificate signed, where it was ours. */
  readonly signer?: string;
  /** How many certificates it was encrypted for. */
  readonly recipients?: number;
  /** What a reader of the log should know: `already-signed`, `signed-8bit` … */
  readonly notes?: readonly string[];
}

export interface DkimTreated {
  readonly signatures: readonly { readonly domain: string; readonly selector: string; readonly algorithm: string }[];
  /** Why there is none. */
  readonly unsigned?: string;
  /** What the ARC chain was worth that was sealed (RFC 8617 §4.4). */
  readonly arc?: "none" | "pass" | "fail";
}

export type DkimAlgorithm = "rsa-sha256" | "ed25519-sha256";

/** One key of `domains: dkim:`. */
export interface DkimKeySettings {
  /** d=, an A-label. */
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  /** PKCS#8 PEM. */
  readonly key: string;
  /** Epoch ms; signs from here on. */
  readonly notBefore?: number;
  /** Epoch ms; signs before it (the first instant after the inclusive date, UTC). */
  readonly endsAt?: number;
}

/** One signer of `domains: smime:`. PEM throughout. */
export interface SmimeSignerSettings {
  /** As `mailboxKey` writes it; absent for the gateway key of the domain (`_gateway`). */
  readonly address?: string;
  readonly certificate: string;
  /** Intermediates to send along, the issuer of `certificate` first. */
  readonly chain: readonly string[];
  readonly key: string;
}

/** One certificate that a partner's recipients can be written to with: of an address, or of a whole domain (gateway). */
export interface SmimeRecipientSettings {
  /** PEM; what may lie between it and a root may follow. */
  readonly certificate: string;
  /** As `mailboxKey` writes them, read from the certificate or the file's name. */
  readonly addresses: readonly string[];
  /** A-labels that it speaks for as a whole. */
  readonly domains: readonly string[];
  readonly file: string;
}
