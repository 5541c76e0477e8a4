/**
 * A certification authority for tests: certificates, intermediates and revocation lists made in memory.
 * Writes its own DER (ITU-T X.690) and signs with node:crypto, so it needs no openssl binary and knows EC keys.
 * Never used outside tests: it checks nothing of what it signs.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";

const DAY_MS = 86_400_000;

export interface Subject {
  /** dNSName entries; the first one is the common name unless one is given. */
  readonly names?: readonly string[];
  /** "": none, so that the subject is empty. */
  readonly commonName?: string;
  /** Default: yesterday. */
  readonly notBefore?: Date;
  /** Default: in 30 days. */
  readonly notAfter?: Date;
  /** Default `ec` (P-256), made anew each time; `rsa` (2048) is one key per process and role. */
  readonly keyType?: "ec" | "rsa";
  /** Use this private key (PEM) instead of a new one, as at a renewal. */
  readonly key?: string;
  /** clientAuth instead of serverAuth. */
  readonly client?: boolean;
  /** An authority whose basic constraints do not say that it is one. */
  readonly disguised?: boolean;
  /** pathLenConstraint of an authority. */
  readonly pathLength?: number;
  /** Of the signature on it; default sha256. */
  readonly hash?: "sha1";
  /** An extension more: dotted identifier and DER of its value. */
  readonly extra?: { readonly id: string; readonly value: Buffer; readonly critical: boolean };
}

export interface Issued {
  /** PEM, this certificate alone. */
  readonly certificate: string;
  /** PEM, PKCS#8. */
  readonly key: string;
  /** PEM: certificate, then the intermediates up to, but without, the root. */
  readonly chain: string;
  /** SHA-256 of the DER certificate, lower-case hex. */
  readonly sha256: string;
  /** SHA-256 of the DER SubjectPublicKeyInfo, lower-case hex. */
  readonly spkiSha256: string;
  /** Serial number, as it stands in revocation lists. */
  readonly serial: Buffer;
}

export interface Authority extends Issued {
  readonly issue: (subject: Subject) => Issued;
  /** A CA below this one; what it issues carries it in `chain`. */
  readonly intermediate: (commonName: string, subject?: Subject) => Authority;
  /** PEM CRL over these, signed by this CA. Default dates: yesterday to in 30 days. */
  readonly revocationList: (revoked: readonly Issued[], dates?: { thisUpdate?: Date; nextUpdate?: Date }) => string;
}

/** A root of its own. */
export function createAuthority(commonName: string, subject: Subject = {}): Authority {
  return authority({ commonName, ...subject });
}

/** A server certificate signed by its own key. */
export function selfSigned(subject: Subject): Issued {
  return certify(subject, undefined, false).issued;
}

interface Signer {
  readonly key: KeyObject;
  readonly name: Buffer;
  readonly keyId: Buffer;
  /** PEM of the intermediates that those below must send. */
  readonly path: string;
}

function authority(subject: Subject, above?: Signer): Authority {
  const { issued, signer } = certify(subject, above, true);
  return {
    ...issued,
    issue: (below) => certify(below, signer, false).issued,
    intermediate: (commonName, below = {}) => authority({ commonName, ...below }, signer),
    revocationList: (revoked, dates = {}) => revocationList(signer, revoked, dates),
  };
}

function certify(subject: Subject, by: Signer | undefined, ca: boolean): { issued: Issued; signer: Signer } {
  const key = subject.key === undefined ? newKey(subject.keyType ?? "ec", ca) : createPrivateKey(subject.key);
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  const name = distinguishedName(subject.commonName ?? subject.names?.[0] ?? "nameless");
  const keyId = createHash("sha1").update(spki).digest();
  const signer = by ?? { key, name, keyId, path: "" };
  const serial = Buffer.concat([Buffer.of(0x40), randomBytes(15)]);
  const tbs = seq(
    explicit(0, integer(Buffer.of(2))), // v3
    integer(serial),
    algorithm(signer.key, subject.hash),
    signer.name,
    seq(time(subject.notBefore ?? fromToday(-1)), time(subject.notAfter ?? fromToday(30))),
    name,
    spki,
    explicit(3, seq(...extensions(subject, ca, keyId, signer.keyId))),
  );
  const der = signed(tbs, signer.key, subject.hash);
  const certificate = pem("CERTIFICATE", der);
  const issued: Issued = {
    certificate,
    key: key.export({ type: "pkcs8", format: "pem" }) as string,
    chain: certificate + signer.path,
    sha256: hex(der),
    spkiSha256: hex(spki),
    serial,
  };
  return { issued, signer: { key, name, keyId, path: by === undefined ? "" : certificate + by.path } };
}

function extensions(subject: Subject, ca: boolean, keyId: Buffer, issuerKeyId: Buffer): Buffer[] {
  const names = (subject.names ?? []).map((entry) => der(0x82, Buffer.from(entry, "latin1")));
  const purpose = subject.client === true ? "1.3.6.1.5.5.7.3.2" : "1.3.6.1.5.5.7.3.1";
  return [
    extension(
      "2.5.29.19",
      seq(...(ca && subject.disguised !== true ? [der(0x01, Buffer.of(0xff))] : []), ...pathLength(subject)),
      true,
    ),
    // keyCertSign and cRLSign, or digitalSignature and keyEncipherment
    extension("2.5.29.15", ca ? der(0x03, Buffer.of(1, 0x06)) : der(0x03, Buffer.of(5, 0xa0)), true),
    extension("2.5.29.14", der(0x04, keyId)),
    extension("2.5.29.35", seq(der(0x80, issuerKeyId))),
    ...(ca ? [] : [extension("2.5.29.37", seq(oid(purpose)))]),
    ...(names.length > 0 ? [extension("2.5.29.17", seq(...names))] : []),
    ...(subject.extra === undefined ? [] : [extension(subject.extra.id, subject.extra.value, subject.extra.critical)]),
  ];
}

function pathLength({ pathLength: length }: Subject): Buffer[] {
  return length === undefined ? [] : [integer(Buffer.of(length))];
}

function revocationList(
  signer: Signer,
  revoked: readonly Issued[],
  dates: { thisUpdate?: Date; nextUpdate?: Date },
): string {
  const entries = revoked.map(({ serial }) => seq(integer(serial), time(fromToday(-1))));
  const tbs = seq(
    integer(Buffer.of(1)), // v2
    algorithm(signer.key),
    signer.name,
    time(dates.thisUpdate ?? fromToday(-1)),
    time(dates.nextUpdate ?? fromToday(30)),
    ...(entries.length > 0 ? [seq(...entries)] : []),
    explicit(
      0,
      seq(
        extension("2.5.29.35", seq(der(0x80, signer.keyId))),
        extension("2.5.29.20", integer(Buffer.of(1))), // cRLNumber
      ),
    ),
  );
  return pem("X509 CRL", signed(tbs, signer.key));
}

const rsaKeys = new Map<string, KeyObject>();

function newKey(type: "ec" | "rsa", ca: boolean): KeyObject {
  if (type === "ec") return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const role = ca ? "authority" : "server";
  const key = rsaKeys.get(role) ?? generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  rsaKeys.set(role, key);
  return key;
}

function signed(tbs: Buffer, key: KeyObject, hash: "sha1" | "sha256" = "sha256"): Buffer {
  return seq(tbs, algorithm(key, hash), der(0x03, Buffer.concat([Buffer.of(0), sign(hash, tbs, key)])));
}

function algorithm(key: KeyObject, hash: "sha1" | "sha256" = "sha256"): Buffer {
  if (hash === "sha1") return seq(oid("1.2.840.10045.4.1")); // ecdsa-with-SHA1
  // ecdsa-with-SHA256 has no parameters, sha256WithRSAEncryption has NULL (RFC 5758 §3.2, RFC 4055 §5)
  return key.asymmetricKeyType === "ec" ? seq(oid("1.2.840.10045.4.3.2")) : seq(oid("1.2.840.113549.1.1.11"), der(5));
}

function distinguishedName(commonName: string): Buffer {
  return seq(...(commonName === "" ? [] : [der(0x31, seq(oid("2.5.4.3"), der(0x0c, Buffer.from(commonName))))]));
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return seq(oid(id), ...(critical ? [der(0x01, Buffer.of(0xff))] : []), der(0x04, value));
}

/** RFC 5280 §4.1.2.5: UTCTime until 2049, GeneralizedTime from then on. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(digits.slice(2), "latin1"))
    : der(0x18, Buffer.from(digits, "latin1"));
}

function fromToday(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes);
}

function explicit(tag: number, content: Buffer): Buffer {
  return der(0xa0 | tag, content);
}

function seq(...parts: Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, Math.floor(length / 256), length % 256];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function hex(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
