/**
 * The Received field that sealpost adds (RFC 5321 §4.4). Remote text enters only as a valid domain, address
 * or token, so no header can be injected. Where the inside is hidden it tells nothing of the client: neither name nor
 * address, only how it was spoken to.
 */
import { isIPv6 } from "node:net";
import type { Client } from "../mail/delivery.ts";
import { formatDomain, parseMailDomain } from "../mail/mailbox.ts";
import type { HeaderPolicy } from "../mail/treatment.ts";

export interface Hop {
  readonly client: Client;
  readonly hostname: string;
  readonly queueId: string;
  /** Epoch ms. */
  readonly at: number;
  readonly smtpUtf8: boolean;
  /** keep: the client is named. */
  readonly received: HeaderPolicy["received"];
  /** `countHops` of the header as it came in. */
  readonly hops: number;
}

/** One folded field, with its final CRLF. */
export function receivedField(hop: Hop): Buffer {
  const { tls } = hop.client;
  const using = tls && `(using ${token(tls.version)} with cipher ${token(tls.cipher)})`;
  const by = `by ${hop.hostname} (sealpost) with ${protocol(hop)} id ${hop.queueId}`;
  const end = `(hop ${hop.hops});`;
  const date = rfc5322Date(hop.at);
  const lines =
    hop.received === "keep" ? [`from ${clientName(hop.client)}`, using, `${by} ${end}`, date] : [by, using, end, date];
  return Buffer.from(`Received: ${lines.filter((line) => line !== undefined).join("\r\n\t")}\r\n`, "latin1");
}

function clientName({ address, helo }: Client): string {
  const literal = isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`;
  const name = parseMailDomain(helo); // as A-labels, or not at all
  return `${name === undefined ? "unknown" : formatDomain(name)} (${literal})`;
}

/** RFC 3848 and RFC 6531 §4.3: S for TLS, A for AUTH. */
function protocol({ client, smtpUtf8 }: Hop): string {
  const suffix = `${client.tls === undefined ? "" : "S"}${client.via === "auth" ? "A" : ""}`;
  return `${smtpUtf8 ? "UTF8SMTP" : "ESMTP"}${suffix}`;
}

function token(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]/g, "?");
}

/** RFC 5322 §3.3, in UTC. */
export function rfc5322Date(at: number): string {
  return new Date(at).toUTCString().replace("GMT", "+0000");
}
