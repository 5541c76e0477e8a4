/** TLSA records as zone files have them, made from certificates (RFC 6698 §2.1): right, stale, or unusable. */
import { createHash, X509Certificate } from "node:crypto";

/** "3 1 1 ab12…": usage, selector and matching type as written, data of the first certificate in the PEM text. */
export function tlsaOf(parameters: string, pem: string): string {
  const [, selector, matching] = parameters.split(" ");
  const certificate = new X509Certificate(pem);
  const whole = selector === "1" ? certificate.publicKey.export({ type: "spki", format: "der" }) : certificate.raw;
  return `${parameters} ${digest(matching, whole).toString("hex")}`;
}

function digest(matching: string | undefined, data: Buffer): Buffer {
  if (matching === "0") return data;
  return createHash(matching === "2" ? "sha512" : "sha256")
    .update(data)
    .digest();
}

/** A record like that of a certificate that has been replaced since. */
export function staleTlsa(parameters: string): string {
  const length = parameters.endsWith("2") ? 64 : 32;
  return `${parameters} ${Buffer.alloc(length, 0xab).toString("hex")}`;
}

/** Rdata of type TLSA as octets, for what a zone file's own syntax refuses (RFC 3597 §5). */
export function rawTlsa(usage: number, selector: number, matching: number, data: Buffer): string {
  const rdata = Buffer.concat([Buffer.of(usage, selector, matching), data]);
  return `\\# ${rdata.length} ${rdata.toString("hex")}`;
}
