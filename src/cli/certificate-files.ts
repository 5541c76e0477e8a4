/**
 * The certificates in a file that somebody sent: PEM, DER, PKCS#7 ("P7B", certs-only or signed, RFC 5652 §5), bare or as
 * PEM, and the S/MIME signature in a stored message (RFC 8551 §3). Content decides, not the file's name. Verifies no
 * signature and never hands on a private key that stands beside.
 */
import { X509Certificate } from "node:crypto";

export type Contained =
  | { readonly ok: true; readonly certificates: readonly X509Certificate[] }
  /** One clause without its subject, and what to do. */
  | { readonly ok: false; readonly message: string; readonly remedy: string };

export function certificatesIn(content: Buffer): Contained {
  const text = content.toString("latin1");
  const blocks = pemBlocks(text);
  if (blocks.length > 0) return fromDers(blocks);
  if (content[0] === SEQUENCE) return fromDers([content]);
  const bare = text.replace(/\s+/g, "");
  if (/^MII[A-Za-z0-9+/]+={0,2}$/.test(bare)) return fromDers([Buffer.from(bare, "base64")]);
  const parts = signatureParts(text);
  if (parts.length > 0) return fromDers(parts);
  return {
    ok: false,
    message: "holds no certificate and no S/MIME signature",
    remedy: "Ask for a certificate (PEM, DER, P7B) or a signed message, saved whole",
  };
}

function fromDers(ders: readonly Buffer[]): Contained {
  const read = ders.map(readOne);
  const certificates = new Map(
    read.flatMap((one) => one ?? []).map((certificate) => [certificate.fingerprint256, certificate]),
  );
  if (certificates.size > 0) return { ok: true, certificates: [...certificates.values()] };
  if (read.includes(undefined))
    return {
      ok: false,
      message: "is neither a certificate nor signed data",
      remedy: "From PKCS#12 take the certificate alone: openssl pkcs12 -nokeys -clcerts",
    };
  return { ok: false, message: "is signed data without a certificate", remedy: "Ask for the certificate itself" };
}

/** One certificate, or those that signed data carries; undefined for anything else. */
function readOne(der: Buffer): readonly X509Certificate[] | undefined {
  const single = certificateOf(der);
  if (single !== undefined) return [single];
  return certificatesOfSignedData(der)?.flatMap((one) => certificateOf(one) ?? []);
}

function certificateOf(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined; // the caller says which file it was
  }
}

const PEM_LABELS = new Set(["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "PKCS7", "CMS"]);

/** RFC 7468 §2. */
function pemBlocks(text: string): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = text.indexOf("-----BEGIN "); at >= 0; at = text.indexOf("-----BEGIN ", at + 11)) {
    const labelEnd = text.indexOf("-----", at + 11);
    if (labelEnd < 0) break;
    const label = text.slice(at + 11, labelEnd);
    const end = PEM_LABELS.has(label) ? text.indexOf(`-----END ${label}-----`, labelEnd) : -1;
    if (end >= 0) blocks.push(Buffer.from(text.slice(labelEnd + 5, end), "base64"));
  }
  return blocks;
}

const SIGNATURE_TYPE = /^content-type:[ \t]*application\/(?:x-)?pkcs7-(?:signature|mime)\b/i;

/** The base64 bodies of signature parts, at any depth of the message: by lines, so that broken MIME is no obstacle. */
function signatureParts(text: string): Buffer[] {
  const parts: Buffer[] = [];
  let state: "elsewhere" | "fields" | "body" = "elsewhere";
  let lines: string[] = [];
  const finish = (): void => {
    if (state === "body" && lines.length > 0) parts.push(Buffer.from(lines.join(""), "base64"));
    lines = [];
    state = "elsewhere";
  };
  // A folded field may have its type on the next line (RFC 5322 §2.2.3).
  for (const line of text.replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/)) {
    if (state === "elsewhere" && SIGNATURE_TYPE.test(line)) state = "fields";
    else if (state === "fields" && line === "") state = "body";
    else if (state === "body" && /^[A-Za-z0-9+/]+={0,2}$/.test(line)) lines.push(line);
    else if (state === "body") finish();
  }
  finish();
  return parts;
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const SET = 0x31;
/** [0], constructed: explicit content, and the certificates of SignedData. */
const CONTEXT_0 = 0xa0;
/** id-signedData, 1.2.840.113549.1.7.2. */
const SIGNED_DATA = Buffer.from("2a864886f70d010702", "hex");

/** `ContentInfo { signedData, [0] { version, digests, content, [0] certificates … } }`; BER, as mail programs write it. */
function certificatesOfSignedData(ber: Buffer): readonly Buffer[] | undefined {
  const [type, content] = childrenOf(elements(ber)?.[0]) ?? [];
  if (type?.content.equals(SIGNED_DATA) !== true || content?.tag !== CONTEXT_0) return undefined;
  const fields = childrenOf(childrenOf(content)?.[0]);
  const [version, digests] = fields ?? [];
  if (version?.tag !== INTEGER || digests?.tag !== SET) return undefined;
  const certificates = fields?.slice(3).find(({ tag }) => tag === CONTEXT_0);
  const list = certificates === undefined ? [] : childrenOf(certificates);
  return list?.filter(({ tag }) => tag === SEQUENCE).map(({ whole }) => whole);
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

function childrenOf(element: Element | undefined): readonly Element[] | undefined {
  return element === undefined ? undefined : elements(element.content);
}

/** Elements one after the other (ITU-T X.690 §8.1); undefined when one is cut short. One octet tags only. */
function elements(ber: Buffer): readonly Element[] | undefined {
  const found: Element[] = [];
  for (let at = 0; at < ber.length; ) {
    const extent = extentOf(ber, at);
    if (extent === undefined) return undefined;
    if (ber[at] === 0 && extent.next === at + 2) break; // end of contents
    const { start, end, next } = extent;
    found.push({ tag: ber.readUInt8(at), content: ber.subarray(start, end), whole: ber.subarray(at, next) });
    at = next;
  }
  return found;
}

interface Extent {
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

function extentOf(ber: Buffer, at: number): Extent | undefined {
  if (at + 2 > ber.length) return undefined;
  const first = ber.readUInt8(at + 1);
  if (first === 0x80) return indefiniteExtent(ber, at);
  const octets = first < 0x80 ? 0 : first - 0x80;
  const start = at + 2 + octets;
  if (octets > 4 || start > ber.length) return undefined;
  const end = start + (octets === 0 ? first : ber.readUIntBE(at + 2, octets));
  return end > ber.length ? undefined : { start, end, next: end };
}

/** Counts what is open instead of calling itself: the depth of foreign input is no matter. */
function indefiniteExtent(ber: Buffer, from: number): Extent | undefined {
  let open = 0;
  for (let at = from; at + 2 <= ber.length; ) {
    if (ber[at + 1] === 0x80) {
      open += 1;
      at += 2;
    } else if (ber[at] === 0 && ber[at + 1] === 0) {
      open -= 1;
      at += 2;
      if (open === 0) return { start: from + 2, end: at - 2, next: at };
    } else {
      const extent = extentOf(ber, at);
      if (extent === undefined) return undefined;
      at = extent.next;
    }
  }
  return undefined;
}
