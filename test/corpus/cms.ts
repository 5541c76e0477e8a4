/** CMS objects of the right structure (RFC 5652), with noise where cryptography would be. */
import { element, oidOctets, TAG } from "../../src/mail/der.ts";
import { noise } from "./build.ts";

const oid = (dotted: string) => element(TAG.oid, oidOctets(dotted));
const algorithm = (dotted: string) => element(TAG.sequence, oid(dotted));
const version = element(TAG.integer, Buffer.of(1));
const set = (...parts: Buffer[]) => element(0x31, ...parts);
const octets = (content: Buffer) => element(TAG.octetString, content);
const DATA = oid("1.2.840.113549.1.7.1");
const SHA256 = algorithm("2.16.840.1.101.3.4.2.1");

export function contentInfo(type: string, content: Buffer): Buffer {
  return element(TAG.sequence, oid(type), element(0xa0, content));
}

export function signedData(signers = 1, content?: Buffer): Buffer {
  const signer = element(TAG.sequence, version, element(TAG.sequence, noise(40)), SHA256, SHA256, octets(noise(256)));
  const encapsulated = content === undefined ? [DATA] : [DATA, element(0xa0, octets(content))];
  const certificates = element(0xa0, element(TAG.sequence, noise(900)));
  const parts = [version, set(SHA256), element(TAG.sequence, ...encapsulated), certificates];
  const all = element(TAG.sequence, ...parts, set(...Array.from({ length: signers }, () => signer)));
  return contentInfo("1.2.840.113549.1.7.2", all);
}

const recipient = element(TAG.sequence, version, element(TAG.sequence, noise(40)), SHA256, octets(noise(256)));

export function envelopedData(content = noise(600), recipients = 1): Buffer {
  const encrypted = element(TAG.sequence, DATA, algorithm("2.16.840.1.101.3.4.1.42"), element(0x80, content));
  const all = element(TAG.sequence, version, set(...Array.from({ length: recipients }, () => recipient)), encrypted);
  return contentInfo("1.2.840.113549.1.7.3", all);
}

export function authEnvelopedData(content = noise(600)): Buffer {
  const encrypted = element(TAG.sequence, DATA, algorithm("2.16.840.1.101.3.4.1.46"), element(0x80, content));
  const all = element(TAG.sequence, version, set(recipient), encrypted, octets(noise(16)));
  return contentInfo("1.2.840.113549.1.9.16.1.23", all);
}
