/**
 * Judges certificates, keys, CA bundles and revocation lists by their text, before anything is told to use them:
 * a TLS context that was given a bad pair is left with none at all. Answers are values with a remedy; no file is
 * read here, and no key material ever stands in a message.
 */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, getCACertificates } from "node:tls";
import type { TrustSet } from "../mail/tls-requirement.ts";

/** What is wrong, and what to write or do instead. */
export interface Flaw {
  readonly message: string;
  readonly remedy: string;
}

export interface KeyPair {
  /** dNSName entries of the first certificate, lower case; a client certificate may have none. */
  readonly names: string[];
  /** Epoch ms at which the first certificate ends. */
  readonly notAfter: number;
}

interface PemBlock {
  readonly label: string;
  readonly text: string;
}

/** Every PEM block of a file, in order (RFC 7468 §2); text between them is skipped, a block without end ends the list. */
function pemBlocks(pem: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (let at = pem.indexOf("-----BEGIN "); at >= 0; at = pem.indexOf("-----BEGIN ", at)) {
    const labelEnd = pem.indexOf("-----", at + 11);
    const label = pem.slice(at + 11, labelEnd < 0 ? at + 11 : labelEnd);
    const footer = `-----END ${label}-----`;
    const end = pem.indexOf(footer, at);
    if (labelEnd < 0 || end < 0) break;
    blocks.push({ label, text: `${pem.slice(at, end + footer.length)}\n` });
    at = end + footer.length;
  }
  return blocks;
}

const CERTIFICATE_LABELS = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined; // what OpenSSL says of it helps nobody; the caller says which block it was
  }
}

/** The certificates of a PEM text, in order, or what is wrong with it. */
function readCertificates(pem: string): X509Certificate[] | Flaw {
  const blocks = pemBlocks(pem);
  const texts = blocks.filter((block) => CERTIFICATE_LABELS.includes(block.label)).map((block) => block.text);
  if (texts.length === 0) return noBlock(blocks, "certificate", "openssl x509 -inform der -in FILE -out FILE.pem");
  const certificates: X509Certificate[] = [];
  for (const [index, text] of texts.entries()) {
    const certificate = parseCertificate(text);
    if (certificate === undefined) {
      return { message: `certificate ${index + 1} of ${texts.length} cannot be read`, remedy: "export the file anew" };
    }
    certificates.push(certificate);
  }
  return certificates;
}

function noBlock(blocks: readonly PemBlock[], wanted: string, convert: string): Flaw {
  const found = blocks[0]?.label.toLowerCase();
  return found === undefined
    ? { message: `no ${wanted} in PEM form`, remedy: `write a PEM file; from DER: ${convert}` }
    : { message: `holds no ${wanted}, but: ${found}`, remedy: `name the file that holds the ${wanted}` };
}

/** The first private key of a PEM text. */
export function readPrivateKey(pem: string): KeyObject | Flaw {
  const blocks = pemBlocks(pem);
  const block = blocks.find(({ label }) => label.endsWith("PRIVATE KEY"));
  if (block === undefined) return noBlock(blocks, "private key", "openssl pkey -inform der -in FILE -out FILE.pem");
  if (block.label.startsWith("ENCRYPTED") || block.text.includes("Proc-Type: 4,ENCRYPTED")) {
    return {
      message: "the key is encrypted",
      remedy: "store it decrypted, mode 0600: openssl pkey -in KEY -out KEY.pem",
    };
  }
  try {
    return createPrivateKey(block.text);
  } catch {
    return { message: "the private key cannot be read", remedy: "export the key anew as PKCS#8 PEM" };
  }
}

/** `DNS:a, IP Address:b`; Node quotes an entry that holds odd characters, so that none can pass for two. */
const ALTERNATIVE = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/gy;

function dnsNames(certificate: X509Certificate): string[] {
  return [...(certificate.subjectAltName ?? "").matchAll(ALTERNATIVE)]
    .filter(([, type, name]) => type === "DNS" && name?.startsWith('"') === false)
    .map(([, , name = ""]) => name.toLowerCase());
}

/** True when each certificate after the first issued one before it (RFC 5246 §7.4.2; TLS 1.3 lets gaps pass, peers differ). */
function isChain(certificates: readonly X509Certificate[]): boolean {
  return certificates.every(
    (issuer, index) => index === 0 || certificates.slice(0, index).some((earlier) => earlier.checkIssued(issuer)),
  );
}

/**
 * A certificate of ours (first, its chain after it) with its key: readable, belonging together, in date at `now`
 * (epoch ms), and taken by OpenSSL, which refuses short keys and SHA-1 signatures.
 */
export function checkKeyPair(certificatePem: string, keyPem: string, now: number): KeyPair | Flaw {
  const certificates = readCertificates(certificatePem);
  if ("message" in certificates) return certificates;
  const key = readPrivateKey(keyPem);
  if ("message" in key) return key;
  const leaf = certificates[0];
  if (leaf === undefined || !leaf.checkPrivateKey(key)) {
    return { message: "key and certificate do not belong together", remedy: "put the certificate of this key first" };
  }
  if (!isChain(certificates)) {
    return {
      message: "the certificates are no chain: one of them issued none before it",
      remedy: "write the own certificate first, then the one that issued it, and so on; leave others out",
    };
  }
  if (leaf.validToDate.getTime() <= now) {
    return { message: `the certificate ended on ${day(leaf.validToDate)}`, remedy: "renew it" };
  }
  if (leaf.validFromDate.getTime() > now) {
    return { message: `the certificate begins on ${day(leaf.validFromDate)}`, remedy: "check the clock, or wait" };
  }
  return usable(certificatePem, keyPem) ?? { names: dnsNames(leaf), notAfter: leaf.validToDate.getTime() };
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function usable(cert: string, key: string): Flaw | undefined {
  try {
    createSecureContext({ cert, key });
    return undefined;
  } catch (error) {
    const said = (error as { reason?: unknown }).reason;
    return {
      message: `OpenSSL refuses the certificate${typeof said === "string" ? `: ${said}` : ""}`,
      remedy: "make one with RSA of 2048 bits or more, or ECDSA P-256, signed with SHA-256",
    };
  }
}

/** CA certificates of a bundle, each as PEM of its own. */
export function checkBundle(pem: string): { certificates: string[] } | Flaw {
  const certificates = readCertificates(pem);
  return "message" in certificates ? certificates : { certificates: certificates.map((one) => one.toString()) };
}

/** Revocation lists of a file, each as PEM of its own. */
export function checkRevocationList(pem: string): { lists: string[] } | Flaw {
  const blocks = pemBlocks(pem);
  const lists = blocks.filter(({ label }) => label === "X509 CRL").map(({ text }) => text);
  if (lists.length === 0) return noBlock(blocks, "revocation list", "openssl crl -inform der -in FILE -out FILE.pem");
  for (const [index, crl] of lists.entries()) {
    try {
      createSecureContext({ crl });
    } catch {
      return { message: `revocation list ${index + 1} of ${lists.length} cannot be read`, remedy: "fetch it anew" };
    }
  }
  return { lists };
}

/** Equal content gives an equal id, whatever the order, the line ends or the comments of the files. */
export function trustSet(ca: "system" | readonly string[], crl: readonly string[]): TrustSet {
  if (ca === "system" && crl.length === 0) return { id: "system", ca, crl };
  const digest = createHash("sha256");
  for (const entry of ca === "system" ? ["ca system"] : contentDigests("ca", ca)) digest.update(`${entry}\n`);
  for (const entry of contentDigests("crl", crl)) digest.update(`${entry}\n`);
  const id = digest.digest("hex");
  return { id: ca === "system" ? `system+${id}` : id, ca, crl };
}

function contentDigests(kind: string, pems: readonly string[]): string[] {
  const blocks = pems.flatMap((pem) => pemBlocks(pem));
  const digests = blocks.map(({ text }) => {
    const base64 = text.split("\n").filter((line) => !line.startsWith("-----"));
    return `${kind} ${createHash("sha256")
      .update(Buffer.from(base64.join(""), "base64"))
      .digest("hex")}`;
  });
  return [...new Set(digests)].sort();
}

/**
 * True when anyone can get a certificate under one of these CAs: it is, by its key, a root that Node ships or the
 * machine trusts, or one of those issued it, directly or through others of the same text. A company's own CA that
 * was added to the machine's store counts too: being wrong in that direction asks for a name more, not for a relay less.
 */
export function isPublicCa(pem: string): boolean {
  const certificates = readCertificates(pem);
  if ("message" in certificates) return false;
  const texts = new Set([...getCACertificates("bundled"), ...getCACertificates("system")]);
  const roots = [...texts].map((text) => parseCertificate(text)).filter((root) => root !== undefined);
  const keys = new Set(roots.map(spki));
  return certificates.some((one) => keys.has(spki(one)) || leadsTo(one, roots, certificates));
}

function spki(certificate: X509Certificate): string {
  return createHash("sha256")
    .update(certificate.publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
}

function leadsTo(
  certificate: X509Certificate,
  roots: readonly X509Certificate[],
  between: readonly X509Certificate[],
): boolean {
  if (roots.some((root) => issued(root, certificate))) return true;
  const rest = between.filter((one) => one !== certificate);
  return rest.some((issuer) => issued(issuer, certificate) && leadsTo(issuer, roots, rest));
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
