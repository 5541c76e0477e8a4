/**
 * A certification authority for people's certificates: e-mail addresses, key usages, where to ask about revocation;
 * its lists and its OCSP answers, right ones and wrong ones. Made in memory; never used outside tests.
 */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { element, inside, oidOctets, TAG } from "../../src/mail/der.ts";

export const DAY_MS = 86_400_000;

export interface Person {
  /** "": none, so that the subject is empty. */
  readonly commonName?: string;
  /** rfc822Name entries. */
  readonly emails?: readonly string[];
  /** dNSName entries. */
  readonly names?: readonly string[];
  /** emailAddress in the subject. */
  readonly subjectEmail?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly keyType?: "rsa" | "ec" | "ed25519";
  /** Two octets of key usage bits from the left, as numbers of the bits (RFC 5280 §4.2.1.3); absent: no extension. */
  readonly usage?: readonly number[];
  /** Dotted; absent: no extension. */
  readonly purposes?: readonly string[];
  readonly ocsp?: readonly string[];
  readonly crl?: readonly string[];
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly hash?: "sha1" | "sha256" | "sha384";
  /** Any others: identifier, value, critical. */
  readonly more?: readonly { readonly id: string; readonly value: Buffer; readonly critical?: boolean }[];
  /** Use this key. */
  readonly key?: KeyObject;
}

export interface Held {
  readonly pem: string;
  readonly der: Buffer;
  readonly x509: X509Certificate;
  readonly key: KeyObject;
  /** PKCS#8 PEM */
  readonly keyPem: string;
  readonly serial: Buffer;
}

export interface MailAuthority extends Held {
  readonly issue: (person: Person) => Held;
  readonly below: (commonName: string, over?: Person) => MailAuthority;
  readonly crl: (revoked: readonly Held[], over?: ListOptions) => Buffer;
  readonly ocsp: (about: Held, over?: AnswerOptions) => Buffer;
}

export interface ListOptions {
  readonly thisUpdate?: Date;
  readonly nextUpdate?: Date | "absent";
  /** URI of an issuing distribution point. */
  readonly place?: string;
  readonly delta?: boolean;
  readonly signer?: KeyObject;
  readonly hash?: "sha1" | "sha256";
  /** Entries of no certificate, before those revoked. */
  readonly padding?: number;
}

export interface AnswerOptions {
  readonly status?: "good" | "revoked" | "unknown";
  readonly thisUpdate?: Date;
  readonly nextUpdate?: Date | "absent";
  readonly signer?: KeyObject;
  readonly responder?: Held;
  readonly hash?: "sha1" | "sha256";
  /** Speaks of this one. */
  readonly instead?: Held;
}

export const EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4";
export const OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";
export const USAGE = { digitalSignature: 0, keyEncipherment: 2, keyAgreement: 4, keyCertSign: 5, crlSign: 6 } as const;

export function createMailAuthority(commonName: string, over: Person = {}): MailAuthority {
  return authority({ commonName, ca: true, ...over });
}

export function selfSignedPerson(person: Person): Held {
  return certify(person);
}

interface Signer {
  readonly key: KeyObject;
  readonly name: Buffer;
}

function authority(person: Person, above?: Signer): MailAuthority {
  const held = certify({ usage: [USAGE.keyCertSign, USAGE.crlSign], ...person }, above);
  const signer = { key: held.key, name: nameOf(person) };
  return {
    ...held,
    issue: (below) => certify(below, signer),
    below: (commonName, over = {}) => authority({ commonName, ca: true, ...over }, signer),
    crl: (revoked, options = {}) => list(signer, revoked, options),
    ocsp: (about, options = {}) => answer(signer, about, options),
  };
}

function certify(person: Person, by?: Signer): Held {
  const key = person.key ?? newKey(person.keyType ?? "ec");
  const serial = Buffer.concat([Buffer.of(0x40), randomBytes(15)]);
  const name = nameOf(person);
  const signer = by ?? { key, name };
  const listed = extensions(person);
  const tbs = seq(
    explicit(0, element(TAG.integer, Buffer.of(2))),
    element(TAG.integer, serial),
    algorithm(signer.key, person.hash),
    signer.name,
    seq(time(person.notBefore ?? days(-1)), time(person.notAfter ?? days(30))),
    name,
    createPublicKey(key).export({ type: "spki", format: "der" }),
    ...(listed.length > 0 ? [explicit(3, seq(...listed))] : []),
  );
  const der = signed(tbs, signer.key, person.hash);
  const x509 = new X509Certificate(der);
  const keyPem = key.export({ type: "pkcs8", format: "pem" }) as string;
  return { pem: x509.toString(), der, x509, key, keyPem, serial };
}

function extensions(person: Person): Buffer[] {
  const { ca, pathLength, usage, purposes, ocsp = [], crl = [], more = [] } = person;
  const uri = (text: string): Buffer => element(0x86, Buffer.from(text, "latin1"));
  const names = [
    ...(person.emails ?? []).map((one) => element(0x81, Buffer.from(one, "latin1"))),
    ...(person.names ?? []).map((one) => element(0x82, Buffer.from(one, "latin1"))),
  ];
  const basic = [
    ...(ca === true ? [element(TAG.boolean, Buffer.of(0xff))] : []),
    ...(pathLength === undefined ? [] : [element(TAG.integer, Buffer.of(pathLength))]),
  ];
  const responders = ocsp.map((url) => seq(oid("1.3.6.1.5.5.7.48.1"), uri(url)));
  const points = crl.map((url) => seq(explicit(0, explicit(0, uri(url)))));
  return [
    ...(ca === undefined ? [] : [extension("2.5.29.19", seq(...basic), true)]),
    ...(usage === undefined ? [] : [extension("2.5.29.15", usageBits(usage), true)]),
    ...(purposes === undefined ? [] : [extension("2.5.29.37", seq(...purposes.map(oid)))]),
    ...(names.length > 0 ? [extension("2.5.29.17", seq(...names))] : []),
    ...(responders.length > 0 ? [extension("1.3.6.1.5.5.7.1.1", seq(...responders))] : []),
    ...(points.length > 0 ? [extension("2.5.29.31", seq(...points))] : []),
    ...more.map(({ id, value, critical }) => extension(id, value, critical)),
  ];
}

function usageBits(bits: readonly number[]): Buffer {
  const value = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return element(TAG.bitString, Buffer.of(0, value));
}

function list(signer: Signer, revoked: readonly Held[], options: ListOptions): Buffer {
  const { nextUpdate = days(30), padding = 0 } = options;
  const entry = (serial: Buffer): Buffer => seq(element(TAG.integer, serial), time(days(-1)));
  const filler = Array.from({ length: padding }, (_, at) => entry(Buffer.of(1, at >> 16, (at >> 8) & 0xff, at & 0xff)));
  const entries = [...filler, ...revoked.map(({ serial }) => entry(serial))];
  const limits = [
    ...(options.delta === true ? [extension("2.5.29.27", element(TAG.integer, Buffer.of(1)), true)] : []),
    ...(options.place === undefined
      ? []
      : [extension("2.5.29.28", seq(explicit(0, explicit(0, element(0x86, Buffer.from(options.place))))), true)]),
  ];
  const key = options.signer ?? signer.key;
  const tbs = seq(
    element(TAG.integer, Buffer.of(1)),
    algorithm(key, options.hash),
    signer.name,
    time(options.thisUpdate ?? days(-1)),
    ...(nextUpdate === "absent" ? [] : [time(nextUpdate)]),
    ...(entries.length > 0 ? [seq(...entries)] : []),
    explicit(0, seq(extension("2.5.29.20", element(TAG.integer, Buffer.of(1))), ...limits)),
  );
  return signed(tbs, key, options.hash);
}

function answer(issuer: Signer, about: Held, options: AnswerOptions): Buffer {
  const { status = "good", nextUpdate = days(1), instead = about } = options;
  const spki = createPublicKey(issuer.key).export({ type: "spki", format: "der" });
  const bits = inside(spki)?.[1]?.content.subarray(1) ?? Buffer.of();
  const hash = (octets: Buffer): Buffer => element(TAG.octetString, createHash("sha1").update(octets).digest());
  const id = seq(seq(oid("1.3.14.3.2.26")), hash(issuer.name), hash(bits), element(TAG.integer, instead.serial));
  const states = {
    good: element(0x80),
    revoked: element(0xa1, generalized(days(-1))),
    unknown: element(0x82),
  };
  const single = seq(
    id,
    states[status],
    generalized(options.thisUpdate ?? days(-1)),
    ...(nextUpdate === "absent" ? [] : [explicit(0, generalized(nextUpdate))]),
  );
  const key = options.signer ?? options.responder?.key ?? issuer.key;
  const tbs = seq(explicit(1, issuer.name), generalized(days(0)), seq(single));
  const certs = options.responder === undefined ? [] : [explicit(0, seq(options.responder.der))];
  const basic = seq(tbs, algorithm(key, options.hash), bitString(sign(options.hash ?? "sha256", tbs, key)), ...certs);
  const bytes = seq(oid("1.3.6.1.5.5.7.48.1.1"), element(TAG.octetString, basic));
  return seq(element(TAG.enumerated, Buffer.of(0)), explicit(0, bytes));
}

const rsaKeys: KeyObject[] = [];

function newKey(type: "rsa" | "ec" | "ed25519"): KeyObject {
  if (type === "ec") return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  if (type === "ed25519") return generateKeyPairSync("ed25519").privateKey;
  rsaKeys[0] ??= generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  return rsaKeys[0];
}

function signed(tbs: Buffer, key: KeyObject, hash: "sha1" | "sha256" | "sha384" = "sha256"): Buffer {
  return seq(tbs, algorithm(key, hash), bitString(sign(key.asymmetricKeyType === "ed25519" ? null : hash, tbs, key)));
}

function algorithm(key: KeyObject, hash: "sha1" | "sha256" | "sha384" = "sha256"): Buffer {
  if (key.asymmetricKeyType === "ed25519") return seq(oid("1.3.101.112"));
  if (key.asymmetricKeyType === "ec") {
    return seq(oid({ sha1: "1.2.840.10045.4.1", sha256: "1.2.840.10045.4.3.2", sha384: "1.2.840.10045.4.3.3" }[hash]));
  }
  const ids = { sha1: "1.2.840.113549.1.1.5", sha256: "1.2.840.113549.1.1.11", sha384: "1.2.840.113549.1.1.12" };
  return seq(oid(ids[hash]), element(TAG.null));
}

function nameOf({ commonName = "nameless", subjectEmail }: Person): Buffer {
  const part = (id: string, tag: number, text: string): Buffer =>
    element(0x31, seq(oid(id), element(tag, Buffer.from(text))));
  return seq(
    ...(commonName === "" ? [] : [part("2.5.4.3", 0x0c, commonName)]),
    ...(subjectEmail === undefined ? [] : [part("1.2.840.113549.1.9.1", 0x16, subjectEmail)]),
  );
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return seq(oid(id), ...(critical ? [element(TAG.boolean, Buffer.of(0xff))] : []), element(TAG.octetString, value));
}

function bitString(octets: Buffer): Buffer {
  return element(TAG.bitString, Buffer.of(0), octets);
}

function generalized(date: Date): Buffer {
  return element(TAG.generalizedTime, Buffer.from(digits(date)));
}

function time(date: Date): Buffer {
  const text = digits(date);
  return date.getUTCFullYear() < 2050
    ? element(TAG.utcTime, Buffer.from(text.slice(2)))
    : element(TAG.generalizedTime, Buffer.from(text));
}

function digits(date: Date): string {
  return date.toISOString().replace(/[-:T]|\.\d+/g, "");
}

export function days(count: number): Date {
  return new Date(Date.now() + count * DAY_MS);
}

export function oid(dotted: string): Buffer {
  return element(TAG.oid, oidOctets(dotted));
}

export function seq(...parts: readonly Buffer[]): Buffer {
  return element(TAG.sequence, ...parts);
}

function explicit(tag: number, content: Buffer): Buffer {
  return element(0xa0 | tag, content);
}
