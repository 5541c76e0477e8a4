/**
 * A certificate as CMS needs it: what names it to its holder, octet for octet as it stands there, its key, and what its
 * holder can read. Works for any key, where libraries that rebuild certificates do not. Judges nothing.
 */
import { X509Certificate } from "node:crypto";
import { dnsNames, sha256 } from "../../mail/certificate.ts";
import { elementAt, oidOctets, TAG } from "../../mail/der.ts";
import { type Capabilities, curveOf, readCapabilities } from "./algorithms.ts";
import { type Candidate, extensionsOf, fieldsOf, readCandidate } from "./candidate.ts";

export interface SmimeCertificate extends Candidate {
  /** Name, DER. */
  readonly issuer: Buffer;
  /** INTEGER, DER. */
  readonly serial: Buffer;
  readonly subjectKeyIdentifier?: Buffer;
  readonly keyType: KeyType;
  /** dNSName. */
  readonly names: readonly string[];
  /** Of the whole certificate, lower-case hex. */
  readonly sha256: string;
  /** Absent: it does not say. */
  readonly capabilities?: Capabilities;
}

export type KeyType =
  | { readonly kind: "rsa"; readonly bits: number }
  /** As OpenSSL names it. */
  | { readonly kind: "ec"; readonly curve: string }
  | { readonly kind: "other"; readonly name: string };

/** The first certificate of PEM, or DER. Undefined for what is none, or has a key of no known kind. */
export function readSmimeCertificate(file: Buffer): SmimeCertificate | undefined {
  const der = file[0] === TAG.sequence ? file : derOf(file);
  const candidate = der && readCandidate(der);
  return candidate && smimeCertificate(candidate);
}

/** Undefined when the fields are not where RFC 5280 §4.1 has them. */
export function smimeCertificate(candidate: Candidate): SmimeCertificate | undefined {
  const [serial, , issuer] = fieldsOf(candidate.der);
  if (serial?.tag !== TAG.integer || issuer?.tag !== TAG.sequence) return undefined;
  const extensions = extensionsOf(candidate.der);
  const identifier = extensions.get(SUBJECT_KEY_IDENTIFIER);
  const capabilities = extensions.get(CAPABILITIES);
  return {
    ...candidate,
    issuer: issuer.whole,
    serial: serial.whole,
    keyType: keyTypeOf(candidate),
    names: dnsNames(candidate.x509.subjectAltName ?? ""),
    sha256: sha256(candidate.der),
    ...(identifier !== undefined && keyIdentifier(identifier)),
    ...(capabilities !== undefined && { capabilities: readCapabilities(capabilities) }),
  };
}

const SUBJECT_KEY_IDENTIFIER = oidOctets("2.5.29.14").toString("hex");
const CAPABILITIES = oidOctets("1.2.840.113549.1.9.15").toString("hex");

function keyIdentifier(value: Buffer): { subjectKeyIdentifier: Buffer } | undefined {
  const octets = elementAt(value, 0);
  return octets?.tag === TAG.octetString ? { subjectKeyIdentifier: octets.content } : undefined;
}

function keyTypeOf({ key }: Candidate): KeyType {
  const curve = curveOf(key);
  if (curve !== undefined) return { kind: "ec", curve };
  const { modulusLength: bits } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "rsa" && bits !== undefined) return { kind: "rsa", bits };
  return { kind: "other", name: key.asymmetricKeyType ?? "unknown" };
}

function derOf(pem: Buffer): Buffer | undefined {
  try {
    return new X509Certificate(pem).raw;
  } catch {
    return undefined;
  }
}
