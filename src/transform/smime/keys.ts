/**
 * Reads who signs from a file of the operator: PKCS#12, or PEM with the key and its certificates. What cannot sign, or
 * whose signature nobody would believe, is a problem with a remedy. No key material ever stands in a message.
 */
import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { certificateOf, publicKeyOf } from "../../mail/certificate.ts";
import { readCandidate } from "./candidate.ts";
import { openPkcs12, type Pkcs12Problem } from "./pkcs12.ts";
import { signingHash } from "./signed-data.ts";

export interface SignerFile {
  /** PEM. */
  readonly certificate: string;
  /** PEM; the issuer of `certificate` first, without the root. */
  readonly chain: readonly string[];
  /** PKCS#8 PEM, not encrypted. */
  readonly key: string;
}

/** `problem` says of the file what is wrong with it, in lower case and without full stop; `remedy` what to do. */
export interface SignerProblem {
  readonly problem: string;
  readonly remedy: string;
}

export function readSigner(file: Buffer, password: string | undefined): SignerFile | SignerProblem {
  const content = file[0] === 0x30 ? fromPkcs12(file, password) : fromPem(file.toString("latin1"), password);
  return "problem" in content ? content : assemble(content);
}

interface Content {
  readonly keys: readonly KeyObject[];
  readonly certificates: readonly X509Certificate[];
}

const BOTH = "put the private key and its certificate into one file";
const EXPORT = "export the certificate with its private key anew, as PKCS#12";
const PASSWORD = "write the password into ADDRESS.password beside it, or into password_file";

function fromPkcs12(file: Buffer, password: string | undefined): Content | SignerProblem {
  const opened = openPkcs12(file, password);
  if (typeof opened === "string") return explain(opened, file, password);
  const keys = opened.keys.map((der) => keyOrWhy({ key: der, format: "der", type: "pkcs8" }));
  const certificates = opened.certificates.map(certificateOf);
  return readable(keys, certificates);
}

function explain(why: Pkcs12Problem, file: Buffer, password: string | undefined): SignerProblem {
  if (why === "wrong-password") return locked(password);
  if (why === "unsupported")
    return {
      problem: "is encrypted in a way that is not understood",
      remedy: "export it anew: openssl pkcs12 -export -inkey KEY -in CERTIFICATES -out FILE.p12",
    };
  if (certificateOf(file) !== undefined) return { problem: "holds a certificate, but no private key", remedy: BOTH };
  return { problem: "is no PKCS#12 file, or is damaged", remedy: EXPORT };
}

function locked(password: string | undefined): SignerProblem {
  return password === undefined
    ? { problem: "needs a password", remedy: PASSWORD }
    : { problem: "does not open with its password, or is damaged", remedy: "correct the password" };
}

function fromPem(text: string, password: string | undefined): Content | SignerProblem {
  const blocks = pemBlocks(text);
  if (blocks.length === 0)
    return {
      problem: "is neither PKCS#12 nor PEM",
      remedy: "name a file that holds the private key and its certificate",
    };
  const isKey = ({ label }: PemBlock): boolean => label.endsWith("PRIVATE KEY");
  const keys = blocks.filter(isKey).map((block) => {
    const isEncrypted = block.label.startsWith("ENCRYPTED") || block.text.includes("Proc-Type: 4,ENCRYPTED");
    if (!isEncrypted) return keyOrWhy(block.text);
    return password === undefined ? locked(password) : keyOrWhy({ key: block.text, passphrase: password }, password);
  });
  const certificates = blocks
    .filter(({ label }) => label === "CERTIFICATE" || label === "X509 CERTIFICATE")
    .map(({ text: block }) => certificateOf(Buffer.from(block)));
  return readable(keys, certificates);
}

interface PemBlock {
  readonly label: string;
  readonly text: string;
}

/** RFC 7468 §2; what stands between the blocks is passed over. */
function pemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  for (let at = text.indexOf("-----BEGIN "); at >= 0; at = text.indexOf("-----BEGIN ", at)) {
    const label = text.slice(at + 11, text.indexOf("-----", at + 11));
    const footer = `-----END ${label}-----`;
    const end = text.indexOf(footer, at);
    if (end < 0) break;
    blocks.push({ label, text: `${text.slice(at, end + footer.length)}\n` });
    at = end + footer.length;
  }
  return blocks;
}

/** The edge at which OpenSSL's word on keys ends. */
function keyOrWhy(from: Parameters<typeof createPrivateKey>[0], password?: string): KeyObject | SignerProblem {
  try {
    return createPrivateKey(from);
  } catch {
    if (password !== undefined) return locked(password);
    return { problem: "holds a private key that cannot be read", remedy: EXPORT };
  }
}

function readable(
  keys: readonly (KeyObject | SignerProblem)[],
  certificates: readonly (X509Certificate | undefined)[],
): Content | SignerProblem {
  const known = keys.filter((key): key is KeyObject => !("problem" in key));
  const problem = keys.find((key): key is SignerProblem => "problem" in key);
  if (problem !== undefined) return problem;
  const read = certificates.filter((one) => one !== undefined);
  if (read.length < certificates.length) return { problem: "holds a certificate that cannot be read", remedy: EXPORT };
  return { keys: known, certificates: read };
}

function assemble({ keys, certificates }: Content): SignerFile | SignerProblem {
  const [key, ...others] = keys;
  if (key === undefined) return { problem: "holds no private key", remedy: BOTH };
  if (others.some((other) => !other.equals(key)))
    return { problem: "holds several private keys", remedy: "write a file for each: one signs" };
  if (certificates.length === 0) return { problem: "holds no certificate", remedy: BOTH };
  const how = signingHash(key);
  if ("unfit" in how)
    return {
      problem: `cannot be signed with: the key ${how.unfit}`,
      remedy: "have a certificate issued for an RSA key of 2048 bits, or an EC key on P-256",
    };
  const own = certificates.filter((one) => one.checkPrivateKey(key));
  if (own.length === 0)
    return {
      problem: "holds no certificate of its private key",
      remedy: "put the certificate of this key into the file",
    };
  const signing = own.filter(maySign).toSorted((a, b) => b.validToDate.getTime() - a.validToDate.getTime());
  const [certificate] = signing;
  if (certificate === undefined)
    return { problem: "has a certificate that may be used for encryption only", remedy: "use the one for signatures" };
  return {
    certificate: certificate.toString(),
    chain: chainOf(certificate, certificates).map((one) => one.toString()),
    key: key.export({ type: "pkcs8", format: "pem" }) as string,
  };
}

const DIGITAL_SIGNATURE = 0;
const NON_REPUDIATION = 1;

/** RFC 8550 §4.4.2 */
function maySign({ raw }: X509Certificate): boolean {
  const usage = readCandidate(raw)?.usage;
  return usage === undefined || usage.has(DIGITAL_SIGNATURE) || usage.has(NON_REPUDIATION);
}

/** Its issuer, whose issuer, and so on, as far as the file has them; a root is known to readers or is worth nothing. */
function chainOf(certificate: X509Certificate, others: readonly X509Certificate[]): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  let last: X509Certificate | undefined = certificate;
  while (last !== undefined && chain.length < others.length) {
    const below: X509Certificate = last;
    last = others.find((one) => one !== below && !chain.includes(one) && hasIssued(one, below) && !hasIssued(one, one));
    if (last !== undefined) chain.push(last);
  }
  return chain;
}

function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  const key = publicKeyOf(issuer);
  return key !== undefined && certificate.checkIssued(issuer) && certificate.verify(key);
}
