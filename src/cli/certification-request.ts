/**
 * Certification requests (PKCS#10, RFC 2986) and, for tests, certificates that sign themselves: for S/MIME only
 * (emailProtection, RFC 8550 §4.4.4). Made in memory; the key is handed over as PEM and kept nowhere.
 */
import { createPublicKey, generateKeyPair, type KeyObject, sign } from "node:crypto";
import { promisify } from "node:util";
import { element, oidOctets, TAG } from "../mail/der.ts";

export interface RequestWish {
  /** rfc822Names, ASCII; the first one says whose it is. */
  readonly emails: readonly string[];
  readonly commonName: string;
  readonly algorithm: "rsa" | "ec";
}

export interface SelfSigning {
  /** Epoch ms. */
  readonly now: number;
  /** 16 random octets. */
  readonly serial: Buffer;
}

export interface Requested {
  /** PKCS#8 PEM. */
  readonly key: string;
  /** PEM: the request, or the certificate. */
  readonly pem: string;
}

const makeKey = promisify(generateKeyPair);

async function newKey(algorithm: RequestWish["algorithm"]): Promise<KeyObject> {
  const { privateKey } =
    algorithm === "rsa" ? await makeKey("rsa", { modulusLength: 3072 }) : await makeKey("ec", { namedCurve: "P-256" });
  return privateKey;
}

export async function certificationRequest(wish: RequestWish): Promise<Requested> {
  const key = await newKey(wish.algorithm);
  const wanted = set(seq(...extensions(wish)));
  const info = seq(
    integer(Buffer.of(0)),
    nameOf(wish),
    publicKeyOf(key),
    element(0xa0, seq(oid("1.2.840.113549.1.9.14"), wanted)), // extensionRequest, RFC 2985 §5.4.2
  );
  return { key: privatePem(key), pem: pem("CERTIFICATE REQUEST", signed(info, key)) };
}

const DAY_MS = 86_400_000;
const SELF_SIGNED_DAYS = 365;

export async function selfSignedPerson(wish: RequestWish, { now, serial }: SelfSigning): Promise<Requested> {
  const key = await newKey(wish.algorithm);
  const name = nameOf(wish);
  const tbs = seq(
    element(0xa0, integer(Buffer.of(2))), // v3
    integer(Buffer.concat([Buffer.of(0x40), serial])),
    algorithmOf(key),
    name,
    seq(time(now - DAY_MS), time(now + SELF_SIGNED_DAYS * DAY_MS)),
    name,
    publicKeyOf(key),
    element(0xa3, seq(extension("2.5.29.19", seq(), true), ...extensions(wish))),
  );
  return { key: privatePem(key), pem: pem("CERTIFICATE", signed(tbs, key)) };
}

/** Key usage (RFC 5280 §4.2.1.3): digitalSignature, and keyEncipherment or, with EC, keyAgreement. */
function extensions({ emails, algorithm }: RequestWish): Buffer[] {
  const usage = algorithm === "rsa" ? Buffer.of(5, 0xa0) : Buffer.of(3, 0x88);
  return [
    extension("2.5.29.15", element(TAG.bitString, usage), true),
    extension("2.5.29.37", seq(oid("1.3.6.1.5.5.7.3.4"))), // emailProtection
    extension("2.5.29.17", seq(...emails.map((email) => element(0x81, Buffer.from(email, "latin1"))))),
  ];
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  const flag = critical ? [element(0x01, Buffer.of(0xff))] : [];
  return seq(oid(id), ...flag, element(TAG.octetString, value));
}

function nameOf({ commonName }: RequestWish): Buffer {
  return seq(set(seq(oid("2.5.4.3"), element(0x0c, Buffer.from(commonName)))));
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}

function privatePem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}

/** ecdsa-with-SHA256 has no parameters, sha256WithRSAEncryption has NULL (RFC 5758 §3.2, RFC 4055 §5). */
function algorithmOf(key: KeyObject): Buffer {
  return key.asymmetricKeyType === "ec"
    ? seq(oid("1.2.840.10045.4.3.2"))
    : seq(oid("1.2.840.113549.1.1.11"), element(TAG.null));
}

function signed(content: Buffer, key: KeyObject): Buffer {
  const signature = element(TAG.bitString, Buffer.of(0), sign("sha256", content, key));
  return seq(content, algorithmOf(key), signature);
}

/** RFC 5280 §4.1.2.5: UTCTime until 2049, GeneralizedTime from then on. */
function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/[-:T]|\.\d+/g, "");
  return digits < "2050"
    ? element(TAG.utcTime, Buffer.from(digits.slice(2)))
    : element(TAG.generalizedTime, Buffer.from(digits));
}

function oid(dotted: string): Buffer {
  return element(TAG.oid, oidOctets(dotted));
}

function integer(octets: Buffer): Buffer {
  return element(TAG.integer, octets);
}

function seq(...parts: readonly Buffer[]): Buffer {
  return element(TAG.sequence, ...parts);
}

function set(...parts: readonly Buffer[]): Buffer {
  return element(0x31, ...parts);
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
