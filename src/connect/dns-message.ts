/**
 * DNS messages: makes a query and reads what came back. Pure; the only file that knows dns-packet.
 * "No such record" is said only when the message proves it; everything odd is a failure, never a "no".
 */
import packet, { type Answer, type DecodedPacket } from "dns-packet";
import { type DomainName, parseDomainName } from "../mail/domain-name.ts";
import type { TlsaRecord } from "../mail/published.ts";
import { hideUnreadable, MALFORMED_TLSA } from "./dns-unreadable.ts";

export interface MailExchanger {
  readonly preference: number;
  /** Lower case; `.` is the null MX. Not yet known to be a host name. */
  readonly exchange: string;
}

/** What `lookup` knows to ask for, and the data of one such record. */
export interface RecordData {
  readonly A: string;
  readonly AAAA: string;
  readonly MX: MailExchanger;
  /** Lower case; not yet known to be a host name. */
  readonly CNAME: string;
  /** The same for the name of an address. */
  readonly PTR: string;
  /** The strings of one record, joined (RFC 7208 §3.3, RFC 8461 §3.1). */
  readonly TXT: string;
  /** A malformed record has no `data`: it counts as one that cannot be used. */
  readonly TLSA: TlsaRecord;
}
export type RecordType = keyof RecordData;

export interface Query {
  readonly id: number;
  /** Lower case; `.` is the root. */
  readonly name: DomainName | ".";
  readonly type: RecordType | "SOA";
  /** false: without EDNS0, for a resolver that does not understand it. */
  readonly edns: boolean;
}

/** A whole answer to our query, whatever it says. */
export type DnsMessage = DecodedPacket & { readonly rcode: string };

export type Reading<T extends RecordType> =
  /** `canonical`: the name at the end of the aliases, here and below. */
  | {
      readonly kind: "found";
      readonly records: readonly RecordData[T][];
      readonly canonical: DomainName;
      readonly ttlSeconds: number;
    }
  /** The chain of CNAMEs leaves this message; `links` of them were followed. */
  | { readonly kind: "alias"; readonly target: DomainName; readonly links: number; readonly ttlSeconds: number }
  /** `ttlSeconds` absent: must not be cached (RFC 2308 §5). */
  | { readonly kind: "none"; readonly exists: boolean; readonly canonical: DomainName; readonly ttlSeconds?: number }
  | { readonly kind: "failed"; readonly detail: string };

/** CNAMEs followed for one look-up, over all its messages: a loop ends here. */
export const MOST_LINKS = 10;

/** The DNS flag day's size: fits one packet on every path, so answers are not fragmented. */
const UDP_PAYLOAD = 1232;

export function encodeQuery({ id, name, type, edns }: Query): Buffer {
  return packet.encode({
    type: "query",
    id,
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA, // RFC 6840 §5.7: AD in a query asks for AD in the answer
    questions: [{ type, name, class: "IN" }],
    additionals: edns ? [optRecord()] : [],
  });
}

function optRecord(): Answer {
  return {
    type: "OPT",
    name: ".",
    udpPayloadSize: UDP_PAYLOAD,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: packet.DNSSEC_OK,
    flag_do: true,
    options: [],
  };
}

/** The message, if it answers this query; undefined for anybody else's, and for what cannot be read. */
export function decodeAnswer(bytes: Buffer, query: Query): DnsMessage | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== query.id) return undefined;
  const message = decode(bytes);
  if (message === undefined || !message.flag_qr) return undefined;
  const [question, more] = message.questions ?? [];
  // A resolver that cannot read a query may send back its header alone.
  if (question === undefined) return message.rcode === "FORMERR" ? message : undefined;
  const same = question.name.toLowerCase() === query.name && question.type === query.type && question.class === "IN";
  return same && more === undefined ? message : undefined;
}

/** The one place where dns-packet's exceptions end. */
function decode(bytes: Buffer): DnsMessage | undefined {
  try {
    return packet.decode(hideUnreadable(bytes)) as DnsMessage;
  } catch {
    return undefined;
  }
}

/** True for a resolver that does not understand EDNS0 (RFC 6891 §6.2.2). */
export function rejectsEdns(message: DnsMessage): boolean {
  return message.rcode === "FORMERR" || message.rcode === "NOTIMP";
}

/** What the message says about the name and type asked for. */
export function readAnswer<T extends RecordType>(message: DnsMessage, name: DomainName, type: T): Reading<T> {
  const rcode = extendedRcode(message);
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return { kind: "failed", detail: `answered ${rcode}` };
  const answers = message.answers ?? [];
  let owner = name;
  let ttl = Number.POSITIVE_INFINITY;
  for (let links = 0; links <= MOST_LINKS; links += 1) {
    const own = answers.filter((answer) => answer.name.toLowerCase() === owner);
    const records = own.flatMap((answer) => dataOf(answer, type));
    if (records.length > 0) {
      for (const record of records) ttl = Math.min(ttl, record.ttl);
      return { kind: "found", records: records.map(({ data }) => data), canonical: owner, ttlSeconds: ttl };
    }
    const alias = own.find((answer) => answer.type === "CNAME");
    if (alias?.type !== "CNAME") return readNo(message, { owner, links, ttl });
    const target = hostName(alias.data);
    if (target === undefined)
      return { kind: "failed", detail: `${owner} is an alias of something that is no host name` };
    owner = target;
    ttl = Math.min(ttl, ttlOf(alias));
  }
  return { kind: "failed", detail: `the aliases of ${name} do not come to an end` };
}

/** RFC 2308 §2: a "no" is proven by NXDOMAIN, or by an answer without records that is no referral. */
function readNo(
  message: DnsMessage,
  chain: { readonly owner: DomainName; readonly links: number; readonly ttl: number },
): Exclude<Reading<RecordType>, { kind: "found" }> {
  const authorities = message.authorities ?? [];
  const soa = authorities.find((record) => record.type === "SOA");
  const ttl = soa?.type === "SOA" ? Math.min(ttlOf(soa), soa.data.minimum ?? 0, chain.ttl) : undefined;
  const said = { canonical: chain.owner, ...(ttl !== undefined && { ttlSeconds: ttl }) };
  // RFC 6604 §3: with a chain, NXDOMAIN speaks of its last name.
  if (message.rcode === "NXDOMAIN") return { kind: "none", exists: false, ...said };
  if (soa !== undefined) return { kind: "none", exists: true, ...said };
  if (chain.links > 0) return { kind: "alias", target: chain.owner, links: chain.links, ttlSeconds: chain.ttl };
  const referral = authorities.some((record) => record.type === "NS");
  if (!message.flag_aa && (referral || !message.flag_ra)) return { kind: "failed", detail: "does not resolve for us" };
  return { kind: "none", exists: true, canonical: chain.owner };
}

/** The full response code: its upper bits are in the OPT record, where BADVERS hides behind NOERROR (RFC 6891 §6.1.3). */
function extendedRcode(message: DnsMessage): string {
  const opt = message.additionals?.find((record) => record.type === "OPT");
  const upper = opt?.type === "OPT" ? opt.extendedRcode : 0;
  return upper === 0 ? message.rcode : `extended code ${upper}`;
}

function dataOf<T extends RecordType>(answer: Answer, type: T): { data: RecordData[T]; ttl: number }[] {
  if ("class" in answer && answer.class !== "IN") return [];
  const data =
    answer.type === type || (type === "TLSA" && typeName(answer) === MALFORMED_TLSA) ? read(answer) : undefined;
  return data === undefined ? [] : [{ data: data as RecordData[T], ttl: ttlOf(answer) }];
}

/** The names that dns-packet gives to unknown types are not in its types. */
function typeName({ type }: Answer): string {
  return type;
}

function read(answer: Answer): RecordData[RecordType] | undefined {
  switch (answer.type) {
    case "A":
    case "AAAA":
      return answer.data;
    case "MX":
      return { preference: answer.data.preference ?? 0, exchange: answer.data.exchange.toLowerCase() };
    case "CNAME":
    case "PTR":
      return answer.data.toLowerCase();
    case "TXT":
      return [answer.data].flat().map(String).join("");
    case "TLSA": {
      const { usage, selector, matchingType, certificate } = answer.data;
      return { usage, selector, matchingType, data: certificate };
    }
    default:
      return typeName(answer) === MALFORMED_TLSA ? MALFORMED : undefined;
  }
}

/** Stands for a TLSA record that is too short to be one. */
const MALFORMED: TlsaRecord = { usage: 255, selector: 255, matchingType: 255, data: Buffer.alloc(0) };

/** RFC 2181 §8: a TTL with the upper bit set counts as zero. */
function ttlOf(answer: Answer): number {
  const ttl = "ttl" in answer ? (answer.ttl ?? 0) : 0;
  return ttl > 0x7fff_ffff ? 0 : ttl;
}

/** A name out of DNS, if it is a host name. DNS may carry any bytes: other letters are not mapped, but refused. */
export function hostName(text: string): DomainName | undefined {
  return /^[\x21-\x7e]+$/.test(text) ? parseDomainName(text) : undefined;
}
