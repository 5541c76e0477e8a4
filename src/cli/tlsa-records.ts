/**
 * The TLSA records that stand for a certificate file of ours (RFC 7672 §3.1): 3 1 1 for its own key, 2 1 1 for each
 * authority in it. Pure; a private key in the same text is never looked at.
 */
import { createHash, X509Certificate } from "node:crypto";
import { checkBundle, type Flaw } from "../config/certificates.ts";
import { nameText } from "../mail/certificate.ts";
import { type DomainName, parseDomainName } from "../mail/domain-name.ts";

export interface OwnTlsa {
  readonly usage: 2 | 3;
  readonly selector: 1;
  readonly matchingType: 1;
  /** SHA-256 of the public key, lower-case hex. */
  readonly data: string;
  readonly subject: string;
  /** Epoch ms at which the certificate ends. */
  readonly notAfter: number;
}

export interface CertificateFile {
  readonly records: readonly OwnTlsa[];
  /** The host names it was issued for, wildcards left out. */
  readonly hosts: readonly DomainName[];
  readonly leaf: X509Certificate;
}

/** `pem`: the own certificate first, then its chain. */
export function readCertificateFile(pem: string): CertificateFile | Flaw {
  const bundle = checkBundle(pem);
  if ("message" in bundle) return bundle;
  const [leaf, ...rest] = bundle.certificates.map((text) => new X509Certificate(text));
  if (leaf === undefined) return { message: "no certificate in PEM form", remedy: "write a PEM file" };
  // A server must send the authority that a 2 1 1 record names (RFC 7672 §3.1.2), so only those in the file count.
  const authorities = rest.filter(({ ca }) => ca);
  return {
    records: [recordOf(3, leaf), ...authorities.map((authority) => recordOf(2, authority))],
    hosts: hostsOf(leaf),
    leaf,
  };
}

function recordOf(usage: 2 | 3, certificate: X509Certificate): OwnTlsa {
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  return {
    usage,
    selector: 1,
    matchingType: 1,
    data: createHash("sha256").update(spki).digest("hex"),
    subject: nameText(certificate.subject),
    notAfter: certificate.validToDate.getTime(),
  };
}

/** Names that can be looked up: no wildcards, no single labels as `localhost`. */
function hostsOf({ subjectAltName = "" }: X509Certificate): DomainName[] {
  const names = subjectAltName.split(", ").flatMap((entry) => {
    const name = entry.startsWith("DNS:") ? parseDomainName(entry.slice(4)) : undefined;
    return name?.includes(".") === true ? [name] : [];
  });
  return [...new Set(names)];
}
