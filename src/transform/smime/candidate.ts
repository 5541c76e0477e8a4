/**
 * A certificate as the choice of one looks at it (RFC 5280, RFC 8550): whom it is for, what its key may do, until
 * when, and where it says that it can be asked about. Judges nothing.
 */
import type { KeyObject, X509Certificate } from "node:crypto";
import { certificateOf, nameText, partsOf, publicKeyOf, validityOf } from "../../mail/certificate.ts";
import { type Element, elementAt, elementsOf, inside, oidOctets, TAG } from "../../mail/der.ts";
import { mailboxKey, parseMailbox } from "../../mail/mailbox.ts";

export interface Candidate {
  readonly der: Buffer;
  readonly x509: X509Certificate;
  readonly key: KeyObject;
  /** One line; of an empty one the addresses, which are then all that it says (RFC 5280 §4.1.2.6). */
  readonly subject: string;
  /** As `mailboxKey` writes them: alternative names, and emailAddress in the subject (RFC 8550 §3). */
  readonly emails: readonly string[];
  /** Key usage bits (RFC 5280 §4.2.1.3); undefined: it does not say, so any. */
  readonly usage: ReadonlySet<number> | undefined;
  /** Extended key usage, dotted; undefined: any. */
  readonly purposes: readonly string[] | undefined;
  readonly authority: boolean;
  /** How many intermediates may stand below it; Infinity where it does not say. */
  readonly pathLength: number;
  /** False: it restricts its use in a way that is not understood here. */
  readonly understood: boolean;
  /** Epoch ms */
  readonly notBefore: number;
  readonly notAfter: number;
  /** http and https only. */
  readonly ocsp: readonly string[];
  readonly crl: readonly string[];
}

export const KEY_USAGE = { keyEncipherment: 2, keyAgreement: 4, keyCertSign: 5 } as const;

/** Undefined for what is no certificate, has a key of no known kind, or cannot be read to its end. Never throws. */
export function readCandidate(der: Buffer): Candidate | undefined {
  try {
    return candidateOf(der);
  } catch {
    return undefined; // a stranger's certificate, in a shape that Node or we did not expect, is one bad certificate
  }
}

function candidateOf(der: Buffer): Candidate | undefined {
  const x509 = certificateOf(der);
  const [key, parts] = x509 === undefined ? [] : [publicKeyOf(x509), partsOf(x509.raw)];
  if (x509 === undefined || key === undefined || parts === undefined) return undefined;
  const { pathLength, understood } = parts;
  const validity = validityOf(x509);
  if (validity === undefined) return undefined; // it would never end
  const extensions = extensionsOf(x509.raw);
  const emails = emailsOf(x509.raw, extensions);
  return {
    der: x509.raw,
    x509,
    key,
    subject: nameText(x509.subject) || emails.join(", "),
    emails,
    usage: usageOf(extensions.get(EXTENSION.usage)),
    purposes: x509.keyUsage, // Node's name for the extended one
    authority: x509.ca,
    pathLength,
    understood,
    ...validity,
    ocsp: respondersOf(extensions.get(EXTENSION.access)),
    crl: listsOf(extensions.get(EXTENSION.lists)),
  };
}

const hex = (dotted: string): string => oidOctets(dotted).toString("hex");
const EXTENSION = {
  usage: hex("2.5.29.15"),
  names: hex("2.5.29.17"),
  lists: hex("2.5.29.31"),
  access: hex("1.3.6.1.5.5.7.1.1"),
} as const;
const OCSP = hex("1.3.6.1.5.5.7.48.1");
const UTF8_MAILBOX = hex("1.3.6.1.5.5.7.8.9");
const EMAIL_ADDRESS = hex("1.2.840.113549.1.9.1");

/** Value by identifier; of one that stands there twice `partsOf` says that it is not understood. */
export function extensionsOf(der: Buffer): ReadonlyMap<string, Buffer> {
  const field = fieldsOf(der).find(({ tag }) => tag === 0xa3);
  return new Map(
    (inside(field?.content) ?? []).flatMap(({ content }): [string, Buffer][] => {
      const [id, ...rest] = elementsOf(content) ?? [];
      const value = rest.at(-1);
      return id === undefined || value === undefined ? [] : [[id.content.toString("hex"), value.content]];
    }),
  );
}

/** What is signed, but for the version. */
export function fieldsOf(der: Buffer): readonly Element[] {
  return (inside(inside(der)?.[0]?.whole) ?? []).filter(({ tag }) => tag !== 0xa0);
}

function emailsOf(der: Buffer, extensions: ReadonlyMap<string, Buffer>): readonly string[] {
  const names = inside(extensions.get(EXTENSION.names)) ?? [];
  const inNames = names.flatMap((name) => {
    const octets = name.tag === 0x81 ? name.content : utf8Mailbox(name);
    return octets === undefined ? [] : [octets];
  });
  const subject = inside(fieldsOf(der)[4]?.whole) ?? []; // after serial, signature, issuer and validity
  const inSubject = subject.flatMap(({ content }) =>
    (elementsOf(content) ?? []).flatMap(({ whole }) => {
      const [type, value] = inside(whole) ?? [];
      return type?.content.toString("hex") === EMAIL_ADDRESS && value !== undefined ? [value.content] : [];
    }),
  );
  const mailboxes = [...inNames, ...inSubject].map((octets) => parseMailbox(octets.toString("utf8")));
  return [...new Set(mailboxes.flatMap((mailbox) => (mailbox === undefined ? [] : [mailboxKey(mailbox)])))];
}

/** `otherName [0] { SmtpUTF8Mailbox, [0] UTF8String }` (RFC 9598 §3). */
function utf8Mailbox({ tag, content }: Element): Buffer | undefined {
  const [id, value] = tag === 0xa0 ? (elementsOf(content) ?? []) : [];
  const text =
    id?.content.toString("hex") === UTF8_MAILBOX && value !== undefined ? elementAt(value.content, 0) : undefined;
  return text?.tag === 0x0c ? text.content : undefined;
}

function usageOf(value: Buffer | undefined): ReadonlySet<number> | undefined {
  if (value === undefined) return undefined;
  const bits = elementAt(value, 0);
  if (bits?.tag !== TAG.bitString) return new Set();
  const octets = bits.content.subarray(1);
  return new Set(
    [...Array(octets.length * 8).keys()].filter((bit) => ((octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0),
  );
}

function respondersOf(value: Buffer | undefined): readonly string[] {
  return (inside(value) ?? []).flatMap(({ whole }) => {
    const [method, place] = inside(whole) ?? [];
    return method?.content.toString("hex") === OCSP ? urlsOf(place) : [];
  });
}

/** `fullName` of each distribution point (RFC 5280 §4.2.1.13). */
function listsOf(value: Buffer | undefined): readonly string[] {
  return (inside(value) ?? []).flatMap(({ whole }) => {
    const name = inside(whole)?.find(({ tag }) => tag === 0xa0);
    const full = name && elementAt(name.content, 0);
    return full?.tag === 0xa0 ? (elementsOf(full.content) ?? []).flatMap(urlsOf) : [];
  });
}

function urlsOf(name: Element | undefined): readonly string[] {
  const text = name?.tag === 0x86 ? name.content.toString("latin1") : "";
  return /^https?:/i.test(text) && text.length <= 2048 ? [text] : [];
}

/**
 * Some mail programs (NSS before 3.99) read no message that is encrypted for an EC key as well, though they have an RSA
 * key that it is encrypted for: so each kind is written to by itself.
 */
export function keyKind({ key }: Candidate): string {
  return key.asymmetricKeyType ?? "";
}
