/**
 * A certificate revocation list (RFC 5280 §5): whether it can be relied on for a certificate, and whether that one
 * stands in it. Pure but for the signature check. Lists that tell a part only (delta, indirect, some reasons) are not
 * used; a long one is searched in slices.
 */
import { setImmediate as breathe } from "node:timers/promises";
import { publicKeyOf } from "../mail/certificate.ts";
import { elementAt, type Element, elementsOf, inside, oidOctets, TAG, timeOf } from "../mail/der.ts";
import type { Answer, CertificateId } from "./ocsp.ts";
import { isSignedBy, signedData } from "../mail/signed-data.ts";

/** A list whose signature, dates and scope hold. */
export interface RevocationList {
  readonly kind: "list";
  /** Epoch ms; of no use from then on. */
  readonly until: number;
  /** What the entries stand in, back to back. */
  readonly entries: Buffer;
  /** Octets kept. */
  readonly size: number;
}

export interface UnusableList {
  readonly kind: "unusable";
  readonly detail: string;
}

const SKEW_MS = 300_000;

/** What the list must cover. */
export interface Scope {
  /** Where the certificate says its list is; one that is for another part of the certificates is not believed. */
  readonly urls: readonly string[];
  /** It is about a CA. */
  readonly authority: boolean;
  /** Epoch ms */
  readonly now: number;
}

export async function readRevocationList(
  body: Buffer,
  id: Pick<CertificateId, "issuer" | "issuerName">,
  scope: Scope,
): Promise<RevocationList | UnusableList> {
  const { now } = scope;
  const der = derOf(body);
  const data = signedData(inside(der));
  const read = data && fieldsOf(data.signed);
  if (data === undefined || read === undefined) return unusable("is no revocation list");
  const { issuer, from, until, entries, extensions } = read;
  if (!issuer.equals(id.issuerName)) return unusable("is of another issuer");
  if (until === undefined) return unusable("does not say how long it holds");
  if (from > now + SKEW_MS) return unusable(`is of the future (${iso(from)})`);
  if (until < now - SKEW_MS) return unusable(`is too old (it held until ${iso(until)})`);
  const limited = limitation(extensions, scope);
  if (limited !== undefined) return unusable(limited);
  const key = publicKeyOf(id.issuer);
  if (key === undefined || !(await isSignedBy(data, key))) return unusable("is not signed by the issuer");
  return { kind: "list", until, entries, size: der.length };
}

const SLICE = 5000;

/** An entry that cannot be read makes the list unusable: the one sought may stand behind it. */
export async function findInList(list: RevocationList, serial: Buffer): Promise<Answer> {
  let count = 0;
  for (let at = 0; at < list.entries.length; ) {
    const entry = elementAt(list.entries, at);
    const number = entry && elementAt(entry.content, 0);
    if (entry === undefined || number?.tag !== TAG.integer) return unusable("holds what cannot be read");
    if (number.content.equals(serial)) {
      const when = timeOf(elementAt(entry.content, number.whole.length));
      const on = when === undefined ? "" : ` on ${iso(when).slice(0, 10)}`;
      return { kind: "revoked", until: list.until, detail: `revoked${on}` };
    }
    at += entry.whole.length;
    if (++count % SLICE === 0) await breathe();
  }
  return { kind: "good", until: list.until };
}

/** Served as DER (RFC 5280 §4.2.1.13), by some as PEM all the same. */
function derOf(body: Buffer): Buffer {
  const [begin, end] = ["-----BEGIN X509 CRL-----", "-----END X509 CRL-----"];
  const start = body.subarray(0, 4096).indexOf(begin);
  const stop = start < 0 ? -1 : body.indexOf(end, start);
  return stop < 0 ? body : Buffer.from(body.toString("latin1", start + begin.length, stop), "base64");
}

interface Fields {
  readonly issuer: Buffer;
  readonly from: number;
  readonly until: number | undefined;
  readonly entries: Buffer;
  readonly extensions: readonly Element[];
}

function fieldsOf(signed: Buffer): Fields | undefined {
  const all = inside(signed) ?? [];
  const [, issuer, thisUpdate, ...rest] = all[0]?.tag === TAG.integer ? all.slice(1) : all;
  const from = timeOf(thisUpdate);
  if (issuer?.tag !== TAG.sequence || from === undefined) return undefined;
  const extensions = rest.find(({ tag }) => tag === 0xa0);
  const listed = extensions === undefined ? [] : inside(extensions.content);
  if (listed === undefined) return undefined;
  const entries = rest.find(({ tag }) => tag === TAG.sequence)?.content ?? Buffer.of();
  return { issuer: issuer.whole, from, until: timeOf(rest[0]), entries, extensions: listed };
}

const ID = {
  delta: oidOctets("2.5.29.27").toString("hex"),
  scope: oidOctets("2.5.29.28").toString("hex"),
};

/** Why the list says nothing, or not enough, about the certificate. */
function limitation(extensions: readonly Element[], scope: Scope): string | undefined {
  for (const { content } of extensions) {
    const [id, ...rest] = elementsOf(content) ?? [];
    const [critical, value] = [rest.length > 1, rest.at(-1)];
    const name = id?.content.toString("hex");
    if (name === ID.delta) return "tells changes only";
    if (name === ID.scope) {
      const limited = limitedScope(value, scope);
      if (limited !== undefined) return limited;
    } else if (critical) return "is restricted in a way that is not known here"; // RFC 5280 §5.2
  }
  return undefined;
}

/** RFC 5280 §5.2.5. Fetched in the clear, the list of another part could have been put in its place. */
function limitedScope(value: Element | undefined, { urls, authority }: Scope): string | undefined {
  const fields = inside(value?.content);
  if (fields === undefined) return "has a scope that cannot be read";
  for (const { tag, content } of fields) {
    if (tag === 0xa0) {
      const names = elementsOf(elementAt(content, 0)?.content) ?? [];
      const places = names.flatMap((name) => (name.tag === 0x86 ? [name.content.toString("latin1")] : []));
      if (!places.some((place) => urls.includes(place))) return "is for other certificates of the issuer";
    } else if (tag !== 0x81 && tag !== 0x82)
      return "tells a part only"; // some reasons, indirect, attribute certificates
    else if (tag === (authority ? 0x81 : 0x82) && content[0] !== 0) return "is for other certificates of the issuer";
  }
  return undefined;
}

function unusable(detail: string): UnusableList {
  return { kind: "unusable", detail };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
