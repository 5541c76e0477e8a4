/**
 * The certificate of a gateway that was given none: made at first start in data_dir, kept across restarts, renewed
 * before it ends. A renewal keeps the key, so pins of the public key and TLSA 3 1 1 records of it stay right.
 * The certificate's DER is written by hand around one signature of node:crypto; it never proves a name to anyone.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { OwnCertificate } from "../accept/settings.ts";
import { checkKeyPair, type Flaw } from "./certificates.ts";

const DAY_MS = 86_400_000;
const VALID_DAYS = 397;
const RENEW_DAYS = 30;

export interface SelfSignedRequest {
  readonly dataDir: string;
  readonly hostname: string;
  /** Epoch ms. */
  readonly now: number;
  /** False: nothing is written, as for a command that only looks; what would be made is then gone with it. */
  readonly keep?: boolean;
}

/** Loads `self-signed.crt` and `self-signed.key`, or makes what is missing, damaged, about to end or of another name. */
export async function selfSigned(request: SelfSignedRequest): Promise<OwnCertificate | Flaw> {
  const { dataDir, hostname, now, keep = true } = request;
  const names = [...new Set([hostname.toLowerCase(), "localhost"])];
  const files = { certificate: join(dataDir, "self-signed.crt"), key: join(dataDir, "self-signed.key") };
  try {
    if (keep) await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const key = await loadKey(files.key);
    if (key !== undefined && "message" in key) return key;
    const certificate = await readOrNothing(files.certificate);
    if (key !== undefined && certificate !== undefined && isGood(certificate, key.pem, names, now)) {
      return { certificate, key: key.pem, names };
    }
    const pem = key?.pem ?? newKey();
    const made = makeCertificate(pem, names, now);
    // The key first: a crash in between leaves a key without its certificate, and the next start makes that anew.
    if (keep && key === undefined) await replace(dataDir, files.key, pem);
    if (keep) await replace(dataDir, files.certificate, made);
    return { certificate: made, key: pem, names };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    return {
      message: `no self-signed certificate can be kept in ${dataDir} (${code})`,
      remedy: "make data_dir writable for the gateway, or name a certificate under tls.certificates",
    };
  }
}

async function loadKey(file: string): Promise<{ readonly pem: string } | Flaw | undefined> {
  const pem = await readOrNothing(file);
  if (pem === undefined || !isEcKey(pem)) return undefined;
  const { mode } = await stat(file);
  if ((mode & 0o077) === 0) return { pem };
  return { message: `others may read ${file}`, remedy: `chmod 600 ${file}, or remove it to get a new one` };
}

async function readOrNothing(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isEcKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === "prime256v1";
  } catch {
    return false; // damaged or cut short by a crash: a new one is made
  }
}

function isGood(certificate: string, key: string, names: readonly string[], now: number): boolean {
  const pair = checkKeyPair(certificate, key, now);
  if ("message" in pair || pair.notAfter - now <= RENEW_DAYS * DAY_MS) return false;
  return pair.names.length === names.length && names.every((name) => pair.names.includes(name));
}

/** Whole or not at all: written beside, flushed, renamed, and the folder flushed. */
async function replace(folder: string, file: string, text: string): Promise<void> {
  const beside = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    const handle = await open(beside, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  const directory = await open(folder, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function newKey(): string {
  const privateKeyEncoding = { type: "pkcs8", format: "pem" } as const;
  const publicKeyEncoding = { type: "spki", format: "pem" } as const;
  return generateKeyPairSync("ec", { namedCurve: "prime256v1", privateKeyEncoding, publicKeyEncoding }).privateKey;
}

/** An X.509 v3 certificate for server authentication (RFC 5280 §4.1), signed by its own key with ECDSA and SHA-256. */
export function makeCertificate(keyPem: string, names: readonly string[], now: number): string {
  const key = createPrivateKey(keyPem);
  const name = sequence(tlv(0x31, sequence(OID_COMMON_NAME, tlv(0x0c, Buffer.from((names[0] ?? "").slice(0, 64))))));
  const algorithm = sequence(OID_ECDSA_SHA256);
  const body = sequence(
    tlv(0xa0, integer(Buffer.from([2]))),
    integer(randomBytes(16)),
    algorithm,
    name,
    sequence(time(now - DAY_MS), time(now + VALID_DAYS * DAY_MS)),
    name,
    publicKey(key),
    tlv(0xa3, sequence(...extensions(names))),
  );
  const signature = tlv(0x03, Buffer.concat([Buffer.from([0]), sign("sha256", body, key)]));
  const base64 = sequence(body, algorithm, signature).toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, "$&\n").trimEnd()}\n-----END CERTIFICATE-----\n`;
}

function extensions(names: readonly string[]): Buffer[] {
  const alternatives = sequence(...names.map((name) => tlv(0x82, Buffer.from(name, "latin1"))));
  return [
    sequence(OID_SUBJECT_ALT_NAME, tlv(0x04, alternatives)),
    sequence(OID_BASIC_CONSTRAINTS, TRUE, tlv(0x04, sequence())),
    sequence(OID_KEY_USAGE, TRUE, tlv(0x04, tlv(0x03, Buffer.from([7, 0x80])))), // digitalSignature
    sequence(OID_EXTENDED_KEY_USAGE, tlv(0x04, sequence(OID_SERVER_AUTH))),
  ];
}

// DER (ITU-T X.690), the little of it that is needed here.

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, "hex"));
}

const OID_COMMON_NAME = oid("550403");
const OID_ECDSA_SHA256 = oid("2a8648ce3d040302");
const OID_SUBJECT_ALT_NAME = oid("551d11");
const OID_BASIC_CONSTRAINTS = oid("551d13");
const OID_KEY_USAGE = oid("551d0f");
const OID_EXTENDED_KEY_USAGE = oid("551d25");
const OID_SERVER_AUTH = oid("2b06010505070301");
const TRUE = tlv(0x01, Buffer.from([0xff]));

function tlv(tag: number, content: Buffer): Buffer {
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

/** A positive INTEGER in its shortest form: the top bit is the sign. */
function integer(value: Buffer): Buffer {
  const first = value.findIndex((octet) => octet !== 0);
  const short = value.subarray(Math.max(first, 0));
  return tlv(0x02, (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), short]) : short);
}

/** UTCTime, as RFC 5280 §4.1.2.5 wants it until 2049; GeneralizedTime after that. */
function time(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().replace(/[-:T]/g, "").slice(0, 14);
  return digits < "2050" ? tlv(0x17, Buffer.from(`${digits.slice(2)}Z`)) : tlv(0x18, Buffer.from(`${digits}Z`));
}

function publicKey(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}
